//! A record with a small loss was a member: the attack on models, and on sets and generators through a model that learns from them.
//!
//! score(x) = log p(y | x) = z_y − log Σ_c exp z_c, with z the model's logits: the negative cross-entropy.
//!
//! 1. [`ModelLoss`] asks the released model itself, as [`LossThreshold`](crate::attack::LossThreshold) does in a game.
//! 2. [`TrainedModelLoss`] first trains a model on the released set (or on samples of the generator); what the attacker trains is no
//!    release, so no ledger is asked.
//!
//! # Privacy
//! None: these are attacks. Under (ε, 0)-differential privacy their advantage is at most (e^ε − 1)/(e^ε + 1).
//!
//! # References
//! Yeom, Giacomelli, Fredrikson, Jha, arXiv 1709.01604.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{ModelLoss, Released};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(30, &lab)?;
//! let model = Train::new(Arch::Mlp { hidden: vec![32] }).with_epochs(30).fit(&halves.members, &lab)?;
//! assert!(Released::from(model).attack(&ModelLoss::new(), &halves, &lab)?.auc().value > 0.5);
//! # Ok::<(), Error>(())
//! ```

use super::{ReleaseAttack, Released, SAMPLES, check, finite, records_for};
use crate::stats::log_sum_exp;
use crate::train::{Model, Train};
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};

/// Ranks candidates by the log probability of their label under the released model.
///
/// # Example
/// ```
/// use freelunch::released::{ModelLoss, ReleaseAttack};
/// assert_eq!(ModelLoss::new().name(), "loss of the model");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelLoss {}

impl ModelLoss {
    /// The attack; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }
}

/// The same under a model that is trained on the released records.
///
/// # Example
/// ```
/// use freelunch::{nn::Arch, released::{ReleaseAttack, TrainedModelLoss}, train::Train};
/// let attack = TrainedModelLoss::new(Train::on_condensed(Arch::Logistic));
/// assert_eq!(attack.name(), "loss of a model trained on it, logistic regression");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedModelLoss {
    /// The recipe.
    pub train: Train,
    /// Records of each class that are sampled from a generator, at least 1.
    pub samples: usize,
}

impl TrainedModelLoss {
    /// With this recipe and 200 samples of each class from generators.
    #[must_use]
    pub fn new(train: Train) -> Self {
        Self { train, samples: SAMPLES }
    }

    /// The same with another number of samples from generators.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }
}

impl ReleaseAttack for ModelLoss {
    fn name(&self) -> String {
        "loss of the model".to_string()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        match released {
            Released::Model(_) => Ok(()),
            _ => Err(format!("it needs a classifier; the release is {}", released.with_article())),
        }
    }

    fn score(&self, released: &Released, candidates: &Dataset, _lab: &Lab) -> Result<Vec<f64>> {
        check(self, released)?;
        let Released::Model(model) = released else { return Ok(vec![]) }; // refused above
        finite(self, log_probabilities(model, candidates)?)
    }
}

impl ReleaseAttack for TrainedModelLoss {
    fn name(&self) -> String {
        format!("loss of a model trained on it, {}", self.train.arch.name())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        released.has_records()
    }

    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let records = records_for(self, released, self.samples, candidates, lab)?;
        let model = self.train.fit(&records, &lab.simulation("trained model loss", 0))?;
        finite(self, log_probabilities(&model, candidates)?)
    }
}

/// The log probability of every record's label.
fn log_probabilities(model: &Model, data: &Dataset) -> Result<Vec<f64>> {
    let logits: Vec<f64> = model.logits(data)?.into_iter().map(f64::from).collect();
    let rows = logits.chunks_exact(data.classes()).zip(data.labels());
    Ok(rows.map(|(row, &label)| row[label as usize] - log_sum_exp(row)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{halves, lab};
    use super::*;
    use crate::attack::{Attack, LossThreshold, Manifest, Signals};
    use crate::nn::Arch;

    #[test]
    fn the_score_is_that_of_the_loss_threshold_of_a_game() {
        let truth = halves();
        let model = Train::new(Arch::Mlp { hidden: vec![8] }).with_epochs(3).fit(&truth.members, &lab()).unwrap();
        let scores = ModelLoss::new().score(&Released::from(model.clone()), &truth.members, &lab()).unwrap();
        let (n, k) = (truth.members.len(), truth.members.classes());
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let logits = model.logits(&truth.members).unwrap();
        let signals = Signals::new(logits, [1, n, 1, k], vec![true; n], truth.members.labels().to_vec(), manifest).unwrap();
        for (ours, theirs) in scores.iter().zip(LossThreshold::new().score(&signals, 0).unwrap()) {
            assert!((ours - theirs).abs() < 1e-12);
        }
    }

    #[test]
    fn a_model_trained_on_released_members_finds_them_and_writes_in_no_ledger() {
        let truth = halves();
        let attack = TrainedModelLoss::new(Train::on_condensed(Arch::Mlp { hidden: vec![64] }));
        let released = Released::from(truth.members.clone());
        let file = std::env::temp_dir().join(format!("freelunch-released-{}.json", std::process::id()));
        std::fs::remove_file(&file).ok();
        crate::privacy::Ledger::open(&file, 1.0, 1e-5).unwrap();
        let guarded = lab().with_ledger(&file).unwrap(); // real records have no ε, so a release would be refused
        let roc = released.attack(&attack, &truth, &guarded).unwrap();
        std::fs::remove_file(&file).ok();
        assert!(roc.auc().value > 0.6, "{roc:?}");
        assert_eq!(roc, released.attack(&attack, &truth, &lab()).unwrap());
    }
}
