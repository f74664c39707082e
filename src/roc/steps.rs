//! The corners of a curve.

use super::ranks::{Extremes, Places, corners, sort};
use super::sums::{Distance, Spreads, Wins};
use crate::simd::vectorized;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Counts of members (`tp`) and non-members (`fp`) with score ≥ `threshold`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) threshold: f64,
    pub(super) tp: u32,
    pub(super) fp: u32,
}

/// The point (0, 0).
pub(super) const START: Step = Step { threshold: f64::INFINITY, tp: 0, fp: 0 };

/// Corners from (0, 0) on: thresholds fall, counts rise. One list for each part, so that loops over counts run in vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Step>", into = "Vec<Step>")]
pub(super) struct Steps {
    pub(super) thresholds: Vec<f64>,
    pub(super) tp: Vec<u32>,
    pub(super) fp: Vec<u32>,
}

/// Trials that this core sorts before the other one has begun. Fewer than four times as many stay on one core.
const AHEAD: usize = 5000;

impl Steps {
    /// One corner for each distinct score; of members only, one after another, the last: half the memory. Nothing where a score is not finite.
    /// There are as many truths as scores, and fewer than 2^32.
    pub(super) fn of(scores: &[f64], membership: &[bool]) -> Option<Self> {
        let extremes = || vectorized(Extremes { scores });
        if scores.len() < 4 * AHEAD {
            let [low, high] = extremes()?;
            return Some(Self::part(Places { scores, membership, low, high, top: true }));
        }
        let mut sample: Vec<f64> = scores.iter().step_by(scores.len() / 128).copied().collect();
        sample.sort_unstable_by(f64::total_cmp);
        let middle = sample[sample.len() * (scores.len() / 2 - AHEAD) / scores.len()];
        // Each core looks for the ends itself: the other one would begin later if it had to be told.
        let half = |top: bool| {
            let [least, most] = extremes()?;
            let (low, high) = if top { (middle, most) } else { (least, middle) };
            Some(Self::part(Places { scores, membership, low, high, top }))
        };
        let mut lower = None;
        let upper = rayon::in_place_scope(|scope| {
            scope.spawn(|_| lower = half(false));
            half(true)
        });
        let (mut upper, lower) = (upper?, lower?);
        upper.then(&lower);
        Some(upper)
    }

    fn part(places: Places<'_>) -> Self {
        let scores = places.scores;
        let mut places = vectorized(places);
        let mut other = vec![0; places.len()];
        sort(&mut places, &mut other, scores);
        corners(&places, scores)
    }

    /// The point (0, 0), and room for `more` corners.
    pub(super) fn start(more: usize) -> Self {
        let mut steps = Self { thresholds: vec![0.0; 1 + more], tp: vec![0; 1 + more], fp: vec![0; 1 + more] };
        steps.thresholds[0] = START.threshold;
        steps
    }

    /// These corners, then those of lower scores.
    fn then(&mut self, lower: &Self) {
        let last = self.len() - 1;
        let (tp, fp) = (self.tp[last], self.fp[last]);
        // The last one is none if the curve goes straight up there.
        if last > 0 && self.fp[last - 1] == fp && lower.fp.get(1) == Some(&0) {
            self.truncate(last);
        }
        self.thresholds.extend_from_slice(&lower.thresholds[1..]);
        self.tp.extend(lower.tp[1..].iter().map(|count| tp + count));
        self.fp.extend(lower.fp[1..].iter().map(|count| fp + count));
    }

    pub(super) fn truncate(&mut self, count: usize) {
        self.thresholds.truncate(count);
        self.tp.truncate(count);
        self.fp.truncate(count);
    }

    /// Corners and the point (0, 0).
    pub(super) fn len(&self) -> usize {
        self.thresholds.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Step> {
        let counts = self.tp.iter().zip(&self.fp);
        self.thresholds.iter().zip(counts).map(|(&threshold, (&tp, &fp))| Step { threshold, tp, fp })
    }

    /// The last one with at most so many false positives.
    pub(super) fn last_within(&self, false_positives: usize) -> Step {
        let after = self.fp.partition_point(|&fp| fp as usize <= false_positives);
        after.checked_sub(1).map_or(START, |at| Step { threshold: self.thresholds[at], tp: self.tp[at], fp: self.fp[at] })
    }

    /// Twice the pairs in which the member is above, with ties for half: at most n²/2 of n < 2^32 trials.
    pub(super) fn wins(&self) -> u64 {
        vectorized(Wins { tp: &self.tp, fp: &self.fp })
    }

    /// The squared distance from `auc`, summed over members, of the share of others below them; over others, of the share of members above them.
    pub(super) fn spreads(&self, auc: f64, members: f64, others: f64) -> [f64; 2] {
        vectorized(Spreads { tp: &self.tp, fp: &self.fp, auc, members: 0.5 / members, others: 0.5 / others })
    }

    /// The largest `others` × tp − `members` × fp; 0 at (0, 0).
    pub(super) fn distance(&self, members: f64, others: f64) -> f64 {
        vectorized(Distance { tp: &self.tp, fp: &self.fp, members, others })
    }
}

impl TryFrom<Vec<Step>> for Steps {
    type Error = Error;

