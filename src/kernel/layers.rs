//! The recursion over the layers for one row, as many columns at a time as a vector register holds.

use super::TangentKernel;
use crate::simd::vectorize;
use pulp::{Simd, WithSimd};
use std::f64::consts::{FRAC_PI_2, PI};
use std::ops::{Add, Mul, Sub};

/// One row against all columns; the slices have one entry per column, padded to whole vectors.
pub(super) struct Layers<'a> {
    pub(super) kernel: &'a TangentKernel,
    pub(super) width: usize,
    pub(super) row_norm: f64,
    pub(super) column_norms: &'a [Vec<f64>],
    /// In: ⟨row, column⟩. Out: T.
    pub(super) value: &'a mut [f64],
    pub(super) slope: &'a mut [f64],
    pub(super) norm_slope: &'a mut [f64],
}

impl Layers<'_> {
    /// Angles below this (radians) are those of equal records up to rounding, which have the value of the diagonal. There T has a
    /// kink, a cone in the column: the derivative of the angle is taken to be 0, the mean of all directions, instead of a rounding
    /// error times 1 / sin φ.
    const SMALLEST_ANGLE: f64 = 1e-6;

    pub(super) fn run(self) {
        vectorize(self);
    }
}

impl WithSimd for Layers<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let of = |value: f64| Lane { simd, value: simd.splat_f64s(value) };
        let (w, b) = (self.kernel.weight_variance, of(self.kernel.bias_variance));
        let (values, _) = S::as_mut_simd_f64s(self.value);
        let (slopes, _) = S::as_mut_simd_f64s(self.slope);
        let (norm_slopes, _) = S::as_mut_simd_f64s(self.norm_slope);
        let (half, scale) = (of(w / (2.0 * PI)), of(w / self.width as f64));
        let (zero, one, pi) = (of(0.0), of(1.0), of(PI));
        let (tiny, smallest) = (of(f64::MIN_POSITIVE), of(Self::SMALLEST_ANGLE));
        let equal = of(1.0 - Self::SMALLEST_ANGLE * Self::SMALLEST_ANGLE / 2.0);
        for (i, ((value, slope), norm_slope)) in values.iter_mut().zip(slopes).zip(norm_slopes).enumerate() {
            // `_s` is the derivative in S₀ of row and column, `_q` that in S₀ of the column with itself.
            let mut s = Lane { simd, value: *value } * scale + b;
            let (mut s_s, mut s_q) = (one, zero);
            let (mut t, mut t_s, mut t_q) = (s, one, zero);
            let (mut row_norm, mut factor) = (self.row_norm, 1.0);
            for norms in self.column_norms {
                let (norms, _) = S::as_simd_f64s(norms);
                let q = Lane { simd, value: norms[i] }.max(tiny);
                let r = (of(row_norm) * q).sqrt().max(tiny);
                let r_q = of(0.5 * factor) * r.over(q);
                let cos = s.over(r).max(zero - one);
                let cos = cos.or_if(cos.above(equal), one);
                let sin = ((one - cos) * (one + cos)).sqrt();
                let open = pi - arccos(cos);
                let d = half * open;
                let inverse = zero.or_if(sin.above(smallest), half.over((r * sin).max(tiny)));
                let (d_s, d_q) = (inverse * s_s, inverse * (s_q - cos * r_q));
                s = half * r * (sin + open * cos) + b;
                s_q = d * s_q + half * sin * r_q;
                s_s = d * s_s;
                t_s = s_s + d_s * t + d * t_s;
                t_q = s_q + d_q * t + d * t_q;
                t = s + d * t;
                row_norm = w * row_norm / 2.0 + self.kernel.bias_variance;
                factor *= w / 2.0;
            }
            *value = t.value;
            *slope = t_s.value;
            *norm_slope = t_q.value;
        }
    }
}

