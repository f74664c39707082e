//! An attack on what each run released, as the game measured it: as it is, or compared with the same record's scores in other runs.
//!
//! The game asks every [`ReleaseAttack`](crate::released::ReleaseAttack) about every record in every run and keeps the scores
//! ([`Signals::released`]). Raw, they hold every record to the same threshold, so a record that lies in the middle of its class is always
//! near something. Calibrated, a record's score is taken as the statistic of a likelihood ratio over the shadow runs, as LiRA does with φ.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Carlini et al., arXiv 2112.03570 (the calibration); attacks on releases: [`released`](crate::released).
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, Manifest, OnRelease, Signals};
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(vec![0.0_f32; 8], [2, 2, 1, 2], vec![true, false, false, true], vec![0, 1], manifest)?;
//! let signals = signals.with_released("nearest pixels", vec![-0.1, -3.0, -2.0, -0.2])?;
//! assert_eq!(OnRelease::new("nearest pixels").score(&signals, 1)?, [-2.0, -0.2]);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::likelihood_ratio::Values;
use super::{Attack, LikelihoodRatio, Signals};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Reads the scores that an attack on releases left in the signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OnRelease {
    /// The name of the attack on releases.
    pub scores: String,
    /// How each record's scores in other runs are used; none: not at all.
    pub calibration: Option<LikelihoodRatio>,
}

impl OnRelease {
    /// The scores of the attack of this name, as they are.
    #[must_use]
    pub fn new(scores: &str) -> Self {
        Self { scores: scores.to_string(), calibration: None }
    }

    /// The same scores as the statistic of a likelihood ratio, whose own statistic is not used.
    #[must_use]
    pub fn calibrated(mut self, by: LikelihoodRatio) -> Self {
        self.calibration = Some(by);
        self
    }

    fn values<'a>(&self, signals: &'a Signals) -> Result<&'a [f64]> {
        signals.released().get(&self.scores).map(Vec::as_slice).ok_or_else(|| {
            let have: Vec<&str> = signals.released().keys().map(String::as_str).collect();
            let what = format!("no scores of {:?} in the signals, which have {have:?}", self.scores);
            Error::config(what, "play the game with_release_attack")
        })
    }
}

impl Attack for OnRelease {
    fn name(&self) -> String {
        match self.calibration {
            Some(by) => format!("{}, {}", self.scores, by.name()),
            None => self.scores.clone(),
        }
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.check_model(target)?;
        let n = signals.len();
        let values = self.values(signals)?;
        match self.calibration {
            None => Ok(values[target * n..(target + 1) * n].to_vec()),
            Some(by) => by.score_values(&Values::with_rows(values.chunks(n).map(<[f64]>::to_vec).collect(), signals, 1), target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::signals::tests::made_up;
    use super::*;

    #[test]
    fn calibration_is_a_likelihood_ratio_on_the_scores() {
        let signals = made_up(30);
        let phi: Vec<f64> = (0..6).flat_map(|model| signals.phi(model).unwrap()).collect();
        let signals = signals.with_released("phi", phi).unwrap();
        let by = LikelihoodRatio::online();
        let scores = OnRelease::new("phi").calibrated(by).score(&signals, 4).unwrap();
        assert_eq!(scores, by.score(&signals, 4).unwrap());
    }

    #[test]
    fn missing_scores_are_named() {
        let signals = made_up(3).with_released("nearest", vec![0.0; 18]).unwrap();
        let text = OnRelease::new("farthest").score(&signals, 0).unwrap_err().to_string();
        assert!(text.contains("\"farthest\"") && text.contains("nearest"), "{text}");
        assert!(OnRelease::new("nearest").score(&signals, 6).is_err());
    }
}
