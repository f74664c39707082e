//! What a service does to its answers so that they say less.
//!
//! With p a record's probabilities, each [`Defence`] of a list changes what the one before it left:
//!
//! 1. temperature: p_j ∝ p_j^(1/T); noise: p_j ∝ p_j exp(s ε_j) with ε normal. After these the answer's label is the largest p.
//! 2. top k, rounding and label only hide probabilities and leave that label alone.
//!
//! What is hidden is spread evenly, so an answer always has one finite number for each class. The noise of a record is drawn from a digest of
//! its values and a seed that stays inside the service: whoever asks twice gets the same answer, and averaging takes nothing off. It does so for
//! *equal* records only: a shifted or slightly brightened copy gets fresh noise.
//!
//! # Privacy
//! None. A defence is no ε: it makes the known attacks weaker, and an attack that knows it adapts. Label-only attacks pass all of them.
//!
//! # References
//! Shokri et al., arXiv 1610.05820 (top k, rounding, temperature as mitigations); Tramèr et al., arXiv 1609.02943 (rounding against extraction);
//! Choquette-Choo et al., arXiv 2007.14321 (why hiding confidences is not enough).
//!
//! # Example
//! ```
//! use freelunch::service::Defence;
//! assert_eq!(Defence::TopK(3).name(), "top 3");
//! ```

use crate::display::number::significant;
use crate::lab::Rng;
use crate::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The smallest probability a logarithm is taken of, as in LiRA's reference code.
pub(crate) const FLOOR: f64 = 1e-45;

/// One change of the answers.
///
/// # Example
/// ```
/// use freelunch::service::Defence;
/// let list = [Defence::Temperature(2.0), Defence::Rounding(2)];
/// assert_eq!(Defence::names(&list), "temperature 2, rounded to 2 decimals");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defence {
    /// Only the label is told: it gets probability 1, the other classes 0. Does not hide *whether the label is right*, which gives away as
    /// much as the model overfits, nor the distance to the decision boundary, which many questions measure.
    LabelOnly,
    /// The k largest probabilities are told, the rest is spread evenly over the other classes. Does not hide the confidence in the label, which
    /// is what most membership attacks read.
    TopK(usize),
    /// Probabilities are rounded to so many decimals; they need not sum to 1. Does not hide anything larger than a step, and records on
    /// either side of a step are told apart.
    Rounding(u32),
    /// Probabilities are flattened by T > 1 (sharpened by T < 1). It is a bijection: who knows or guesses T undoes it, and ranks hardly change.
    Temperature(f64),
    /// Normal noise of this standard deviation (in nats) is added to each log probability, the same for equal records. May change labels.
    /// Does not hide what many similar records have in common: copying the model averages it out.
    Noise {
        /// The standard deviation, not negative.
        scale: f64,
    },
}

impl Defence {
    /// A few words for tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::LabelOnly => "label only".to_string(),
            Self::TopK(k) => format!("top {k}"),
            Self::Rounding(decimals) => format!("rounded to {decimals} decimal{}", if *decimals == 1 { "" } else { "s" }),
            Self::Temperature(temperature) => format!("temperature {}", significant(*temperature, 3)),
            Self::Noise { scale } => format!("noise {}", significant(*scale, 3)),
        }
    }

    /// A list of defences in words; "none" for none.
    #[must_use]
    pub fn names(list: &[Self]) -> String {
        match list {
            [] => "none".to_string(),
            _ => list.iter().map(Self::name).collect::<Vec<_>>().join(", "),
        }
    }

    pub(crate) fn check(&self, classes: usize) -> Result<()> {
        match *self {
            Self::TopK(k) if k == 0 || k > classes => {
                Err(Error::config(format!("top k is {k}"), format!("expected 1 to {classes}, the number of classes")))
            }
            Self::Rounding(decimals) if decimals == 0 || decimals > 15 => {
                Err(Error::config(format!("rounding to {decimals} decimals"), "expected 1 to 15"))
            }
            Self::Temperature(temperature) if !(temperature.is_finite() && temperature > 0.0) => {
                Err(Error::config(format!("temperature is {temperature}"), "expected a positive number; 1 changes nothing"))
            }
            Self::Noise { scale } if !(scale.is_finite() && scale >= 0.0) => {
                Err(Error::config(format!("noise scale is {scale}"), "expected a finite number that is not negative"))
            }
            _ => Ok(()),
        }
    }

    fn apply(self, p: &mut [f64], label: &mut usize, rng: &mut Rng) {
        match self {
            Self::LabelOnly => {
                p.fill(0.0);
                p.iter_mut().skip(*label).take(1).for_each(|p| *p = 1.0);
            }
            Self::TopK(k) => {
                let mut order: Vec<usize> = (0..p.len()).collect();
                // The label stays even where rounding made it equal to others.
                order.sort_by(|&a, &b| p[b].total_cmp(&p[a]).then((a != *label).cmp(&(b != *label))));
                let hidden = order.split_off(k.min(p.len()));
                let even = hidden.iter().map(|&class| p[class]).sum::<f64>() / hidden.len() as f64;
                hidden.into_iter().for_each(|class| p[class] = even);
            }
            Self::Rounding(decimals) => {
                let steps = 10f64.powi(decimals as i32);
                p.iter_mut().for_each(|p| *p = (*p * steps).round() / steps);
            }
            Self::Temperature(temperature) => {
                reweigh(p, |log_p| log_p / temperature);
                *label = largest(p);
            }
            Self::Noise { scale } => {
                reweigh(p, |log_p| log_p + scale * rng.sample::<f64, _>(StandardNormal));
                *label = largest(p);
            }
        }
    }
}

