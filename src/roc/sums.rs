//! Sums over the corners of a curve, in vectors. Lists begin with (0, 0) and are equally long.

use crate::simd::Loops;

/// As many as the compiler takes for a loop; of fewer it makes single instructions.
const LANES: usize = 32;

/// Twice the pairs in which the member is above, with ties for half: at most n²/2 of n < 2^32 trials.
pub(super) struct Wins<'a> {
    pub(super) tp: &'a [u32],
    pub(super) fp: &'a [u32],
}

impl Loops for Wins<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let (tp, fp) = (self.tp.iter().zip(&self.tp[1..]), self.fp.iter().zip(&self.fp[1..]));
        tp.zip(fp).map(|((&tp0, &tp), (&fp0, &fp))| u64::from(fp - fp0) * (u64::from(tp0) + u64::from(tp))).sum()
    }
}

/// The squared distance from `auc`, summed over members, of the share of others below them; over others, of the share of members above them.
pub(super) struct Spreads<'a> {
    pub(super) tp: &'a [u32],
    pub(super) fp: &'a [u32],
    pub(super) auc: f64,
    /// Half of 1 / their number.
    pub(super) members: f64,
    pub(super) others: f64,
}

impl Spreads<'_> {
    /// The part of one corner, from the counts before it and there.
    #[inline(always)]
    fn part(&self, [tp0, tp]: [u32; 2], [fp0, fp]: [u32; 2]) -> [f64; 2] {
        let below = 1.0 - self.auc - (f64::from(fp0) + f64::from(fp)) * self.others;
        let above = (f64::from(tp0) + f64::from(tp)) * self.members - self.auc;
        [f64::from(tp - tp0) * (below * below), f64::from(fp - fp0) * (above * above)]
    }
}

impl Loops for Spreads<'_> {
    type Output = [f64; 2];

    #[inline(always)]
    fn run(self) -> [f64; 2] {
        let (mut members, mut others) = ([0.0; LANES], [0.0; LANES]);
        let (tp0, (tp, _)) = (self.tp.as_chunks::<LANES>().0, self.tp[1..].as_chunks::<LANES>());
        let (fp0, (fp, _)) = (self.fp.as_chunks::<LANES>().0, self.fp[1..].as_chunks::<LANES>());
        for ((tp0, tp), (fp0, fp)) in tp0.iter().zip(tp).zip(fp0.iter().zip(fp)) {
            for k in 0..LANES {
                let [member, other] = self.part([tp0[k], tp[k]], [fp0[k], fp[k]]);
                members[k] += member;
                others[k] += other;
            }
        }
        let mut sums = [members.iter().sum(), others.iter().sum()];
        for at in LANES * tp.len() + 1..self.tp.len() {
            let part = self.part([self.tp[at - 1], self.tp[at]], [self.fp[at - 1], self.fp[at]]);
            sums = [sums[0] + part[0], sums[1] + part[1]];
        }
        sums
    }
}

/// The largest `others` × tp − `members` × fp.
pub(super) struct Distance<'a> {
    pub(super) tp: &'a [u32],
    pub(super) fp: &'a [u32],
    pub(super) members: f64,
    pub(super) others: f64,
}

impl Loops for Distance<'_> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let distance = |tp: u32, fp: u32| f64::from(tp) * self.others - f64::from(fp) * self.members;
        let mut most = [0.0; LANES];
        let ((tp, tp_rest), (fp, fp_rest)) = (self.tp.as_chunks::<LANES>(), self.fp.as_chunks::<LANES>());
        for (tp, fp) in tp.iter().zip(fp) {
            for k in 0..LANES {
                let distance = distance(tp[k], fp[k]);
                most[k] = if distance > most[k] { distance } else { most[k] };
            }
        }
        let rest = tp_rest.iter().zip(fp_rest).map(|(&tp, &fp)| distance(tp, fp));
        rest.chain(most).fold(0.0, f64::max)
    }
}
