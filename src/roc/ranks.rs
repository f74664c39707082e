//! From scores to the corners of a curve, by one sort.
//!
//! 1. A score s from low to high has the rank ⌊(2²² − 1)(high − s)/(high − low)⌉, which never falls as scores fall.
//! 2. A radix sort by rank brings the trials into order; those of one rank are ranked again among themselves, or compared if they are few.
//! 3. Corners are picked up on one way through the sorted trials.
//!
//! What is decided for every trial is decided without branches: on scores of an attack the processor would guess every other one wrongly.

use super::steps::Steps;
use crate::simd::Loops;

/// The largest rank.
const LAST: u32 = (1 << 22) - 1;
/// Values of each of its two digits.
const DIGIT: usize = 1 << 11;
/// Fewer trials are sorted by comparing.
const FEW: usize = 256;

/// The smallest and the largest score; nothing where one is not finite.
pub(super) struct Extremes<'a> {
    pub(super) scores: &'a [f64],
}

impl Loops for Extremes<'_> {
    type Output = Option<[f64; 2]>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        const LANES: usize = 32;
        let first = *self.scores.first()?;
        let (mut least, mut most, mut zero) = ([first; LANES], [first; LANES], [0.0; LANES]);
        let (blocks, rest) = self.scores.as_chunks::<LANES>();
        for scores in blocks {
            for k in 0..LANES {
                least[k] = if scores[k] < least[k] { scores[k] } else { least[k] };
                most[k] = if scores[k] > most[k] { scores[k] } else { most[k] };
                zero[k] += scores[k] * 0.0;
            }
        }
        let finite = zero.iter().all(|&zero| zero == 0.0) && rest.iter().all(|score| score.is_finite());
        let least = rest.iter().copied().chain(least).fold(first, f64::min);
        let most = rest.iter().copied().chain(most).fold(first, f64::max);
        finite.then_some([least, most])
    }
}

/// Ranks of scores from `low` to `high`: how far below `high`, in units of which [`LAST`] reach to `low`.
#[derive(Clone, Copy)]
struct Ranks {
    high: f64,
    scale: f64,
}

impl Ranks {
    fn new(low: f64, high: f64) -> Self {
        Self { high, scale: f64::from(LAST) / (high - low) }
    }

    /// The nearest whole number; [`LAST`] where 0 is multiplied by ∞, as for all scores if they are equal.
    #[inline(always)]
    fn of(self, score: f64) -> u32 {
        let units = (self.high - score) * self.scale;
        let units = if units < f64::from(LAST) { units } else { f64::from(LAST) };
        // From 2^52 on the last bits of a number are its units.
        (units + 4_503_599_627_370_496.0).to_bits() as u32
    }
}

/// Rank, membership and position of the trials from `low` (that and above for the `top`) to `high` (below that for what is not the top), from the
/// highest bits to the lowest, in the order of the list.
pub(super) struct Places<'a> {
    pub(super) scores: &'a [f64],
    pub(super) membership: &'a [bool],
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) top: bool,
}

impl Loops for Places<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn run(self) -> Vec<u64> {
        const BLOCK: usize = 512;
        const UNWANTED: u32 = u32::MAX;
        let Self { scores, membership, low, high, top } = self;
        let rank = Ranks::new(low, high);
        let mut places = Vec::with_capacity(scores.len() + BLOCK);
        let mut ranks = [0; BLOCK];
        let (mut kept, mut at) = (0, 0);
        for (scores, membership) in scores.chunks(BLOCK).zip(membership.chunks(BLOCK)) {
            for (to, &score) in ranks.iter_mut().zip(scores) {
                let wanted = if top { score >= low } else { score < high };
                *to = if wanted { rank.of(score) } else { UNWANTED };
            }
            // Every place is written, and stays if it is wanted.
            places.resize(kept + BLOCK, 0);
            for (&rank, &member) in ranks.iter().zip(membership) {
                places[kept] = u64::from(rank) << 33 | u64::from(member) << 32 | at;
                kept += usize::from(rank != UNWANTED);
                at += 1;
            }
        }
        places.truncate(kept);
        places
    }
}

