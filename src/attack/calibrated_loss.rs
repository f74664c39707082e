//! The loss threshold with the record's difficulty taken off: a loss that is small *for this record* means member.
//!
//! With ℓ the cross-entropy of a record under the target and ℓ₁, .., ℓ_k those under k reference models
//!
//! score = (1/k) Σ ℓ_j − ℓ, the mean over queries.
//!
//! 1. The reference models are the shadows for which the record is OUT; the paper's are trained on the attacker's own data, which
//!    need not hold the record.
//! 2. [`CalibratedLoss::with_all_shadows`] takes every shadow, for an attacker who does not know what they were trained on.
//!
//! # Privacy
//! None: this is an attack. One shadow model that did not see the record is enough.
//!
//! # References
//! Watson, Guo, Cormode, Sablayrolles, arXiv 2111.08440.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, CalibratedLoss, LossThreshold, Manifest, Signals};
//! // Two models, two records, two classes: record 0 is hard, and a member of model 0; record 1 is easy.
//! let logits = vec![1.0_f32, 0.0, 3.0, 0.0, -1.0, 0.0, 3.0, 0.0];
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, false], vec![0, 0], manifest)?;
//! let (calibrated, plain) = (CalibratedLoss::new().score(&signals, 0)?, LossThreshold::new().score(&signals, 0)?);
//! assert!(calibrated[0] > calibrated[1] && plain[0] < plain[1]);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::shadows::{Shadows, every_model};
use super::{Attack, Signals};
use crate::stats::mean;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Which shadow models tell how hard a record is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reference {
    /// Those that did not see the record.
    #[default]
    Out,
    /// All, whether they saw it or not.
    AllShadows,
}

/// Ranks records by how much smaller their loss is under the target than under other models.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, CalibratedLoss};
/// assert_eq!(CalibratedLoss::new().name(), "calibrated loss");
/// ```
#[doc(alias = "difficulty calibration")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibratedLoss {
    /// The reference models.
    pub reference: Reference,
}

impl CalibratedLoss {
    /// The attack with the OUT shadows as reference models.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same attack with every shadow as a reference model.
    #[must_use]
    pub fn with_all_shadows(mut self) -> Self {
        self.reference = Reference::AllShadows;
        self
    }

    fn score_target(&self, signals: &Signals, losses: &[Vec<f64>], target: usize) -> Result<Vec<f64>> {
        let shadows = Shadows::new(signals, losses, target)?;
        if shadows.all_models().is_empty() {
            return Err(Error::config("0 shadow models", "expected at least 1: play the game with 2 or more models"));
        }
        if self.reference == Reference::Out {
            shadows.check_side(&self.name(), false)?;
        }
        let queries = signals.queries();
        let difference = |record: usize, query: usize| {
            let of_reference = match self.reference {
                Reference::Out => shadows.of(record, query, false),
                Reference::AllShadows => shadows.all_models().iter().map(|&model| shadows.value(model, record, query)).collect(),
            };
            mean(&of_reference) - shadows.value(target, record, query)
        };
        let of_record = |record| (0..queries).map(|query| difference(record, query)).sum::<f64>() / queries as f64;
        Ok((0..signals.len()).into_par_iter().map(of_record).collect())
    }
}

impl Attack for CalibratedLoss {
    fn name(&self) -> String {
        match self.reference {
            Reference::Out => "calibrated loss".to_string(),
            Reference::AllShadows => "calibrated loss, all shadows".to_string(),
        }
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.members_of(target)?;
        self.score_target(signals, &every_model(signals, |model| signals.loss(model))?, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let losses = every_model(signals, |model| signals.loss(model))?;
        (0..signals.models()).map(|target| self.score_target(signals, &losses, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::super::signals::tests::made_up;
    use super::*;

    #[test]
    fn the_score_is_the_mean_out_loss_less_that_of_the_target() {
        let signals = made_up(12);
        let loss = |model: usize| signals.loss(model).unwrap();
        let (out, all) =
            (CalibratedLoss::new().score(&signals, 0).unwrap(), CalibratedLoss::new().with_all_shadows().score(&signals, 0).unwrap());
        for record in 0..12 {
            let is_out = |model: &usize| !signals.members_of(*model).unwrap()[record];
            let losses: Vec<f64> = (1..6).filter(is_out).map(|model| loss(model)[record]).collect();
            assert!((out[record] - (losses.iter().sum::<f64>() / losses.len() as f64 - loss(0)[record])).abs() < 1e-14);
            assert!((all[record] - ((1..6).map(|model| loss(model)[record]).sum::<f64>() / 5.0 - loss(0)[record])).abs() < 1e-14);
        }
    }

    #[test]
    fn several_queries_give_the_mean() {
        let logits = vec![2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]; // two models, one record, two queries
        let signals =
            Signals::new(logits, [2, 1, 2, 2], vec![true, false], vec![0], Manifest::new(serde_json::Value::Null, 0, "")).unwrap();
        let loss = |phi: f64| (1.0 + (-phi).exp()).ln();
        let want = 0.5 * (loss(0.0) - loss(2.0) + loss(1.0) - loss(0.0));
        assert!((CalibratedLoss::new().score(&signals, 0).unwrap()[0] - want).abs() < 1e-15);
    }

    #[test]
    fn a_record_that_every_shadow_saw_is_refused() {
        let signals = made_up(12).keep_models(&[0, 1]).unwrap(); // record 3 is a member of model 1 alone
        let text = CalibratedLoss::new().score(&signals, 0).unwrap_err().to_string();
        assert!(text.starts_with("record 3 is OUT for 0 of the 1 shadow models"), "{text}");
        assert!(CalibratedLoss::new().with_all_shadows().score(&signals, 0).is_ok());
        let alone = signals.keep_models(&[0]).unwrap();
        assert!(CalibratedLoss::new().with_all_shadows().score(&alone, 0).is_err() && CalibratedLoss::new().score(&alone, 1).is_err());
    }
}
