//! exp and log without branches, so that a loop over them becomes vector instructions; a library's functions take one number at a time.
//!
//! Only sums and products of one rounding each: the result is the same with and without vectors, on every processor.

use std::f64::consts::LOG2_E;

/// log 2 in two parts; the first has 32 zeros at its end, so its product with a small integer is exact.
const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];

/// Half of the bits of a number below it: adding 1.5 · 2⁵² to a small number rounds it and leaves the integer in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// eˣ for x ≤ 709, to 2 units in the last place; 0 below −708.
///
/// x = n log 2 + r with |r| ≤ ½ log 2; eʳ is its Taylor polynomial of degree 13, and 2ⁿ is put together from bits.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    const TAYLOR: [f64; 14] = {
        let mut terms = [1.0; 14];
        let mut k = 1;
        while k < 14 {
            terms[k] = terms[k - 1] / k as f64;
            k += 1;
        }
        terms
    };
    let inside = if x < -708.0 { -708.0 } else { x };
    let shifted = inside * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (inside - n * LN_2[0]) - n * LN_2[1];
    let mut sum = TAYLOR[13];
    for term in TAYLOR[..13].iter().rev() {
        sum = sum * r + term;
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    if x < -708.0 { 0.0 } else { sum * power }
}

/// log x for normal x > 0, to 2 units in the last place; −∞ of 0.
///
/// x = 2ᵏ m with √½ ≤ m < √2, and log m = 2 artanh s with s = (m − 1)/(m + 1).
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3FE6_A09E_667F_3BCD;
    const BIAS: u64 = 1023;
    /// 1/3, 1/5, .., 1/23.
    const ARTANH: [f64; 11] = {
        let mut terms = [0.0; 11];
        let mut k = 0;
        while k < 11 {
            terms[k] = 1.0 / (2 * k + 3) as f64;
            k += 1;
        }
        terms
    };
    let bits = x.to_bits();
    let exponent = bits.wrapping_sub(SQRT_HALF).wrapping_add(BIAS << 52) >> 52;
    let m = f64::from_bits(bits.wrapping_sub(exponent.wrapping_sub(BIAS) << 52));
    // The bits of 2⁵² + exponent.
    let k = f64::from_bits(exponent | 0x4330_0000_0000_0000) - (4_503_599_627_370_496.0 + BIAS as f64);
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for term in ARTANH.iter().rev() {
        sum = (sum + term) * square;
    }
    let log = k * LN_2[0] + (2.0 * (s + s * sum) + k * LN_2[1]);
    if x == 0.0 { f64::NEG_INFINITY } else { log }
}

/// log(1 + x) for 0 ≤ x ≤ 1, to 3 units in the last place.
#[inline(always)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    let above = 1.0 + x;
    // What rounding took from x is put back to first order.
    if above == 1.0 { x } else { ln(above) * (x / (above - 1.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, at: f64) {
        let units = (found - expected).abs() / (expected.abs() * f64::EPSILON).max(f64::MIN_POSITIVE);
        assert!(units <= 3.0, "{units} units at {at}: {found} against {expected}");
    }

    #[test]
    fn exp_agrees_with_the_library_over_its_range() {
        for i in 0..=200_000 {
            let x = -707.9 + 1416.8 * f64::from(i) / 200_000.0;
            close(exp(x), libm::exp(x), x);
        }
        for x in [0.0, -0.0, 1e-300, -1e-17, 0.5 * std::f64::consts::LN_2, -0.5 * std::f64::consts::LN_2, 709.0] {
            close(exp(x), libm::exp(x), x);
        }
        assert_eq!([exp(-709.0), exp(f64::NEG_INFINITY), exp(0.0)], [0.0, 0.0, 1.0]);
    }

    #[test]
    fn ln_agrees_with_the_library_over_its_range() {
        for i in 0..=200_000 {
            let x = libm::exp(-700.0 + 1400.0 * f64::from(i) / 200_000.0);
            close(ln(x), libm::log(x), x);
            let near = 0.5 + f64::from(i) / 100_000.0;
            close(ln(near), libm::log(near), near);
        }
        assert_eq!([ln(1.0), ln(0.0)], [0.0, f64::NEG_INFINITY]);
    }

    #[test]
    fn ln_1p_agrees_with_the_library_also_where_1_swallows_it() {
        for i in 0..=100_000 {
            let x = libm::exp(-700.0 * f64::from(i) / 100_000.0);
            close(ln_1p(x), libm::log1p(x), x);
        }
        assert_eq!(ln_1p(0.0), 0.0);
    }
}
