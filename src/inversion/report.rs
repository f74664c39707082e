//! The judgement of one inversion, class by class, beside what needs no attack.

use super::Inversion;
use super::gallery::{Pictures, pictures, side_by_side};
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::stats::{MeanInterval, Rate};
use crate::{Dataset, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// How alike one picture and the private records of its class are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Likeness {
    /// The class it was made for.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// The class that the evaluator sees.
    pub called: usize,
    /// The evaluator's probability of the right class.
    pub evaluator_confidence: f64,
    /// Structural similarity to the mean private record of the class; none for pictures smaller than 11×11.
    pub ssim_mean: Option<f64>,
    /// Structural similarity to the most similar private record.
    pub ssim_nearest: Option<f64>,
    /// Root mean square difference per pixel to the mean private record of the class.
    pub l2_mean: f64,
    /// The same to the nearest private record.
    pub l2_nearest: f64,
    /// That record's position: by SSIM, or by L2 where pictures are too small.
    pub nearest: usize,
}

/// What [`InversionQuality::judge`](super::InversionQuality::judge) says.
///
/// # Example
/// ```
/// use freelunch::inversion::{InversionCost, InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = Train::new(Arch::Logistic).fit(&Dataset::toy(), &lab)?;
/// let attack = ModelInversion::small().with_cost(InversionCost::CrossEntropy);
/// let inversion = attack.invert(&InversionTarget::model(&model), &lab)?;
/// let report = inversion.judge(&model, &Dataset::toy())?; // the target as its own judge: not independent
/// assert_eq!(report.accuracy().map(|rate| rate.hits), Some(4));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct InversionReport {
    target: String,
    pub(super) images: Dataset,
    pub(super) private_means: Dataset,
    confidence: f64,
    rows: Vec<Likeness>,
    control: Vec<Likeness>,
    pub(super) control_images: Option<Dataset>,
    control_name: String,
    private: String,
    records: usize,
    seed: u64,
}

impl InversionReport {
    pub(super) fn new(
        inversion: &Inversion,
        rows: Vec<Likeness>,
        judged: Vec<Likeness>,
        control: Option<(Dataset, String)>,
        private_means: Dataset,
        private: &Dataset,
    ) -> Self {
        let (control_images, control_name) = control.map_or((None, String::new()), |(means, name)| (Some(means), name));
        let sure: Vec<f64> = inversion.rows().iter().map(|row| row.shown.unwrap_or(row.confidence)).collect();
        Self {
            target: inversion.target().to_string(),
            images: inversion.images().clone(),
            private_means,
            confidence: crate::stats::mean(&sure),
            rows,
            control: judged,
            control_images,
            control_name,
            private: private.name().to_string(),
            records: private.len(),
            seed: inversion.images().origin().seed,
        }
    }

    /// One row a class; none where a code is all that was found.
    #[must_use]
    pub fn rows(&self) -> &[Likeness] {
        &self.rows
    }

    /// The same for the class means of public records; none without a control.
    #[must_use]
    pub fn control(&self) -> &[Likeness] {
        &self.control
    }

    /// The target in words.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The target's own mean confidence.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// Share of pictures that the evaluator puts into their class, with a 95 % Clopper-Pearson interval; none where there is no picture.
    #[must_use]
    pub fn accuracy(&self) -> Option<Rate> {
        accuracy(&self.rows)
    }

    /// The same for the class means of public records.
    #[must_use]
    pub fn control_accuracy(&self) -> Option<Rate> {
        accuracy(&self.control)
    }

    /// The mean over classes of some number, with a 95 % Student interval; none with fewer than two classes that have it.
    #[must_use]
    pub fn mean(rows: &[Likeness], value: fn(&Likeness) -> Option<f64>) -> Option<MeanInterval> {
        let values: Vec<f64> = rows.iter().filter_map(value).collect();
        MeanInterval::new(&values).ok()
    }