/// One record's probabilities after all defences, in place; returns the label.
pub(crate) fn protect(defences: &[Defence], p: &mut [f64], rng: &mut Rng) -> usize {
    let mut label = largest(p);
    defences.iter().for_each(|defence| defence.apply(p, &mut label, rng));
    label
}

/// The stream that a record's noise comes from: its values and a seed decide it.
pub(crate) fn noise_of(record: &[f32], seed: u64) -> Rng {
    let mut hash = Sha256::new();
    hash.update(b"noise of an answer");
    hash.update(seed.to_le_bytes());
    // A record with −0 is the same record.
    record.iter().for_each(|value| hash.update((value + 0.0).to_le_bytes()));
    Rng::from_seed(hash.finalize().into())
}

/// The first class with the largest probability.
pub(crate) fn largest(p: &[f64]) -> usize {
    (0..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best })
}

/// Changes each log probability and normalises.
fn reweigh(p: &mut [f64], mut change: impl FnMut(f64) -> f64) {
    p.iter_mut().for_each(|p| *p = change(p.max(FLOOR).ln()));
    let most = p.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    p.iter_mut().for_each(|p| *p = (*p - most).exp());
    let total: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= total);
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f64; 4] = [0.1, 0.55, 0.05, 0.3];

    fn after(list: &[Defence], p: [f64; 4]) -> (usize, [f64; 4]) {
        let mut p = p;
        let label = protect(list, &mut p, &mut noise_of(&[0.5], 1));
        (label, p)
    }

    #[test]
    fn top_k_keeps_the_largest_and_makes_the_others_equal() {
        let (label, p) = after(&[Defence::TopK(2)], P);
        assert_eq!((label, p[1], p[3], p[0]), (1, 0.55, 0.3, p[2]));
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-15);
        assert_eq!(after(&[Defence::TopK(4)], P).1, P);
    }

    #[test]
    fn rounding_leaves_multiples_of_a_step_and_the_label() {
        for decimals in 1..4 {
            let (label, p) = after(&[Defence::Rounding(decimals)], [0.333_1, 0.333_5, 0.333_4, 0.0]);
            let steps = 10f64.powi(decimals as i32);
            assert!(p.iter().all(|p| (p * steps - (p * steps).round()).abs() < 1e-9), "{p:?}");
            assert_eq!(label, 1, "the largest before rounding");
        }
        assert_eq!(after(&[Defence::Rounding(1), Defence::TopK(1)], [0.333_1, 0.333_5, 0.333_4, 0.0]).1[1], 0.3);
    }

    #[test]
    fn label_only_tells_the_largest_and_nothing_else() {
        assert_eq!(after(&[Defence::LabelOnly], P), (1, [0.0, 1.0, 0.0, 0.0]));
        // Whatever was there before: two answers with one label are the same.
        assert_eq!(after(&[Defence::Temperature(3.0), Defence::LabelOnly], P), after(&[Defence::LabelOnly], [0.2, 0.5, 0.1, 0.2]));
    }

    #[test]
    fn temperature_is_undone_by_its_inverse() {
        let (_, p) = after(&[Defence::Temperature(3.0), Defence::Temperature(1.0 / 3.0)], P);
        assert!(p.iter().zip(P).all(|(a, b)| (a - b).abs() < 1e-12), "rounding only: {p:?}");
        let flat = after(&[Defence::Temperature(3.0)], P).1;
        assert!((flat[1] / flat[3] - (0.55f64 / 0.3).cbrt()).abs() < 1e-12);
    }

    #[test]
    fn noise_is_the_same_for_the_same_record_and_seed_and_has_the_scale_asked_for() {
        let list = [Defence::Noise { scale: 0.5 }];
        assert_eq!(after(&list, P), after(&list, P));
        let difference = |record: f32, seed: u64| {
            let mut p = [0.5, 0.5];
            protect(&list, &mut p, &mut noise_of(&[record], seed));
            (p[0] / p[1]).ln()
        };
        assert_eq!(difference(0.0, 0), difference(-0.0, 0));
        assert_ne!(difference(0.0, 0), difference(0.0, 1));
        // The difference of two normal numbers has variance 2 · 0.25; of 4000 draws within 5 standard errors of √(2/4000) · 0.5.
        let variance = (0..4000).map(|i| difference(i as f32, 0).powi(2)).sum::<f64>() / 4000.0;
        assert!((variance - 0.5).abs() < 0.056, "{variance}");
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_value() {
        for (defence, text) in [
            (Defence::TopK(0), "top k is 0"),
            (Defence::TopK(5), "top k is 5"),
            (Defence::Rounding(0), "0 decimals"),
            (Defence::Temperature(0.0), "temperature is 0"),
            (Defence::Temperature(f64::NAN), "temperature is NaN"),
            (Defence::Noise { scale: -1.0 }, "scale is -1"),
        ] {
            assert!(defence.check(4).unwrap_err().to_string().contains(text));
        }
    }

    #[test]
    fn probabilities_of_0_stay_finite_under_every_list() {
        let all = [Defence::LabelOnly, Defence::Temperature(0.01), Defence::Noise { scale: 9.0 }, Defence::TopK(1), Defence::Rounding(1)];
        for first in all {
            for second in all {
                let (_, p) = after(&[first, second], [1.0, 0.0, 0.0, 0.0]);
                assert!(p.iter().all(|p| p.is_finite() && *p >= 0.0), "{first:?} {second:?} {p:?}");
            }
        }
    }
}
