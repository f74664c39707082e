//! The sweep as a table, a curve of PSNR against noise, and pictures of what was recovered.

use super::{LeakageByNoise, Source};
use crate::display::number::significant;
use crate::display::{Figure, ImageGrid, Plot, Show, Table, show_inline};
use crate::gradient_leakage::{Defence, LeakageScore};
use crate::stats::{MeanInterval, Rate};
use crate::train::Model;
use crate::{Dataset, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What [`LeakageByNoise::measure`] found.
#[derive(Clone, Serialize, Deserialize)]
pub struct LeakageByNoiseReport {
    sweep: LeakageByNoise,
    model: String,
    client: String,
    public: String,
    seed: u64,
    rows: Vec<NoiseRow>,
    /// The first batch of every row.
    galleries: Vec<LeakageScore>,
}

/// One kind of client data under one defence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseRow {
    /// What the update was made of.
    pub source: Source,
    /// What was done to it.
    pub defence: Defence,
    /// PSNR in dB to the records that the update was made of; mean over the batches, with a 95 % Student interval.
    pub psnr: MeanInterval,
    /// SSIM to the same; none below 11×11 pixels.
    pub ssim: Option<MeanInterval>,
    /// PSNR in dB to the client's raw record nearest to what was recovered. Flat pictures are near to something, so read it beside the
    /// control.
    pub psnr_to_raw: MeanInterval,
    /// Control: PSNR in dB of the public record nearest to the one that the update was made of.
    pub nearest_public: MeanInterval,
    /// Labels found.
    pub labels: Rate,
    /// ε of one such release, for the raw records; infinite without noise, and for condensed data, whose making had no ε.
    pub epsilon: f64,
}

impl LeakageByNoiseReport {
    pub(super) fn new(
        sweep: &LeakageByNoise,
        model: &Model,
        client: &Dataset,
        public: &Dataset,
        rows: Vec<NoiseRow>,
        galleries: Vec<LeakageScore>,
        lab: &Lab,
    ) -> Self {
        let (model, client, public) = (model.train().arch.name(), client.name().to_string(), public.name().to_string());
        Self { sweep: sweep.clone(), model, client, public, seed: lab.seed_value(), rows, galleries }
    }

    /// The rows: source by source, defence by defence.
    #[must_use]
    pub fn rows(&self) -> &[NoiseRow] {
        &self.rows
    }

    /// The rows as a polars table.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let text = |name: &str, value: &dyn Fn(&NoiseRow) -> String| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<String>>())
        };
        let number = |name: &str, value: &dyn Fn(&NoiseRow) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let columns = vec![
            text("source", &|row| row.source.to_string()),
            text("defence", &|row| row.defence.to_string()),
            number("noise", &|row| Some(row.defence.noise())),
            number("epsilon", &|row| Some(row.epsilon)),
            number("psnr", &|row| Some(row.psnr.mean)),
            number("psnr_low", &|row| Some(row.psnr.low)),
            number("psnr_high", &|row| Some(row.psnr.high)),
            number("ssim", &|row| row.ssim.map(|s| s.mean)),
            number("ssim_low", &|row| row.ssim.map(|s| s.low)),
            number("ssim_high", &|row| row.ssim.map(|s| s.high)),
            number("psnr_to_raw", &|row| Some(row.psnr_to_raw.mean)),
            number("nearest_public_psnr", &|row| Some(row.nearest_public.mean)),
            number("labels", &|row| Some(row.labels.value())),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// Writes `leakage_by_noise.csv`, `.svg`, `.png`, `.html` and `.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "leakage_by_noise", "leakage_by_noise.json", self.frame(), self, &self.figure())
    }

    fn caption(&self) -> String {
        format!(
            "{} batches of {} of {}, {}, seed {}. Means over batches with 95 % Student intervals; labels: Clopper-Pearson. ε: one release, δ = {:e}, \
             add or remove one raw record. A PSNR at or below that of the nearest public record (of {}) says nothing about the batch.",
            self.sweep.batches, self.sweep.batch, self.client, self.model, self.seed, self.sweep.delta, self.public
        )
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["data", "defence", "ε", "PSNR (dB)", "SSIM", "to nearest raw (dB)", "nearest public (dB)", "labels"]);
        for row in &self.rows {
            table = table.row([
                row.source.to_string(),
                row.defence.to_string(),
                significant(row.epsilon, 4),
                row.psnr.to_string(),
                row.ssim.map_or_else(String::new, |s| s.to_string()),
                row.psnr_to_raw.to_string(),
                row.nearest_public.to_string(),
                row.labels.to_string(),
            ]);
        }
        table.captioned(&self.caption())
    }

    /// PSNR against noise; no defence and clipping, which are no numbers on this axis, are dashes across.
    fn plot(&self) -> Plot {
        let mut plot = Plot::new("Recovered against noise").x_label("noise multiplier σ").y_label("PSNR (dB)").log_x();
        for source in [Source::Raw, Source::Condensed] {
            let rows: Vec<&NoiseRow> = self.rows.iter().filter(|row| row.source == source && row.defence.noise() > 0.0).collect();
            if !rows.is_empty() {
                let name = source.to_string();
                let line: Vec<(f64, f64)> = rows.iter().map(|row| (row.defence.noise(), row.psnr.mean)).collect();
                let bars: Vec<(f64, f64, f64, f64)> =
                    rows.iter().map(|row| (row.defence.noise(), row.psnr.mean, row.psnr.low, row.psnr.high)).collect();
                plot = plot.line(&name, &line).error_bars(&name, &bars);
            }
        }
        for row in self.rows.iter().filter(|row| row.source == Source::Raw) {
            match row.defence {
                Defence::None => plot = plot.horizontal(row.nearest_public.mean, "nearest public").horizontal(row.psnr.mean, "no defence"),
                Defence::Clipped { .. } => plot = plot.horizontal(row.psnr.mean, "clipped"),
                Defence::Noised { .. } => {}
            }
        }
        plot.caption(&format!("{} batches of {}, 95 % Student intervals, seed {}", self.sweep.batches, self.sweep.batch, self.seed))
    }

    /// Of every row, the first record of its first batch: true, recovered, nearest public.
    #[must_use]
    pub fn gallery(&self) -> ImageGrid {
        let shape = self.galleries.first().map_or([1, 1, 1], |score| score.recovered().shape());
        let pictures = |row: &NoiseRow, score: &LeakageScore| (format!("{}, {}", row.source, row.defence), score.first_images());
        let rows = self.rows.iter().zip(&self.galleries).map(|(row, score)| pictures(row, score)).collect();
        ImageGrid::new(rows, shape).column_captions(&["true", "found", "public"])
    }
}

impl Show for LeakageByNoiseReport {
    fn figure(&self) -> Figure {
        let noisy = self.rows.iter().filter(|row| row.source == Source::Raw && row.defence.noise() > 0.0).count();
        // A logarithmic axis needs more than one place.
        let plot = (noisy > 1).then(|| self.plot().figure());
        let side = Figure::row(std::iter::once(self.gallery().figure()).chain(plot));
        Figure::column([self.table().figure(), side]).titled(&format!("What {} recovers from gradients", self.sweep.attack.name()))
    }
}

show_inline!(LeakageByNoiseReport);

impl fmt::Debug for LeakageByNoiseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeakageByNoiseReport({}, {} rows)", self.sweep.attack.name(), self.rows.len())
    }
}
