//! Which candidate was the seed of a released record: the initialisation of a condensation often stays visible in its result.
//!
//! For a released record s let d₁ ≤ d₂ be its distances to the nearest and the second nearest *candidate* of its class. The ratio
//! d₁/d₂ is small where one candidate stands out. With N(x) the released records whose nearest candidate is x,
//! score(x) = −min over s in N(x) of d₁/d₂, in −1 .. 0; where N(x) is empty, score(x) = −1 − D/(1 + D), in −2 .. −1, with D the
//! distance from x to the nearest released record of its class.
//!
//! 1. Every released record votes for its nearest candidate, and the more it prefers that one, the more the vote counts.
//! 2. Candidates without a vote are ranked by distance, below all others. A copy (d₁ = 0) counts 0 whatever the second is; a candidate
//!    that is alone in its class has no rival and counts as −1.
//!
//! Scores depend on who else is a candidate: score the whole pool at once. [`SeedMembership::seeds`] tells which records really were
//! seeds, to measure membership in the initialisation rather than in the training set.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Own construction; the ratio test is Lowe's (*International Journal of Computer Vision* 60, 2004). Initialisation and leakage:
//! arXiv 2502.12976.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{ReleaseAttack, Released, SeedMembership};
//! let (toy, lab) = (Dataset::toy(), Lab::new()?.seed(1).quiet());
//! let copies = RandomSubset::new(2).synthesize(&toy, &lab)?;
//! let scores = SeedMembership::new().score(&Released::from(copies.clone()), &toy, &lab)?;
//! assert_eq!(Roc::new(&scores, &SeedMembership::seeds(&copies, &toy)?)?.auc().value, 1.0);
//! # Ok::<(), Error>(())
//! ```

use super::{ReleaseAttack, Released, comparable, records_for};
use crate::leakage::nearest::nearest_rows;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};

/// Ranks candidates by how clearly a released record prefers them to all other candidates.
///
/// # Example
/// ```
/// use freelunch::released::{ReleaseAttack, SeedMembership};
/// assert_eq!(SeedMembership::new().name(), "seed of a released record");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedMembership {}

impl SeedMembership {
    /// The attack; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// For every record of `real`, the set that `released` was made from, whether a released record began as it.
    ///
    /// # Errors
    /// [`Error::Config`] when nothing is known of where the released records began, [`Error::Mismatch`] when one began as a record that
    /// `real` does not have.
    pub fn seeds(released: &Dataset, real: &Dataset) -> Result<Vec<bool>> {
        let starts = &released.origin().started_from;
        if starts.iter().all(Vec::is_empty) {
            let remedy = "expected a set whose condenser began with real records (Init::Real)";
            return Err(Error::config(format!("no record of {} has a start", released.name()), remedy));
        }
        let mut seeds = vec![false; real.len()];
        for &start in starts.iter().flatten() {
            let Some(seed) = seeds.get_mut(start) else {
                let what = format!("a record of {} began as record {start}, {} has {}", released.name(), real.name(), real.len());
                return Err(Error::mismatch(what, "give the set it was made from"));
            };
            *seed = true;
        }
        Ok(seeds)
    }
}

impl ReleaseAttack for SeedMembership {
    fn name(&self) -> String {
        "seed of a released record".to_string()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        match released {
            Released::Set(_) => Ok(()),
            _ => Err(format!("only records of a set can have begun as real ones; the release is {}", released.with_article())),
        }
    }

    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let records = records_for(self, released, 1, candidates, lab)?;
        let d = records.features();
        let values = |set: &Dataset, positions: &[usize]| set.subset(positions).map(|part| comparable(&part, records.normalization()));
        let distance = |square: f64| (square / d as f64).sqrt();
        let mut scores = vec![-2.0; candidates.len()];
        for class in 0..records.classes() {
            let (ours, theirs) = (candidates.of_class(class), records.of_class(class));
            if ours.is_empty() || theirs.is_empty() {
                continue;
            }
            let (x, s) = (values(candidates, &ours)?, values(&records, &theirs)?);
            for (&i, list) in ours.iter().zip(nearest_rows(&x, &s, d, 1, 0)) {
                let far = list.found.first().map_or(f64::MAX, |nearest| distance(nearest.distance));
                scores[i] = -1.0 - far / (1.0 + far);
            }
            for list in nearest_rows(&s, &x, d, 2, 0) {
                let Some(first) = list.found.first() else { continue };
                let ratio = match list.found.get(1) {
                    _ if first.distance == 0.0 => 0.0,
                    Some(second) => distance(first.distance) / distance(second.distance),
                    None => 1.0,
                };
                // Of two that are equally near, both may be the seed.
                for equal in list.found.iter().filter(|other| other.distance == first.distance) {
                    let i = ours[equal.record];
                    scores[i] = scores[i].max(-ratio);
                }
            }
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lab;
    use super::*;
    use crate::condense::{DistributionMatching, Init};
    use crate::roc::Roc;
    use crate::synthesize::Synthesize;

    /// One-pixel images of two classes.
    fn pixels(values: &[f32], labels: &[u32]) -> Dataset {
        Dataset::images("pixels", values.to_vec(), [1, 1, 1], labels.to_vec(), vec!["a".into(), "b".into()]).unwrap()
    }

    #[test]
    fn scores_are_the_ratios_of_the_definition() {
        let candidates = pixels(&[0.0, 1.0, 3.0, 0.5, 0.5, 0.9], &[0, 0, 0, 1, 1, 0]);
        let released = pixels(&[0.25, 2.0, 0.5, 3.0], &[0, 0, 1, 0]);
        let scores = SeedMembership::new().score(&Released::from(released), &candidates, &lab()).unwrap();
        // 0.25: nearest 0 (0.25), then 0.9 (0.65). 2: 1 and 3 are equally near. 0.5 of class b: two copies. 3 is a copy of 3.
        let expected = [-0.25 / 0.65, -1.0, 0.0, 0.0, 0.0, -1.0 - 0.65 / 1.65];
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score - expected).abs() < 1e-7, "{scores:?}"); // pixels are f32
        }
    }

    #[test]
    fn one_candidate_without_a_rival_and_a_class_that_was_not_released_stay_finite() {
        let scores = |released: Dataset| {
            let candidates = pixels(&[0.0, 1.0], &[0, 1]);
            SeedMembership::new().score(&Released::from(released), &candidates, &lab()).unwrap()
        };
        assert_eq!(scores(pixels(&[0.5], &[0])), [-1.0, -2.0]);
    }

    #[test]
    fn real_starts_of_a_short_condensation_are_found_and_noise_has_none() {
        let toy = Dataset::toy();
        let method = DistributionMatching::small(3).with_init(Init::Real).with_steps(3);
        let made = method.synthesize(&toy, &lab()).unwrap();
        let seeds = SeedMembership::seeds(&made, &toy).unwrap();
        assert_eq!(seeds.iter().filter(|seed| **seed).count(), 12);
        let scores = SeedMembership::new().score(&Released::from(made.clone()), &toy, &lab()).unwrap();
        assert_eq!(Roc::new(&scores, &seeds).unwrap().tpr_at(0.0).rate.hits, 12);
        let noise = method.with_init(Init::Noise).synthesize(&toy, &lab()).unwrap();
        assert!(SeedMembership::seeds(&noise, &toy).unwrap_err().to_string().contains("Init::Real"));
        let few = toy.subset(&[0, 1]).unwrap();
        assert!(SeedMembership::seeds(&made, &few).unwrap_err().to_string().contains("has 2"));
    }
}
