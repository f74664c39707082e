//! What an attack on an update found.

use super::score::LeakageScore;
use super::{ClientUpdate, GradientLeakage};
use crate::display::{Figure, ImageGrid, Plot, Show, show_inline};
use crate::{Dataset, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What [`GradientLeakage::attack`] found: records with labels, in no order, and how the gradients came closer.
///
/// # Example
/// ```
/// use freelunch::gradient_leakage::{ClientUpdate, GradientLeakage, sigmoid_mlp, untrained};
/// use freelunch::{Dataset, Lab};
/// let lab = Lab::new()?.seed(1).quiet();
/// let toy = Dataset::toy();
/// let model = untrained(sigmoid_mlp(&[16], &toy), &toy, &lab)?;
/// let batch = toy.subset(&[7, 10])?;
/// let update = ClientUpdate::gradient(&model, &batch, &lab)?;
/// let recovered = GradientLeakage::idlg().with_iterations(20).attack(&model, &update, &lab)?;
/// let score = recovered.judge_with_control(&batch, &toy.subset(&[0, 1, 2, 3])?)?;
/// assert_eq!(score.records().len(), 2);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Recovered {
    pub(super) attack: GradientLeakage,
    pub(super) data: Dataset,
    pub(super) defence: String,
    pub(super) seed: u64,
    objective: f64,
    curve: Vec<(usize, f64)>,
    seconds: f64,
}

impl Recovered {
    pub(super) fn new(
        attack: GradientLeakage,
        data: Dataset,
        objective: f64,
        curve: Vec<(usize, f64)>,
        update: &ClientUpdate,
        seconds: f64,
        lab: &Lab,
    ) -> Self {
        Self { attack, data, defence: update.defence().to_string(), seed: lab.seed_value(), objective, curve, seconds }
    }

    /// The records, pixels within 0..1.
    #[must_use]
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Their labels.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        self.data.labels()
    }

    /// (step, distance of the gradients) of the search that ended lowest; with L-BFGS the total variation, if any, is in it.
    #[must_use]
    pub fn curve(&self) -> &[(usize, f64)] {
        &self.curve
    }

    /// Where it ended: distance and weighted total variation.
    #[must_use]
    pub fn objective(&self) -> f64 {
        self.objective
    }

    /// Steps of that search.
    #[must_use]
    pub fn iterations(&self) -> usize {
        self.curve.last().map_or(0, |(step, _)| *step)
    }

    /// Seconds of computing, all restarts.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Compares with the true batch.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] when the batch has another size or shape, [`crate::Error::Config`] for a table, whose columns have no
    /// common range.
    pub fn judge(&self, batch: &Dataset) -> Result<LeakageScore> {
        LeakageScore::new(self, batch, None)
    }

    /// Compares with the true batch, and does the same with what needs no gradient: the public record nearest to each true one, and the
    /// mean of the public records of its class. Remove the batch from `public` first, or the control is perfect.
    ///
    /// # Errors
    /// As [`Recovered::judge`].
    pub fn judge_with_control(&self, batch: &Dataset, public: &Dataset) -> Result<LeakageScore> {
        LeakageScore::new(self, batch, Some(public))
    }

    /// The curve as a polars table.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let steps: Vec<f64> = self.curve.iter().map(|(step, _)| *step as f64).collect();
        let distances: Vec<f64> = self.curve.iter().map(|(_, distance)| *distance).collect();
        let columns = vec![Column::new("step".into(), steps), Column::new("distance".into(), distances)];
        // Both columns have one value per point, so this cannot fail.
        DataFrame::new(self.curve.len(), columns).unwrap_or_default()
    }
}

impl Show for Recovered {
    fn figure(&self) -> Figure {
        let positive: Vec<(f64, f64)> = self.curve.iter().filter(|(_, v)| *v > 0.0).map(|(step, v)| (*step as f64, *v)).collect();
        let caption = format!("{} records, defence: {}, seed {}", self.data.len(), self.defence, self.seed);
        let plot = Plot::new("Distance of the gradients").x_label("step").y_label("distance").log_y();
        let curve = (positive.len() > 1).then(|| plot.line(&self.attack.name(), &positive).caption(&caption).figure());
        let [_, h, w] = self.data.shape();
        let pictures = (h * w > 1).then(|| ImageGrid::from_dataset(&self.data, 10).captioned("recovered, by label").figure());
        Figure::row(pictures.into_iter().chain(curve)).titled(&format!("Recovered by {}", self.attack.name()))
    }
}

show_inline!(Recovered);

impl fmt::Debug for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recovered({} records by {}, objective {:.3e})", self.data.len(), self.attack.name(), self.objective)
    }
}
