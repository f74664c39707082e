//! Which test an audit counts, chosen so that the bound keeps its confidence.
//!
//! # Why the best threshold on the same data is no bound
//! Each of many thresholds is wrong with a probability of up to 1 − confidence, and the best one is the one that erred most. With
//! thresholds fixed before the data are seen, or chosen on other trials, one test is made; with k tests at 1 − (1 − confidence)/k each, all
//! k bounds hold together (Bonferroni), so the best one does.
//!
//! # Thresholds that data may choose
//! Bonferroni needs tests that are fixed in advance, and nobody knows the scale of scores. Here *ranks* are fixed: the
//! threshold is the score of the k-th highest non-member. The false positive rate there is Beta(k, n₀ − k + 1), which lies below the
//! Clopper-Pearson end of k in n₀ at least as surely as for a fixed threshold, ties or not; and members know nothing of it. (Quantiles of
//! all scores would not do: they depend on the members, too.)
//!
//! # References
//! Clopper, Pearson, *Biometrika* 26 (1934); the options are those of jax_privacy's auditing.
//!
//! # Example
//! ```
//! use freelunch::Lab;
//! use freelunch::audit::{Selection, distinguish};
//! let lab = Lab::new()?.quiet();
//! let (with, without): (Vec<f64>, Vec<f64>) = (0..500).map(|i| (f64::from(i) + 300.0, f64::from(i))).unzip();
//! for selection in [Selection::Fixed(450.0), Selection::Split { share: 0.5 }, Selection::Bonferroni { candidates: 10 }] {
//!     assert!(distinguish(&with, &without, 0.0, selection, &lab)?.epsilon > 1.0);
//! }
//! # Ok::<(), freelunch::Error>(())
//! ```

mod worlds;

pub(super) use worlds::{Ends, Found};

use crate::{Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use worlds::{Test, Worlds};

/// How the threshold is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Selection {
    /// This one, known before the scores were: from other runs, or from theory.
    Fixed(f64),
    /// The best one on a random part of the trials; the others count.
    Split {
        /// Part of the trials that choose, in (0, 1); 0.5 is usual.
        share: f64,
    },
    /// The best of at most this many at fixed ranks of the non-members, each with (1 − confidence)/candidates to err.
    Bonferroni {
        /// Number of thresholds, at least 1; about 10 costs little.
        candidates: usize,
    },
}

impl Selection {
    fn check(self) -> Result<()> {
        match self {
            Self::Fixed(threshold) if !threshold.is_finite() => {
                Err(Error::config(format!("the threshold is {threshold}"), "expected a finite score"))
            }
            Self::Split { share } if !(share > 0.0 && share < 1.0) => {
                Err(Error::config(format!("share is {share}"), "expected a number between 0 and 1, such as 0.5"))
            }
            Self::Bonferroni { candidates: 0 } => Err(Error::config("0 candidates", "expected at least 1, such as 10")),
            _ => Ok(()),
        }
    }
}

/// Which scores speak for a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// High ones, as those of every [`Attack`](crate::attack::Attack).
    #[default]
    High,
    /// High or low ones, nobody knows which: both are tested, which counts as twice as many tests.
    Either,
}

/// Finds the test with the largest `value` of its ends, as `selection` allows. `value` grows with TPR, falls with FPR and is ≥ 0.
pub(super) fn best(
    (with, without): (&[f64], &[f64]),
    selection: Selection,
    side: Side,
    confidence: f64,
    lab: &Lab,
    value: impl Fn(Ends) -> f64,
) -> Result<Found> {
    selection.check()?;
    let signs = || [false, true].into_iter().take(if side == Side::Either { 2 } else { 1 });
    let tests_of = |thresholds: &dyn Fn(&Worlds) -> Vec<f64>, worlds: &Worlds| -> Vec<Test> {
        let of_sign = |mirrored: bool| {
            let found = if mirrored { thresholds(&worlds.mirrored()) } else { thresholds(worlds) };
            found.into_iter().map(move |threshold| Test { threshold, mirrored })
        };
        signs().flat_map(of_sign).collect()
    };
    match selection {
        Selection::Fixed(threshold) => {
            let tests: Vec<Test> =
                signs().map(|mirrored| Test { threshold: if mirrored { -threshold } else { threshold }, mirrored }).collect();
            Worlds::of(with, without).strongest(&tests, confidence, &value)
        }
        Selection::Bonferroni { candidates } => {
            let worlds = Worlds::of(with, without);
            let tests = tests_of(&|worlds| worlds.fixed_ranks(candidates), &worlds);
            worlds.strongest(&tests, confidence, &value)
        }
        Selection::Split { share } => {
            let mut rng = lab.rng("audit split", 0);
            let mut split = |scores: &[f64]| -> Result<(Vec<f64>, Vec<f64>)> {
                let mut shuffled = scores.to_vec();
                shuffled.shuffle(&mut rng);
                let chosen = (share * scores.len() as f64).round() as usize;
                if chosen == 0 || chosen == scores.len() {
                    let what = format!("a share of {share} of {} trials leaves nothing on one side", scores.len());
                    return Err(Error::config(what, "run more trials or choose another share"));
                }
                let rest = shuffled.split_off(chosen);
                Ok((shuffled, rest))
            };
            let ((with_chosen, with_rest), (without_chosen, without_rest)) = (split(with)?, split(without)?);
            let (choosing, counting) = (Worlds::of(&with_chosen, &without_chosen), Worlds::of(&with_rest, &without_rest));
            let tests = tests_of(&Worlds::thresholds, &choosing);
            // The choice costs nothing, so each test is judged alone, as if its rates were found in as many trials as will count.
            let mut chosen: Option<(Test, f64)> = None;
            let scale = with_rest.len() as f64 / with_chosen.len() as f64;
            for test in tests {
                let found = choosing.measured(test, confidence, scale, chosen.map_or(0.0, |(_, most)| most), &value)?;
                if let Some((_, most)) = found {
                    chosen = Some((test, most));
                }
            }
            let chosen: Vec<Test> = chosen.into_iter().map(|(test, _)| test).collect();
            counting.strongest(&chosen, confidence, &value)
        }
    }
}
