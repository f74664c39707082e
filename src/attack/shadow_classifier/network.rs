//! A network with one hidden layer that tells members from non-members: the library's training on a table of two classes.

use crate::data::{Column, Schema};
use crate::nn::Arch;
use crate::train::{Model, Train};
use crate::{Dataset, Lab, Result};

/// A trained network.
#[derive(Debug, Clone)]
pub(super) struct Network {
    model: Model,
    width: usize,
}

impl Network {
    /// Trains on row-major `[n, width]` values; `members` has one mark for each row.
    pub(super) fn fit(rows: &[f64], width: usize, members: &[bool], hidden: usize, epochs: usize, lab: &Lab) -> Result<Self> {
        let labels = members.iter().map(|&member| u32::from(member)).collect();
        let train = Train::new(Arch::Mlp { hidden: vec![hidden] }).with_epochs(epochs);
        Ok(Self { model: train.fit(&table(rows, width, labels)?, lab)?, width })
    }

    /// The log-odds of "member" of every row.
    pub(super) fn log_odds(&self, rows: &[f64]) -> Result<Vec<f64>> {
        let logits = self.model.logits(&table(rows, self.width, vec![0; rows.len() / self.width])?)?; // [n, 2]
        Ok(logits.chunks_exact(2).map(|row| f64::from(row[1]) - f64::from(row[0])).collect())
    }
}

fn table(rows: &[f64], width: usize, labels: Vec<u32>) -> Result<Dataset> {
    let columns = (0..width).map(|class| Column::Numeric { name: format!("p{class}") }).collect();
    let schema = Schema { columns, label: "member".to_string() };
    let x = rows.iter().map(|&value| value as f32).collect();
    Dataset::table("softmax vectors", x, schema, labels, ["no", "yes"].map(String::from).to_vec())
}