    fn try_from(steps: Vec<Step>) -> Result<Self> {
        let corners = || std::iter::once(&START).chain(&steps);
        let on = |(before, next): (&Step, &Step)| next.threshold < before.threshold && next.tp >= before.tp && next.fp >= before.fp;
        if let Some(at) = corners().zip(&steps).position(|pair| !on(pair)) {
            return Err(Error::config(
                format!("corner {at} of a curve is {:?}", steps[at]),
                "expected falling thresholds and rising counts",
            ));
        }
        Ok(Self {
            thresholds: corners().map(|step| step.threshold).collect(),
            tp: corners().map(|step| step.tp).collect(),
            fp: corners().map(|step| step.fp).collect(),
        })
    }
}

impl From<Steps> for Vec<Step> {
    fn from(steps: Steps) -> Self {
        steps.iter().skip(1).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the definition says: by comparing, one distinct score after another.
    fn simply(scores: &[f64], membership: &[bool]) -> Vec<Step> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap());
        let mut steps = vec![START];
        for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let last = steps[steps.len() - 1];
            let hits = equal.iter().filter(|&&i| membership[i]).count() as u32;
            let next = Step { threshold: scores[equal[0]], tp: last.tp + hits, fp: last.fp + equal.len() as u32 - hits };
            if steps.len() > 1 && steps[steps.len() - 2].fp == last.fp && last.fp == next.fp {
                steps.pop();
            }
            steps.push(next);
        }
        steps.split_off(1)
    }

    /// What makes scores of numbers between 0 and 1, in words and as a function.
    type Kind = (&'static str, fn(f64) -> f64);

    #[test]
    fn few_and_many_scores_give_the_corners_of_the_definition() {
        let mut state = 5_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let same = |scores: &[f64], membership: &[bool], what: &str| {
            let steps = Vec::from(Steps::of(scores, membership).unwrap());
            assert!(steps == simply(scores, membership), "{} {what}, such as {:?}", scores.len(), &scores[..2]);
        };
        for n in [2, 100, 300, 4 * AHEAD - 1, 4 * AHEAD, 50_000] {
            let membership: Vec<bool> = (0..n).map(|_| next() < 0.4).collect();
            let kinds: [Kind; 7] = [
                ("spread out", |u| (u - 0.5) * 40.0),
                ("equal ones and both zeros", |u| (u * 6.0).round() - 3.0),
                ("close together", |u| 1.0 + (u * 1000.0).round() * 1e-13),
                ("all equal", |_| 7.0),
                ("over many powers of two", |u| (u - 0.5).signum() * (1400.0 * (u - 0.5).abs() - 50.0).exp()),
                ("farther apart than a number can say", |u| {
                    if u < 0.01 {
                        -1.7e308
                    } else if u < 0.5 {
                        u
                    } else {
                        1.7e308 * u
                    }
                }),
                ("smaller than 1 / the largest number", |u| (u * 9.0).round() * 5e-324),
            ];
            for (what, kind) in kinds {
                let mut scores: Vec<f64> = (0..n).map(|_| kind(next())).collect();
                same(&scores, &membership, what);
                scores[0] = -0.0;
                scores[1] = 1e300;
                same(&scores, &membership, what);
            }
            // Members above all others: the curve goes straight up from part to part, or straight on.
            let mut scores: Vec<f64> = membership.iter().map(|&member| next() + f64::from(u8::from(member))).collect();
            same(&scores, &membership, "separated");
            same(&scores, &membership.iter().map(|member| !member).collect::<Vec<_>>(), "separated the other way round");
            assert_eq!(Steps::of(&scores, &vec![true; n]).unwrap().len(), 2);
            for bad in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
                for at in [0, n / 2, n - 1] {
                    let score = std::mem::replace(&mut scores[at], bad);
                    assert!(Steps::of(&scores, &membership).is_none(), "{bad} at {at} of {n}");
                    scores[at] = score;
                }
            }
        }
    }

    #[test]
    fn corners_that_do_not_rise_are_refused() {
        let corner = |threshold, tp, fp| Step { threshold, tp, fp };
        assert!(Steps::try_from(vec![corner(2.0, 1, 0), corner(1.0, 1, 3)]).is_ok());
        for bad in [corner(2.0, 1, 3), corner(1.0, 0, 3), corner(f64::NAN, 1, 3)] {
            let refused = Steps::try_from(vec![corner(2.0, 1, 0), bad]).unwrap_err().to_string();
            assert!(refused.contains("corner 1"), "{refused}");
        }
    }
}
