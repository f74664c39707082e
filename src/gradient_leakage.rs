//! Gradient leakage: the records of a client's batch from the gradient that it sends to a server in federated learning.
//!
//! The server knows the model θ, the number of records and g* = ∇θ L(x*, y*). It looks for records x (and labels y) that give the same
//! gradient: min D(∇θ L(x, y), g*) + α TV(x), with
//!
//! | | D | labels | search |
//! |---|---|---|---|
//! | [`GradientLeakage::dlg`] | Σ (g − g*)² | logits, found along with x | L-BFGS, 300 steps |
//! | [`GradientLeakage::idlg`] | Σ (g − g*)² | from the sign of the last layer's gradient | L-BFGS, 300 steps |
//! | [`GradientLeakage::inverting`] | 1 − ⟨g, g*⟩ / (‖g‖ ‖g*‖), all layers together | as idlg | Adam, rate 0.1 falling in four stages, x within the range of pixels |
//!
//! 1. Labels from the gradient of the last layer's bias, (1/n) Σ_j (p_ji − \[y_j = i\]): of one record it is negative for its class alone,
//!    so the label is exact. Of n records every class with a negative entry is there; the rest go by n (p̄_i − g_i), with p̄ the model's
//!    mean probabilities on noise, which is close for an untrained network and an estimate for others.
//! 2. x starts as standard normal noise, in the values that the network sees (after normalisation).
//! 3. The search; of several `restarts` the one whose objective ends lowest stays. A lab's time budget ends it early.
//!
//! Where the network begins with a fully connected layer, one record needs no search: [`analytic_first_layer`].
//!
//! The two older methods replace ReLU by a smooth activation, because a gradient's derivative in the image jumps at the kinks and the
//! curvature that L-BFGS builds on is not there: use [`sigmoid_conv_net`] or [`sigmoid_mlp`] with them. All methods run on any network.
//! Dropout is off on both sides. What comes out of a batch is in no order: [`Recovered::judge`] pairs it with the truth.
//!
//! # Privacy
//! None: this is an attack. The update under attack carries the event of its own release; [`LeakageByNoise`] shows both beside each other.
//!
//! # References
//! Zhu, Liu and Han, "Deep Leakage from Gradients", arXiv 1906.08935; Zhao, Mopuri and Bilen, "iDLG", arXiv 2001.02610; Geiping,
//! Bauermeister, Dröge and Moeller, "Inverting Gradients", arXiv 2003.14053 (4,800 iterations and α = 0.1 or 1e-4 in their code). A step
//! of L-BFGS is one line search here, and up to 20 in the code of deep leakage.
//!
//! # Example
//! ```
//! use freelunch::gradient_leakage::{ClientUpdate, GradientLeakage, sigmoid_mlp, untrained};
//! use freelunch::{Dataset, Lab};
//! let lab = Lab::new()?.seed(1).quiet();
//! let toy = Dataset::toy();
//! let model = untrained(sigmoid_mlp(&[16], &toy), &toy, &lab)?;
//! let record = toy.subset(&[7])?;
//! let update = ClientUpdate::gradient(&model, &record, &lab)?;
//! let recovered = GradientLeakage::idlg().with_iterations(20).attack(&model, &update, &lab)?;
//! assert_eq!(recovered.labels(), record.labels());
//! # Ok::<(), freelunch::Error>(())
//! ```

mod assignment;
pub mod by_noise;
mod closed_form;
pub mod defence;
mod labels;
mod lbfgs;
mod networks;
mod objective;
pub mod recovered;
pub mod score;
mod search;
pub mod similarity;
pub mod update;

pub use by_noise::{LeakageByNoise, LeakageByNoiseReport, NoiseRow};
pub use closed_form::analytic_first_layer;
pub use defence::Defence;
pub use networks::{sigmoid_conv_net, sigmoid_mlp, untrained};
pub use recovered::Recovered;
pub use score::{LeakageScore, RecordScore};
pub use similarity::Similarity;
pub use update::{ClientUpdate, Sent};

use crate::data::Origin;
use crate::device::guarded;
use crate::privacy::Event;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};

/// An attack on what a client sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DLG")]
#[doc(alias = "iDLG")]
pub struct GradientLeakage {
    /// How gradients are compared.
    pub distance: Distance,
    /// Where the labels come from.
    pub labels: LabelSource,
    /// How the distance is made small.
    pub search: Search,
    /// Steps of one search, at least 1; 300 for deep leakage, 4,800 for inverting gradients (1,000 here).
    pub iterations: usize,
    /// Searches from new noise, at least 1, of which the lowest objective stays.
    pub restarts: usize,
    /// α ≥ 0, the weight of the total variation; 0 for deep leakage, 1e-4 here for inverting gradients.
    pub total_variation: f64,
}

/// How two gradients are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Distance {
    /// Σ (g − g*)² over all weights.
    Squared,
    /// 1 − the cosine of the angle between them, all weights together: blind to the length, which clipping changes.
    Cosine,
}

/// Where the labels come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LabelSource {
    /// Searched along with the records.
    Searched,
    /// From the gradient of the last layer.
    LastLayer,
    /// Known to the server, one for each record, in any order.
    Known(Vec<u32>),
}

