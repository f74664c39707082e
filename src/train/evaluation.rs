//! How good a model is: accuracy with its interval, per class, and which classes it confuses.

use crate::Dataset;
use crate::display::{Figure, Show, Table, show_inline};
use crate::stats::Rate;
use serde::{Deserialize, Serialize};

/// Accuracy, accuracy per class, and the confusion matrix of one model on one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of records classified correctly, with a 95 % Clopper-Pearson interval.
    pub accuracy: Rate,
    /// The same for each class.
    pub per_class: Vec<Rate>,
    /// `confusion[label][prediction]` counts records.
    pub confusion: Vec<Vec<usize>>,
    /// The classes' names.
    pub class_names: Vec<String>,
}

impl Evaluation {
    pub(super) fn new(logits: &[f32], data: &Dataset) -> Self {
        let k = data.classes();
        let mut confusion = vec![vec![0; k]; k];
        for (row, &label) in logits.chunks_exact(k).zip(data.labels()) {
            confusion[label as usize][largest(row)] += 1;
        }
        let per_class = confusion.iter().enumerate().map(|(c, row)| Rate::counted(row[c], row.iter().sum())).collect();
        Self { accuracy: Rate::counted(hits(logits, data), data.len()), per_class, confusion, class_names: data.class_names().to_vec() }
    }
}

/// Number of records whose largest logit is at their label.
pub(super) fn hits(logits: &[f32], data: &Dataset) -> usize {
    logits.chunks_exact(data.classes()).zip(data.labels()).filter(|(row, label)| largest(row) == **label as usize).count()
}

fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

impl Show for Evaluation {
    fn figure(&self) -> Figure {
        let mut headers = vec!["class".to_string(), "accuracy [95 %]".to_string()];
        headers.extend(self.class_names.iter().map(|name| format!("→ {name}")));
        let mut table = Table::new(headers);
        for (c, row) in self.confusion.iter().enumerate() {
            let mut cells = vec![self.class_names[c].clone(), self.per_class[c].to_string()];
            cells.extend(row.iter().map(usize::to_string));
            table = table.row(cells);
        }
        table.figure().titled(&format!("Accuracy {}", self.accuracy)).captioned("rows: true class; columns: prediction")
    }
}

show_inline!(Evaluation);
