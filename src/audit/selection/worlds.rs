//! The scores of both worlds, and what a test counts in them.

use crate::Result;
use crate::audit::Direction;
use crate::stats::clopper_pearson;

/// Ends of the two rates of a test that hold together.
#[derive(Debug, Clone, Copy)]
pub(in crate::audit) struct Ends {
    pub(in crate::audit) tpr_low: f64,
    pub(in crate::audit) fpr_high: f64,
}

/// Scores in ascending order.
pub(super) struct Worlds {
    with: Vec<f64>,
    without: Vec<f64>,
}

/// "Member" is said from the threshold on; of scores with the other sign if `mirrored`.
#[derive(Clone, Copy)]
pub(super) struct Test {
    pub(super) threshold: f64,
    pub(super) mirrored: bool,
}

/// The best test with what it counted.
pub(in crate::audit) struct Found {
    pub(in crate::audit) value: f64,
    pub(in crate::audit) trials: usize,
    /// Threshold, ends and counts; none where no test proves anything.
    pub(in crate::audit) test: Option<Counted>,
}

pub(in crate::audit) struct Counted {
    pub(in crate::audit) ends: Ends,
    pub(in crate::audit) hits: [(usize, usize); 2],
    threshold: f64,
    mirrored: bool,
}

impl Counted {
    /// The threshold in the scores' own sign.
    pub(in crate::audit) fn threshold(&self) -> f64 {
        if self.mirrored { -self.threshold } else { self.threshold }
    }

    pub(in crate::audit) fn direction(&self, members: bool) -> Direction {
        match (self.mirrored, members) {
            (false, true) => Direction::MembersAbove,
            (false, false) => Direction::NonMembersBelow,
            (true, true) => Direction::MembersBelow,
            (true, false) => Direction::NonMembersAbove,
        }
    }
}

impl Worlds {
    pub(super) fn of(with: &[f64], without: &[f64]) -> Self {
        let sorted = |scores: &[f64]| {
            let mut sorted = scores.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        Self { with: sorted(with), without: sorted(without) }
    }

    pub(super) fn mirrored(&self) -> Self {
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
    pub(super) fn strongest(&self, tests: &[Test], confidence: f64, value: &impl Fn(Ends) -> f64) -> Result<Found> {
        let confidence = 1.0 - (1.0 - confidence) / tests.len().max(1) as f64;
        let mut found = Found { value: 0.0, trials: self.with.len() + self.without.len(), test: None };
        for &test in tests {
            if let Some((ends, most)) = self.measured(test, confidence, 1.0, found.value, value)? {
                let Test { threshold, mirrored } = test;
                found.test = Some(Counted { ends, hits: self.counts(test), threshold, mirrored });
                found.value = most;
            }
        }
        Ok(found)
    }

    /// Thresholds at scores of either world.
    pub(super) fn thresholds(&self) -> Vec<f64> {
        [&self.with, &self.without].into_iter().flat_map(|scores| many(scores)).collect()
    }

    /// Thresholds at ranks of the non-members that depend on nothing but how many there are.
    pub(super) fn fixed_ranks(&self, candidates: usize) -> Vec<f64> {
        fixed_ranks(&self.without, candidates)
    }

    /// Ends and value of one test, with `scale` times as many trials, if the value is above `most`.
    pub(super) fn measured(
        &self,
        test: Test,
        confidence: f64,
        scale: f64,
        most: f64,
        value: &impl Fn(Ends) -> f64,
    ) -> Result<Option<(Ends, f64)>> {
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
