//! The sum of many privacy losses, by Fourier transforms of tilted distributions.

use super::grid::{Grid, discretise};
use super::history::History;
use super::plan::{Part, Plan, Target};
use crate::Result;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex;

/// Points above the window: the grid's rounding up must not push masses out of it.
const MARGIN: i64 = 64;
/// How long a running product is.
const BLOCK: usize = 64;

/// The distribution of a history's loss, in both directions.
pub(super) struct Composition {
    /// The grid.
    pub(super) step: f64,
    /// What it took: see [`Plan::work`].
    pub(super) work: f64,
    sides: [Sum; 2],
}

/// The loss in one direction: P(loss = l) = mass · e^(log_scale − tilt · l).
struct Sum {
    first: i64,
    step: f64,
    mass: Vec<f64>,
    tilt: f64,
    log_scale: f64,
    /// P's mass at an infinite loss, and above the grid.
    infinite: f64,
    /// What rounding may have taken from the tilted masses together.
    rounding: f64,
}

impl Composition {
    pub(super) fn new(history: &History, step: f64, target: Target, widening: f64, most_work: f64) -> Result<Self> {
        let plan = Plan::new(history, step, target, widening, most_work)?;
        let step = plan.step;
        let mut firsts = [0; 2];
        let mut widest = 0;
        for (first, side) in firsts.iter_mut().zip(&plan.sides) {
            *first = (side.low / step).floor() as i64;
            widest = widest.max((side.high / step).ceil() as i64 - *first + 1);
        }
        let n = quick_length((widest + MARGIN) as usize);
        let mut scales = [0.0; 2];
        let mut infinite = [0.0; 2];
        let mut beyond = [0.0; 2];
        let mut planner = FftPlanner::new();
        let forward = planner.plan_fft_forward(n);
        let mut scratch = vec![Complex::default(); forward.get_inplace_scratch_len()];
        let mut product: Vec<Complex<f64>> = vec![];
        for part in &plan.parts {
            let grid = discretise(&part.pair, step, plan.z);
            // Both directions in one transform: real and imaginary part.
            let mut wave = vec![Complex::default(); n];
            for (i, side) in plan.sides.iter().enumerate() {
                let dual = part.is_dual(i == 1);
                let weighted = tilted(&grid, dual, side.tilt);
                wrapped(&weighted, n, |slot, mass| if i == 0 { wave[slot].re += mass } else { wave[slot].im += mass });
                scales[i] += part.times as f64 * weighted.log_moment;
                let lost = if dual { grid.infinite_dual } else { grid.infinite };
                infinite[i] += part.times as f64 * libm::log1p(-lost);
                beyond[i] += part.times as f64 * log_moment(&grid, dual, side.beyond);
            }
            forward.process_with_scratch(&mut wave, &mut scratch);
            raise(&mut wave, part);
            if product.is_empty() {
                product = wave;
            } else {
                multiply(&mut product, &wave);
            }
        }
        // The inverse transform is the forward one of conjugates: no second plan.
        product.iter_mut().for_each(|z| *z = z.conj());
        forward.process_with_scratch(&mut product, &mut scratch);
        let releases: f64 = plan.parts.iter().map(|part| part.times as f64).sum();
        let sides = [0, 1].map(|i| {
            let side = &plan.sides[i];
            let (before, after) = product.split_at(firsts[i].rem_euclid(n as i64) as usize);
            // Not `max`, which would make 0 of what is not a number.
            let value = |z: &Complex<f64>| {
                let mass = if i == 0 { z.re } else { -z.im } / n as f64;
                if mass < 0.0 { 0.0 } else { mass }
            };
            let mass = after.iter().chain(before).map(value).collect();
            let top = (firsts[i] + n as i64 - 1) as f64 * step;
            let mut above = (scales[i] - side.tilt * top).min(beyond[i] - side.beyond * top);
            if above >= plan.log_delta - 12.0 {
                above = above.min(log_mass_above(&plan, i, top));
            }
            Sum {
                first: firsts[i],
                step,
                mass,
                tilt: side.tilt,
                log_scale: scales[i],
                infinite: -libm::expm1(infinite[i]) + libm::exp(above.min(0.0)),
                rounding: 40.0 * f64::EPSILON * (releases + 64.0),
            }
        });
        Ok(Self { step, work: plan.work, sides })
    }

    /// The larger of both directions.
    pub(super) fn delta(&self, epsilon: f64) -> f64 {
        self.sides[0].delta(epsilon).max(self.sides[1].delta(epsilon))
    }