    /// The rows as a polars table; `of` is `inversion` or `control`.
    ///
    /// # Errors
    /// None in practice: all columns have one value per row.
    pub fn frame(&self) -> Result<DataFrame> {
        let rows: Vec<(&str, &Likeness)> =
            self.rows.iter().map(|row| ("inversion", row)).chain(self.control.iter().map(|row| ("control", row))).collect();
        let numbers = |name: &str, value: &dyn Fn(&Likeness) -> Option<f64>| -> Column {
            Column::new(name.into(), rows.iter().map(|(_, row)| value(row)).collect::<Vec<Option<f64>>>())
        };
        let columns = vec![
            Column::new("of".into(), rows.iter().map(|(of, _)| *of).collect::<Vec<&str>>()),
            Column::new("class".into(), rows.iter().map(|(_, row)| row.name.as_str()).collect::<Vec<&str>>()),
            Column::new("recognised".into(), rows.iter().map(|(_, row)| row.called == row.class).collect::<Vec<bool>>()),
            numbers("evaluator_confidence", &|row| Some(row.evaluator_confidence)),
            numbers("ssim_class_mean", &|row| row.ssim_mean),
            numbers("ssim_nearest_record", &|row| row.ssim_nearest),
            numbers("l2_class_mean", &|row| Some(row.l2_mean)),
            numbers("l2_nearest_record", &|row| Some(row.l2_nearest)),
        ];
        DataFrame::new(rows.len(), columns).map_err(|e| crate::Error::table("inversion quality", e))
    }

    /// Writes `inversion-quality.csv`, .svg, .png, .html and .json into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let name = "inversion-quality";
        crate::file::save_report(folder.as_ref(), name, "inversion-quality.json", self.frame()?, self, &self.figure())
    }

    /// Its numbers in cells, and those of the control.
    pub(super) fn cells(rows: &[Likeness]) -> [Cell; 5] {
        let number =
            |value: fn(&Likeness) -> Option<f64>| Cell::from(Self::mean(rows, value).map_or(String::new(), |mean| mean.to_string()));
        [
            Cell::from(accuracy(rows).map_or("no picture".into(), |rate| rate.to_string())),
            number(|row| row.ssim_mean),
            number(|row| row.ssim_nearest),
            number(|row| Some(row.l2_mean)),
            number(|row| Some(row.l2_nearest)),
        ]
    }

    pub(super) const HEADERS: [&str; 5] =
        ["recognised by the evaluator", "SSIM to class mean", "SSIM to nearest record", "L2 to class mean", "L2 to nearest record"];

    /// What a reader must know about the numbers.
    pub(super) fn words(&self) -> String {
        let windows = super::quality::has_windows(self.private_means.shape());
        let small = if windows { "" } else { " SSIM needs pictures of 11 x 11 pixels." };
        format!(
            "{} classes against {} records of {}, seed {}. Recognised: 95 % Clopper-Pearson; other intervals: 95 % Student over classes.{small} \
             Class means of public records need no attack.",
            self.private_means.len(),
            self.records,
            self.private,
            self.seed
        )
    }

    /// The means, and at the end the inversion.
    pub(super) fn columns(&self) -> Vec<Pictures> {
        let mut columns = vec![("private mean".to_string(), &self.private_means)];
        columns.extend(self.control_images.as_ref().map(|means| ("public mean".to_string(), means)));
        columns.push(("inversion".to_string(), &self.images));
        let column = |(name, data)| {
            let (images, shape) = pictures(data);
            Pictures { name, images, shape }
        };
        columns.into_iter().map(column).collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let name = |&label: &u32| self.private_means.class_names().get(label as usize).cloned().unwrap_or_default();
        self.private_means.labels().iter().map(name).collect()
    }
}

pub(super) fn accuracy(rows: &[Likeness]) -> Option<Rate> {
    (!rows.is_empty()).then(|| Rate::counted(rows.iter().filter(|row| row.called == row.class).count(), rows.len()))
}

impl Show for InversionReport {
    fn figure(&self) -> Figure {
        let mut headers = vec![""];
        headers.extend(Self::HEADERS);
        let mut table = Table::new(headers).row([vec![Cell::from("inversion")], Self::cells(&self.rows).to_vec()].concat());
        if !self.control.is_empty() {
            let name = format!("class means of {}", self.control_name);
            table = table.row([vec![Cell::from(name)], Self::cells(&self.control).to_vec()].concat());
        }
        Figure::column(side_by_side(&self.names(), &self.columns()).into_iter().chain([table.figure()]))
            .titled(&format!("Inversion of {}, judged", self.target))
            .captioned(&self.words())
    }
}

show_inline!(InversionReport);

impl fmt::Debug for InversionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recognised = self.accuracy().map_or("no picture".into(), |rate| format!("recognised {} of {}", rate.hits, rate.of));
        write!(f, "InversionReport({}, {recognised})", self.target)
    }
}
