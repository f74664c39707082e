//! How much of a batch was recovered: MSE, PSNR and SSIM after the best pairing, with labels, beside what needs no gradient.
//!
//! Pixels are clipped to 0..1, so PSNR = −10 log₁₀ MSE dB, at most 120. Recovered records have no order: they are paired with the true
//! ones so that the sum of the squared errors is smallest (Hungarian method). SSIM needs images of at least 11×11 pixels (its window) and
//! is missing for smaller ones.

use super::similarity::{refuse_tables, squared_error};
use super::{Recovered, Similarity, assignment};
use crate::display::{Figure, ImageGrid, Show, Table, show_inline};
use crate::stats::{MeanInterval, Rate, mean};
use crate::{Dataset, Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// One true record and what was found of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecordScore {
    /// Its position in the batch.
    pub record: usize,
    /// The position of the recovered record it was paired with.
    pub paired_with: usize,
    /// How alike the two are.
    pub recovered: Similarity,
    /// Control: the public record nearest to the true one. It is chosen with the truth in hand, so it is the best that any choice of a
    /// public record can do.
    pub nearest_public: Option<Similarity>,
    /// Control: the mean of the public records of its class, which the label alone gives; none without public records of that class.
    pub class_mean: Option<Similarity>,
}

/// What [`Recovered::judge`] found.
#[derive(Clone, Serialize, Deserialize)]
pub struct LeakageScore {
    method: String,
    defence: String,
    seed: u64,
    records: Vec<RecordScore>,
    labels: Rate,
    truth: Dataset,
    /// In the order of the truth.
    recovered: Dataset,
    nearest: Option<Dataset>,
    public: Option<String>,
}

impl LeakageScore {
    pub(super) fn new(recovered: &Recovered, batch: &Dataset, public: Option<&Dataset>) -> Result<Self> {
        refuse_tables(batch)?;
        let data = recovered.data();
        batch.same_kind(data)?;
        public.map_or(Ok(()), |public| batch.same_kind(public))?;
        if batch.len() != data.len() {
            let what = format!("{} recovered records and a batch of {}", data.len(), batch.len());
            return Err(Error::mismatch(what, "give the batch that the update was made of"));
        }
        let n = batch.len();
        let pairs = assignment::cheapest(n, |i, j| squared_error(batch.record(i), data.record(j)));
        let (mut records, mut nearest) = (vec![], vec![]);
        for (i, &j) in pairs.iter().enumerate() {
            let truth = batch.subset(&[i])?;
            let mut record = RecordScore {
                record: i,
                paired_with: j,
                recovered: Similarity::of(&data.subset(&[j])?, &truth)?,
                nearest_public: None,
                class_mean: None,
            };
            if let Some(public) = public {
                let distances = (0..public.len()).map(|at| squared_error(public.record(at), batch.record(i)));
                let closest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at);
                nearest.push(closest);
                record.nearest_public = Some(Similarity::of(&public.subset(&[closest])?, &truth)?);
                record.class_mean = match class_mean(public, truth.labels().first().copied().unwrap_or_default() as usize)? {
                    Some(mean) => Some(Similarity::of(&mean, &truth)?),
                    None => None,
                };
            }
            records.push(record);
        }
        Ok(Self {
            method: recovered.attack.name(),
            defence: recovered.defence.clone(),
            seed: recovered.seed,
            records,
            labels: Rate::counted(in_common(batch.labels(), data.labels(), batch.classes()), n),
            truth: batch.clone(),
            recovered: data.subset(&pairs)?,
            nearest: public.map(|public| public.subset(&nearest)).transpose()?,
            public: public.map(|public| public.name().to_string()),
        })
    }

    /// One for each true record, in the order of the batch.
    #[must_use]
    pub fn records(&self) -> &[RecordScore] {
        &self.records
    }

    /// Labels found, each as often as it is there (an update knows no order), with a 95 % Clopper-Pearson interval.
    #[must_use]
    pub fn labels(&self) -> Rate {
        self.labels
    }

    /// Mean squared error over the batch.
    #[must_use]
    pub fn mse(&self) -> f64 {
        self.mean(|record| Some(record.recovered.mse)).unwrap_or(f64::INFINITY)
    }

    /// Mean PSNR over the batch in dB.
    #[must_use]
    pub fn psnr(&self) -> f64 {
        self.mean(|record| Some(record.recovered.psnr)).unwrap_or_default()
    }

    /// Mean SSIM over the batch; none below 11×11 pixels.
    #[must_use]
    pub fn ssim(&self) -> Option<f64> {
        self.mean(|record| record.recovered.ssim)
    }

    /// The mean over the records that have a value.
    pub(super) fn mean(&self, value: impl Fn(&RecordScore) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.records.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| mean(&values))
    }

    /// The recovered records in the order of the batch.
    #[must_use]
    pub fn recovered(&self) -> &Dataset {
        &self.recovered
    }

    /// The records as a polars table; null where there is no control or no SSIM.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let column = |name: &str, value: &dyn Fn(&RecordScore) -> Option<f64>| -> Column {
            Column::new(name.into(), self.records.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let columns = vec![
            column("record", &|r| Some(r.record as f64)),
            column("paired_with", &|r| Some(r.paired_with as f64)),
            column("mse", &|r| Some(r.recovered.mse)),
            column("psnr", &|r| Some(r.recovered.psnr)),
            column("ssim", &|r| r.recovered.ssim),
            column("nearest_public_psnr", &|r| r.nearest_public.map(|s| s.psnr)),
            column("nearest_public_ssim", &|r| r.nearest_public.and_then(|s| s.ssim)),
            column("class_mean_psnr", &|r| r.class_mean.map(|s| s.psnr)),
            column("class_mean_ssim", &|r| r.class_mean.and_then(|s| s.ssim)),
        ];
        // All columns have one value per record, so this cannot fail.
        DataFrame::new(self.records.len(), columns).unwrap_or_default()
    }

    /// Writes `gradient_leakage.csv`, `.svg`, `.png`, `.html` and `.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "gradient_leakage", "gradient_leakage.json", self.frame(), self, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["", "PSNR (dB)", "SSIM", "MSE"]);
        let spread = |value: &dyn Fn(&RecordScore) -> Option<f64>| -> String {
            let values: Vec<f64> = self.records.iter().filter_map(value).collect();
            match MeanInterval::new(&values) {
                Ok(interval) => interval.to_string(),
                Err(_) => values.first().map_or(String::new(), |value| format!("{value:.4}")),
            }
        };
        type Way = fn(&RecordScore) -> Option<Similarity>;
        let ways: [(&str, Way); 3] = [
            ("recovered", |r| Some(r.recovered)),
            ("nearest public record", |r| r.nearest_public),
            ("public mean of its class", |r| r.class_mean),
        ];
        for (name, similarity) in ways {
            if self.records.iter().any(|record| similarity(record).is_some()) {
                let cells = [
                    name.to_string(),
                    spread(&|r| similarity(r).map(|s| s.psnr)),
                    spread(&|r| similarity(r).and_then(|s| s.ssim)),
                    spread(&|r| similarity(r).map(|s| s.mse)),
                ];
                table = table.row(cells);
            }
        }
        let controls = self.public.as_ref().map_or_else(
            || "no control".to_string(),
            |public| format!("controls from {public}; the nearest public record is chosen knowing the truth"),
        );
        let caption = format!(
            "Means over {} records with 95 % Student intervals; defence: {}; labels {}; {controls}; seed {}.",
            self.records.len(),
            self.defence,
            self.labels,
            self.seed
        );
        table.captioned(&caption)
    }

    /// The first `most` true records above what was recovered, and above the nearest public ones where there are any.
    #[must_use]
    pub fn gallery(&self, most: usize) -> ImageGrid {
        let images = |data: &Dataset| (0..data.len().min(most)).map(|i| data.record(i).to_vec()).collect::<Vec<_>>();
        let mut rows = vec![("true".to_string(), images(&self.truth)), ("recovered".to_string(), images(&self.recovered))];
        rows.extend(self.nearest.as_ref().map(|nearest| ("nearest public".to_string(), images(nearest))));
        ImageGrid::new(rows, self.truth.shape())
    }
}

