//! Which test an audit counts, chosen so that the bound keeps its confidence.
//!
//! # Why the best threshold on the same data is no bound
//! Each of many thresholds is wrong with a probability of up to 1 − confidence, and the best one is the one that erred most. With
//! thresholds fixed before the data are seen, or chosen on other trials, one test is made; with k tests at 1 − (1 − confidence)/k each, all k
//! bounds hold together (Bonferroni), so the best one does.
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

use super::Direction;
use crate::stats::clopper_pearson;
use crate::{Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

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

/// Ends of the two rates of a test that hold together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) tpr_low: f64,
    pub(super) fpr_high: f64,
}

/// Scores in ascending order.
pub(super) struct Worlds {
    with: Vec<f64>,
    without: Vec<f64>,
}

/// "Member" is said from the threshold on; of scores with the other sign if `mirrored`.
#[derive(Clone, Copy)]
struct Test {
    threshold: f64,
    mirrored: bool,
}

/// The best test with what it counted.
pub(super) struct Found {
    pub(super) value: f64,
    pub(super) trials: usize,
    /// Threshold, ends and counts; none where no test proves anything.
    pub(super) test: Option<Counted>,
}

pub(super) struct Counted {
    pub(super) ends: Ends,
    pub(super) hits: [(usize, usize); 2],
    threshold: f64,
    mirrored: bool,
}

impl Counted {
    /// The threshold in the scores' own sign.
    pub(super) fn threshold(&self) -> f64 {
        if self.mirrored { -self.threshold } else { self.threshold }
    }

    pub(super) fn direction(&self, members: bool) -> Direction {
        match (self.mirrored, members) {
            (false, true) => Direction::MembersAbove,
            (false, false) => Direction::NonMembersBelow,
            (true, true) => Direction::MembersBelow,
            (true, false) => Direction::NonMembersAbove,
        }
    }
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
            Worlds::of(with, without).strongest(&tests, confidence, 1.0, &value)
        }
        Selection::Bonferroni { candidates } => {
            let worlds = Worlds::of(with, without);
            let tests = tests_of(&|worlds| fixed_ranks(&worlds.without, candidates), &worlds);
            worlds.strongest(&tests, confidence, 1.0, &value)
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
            let tests =
                tests_of(&|worlds| [&worlds.with, &worlds.without].into_iter().flat_map(|scores| many(scores)).collect(), &choosing);
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
            counting.strongest(&chosen, confidence, 1.0, &value)
        }
    }
}

impl Worlds {
    fn of(with: &[f64], without: &[f64]) -> Self {
        let sorted = |scores: &[f64]| {
            let mut sorted = scores.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        Self { with: sorted(with), without: sorted(without) }
    }

    fn mirrored(&self) -> Self {
        let mirrored = |scores: &[f64]| scores.iter().rev().map(|score| -score).collect();
        Self { with: mirrored(&self.with), without: mirrored(&self.without) }
    }

    /// How many of how many reach the threshold, with and without the record.
    fn counts(&self, test: Test) -> [(usize, usize); 2] {
        [&self.with, &self.without].map(|scores| {
            let hits = if test.mirrored {
                scores.partition_point(|score| -score >= test.threshold)
            } else {
                scores.len() - scores.partition_point(|score| *score < test.threshold)
            };
            (hits, scores.len())
        })
    }

    /// The best of tests that all hold together at `confidence`.
    fn strongest(&self, tests: &[Test], confidence: f64, scale: f64, value: &impl Fn(Ends) -> f64) -> Result<Found> {
        let confidence = 1.0 - (1.0 - confidence) / tests.len().max(1) as f64;
        let mut found = Found { value: 0.0, trials: self.with.len() + self.without.len(), test: None };
        for &test in tests {
            if let Some((ends, most)) = self.measured(test, confidence, scale, found.value, value)? {
                let Test { threshold, mirrored } = test;
                found.test = Some(Counted { ends, hits: self.counts(test), threshold, mirrored });
                found.value = most;
            }
        }
        Ok(found)
    }

    /// Ends and value of one test, if the value is above `most`.
    fn measured(&self, test: Test, confidence: f64, scale: f64, most: f64, value: &impl Fn(Ends) -> f64) -> Result<Option<(Ends, f64)>> {
        let [(hits, of), (false_hits, out_of)] = self.counts(test);
        // The observed rates promise more than their ends, and cost much less.
        let observed = Ends { tpr_low: hits as f64 / of as f64, fpr_high: false_hits as f64 / out_of as f64 };
        if value(observed) <= most {
            return Ok(None);
        }
        let scaled = |count: usize| (scale * count as f64).round() as usize;
        let of_rate = |hits: usize, of: usize| clopper_pearson(scaled(hits).min(scaled(of).max(1)), scaled(of).max(1), confidence);
        let ends = Ends { tpr_low: of_rate(hits, of)?.low, fpr_high: of_rate(false_hits, out_of)?.high };
        let found = value(ends);
        Ok((found > most).then_some((ends, found)))
    }
}

/// The scores at ranks that depend on nothing but how many there are: the highest ones and the lowest ones more densely than those
/// between, and just above the highest one.
fn fixed_ranks(scores: &[f64], candidates: usize) -> Vec<f64> {
    let n = scores.len();
    let mut ranks = vec![0];
    // Halving from either end: n/2, n/4, 3n/4, n/8, 7n/8, ..
    let mut part = n / 2;
    while part > 0 && ranks.len() < candidates {
        ranks.extend([part, n - part]);
        part /= 2;
    }
    ranks.truncate(candidates);
    ranks.dedup();
    let at_rank = |rank: usize| match rank {
        0 => scores.last().map(|highest| highest.next_up()),
        rank => scores.get(n - rank).copied(),
    };
    ranks.into_iter().filter_map(at_rank).filter(|threshold| threshold.is_finite()).collect()
}

/// Scores at ranks 1, 2, 3, .. a fifth apart from either end: dense where events are rare, few enough to try all.
fn many(scores: &[f64]) -> Vec<f64> {
    let n = scores.len();
    let mut found: Vec<f64> = scores.last().map(|highest| highest.next_up()).into_iter().filter(|v| v.is_finite()).collect();
    let mut rank = 1.0f64;
    while (rank as usize) <= n {
        found.extend([scores[n - rank as usize], scores[rank as usize - 1]]);
        rank = (rank * 1.2).max(rank + 1.0);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_depend_on_the_number_of_scores_only() {
        let scores: Vec<f64> = (0..16).map(f64::from).collect();
        assert_eq!(fixed_ranks(&scores, 6), [15.0f64.next_up(), 8.0, 12.0, 4.0, 14.0]);
        assert!(fixed_ranks(&scores, 1000).len() < 16 && fixed_ranks(&[3.0], 9).len() == 1);
    }

    #[test]
    fn a_mirrored_test_counts_scores_up_to_its_threshold() {
        let worlds = Worlds::of(&[1.0, 2.0, 2.0, 3.0], &[2.0, 5.0]);
        assert_eq!(worlds.counts(Test { threshold: 2.0, mirrored: false }), [(3, 4), (2, 2)]);
        assert_eq!(worlds.counts(Test { threshold: -2.0, mirrored: true }), [(3, 4), (1, 2)]);
        let mirror = worlds.mirrored();
        assert_eq!(mirror.counts(Test { threshold: -2.0, mirrored: false }), [(3, 4), (1, 2)]);
    }
}
