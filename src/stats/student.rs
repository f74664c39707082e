//! Student's t distribution in logarithms: its density and its upper tail, which do not underflow far out.

use super::beta::beta_cdf;
use std::f64::consts::PI;

/// log of the density at `t` with `freedom` degrees of freedom ν:
/// log Γ((ν + 1)/2) − log Γ(ν/2) − ½ log(νπ) − ½ (ν + 1) log(1 + t²/ν).
pub(crate) fn student_log_pdf(t: f64, freedom: f64) -> f64 {
    let constant = libm::lgamma(0.5 * (freedom + 1.0)) - libm::lgamma(0.5 * freedom) - 0.5 * libm::log(freedom * PI);
    constant - 0.5 * (freedom + 1.0) * log_one_plus_square(t, freedom)
}

/// log Pr[T > t] with `freedom` degrees of freedom.
pub(crate) fn student_log_survival(t: f64, freedom: f64) -> f64 {
    if t < 0.0 {
        return libm::log1p(-libm::exp(student_log_survival(-t, freedom)));
    }
    // Pr[T > t] = ½ I_x(ν/2, ½) with x = ν/(ν + t²).
    let a = 0.5 * freedom;
    let log_x = -log_one_plus_square(t, freedom);
    let probability = 0.5 * beta_cdf(libm::exp(log_x), a, 0.5);
    if probability > 1e-280 {
        return libm::log(probability);
    }
    // I_x(a, b) = x^a (1 − x)^b / (a B(a, b)) · Σ x^k (a + b)_k / (a + 1)_k; here x^a < 1e-270, so x is not near 1.
    let x = libm::exp(log_x);
    let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
    while term > 1e-17 * sum {
        term *= x * (a + 0.5 + k) / (a + 1.0 + k);
        sum += term;
        k += 1.0;
    }
    let log_beta = libm::lgamma(a) + libm::lgamma(0.5) - libm::lgamma(a + 0.5);
    libm::log(0.5) + a * log_x + 0.5 * libm::log1p(-x) - libm::log(a) - log_beta + libm::log(sum)
}

/// log(1 + t²/ν), without squaring what may overflow.
fn log_one_plus_square(t: f64, freedom: f64) -> f64 {
    let z = t / freedom.sqrt();
    if z.abs() < 1.0 { libm::log1p(z * z) } else { 2.0 * libm::log(libm::hypot(1.0, z)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::excessive_precision)] // as they were printed
    fn density_and_tail_match_fifty_digit_arithmetic() {
        // (t, ν, log density, log Pr[T > t]) by mpmath with mp.dps = 50:
        // log(gamma((v + 1)/2)/gamma(v/2)/sqrt(v*pi)) - (v + 1)/2*log(1 + t*t/v) and, for t > 0,
        // log(betainc(v/2, 0.5, 0, v/(v + t*t), regularized=True)/2).
        let known = [
            (0.5, 4.0, -1.132_390_807_552_813_3, -1.134_244_704_902_396_8),
            (-3.0, 4.0, -3.927_466_743_865_841_5, -0.020_173_099_629_157_312),
            (2.0, 19.0, -2.842_642_740_850_811_5, -3.506_523_958_127_616_5),
            (0.001, 256.0, -0.919_915_595_174_315_37, -0.693_944_604_043_164_8),
            (40.0, 256.0, -255.478_603_842_577_16, -257.187_101_033_110_82),
            (60.0, 4.0, -17.989_592_397_032_571, -15.280_616_826_848_477),
            (1e5, 4.0, -55.079_720_676_063_142, -44.953_089_571_879_471),
            (1e100, 6.0, -1_606.498_825_209_285_4, -1_378.032_075_379_108_9),
            (100.0, 260.0, -480.550_006_715_350_48, -481.479_949_625_886_33),
            (300.0, 2000.0, -3_831.474_780_720_539, -3_833.349_932_898_409_6),
        ];
        for (t, freedom, log_pdf, log_survival) in known {
            // The logarithms of the gamma function carry 1e-16 of up to 7e3.
            let close = |got: f64, want: f64| (got - want).abs() < 2e-12 * (1.0 + want.abs());
            assert!(close(student_log_pdf(t, freedom), log_pdf), "{t}, {freedom}: {}", student_log_pdf(t, freedom));
            let got = student_log_survival(t, freedom);
            assert!(close(got, log_survival), "{t}, {freedom}: {got}");
        }
    }

    #[test]
    fn the_tail_falls_without_a_step_where_the_formulas_meet() {
        for freedom in [4.0, 60.0, 3000.0] {
            let mut last = 0.0;
            for at in -400..4000 {
                let now = student_log_survival(f64::from(at) / 10.0, freedom);
                assert!(now < last || (at < 0 && now <= last), "{freedom}, {at}: {now} after {last}");
                last = now;
            }
        }
    }
}