impl LeakageScore {
    /// The first record: true, recovered, nearest public.
    pub(super) fn first_images(&self) -> Vec<Vec<f32>> {
        let sets = [Some(&self.truth), Some(&self.recovered), self.nearest.as_ref()];
        sets.into_iter().flatten().map(|set| set.record(0).to_vec()).collect()
    }
}

/// The mean of the public records of a class, as a set of one.
fn class_mean(public: &Dataset, class: usize) -> Result<Option<Dataset>> {
    let members = public.of_class(class);
    if members.is_empty() {
        return Ok(None);
    }
    let mut mean = vec![0.0; public.features()];
    for &i in &members {
        mean.iter_mut().zip(public.record(i)).for_each(|(m, v)| *m += f64::from(*v) / members.len() as f64);
    }
    let mean = mean.into_iter().map(|v| v as f32).collect();
    Dataset::images("class mean", mean, public.shape(), vec![class as u32], public.class_names().to_vec()).map(Some)
}

/// How many labels two lists share, each as often as it is in both.
fn in_common(a: &[u32], b: &[u32], classes: usize) -> usize {
    let count = |labels: &[u32], class: usize| labels.iter().filter(|&&label| label as usize == class).count();
    (0..classes).map(|class| count(a, class).min(count(b, class))).sum()
}

impl Show for LeakageScore {
    fn figure(&self) -> Figure {
        Figure::column([self.gallery(10).figure(), self.table().figure()]).titled(&format!("What {} recovered", self.method))
    }
}

show_inline!(LeakageScore);

impl fmt::Debug for LeakageScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeakageScore({} records by {}, PSNR {:.1} dB)", self.records.len(), self.method, self.psnr())
    }
}