/// How the objective is made small.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Search {
    /// L-BFGS with a line search.
    Lbfgs,
    /// Adam on the gradient; a tenth of the rate after 3/8, 5/8 and 7/8 of the steps. Pixels stay in their range.
    Adam {
        /// η, positive; 0.1 in the paper.
        rate: f64,
    },
    /// Adam on the signs of the gradient, as the paper does for deep networks.
    SignedAdam {
        /// η, positive; 0.1 in the paper.
        rate: f64,
    },
}

impl GradientLeakage {
    /// Deep leakage from gradients: records and labels together.
    #[must_use]
    pub fn dlg() -> Self {
        Self {
            distance: Distance::Squared,
            labels: LabelSource::Searched,
            search: Search::Lbfgs,
            iterations: 300,
            restarts: 1,
            total_variation: 0.0,
        }
    }

    /// Improved deep leakage: the label first, then the record.
    #[must_use]
    pub fn idlg() -> Self {
        Self { labels: LabelSource::LastLayer, ..Self::dlg() }
    }

    /// Inverting gradients: cosine, total variation, Adam. About a fifth of the steps of their code, which small images do not need.
    #[must_use]
    pub fn inverting() -> Self {
        Self {
            distance: Distance::Cosine,
            labels: LabelSource::LastLayer,
            search: Search::Adam { rate: 0.1 },
            iterations: 1_000,
            restarts: 1,
            total_variation: 1e-4,
        }
    }

    /// The same with another number of steps.
    #[must_use]
    pub fn with_iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// The same with several searches.
    #[must_use]
    pub fn with_restarts(mut self, restarts: usize) -> Self {
        self.restarts = restarts;
        self
    }

    /// The same with another weight of the total variation.
    #[must_use]
    pub fn with_total_variation(mut self, weight: f64) -> Self {
        self.total_variation = weight;
        self
    }

    /// The same with labels from elsewhere.
    #[must_use]
    pub fn with_labels(mut self, labels: LabelSource) -> Self {
        self.labels = labels;
        self
    }

    /// The same with another search.
    #[must_use]
    pub fn with_search(mut self, search: Search) -> Self {
        self.search = search;
        self
    }

    /// The name used in tables and captions.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.distance, &self.labels) {
            (Distance::Squared, LabelSource::Searched) => "DLG".into(),
            (Distance::Squared, _) => "iDLG".into(),
            (Distance::Cosine, _) => "inverting gradients".into(),
        }
    }

    fn check(&self) -> Result<()> {
        for (name, value) in [("iterations", self.iterations), ("restarts", self.restarts)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        if !(self.total_variation >= 0.0 && self.total_variation.is_finite()) {
            return Err(Error::config(format!("total_variation is {}", self.total_variation), "expected a number of at least 0"));
        }
        match self.search {
            Search::Adam { rate } | Search::SignedAdam { rate } if !(rate > 0.0 && rate.is_finite()) => {
                Err(Error::config(format!("rate is {rate}"), "expected a positive number"))
            }
            _ => Ok(()),
        }
    }

    /// Looks for the batch behind an update. Reads nothing but the model, the update and the number of records.
    ///
    /// # Errors
    /// [`Error::Config`] for bad parameters, [`Error::Mismatch`] when the update is not of this model or known labels are not one for each
    /// record, [`Error::Diverged`] for an update with NaN or a search that starts there.
    pub fn attack(&self, model: &Model, update: &ClientUpdate, lab: &Lab) -> Result<Recovered> {
        self.check()?;
        update.check_finite()?;
        update.check_model(model)?;
        let classes = model.class_names().len();
        let labels = match &self.labels {
            LabelSource::Searched => None,
            LabelSource::LastLayer => Some(labels::recovered(model, update.last_bias(), update.records(), lab)?),
            LabelSource::Known(labels) => {
                if labels.len() != update.records() || labels.iter().any(|&label| label as usize >= classes) {
                    let what = format!("known labels {labels:?} for {} records in {classes} classes", update.records());
                    return Err(Error::mismatch(what, "give one label below the number of classes for each record"));
                }
                Some(labels.clone())
            }
        };
        guarded(lab.device(), || search::run(self, model, update, labels.as_deref(), lab))
    }
}

/// Records as a network saw them, as a data set in natural units; images within the range of pixels.
fn made(model: &Model, x: Vec<f32>, labels: Vec<u32>, method: &str, config: serde_json::Value, lab: &Lab) -> Result<Dataset> {
    let shape = model.shape();
    let natural = model.normalization().undo(&x, shape);
    let event = Event::NonPrivate;
    let origin = Origin { config, seed: lab.seed_value(), event, ..Origin::real(method) };
    let x = if shape[1] * shape[2] > 1 { natural.into_iter().map(|v| v.clamp(0.0, 1.0)).collect() } else { natural };
    let like = Dataset::images("recovered", vec![0.0; x.len()], shape, labels.clone(), model.class_names().to_vec())?;
    Ok(like.with_normalization(model.normalization().clone()).synthetic(x, labels, origin)?.named(&format!("recovered by {method}")))
}

#[cfg(test)]
mod tests;