    /// The larger of both directions; None where the windows show only what it is at most.
    pub(super) fn epsilon(&self, delta: f64) -> Option<f64> {
        let [(a, a_found), (b, b_found)] = [self.sides[0].epsilon(delta), self.sides[1].epsilon(delta)];
        let found = if a >= b { a_found } else { b_found };
        found.then_some(a.max(b))
    }
}

/// Chernoff's bound at smaller tilts than the planned one, which was found without the grid, whose rounding counts where the tilt is
/// large. It is rarely needed, so the grids are made again rather than all kept.
fn log_mass_above(plan: &Plan, side: usize, top: f64) -> f64 {
    let ratio = plan.sides[side].beyond / plan.sides[side].tilt;
    let tilts: Vec<f64> = (1..12).map(|i| plan.sides[side].tilt * ratio.powf(0.5f64.powi(i))).collect();
    let mut bounds: Vec<f64> = tilts.iter().map(|tilt| -tilt * top).collect();
    for part in &plan.parts {
        let grid = discretise(&part.pair, plan.step, plan.z);
        for (bound, tilt) in bounds.iter_mut().zip(&tilts) {
            *bound += part.times as f64 * log_moment(&grid, part.is_dual(side == 1), *tilt);
        }
    }
    bounds.into_iter().fold(f64::INFINITY, f64::min)
}

impl Sum {
    fn loss(&self, i: usize) -> f64 {
        (self.first + i as i64) as f64 * self.step
    }

    fn delta(&self, epsilon: f64) -> f64 {
        let mut sum = self.rounding;
        for (i, mass) in self.mass.iter().enumerate() {
            let above = self.loss(i) - epsilon;
            if above > 0.0 {
                sum -= mass * libm::expm1(-above) * libm::exp(-self.tilt * above);
            }
        }
        (self.infinite + sum * libm::exp((self.log_scale - self.tilt * epsilon).min(700.0))).min(1.0)
    }

    /// ε and true, or the end of the window below which ε lies and false. From the top down, δ(ε) = A − e^ε B with A and B the masses
    /// above ε under P and Q, until δ is reached.
    fn epsilon(&self, delta: f64) -> (f64, bool) {
        let nothing = (f64::INFINITY, true);
        // A and e^l B are e^(log_scale − θl) times p and q: relative to the current loss nothing overflows, and δ is met in logarithms.
        let log_target = |loss: f64| (delta - self.infinite).ln() - self.log_scale + self.tilt * loss;
        let rounding = self.rounding * libm::exp(self.tilt * self.step);
        let log_most = (self.mass.iter().sum::<f64>() + rounding).ln();
        let ends = [self.loss(0), self.loss(self.mass.len() - 1)].map(log_target);
        if !(self.infinite < delta && log_most.is_finite() && ends[0].is_finite() && ends[1].is_finite()) {
            return nothing;
        }
        let (down, down_q, shrink) = (libm::exp(-self.tilt * self.step), libm::exp(-(1.0 + self.tilt) * self.step), libm::exp(-self.step));
        let (mut p, mut q) = (0.0, 0.0);
        for (i, mass) in self.mass.iter().enumerate().rev() {
            let loss = self.loss(i);
            if loss <= 0.0 {
                break;
            }
            p = p * down + mass;
            q = q * down_q + mass;
            let log_target = log_target(loss);
            // No logarithm where even all masses together are not enough.
            if log_target > log_most {
                continue;
            }
            if (p + rounding - q * shrink).ln() > log_target {
                let inside = loss + ((p + rounding - libm::exp(log_target)) / q).max(f64::MIN_POSITIVE).ln();
                return if inside.is_nan() { nothing } else { (inside.clamp((loss - self.step).max(0.0), loss), true) };
            }
        }
        (self.loss(0).max(0.0), self.loss(0) <= 0.0)
    }
}

/// The masses of a grid times e^(tL − ln E[e^(tL)]).
struct Tilted {
    /// The index of the first one; the others follow in rising order.
    first: i64,
    mass: Vec<f64>,
    log_moment: f64,
}

fn tilted(grid: &Grid, dual: bool, tilt: f64) -> Tilted {
    let slope = if dual { -1.0 - tilt } else { tilt };
    let log_moment = log_moment(grid, dual, tilt);
    let mut mass = Vec::with_capacity(grid.mass.len());
    weigh(grid, slope, log_moment, |weighted| mass.push(weighted));
    let mut first = grid.first;
    if dual {
        mass.reverse();
        first = -(grid.first + mass.len() as i64 - 1);
    }
    Tilted { first, mass, log_moment }
}