/// P with arcsin x = x + x³ P(x²) for x² ≤ 1/4: a minimax polynomial (Remez), relative error of arcsin 4e-18.
const ARCSIN: [f64; 13] = [
    0.028_757_851_367_421_565,
    -0.014_851_887_071_247_203,
    0.017_400_879_442_694_02,
    0.005_457_506_718_640_358,
    0.010_322_814_350_185_78,
    0.011_479_177_415_184_906,
    0.013_971_212_973_552_933,
    0.017_352_392_720_869_973,
    0.022_372_172_942_149_89,
    0.030_381_944_138_531_247,
    0.044_642_857_146_355_43,
    0.074_999_999_999_984_33,
    0.166_666_666_666_666_68,
];

/// arccos on [-1, 1], without branches: π/2 − arcsin c for small |c|, else 2 arcsin √((1 − |c|) / 2) and its mirror image.
#[inline(always)]
fn arccos<S: Simd>(c: Lane<S>) -> Lane<S> {
    let simd = c.simd;
    let of = |value: f64| Lane { simd, value: simd.splat_f64s(value) };
    let size = c.abs();
    let outer = (of(1.0) - size) * of(0.5);
    let far = size.above(of(0.5));
    let z = (size * size).or_if(far, outer);
    let x = size.or_if(far, outer.sqrt());
    let mut p = of(ARCSIN[0]);
    for coefficient in &ARCSIN[1..] {
        p = p * z + of(*coefficient);
    }
    let arcsin = x + x * z * p;
    let twice = arcsin + arcsin;
    let negative = of(0.0).above(c);
    let near = (of(FRAC_PI_2) - arcsin).or_if(negative, of(FRAC_PI_2) + arcsin);
    near.or_if(far, twice.or_if(negative, of(PI) - twice))
}

/// A vector of f64 that calculates like a number.
#[derive(Clone, Copy)]
struct Lane<S: Simd> {
    simd: S,
    value: S::f64s,
}

impl<S: Simd> Lane<S> {
    #[inline(always)]
    fn with(self, value: S::f64s) -> Self {
        Self { value, ..self }
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.with(self.simd.sqrt_f64s(self.value))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.with(self.simd.abs_f64s(self.value))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.with(self.simd.max_f64s(self.value, other.value))
    }

    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.with(self.simd.div_f64s(self.value, other.value))
    }

    #[inline(always)]
    fn above(self, other: Self) -> S::m64s {
        self.simd.greater_than_f64s(self.value, other.value)
    }

    /// `other` in the lanes of the mask.
    #[inline(always)]
    fn or_if(self, mask: S::m64s, other: Self) -> Self {
        self.with(self.simd.select_f64s(mask, other.value, self.value))
    }
}

impl<S: Simd> Add for Lane<S> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(self.simd.add_f64s(self.value, other.value))
    }
}

impl<S: Simd> Sub for Lane<S> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(self.simd.sub_f64s(self.value, other.value))
    }
}

impl<S: Simd> Mul for Lane<S> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.with(self.simd.mul_f64s(self.value, other.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Arccos<'a>(&'a mut [f64]);

    impl WithSimd for Arccos<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for value in S::as_mut_simd_f64s(self.0).0 {
                *value = arccos(Lane { simd, value: *value }).value;
            }
        }
    }

    #[test]
    fn arccos_is_that_of_the_standard_library() {
        let count = 1 << 16;
        let cosines: Vec<f64> = (0..=count).map(|i| 2.0 * f64::from(i) / f64::from(count) - 1.0).collect();
        let ends = [1.0, -1.0, 0.0, 0.5, -0.5, 1.0 - 1e-15, -1.0 + 1e-15];
        let mut all: Vec<f64> = cosines.into_iter().chain(ends).collect();
        all.resize(all.len().next_multiple_of(8), 0.3);
        let mut angles = all.clone();
        vectorize(Arccos(&mut angles));
        for (cosine, angle) in all.iter().zip(&angles) {
            // Three roundings of numbers up to π.
            assert!((angle - cosine.acos()).abs() <= 1e-15, "arccos({cosine}) is {angle}, not {}", cosine.acos());
        }
        assert_eq!(angles[1 << 16], 0.0, "the angle of a record with itself");
    }
}