/// What a place holds.
fn rank(place: u64) -> u32 {
    (place >> 33) as u32
}

fn position(place: u64) -> usize {
    place as u32 as usize
}

/// Highest score first. `places` come with ranks; `other` is as long.
pub(super) fn sort(places: &mut [u64], other: &mut [u64], scores: &[f64]) {
    by_rank(places, other);
    let mut rest = places;
    while let Some(at) = rest.windows(2).position(|pair| rank(pair[0]) == rank(pair[1])) {
        let here = &mut std::mem::take(&mut rest)[at..];
        let count = here.iter().take_while(|&&place| rank(place) == rank(here[0])).count();
        let (equal, after) = here.split_at_mut(count);
        among_themselves(equal, &mut other[..count], scores);
        rest = after;
    }
}

/// Puts trials of one rank in order. Their own ranks are finer by 2²¹ at least, so that every number of 64 bits is told apart after a hundred times.
fn among_themselves(places: &mut [u64], other: &mut [u64], scores: &[f64]) {
    let score = |place: u64| scores[position(place)];
    let all = || places.iter().map(|&place| score(place));
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    if low == high {
        return;
    }
    let ranks = Ranks::new(low, high);
    if places.len() < FEW || ranks.scale.is_infinite() {
        return places.sort_unstable_by(|&a, &b| score(b).total_cmp(&score(a)));
    }
    for place in places.iter_mut() {
        *place = u64::from(ranks.of(score(*place))) << 33 | *place & ((1 << 33) - 1);
    }
    sort(places, other, scores);
}

/// Lowest rank first, digit by digit. Not a part of [`sort`], which calls itself: 16 kB on the stack.
#[inline(never)]
fn by_rank(places: &mut [u64], other: &mut [u64]) {
    if places.len() < FEW {
        return places.sort_unstable();
    }
    let digits = |place: u64| [rank(place) as usize % DIGIT, rank(place) as usize / DIGIT % DIGIT];
    let mut counts = [[0_u32; DIGIT]; 2];
    for &place in &*places {
        for (counts, digit) in counts.iter_mut().zip(digits(place)) {
            counts[digit] += 1;
        }
    }
    let (mut from, mut to) = (places, other);
    for (d, counts) in counts.iter_mut().enumerate() {
        let mut sum = 0;
        for count in counts.iter_mut() {
            sum += std::mem::replace(count, sum);
        }
        for &place in &*from {
            let next = &mut counts[digits(place)[d]];
            to[*next as usize] = place;
            *next += 1;
        }
        (from, to) = (to, from);
    }
}

/// The corners between trials in falling order.
pub(super) fn corners(places: &[u64], scores: &[f64]) -> Steps {
    // As whole numbers: equal scores are equal bits once there is one zero.
    let score = |place: u64| (scores[position(place)] + 0.0).to_bits();
    let mut steps = Steps::start(places.len() + 1);
    // Of one length, so that one check serves all three.
    let len = places.len() + 2;
    let (thresholds, tp, fp) = (&mut steps.thresholds[..len], &mut steps.tp[..len], &mut steps.fp[..len]);
    // The corner written last, and the false positives there and before it. It stays if they change before or after it.
    let (mut at, mut here, mut before) = (0, 0, u32::MAX);
    let (mut hits, mut misses) = (0, 0);
    let after = places.iter().skip(1).map(|&place| score(place)).chain([f64::NAN.to_bits()]);
    let mut threshold = places.first().map_or(0, |&place| score(place));
    for (place, next) in places.iter().zip(after) {
        let member = (place >> 32) as u32 & 1;
        hits += member;
        misses += 1 - member;
        // Written in any case. The last of equal scores stays.
        let ends = threshold != next;
        let stays = (before != here) | (here != misses);
        let to = at + usize::from(stays | !ends);
        (thresholds[to], tp[to], fp[to]) = (f64::from_bits(threshold), hits, misses);
        at = if ends { to } else { at };
        before = if ends { here } else { before };
        here = if ends { misses } else { here };
        threshold = next;
    }
    steps.truncate(at + 1);
    steps
}
