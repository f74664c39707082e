//! A privacy loss distribution on a grid, rounded so that it never looks more private than it is.
//!
//! Each cell [l, l + d] of losses has some mass under P and some under Q; both are kept by moving them to the two ends
//! ("connect the dots"): an outcome of loss L counts (1 − e^(l − L)) / (1 − e^-d) at the upper end and the rest at the lower one. The
//! pair on the grid is at least as far apart as the true one for every ε, with an error of order d².

use super::pair::Pair;

/// Gauss-Legendre nodes on [0, 1] with their weights.
const GAUSS: [(f64, f64); 6] = [
    (0.033_765_242_898_423_99, 0.085_662_246_189_585_17),
    (0.169_395_306_766_867_74, 0.180_380_786_524_069_3),
    (0.380_690_406_958_401_55, 0.233_956_967_286_345_52),
    (0.619_309_593_041_598_4, 0.233_956_967_286_345_52),
    (0.830_604_693_233_132_3, 0.180_380_786_524_069_3),
    (0.966_234_757_101_576, 0.085_662_246_189_585_17),
];

/// P's mass at the losses (`first` + i) · `step`.
pub(super) struct Grid {
    pub(super) step: f64,
    pub(super) first: i64,
    pub(super) mass: Vec<f64>,
    /// P's mass at an infinite loss.
    pub(super) infinite: f64,
    /// Q's mass at a loss of −∞.
    pub(super) infinite_dual: f64,
}

impl Grid {
    /// The loss of entry `i`.
    pub(super) fn loss(&self, i: usize) -> f64 {
        (self.first + i as i64) as f64 * self.step
    }
}

/// The grid of one release, where at most Φ(−z) is rounded up to an infinite loss.
pub(super) fn discretise(pair: &Pair, step: f64, z: f64) -> Grid {
    let (low, high) = pair.ends(z);
    let first = (pair.loss(low) / step).floor() as i64;
    let last = ((pair.loss(high) / step).ceil() as i64).max(first + 2);
    let mut mass = vec![0.0; (last - first + 1) as usize];
    let cells = mass.len() - 1;
    let loss = |i: usize| (first + i as i64) as f64 * step;
    // The loss hardly depends on x next to its smallest value or, for an exchange, next to 0: the cells there are wide in x and are
    // integrated over it. In the others the density of the loss is smooth enough for a cubic.
    let smooth = |i: usize| pair.position(loss(i)).1 * step < 4e-3 * pair.sigma.min(pair.sigma * pair.sigma);
    let centre = if pair.exchanged { (-first) as usize } else { 0 };
    let (mut below, mut above) = (centre, centre);
    while below > 1 && !smooth(below) {
        below -= 1;
    }
    while above < cells && !smooth(above) {
        above += 1;
    }
    let below = below.saturating_sub(1).max(1);
    let above = (above + 1).min(cells - 1);
    for (from, to) in [(0, 1), (below, above), (cells - 1, cells)] {
        let mut edge = if from == 0 { low } else { pair.position(loss(from)).0.max(low) };
        for i in from..to {
            let next = if i + 1 == cells { high } else { pair.position(loss(i + 1)).0.clamp(edge, high) };
            let (lower, upper) = by_position(pair, edge, next, loss(i), step);
            mass[i] += lower;
            mass[i + 1] += upper;
            edge = next;
        }
    }
    by_loss(pair, 1, below, loss, step, &mut mass);
    by_loss(pair, above, cells - 1, loss, step, &mut mass);
    // What lies outside: P's low losses are rounded up by less than a cell and its high ones to infinity; for the pair with its roles
    // exchanged Q's low losses are the high ones, and as much of P as is added at the top covers Q's high ones.
    let [p_low, q_low, p_high] = pair.outside(low, high);
    mass[1] += p_low;
    mass[cells - 1] += p_high;
    Grid { step, first, mass, infinite: p_high, infinite_dual: q_low }
}