/// ln E[e^(tL)].
fn log_moment(grid: &Grid, dual: bool, tilt: f64) -> f64 {
    let slope = if dual { -1.0 - tilt } else { tilt };
    let mut shift = f64::NEG_INFINITY;
    for (i, mass) in grid.mass.iter().enumerate().step_by(BLOCK) {
        if *mass > 0.0 {
            shift = shift.max(mass.ln() + slope * grid.loss(i));
        }
    }
    if shift == f64::NEG_INFINITY {
        // Only zeros among those looked at: look at all.
        shift = grid.mass.iter().enumerate().map(|(i, mass)| mass.ln() + slope * grid.loss(i)).fold(shift, f64::max);
    }
    let mut sum = 0.0;
    weigh(grid, slope, shift, |weighted| sum += weighted);
    shift + sum.ln()
}

/// Gives mass · e^(slope · loss − shift), by running products that start anew before their rounding grows.
fn weigh(grid: &Grid, slope: f64, shift: f64, mut put: impl FnMut(f64)) {
    let factor = libm::exp(slope * grid.step);
    for (block, masses) in grid.mass.chunks(BLOCK).enumerate() {
        let exponent = |i: usize| slope * grid.loss(block * BLOCK + i) - shift;
        if exponent(0).max(exponent(masses.len() - 1)) > 700.0 {
            // The weight alone would overflow where the mass is next to the smallest number there is.
            (0..).zip(masses).for_each(|(i, mass)| put(if *mass == 0.0 { 0.0 } else { libm::exp(mass.ln() + exponent(i)) }));
            continue;
        }
        let mut weight = libm::exp(exponent(0));
        for mass in masses {
            put(if *mass == 0.0 { 0.0 } else { mass * weight });
            weight *= factor;
        }
    }
}

/// Gives each mass to its place modulo `n`.
fn wrapped(weighted: &Tilted, n: usize, mut put: impl FnMut(usize, f64)) {
    let mut slot = weighted.first.rem_euclid(n as i64) as usize;
    for mass in &weighted.mass {
        put(slot, *mass);
        slot += 1;
        if slot == n {
            slot = 0;
        }
    }
}

/// Both halves of the transform `wave` of a + ib to the power of the part's repetitions: a^t + i b^t.
fn raise(wave: &mut [Complex<f64>], part: &Part) {
    if part.times > 1 {
        in_halves(wave, |a, b, _, _| (power(a, part.times), power(b, part.times)), &[]);
    }
}

fn multiply(product: &mut [Complex<f64>], wave: &[Complex<f64>]) {
    in_halves(product, |a, b, c, d| (a * c, b * d), wave);
}

/// Applies `f` to the transforms of the real and of the imaginary part, and those of `other` (or 0).
fn in_halves(
    wave: &mut [Complex<f64>],
    f: impl Fn(Complex<f64>, Complex<f64>, Complex<f64>, Complex<f64>) -> (Complex<f64>, Complex<f64>),
    other: &[Complex<f64>],
) {
    let n = wave.len();
    let i = Complex::i();
    let halves = |up: Complex<f64>, down: Complex<f64>| ((up + down.conj()) * 0.5, (up - down.conj()) * -0.5 * i);
    for k in 0..=n / 2 {
        let mirror = (n - k) % n;
        let (a, b) = halves(wave[k], wave[mirror]);
        let (c, d) = if other.is_empty() { Default::default() } else { halves(other[k], other[mirror]) };
        let (a, b) = f(a, b, c, d);
        wave[k] = a + i * b;
        wave[mirror] = a.conj() + i * b.conj();
    }
}

/// z^times; what is below 1e-40 is 0.
fn power(z: Complex<f64>, times: u64) -> Complex<f64> {
    if times as f64 * z.norm_sqr().ln() < -184.0 {
        return Complex::default();
    }
    let (mut base, mut left, mut result) = (z, times, Complex::new(1.0, 0.0));
    while left > 0 {
        if left & 1 == 1 {
            result *= base;
        }
        base *= base;
        left >>= 1;
    }
    result
}

/// A length from `n` on that transforms quickly: 2^k times 1, 3, 5 or 9.
fn quick_length(n: usize) -> usize {
    let fits = |odd: usize| (0..40).map(|k| odd << k).find(|length| *length >= n);
    [1, 3, 5, 9].into_iter().filter_map(fits).min().unwrap_or(n)
}

#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) enum Spoil {
    Mass,
    Scale,
    Infinite,
}

#[cfg(test)]
impl Composition {
    pub(super) fn rounding(&self) -> f64 {
        self.sides[0].rounding
    }

    pub(super) fn spoil(&mut self, what: Spoil) {
        match what {
            Spoil::Mass => self.sides[0].mass.iter_mut().for_each(|mass| *mass = f64::NAN),
            Spoil::Scale => self.sides[0].log_scale = f64::INFINITY,
            Spoil::Infinite => self.sides[0].infinite = f64::NAN,
        }
    }
}
