//! Channels as vectors: whole vectors first, then the few that do not fill one, one at a time with the same operations in the same order.

use pulp::{Scalar, Simd};
use std::ops::Range;

/// Work that is the same for every channel.
pub(super) trait Each {
    /// Does the work for `channels` of `count`, in steps of a vector.
    fn run<S: Simd>(&mut self, simd: S, channels: Range<usize>, count: usize);
}

/// Does the work for all channels.
#[inline(always)]
pub(super) fn each<S: Simd>(simd: S, count: usize, mut work: impl Each) {
    let whole = count / S::F32_LANES * S::F32_LANES;
    work.run(simd, 0..whole, count);
    if whole < count {
        work.run(Scalar::new(), whole..count, count);
    }
}

/// The vector at a place.
#[inline(always)]
pub(super) fn get<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
}

/// Puts a vector at a place.
#[inline(always)]
pub(super) fn put<S: Simd>(values: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = value;
}