/// The masses at both ends of a cell of losses from `loss`, whose outcomes are those from `from` to `to`.
fn by_position(pair: &Pair, from: f64, to: f64, loss: f64, step: f64) -> (f64, f64) {
    let width = to - from;
    let panels = (width / (0.5 * pair.sigma.min(pair.sigma * pair.sigma))).ceil().clamp(1.0, 10_000.0);
    let (mut lower, mut upper) = (0.0, 0.0);
    for panel in 0..panels as usize {
        for (node, weight) in GAUSS {
            let x = from + width * (panel as f64 + node) / panels;
            let share = libm::expm1((loss - pair.loss(x)).clamp(-step, 0.0)) / libm::expm1(-step);
            let p = libm::exp(pair.log_density(x)) * weight * width / panels;
            upper += p * share;
            lower += p * (1.0 - share);
        }
    }
    (lower, upper)
}

/// Cells `from`..`to`, with the density of the loss as a cubic through four grid points around each.
fn by_loss(pair: &Pair, from: usize, to: usize, loss: impl Fn(usize) -> f64, step: f64, mass: &mut [f64]) {
    if from >= to {
        return;
    }
    let density = pair.loss_densities(loss(from - 1), step, to + 3 - from);
    let mut weights = [(0.0, 0.0); 4];
    for (node, weight) in GAUSS {
        let share = libm::expm1(-node * step) / libm::expm1(-step);
        let u = node;
        let cubic = [
            -u * (u - 1.0) * (u - 2.0) / 6.0,
            (u + 1.0) * (u - 1.0) * (u - 2.0) / 2.0,
            -(u + 1.0) * u * (u - 2.0) / 2.0,
            (u + 1.0) * u * (u - 1.0) / 6.0,
        ];
        for (sum, value) in weights.iter_mut().zip(cubic) {
            sum.0 += step * weight * value * (1.0 - share);
            sum.1 += step * weight * value * share;
        }
    }
    for (i, around) in (from..to).zip(density.windows(4)) {
        let (mut lower, mut upper) = (0.0, 0.0);
        for (value, weight) in around.iter().zip(&weights) {
            lower += value * weight.0;
            upper += value * weight.1;
        }
        mass[i] += if lower < 0.0 { 0.0 } else { lower };
        mass[i + 1] += if upper < 0.0 { 0.0 } else { upper };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::normal_cdf;

    fn grids() -> Vec<(Pair, Grid)> {
        let mut all = vec![];
        for exchanged in [false, true] {
            for (sigma, rate) in [(1.0, 0.01), (0.5, 0.2), (3.0, 0.05), (1.0, 1e-3), (20.0, 0.3)] {
                let pair = Pair { sigma, rate, exchanged };
                all.push((pair, discretise(&pair, 1e-3, 8.0)));
            }
        }
        all
    }

    #[test]
    fn both_distributions_keep_their_mass() {
        for (pair, grid) in grids() {
            let p: f64 = grid.mass.iter().sum();
            let q: f64 = (grid.first..).zip(&grid.mass).map(|(i, mass)| mass * libm::exp(-(i as f64) * grid.step)).sum();
            // On this coarse grid the rules for the cells are exact to about 1e-9; 1e-15 is rounded up outside.
            assert!((p - 1.0).abs() < 1e-8 && (q - 1.0).abs() < 1e-8, "{pair:?} {p} {q}");
        }
    }

    #[test]
    fn the_grid_bounds_the_closed_form_of_delta_from_above_and_closely() {
        for (pair, grid) in grids().into_iter().filter(|(pair, _)| !pair.exchanged) {
            for epsilon in [0.0, 0.003_7, 0.1, 1.0] {
                // δ = P(x > t) − e^ε Q(x > t) with L(t) = ε.
                let t = pair.position(epsilon).0;
                let tail = |mean: f64| normal_cdf((mean - t) / pair.sigma);
                let exact = (1.0 - pair.rate) * tail(0.0) + pair.rate * tail(1.0) - epsilon.exp() * tail(0.0);
                let loss = |i: i64| i as f64 * grid.step;
                let above = (grid.first..).zip(&grid.mass).filter(|(i, _)| loss(*i) > epsilon);
                let found: f64 = above.map(|(i, mass)| -libm::expm1(epsilon - loss(i)) * mass).sum::<f64>() + grid.infinite;
                // Between grid points δ is interpolated: d²/8 times its second derivative, at most the density of the loss.
                assert!(found > exact - 1e-10 && found < exact + 2e-5, "{pair:?} {epsilon}: {found} for {exact}");
            }
        }
    }
}
