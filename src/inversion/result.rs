//! What an inversion found: one picture (or code) a class, how sure the target is of it, and why the search stopped.

use super::gallery::pictures;
use super::{InversionQuality, InversionReport};
use crate::display::{Cell, Figure, ImageGrid, Show, Table, show_inline};
use crate::train::Model;
use crate::{Dataset, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stopped {
    /// The confidence reached the threshold.
    Threshold,
    /// The cost was no better than any in the window.
    Window,
    /// All steps were made.
    Limit,
    /// The lab's time was up.
    Deadline,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threshold => "sure enough",
            Self::Window => "no progress",
            Self::Limit => "all steps made",
            Self::Deadline => "time was up",
        })
    }
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InvertedClass {
    /// Its label.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// p of the class for what the search found.
    pub confidence: f64,
    /// p of the class for the picture that is shown, where a decoder made it: it is encoded again.
    pub shown: Option<f64>,
    /// The cost there, regularisers included.
    pub cost: f64,
    /// Steps of the search that is kept.
    pub steps: usize,
    /// Which start it came from: 0 is the first.
    pub start: usize,
    /// Why it ended.
    pub stopped: Stopped,
    /// How often the target was asked in that search: once a step with its gradient, or as often as a black-box attack needs.
    pub queries: u64,
}

/// What [`ModelInversion::invert`](super::ModelInversion::invert) found.
///
/// # Example
/// ```
/// use freelunch::inversion::{InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = Train::new(Arch::Logistic).fit(&Dataset::toy(), &lab)?;
/// let inversion = ModelInversion::small().with_classes(&[3]).invert(&InversionTarget::model(&model), &lab)?;
/// assert_eq!((inversion.images().len(), inversion.rows()[0].name.as_str()), (1, "blob"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Inversion {
    target: String,
    images: Dataset,
    rows: Vec<InvertedClass>,
    config: serde_json::Value,
    seed: u64,
}

impl Inversion {
    pub(super) fn new(target: String, images: Dataset, rows: Vec<InvertedClass>, config: serde_json::Value, lab: &Lab) -> Self {
        Self { target, images, rows, config, seed: lab.seed_value() }
    }

    /// The target in words.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// One record a class, labelled: pictures, or a table of codes where codes are all there is.
    #[must_use]
    pub fn images(&self) -> &Dataset {
        &self.images
    }

    /// Whether there are pictures and not codes.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.images.schema().is_none()
    }

    /// One row a class.
    #[must_use]
    pub fn rows(&self) -> &[InvertedClass] {
        &self.rows
    }

    /// The attack's parameters.
    #[must_use]
    pub fn config(&self) -> &serde_json::Value {
        &self.config
    }

    /// Questions to the target in all searches that are kept.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.rows.iter().map(|row| row.queries).sum()
    }

    /// Asks an independent network, one that learned other records, and the private records what came out. With the class means of public
    /// records for comparison: [`InversionQuality::with_control`].
    ///
    /// # Errors
    /// As [`InversionQuality::judge`].
    pub fn judge(&self, evaluator: &Model, private: &Dataset) -> Result<InversionReport> {
        InversionQuality::new(evaluator, private).judge(self)
    }

    /// The rows as a polars table.
    ///
    /// # Errors
    /// None in practice: all columns have one value per row.
    pub fn frame(&self) -> Result<DataFrame> {
        let rows = &self.rows;
        let columns = vec![
            Column::new("class".into(), rows.iter().map(|row| row.name.as_str()).collect::<Vec<&str>>()),
            Column::new("confidence".into(), rows.iter().map(|row| row.confidence).collect::<Vec<f64>>()),
            Column::new("confidence_shown".into(), rows.iter().map(|row| row.shown).collect::<Vec<Option<f64>>>()),
            Column::new("cost".into(), rows.iter().map(|row| row.cost).collect::<Vec<f64>>()),
            Column::new("steps".into(), rows.iter().map(|row| row.steps as u64).collect::<Vec<u64>>()),
            Column::new("start".into(), rows.iter().map(|row| row.start as u64).collect::<Vec<u64>>()),
            Column::new("stopped".into(), rows.iter().map(|row| row.stopped.to_string()).collect::<Vec<String>>()),
            Column::new("queries".into(), rows.iter().map(|row| row.queries).collect::<Vec<u64>>()),
        ];
        DataFrame::new(rows.len(), columns).map_err(|e| crate::Error::table("inversion", e))
    }

    /// Writes `inversion.csv`, `inversion.svg`, `inversion.png`, `inversion.html` and `inversion.json` into a folder, which is made if
    /// needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "inversion", "inversion.json", self.frame()?, self, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["class", "confidence", "of the decoded picture", "steps", "ended because", "questions"]);
        for row in &self.rows {
            table = table.row([
                Cell::from(&row.name),
                Cell::from(row.confidence),
                Cell::from(row.shown),
                Cell::from(row.steps),
                Cell::from(row.stopped.to_string()),
                Cell::from(row.queries as usize),
            ]);
        }
        table
    }
}

impl Show for Inversion {
    fn figure(&self) -> Figure {
        let (images, shape) = pictures(&self.images);
        let label = |row: &InvertedClass| format!("{}: p = {:.3}", row.name, row.confidence);
        let rows = self.rows.iter().zip(images).map(|(row, image)| (label(row), vec![image])).collect();
        let gallery = matches!(shape[0], 1 | 3).then(|| ImageGrid::new(rows, shape).at_most(300).figure());
        let codes = if self.has_images() { "" } else { " A code is shown as grey squares: it is no picture." };
        let caption = format!(
            "{} classes, one search result each, seed {}; p is the target's own confidence, which an attack on it makes large.{codes}",
            self.rows.len(),
            self.seed
        );
        Figure::column(gallery.into_iter().chain([self.table().figure()]))
            .titled(&format!("Inversion of {}", self.target))
            .captioned(&caption)
    }
}

show_inline!(Inversion);

impl fmt::Debug for Inversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inversion({}, {} classes, {} questions)", self.target, self.rows.len(), self.queries())
    }
}
