//! L-BFGS: a minimum of a smooth function from its values and gradients, in 64 bits.
//!
//! Each step goes along −H g, with H the inverse Hessian as the last few steps suggest it (two loops), and is as long as the weak Wolfe
//! conditions ask: f falls by at least 1e-4 of what the slope promises, and the slope has risen to at least 0.9 of its first value. The
//! length is found by doubling and halving.
//!
//! # References
//! Liu and Nocedal, *Mathematical Programming* 45 (1989); the line search: Lewis and Overton, *Mathematical Programming* 141 (2013).

use crate::Result;
use std::collections::VecDeque;

/// Steps that H remembers, as in the reference code of deep leakage.
const MEMORY: usize = 100;
/// Lengths that one line search tries at most.
const TRIALS: usize = 25;

/// A point with its value and gradient.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) x: Vec<f64>,
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
}

/// One step that was made: s and y, with 1 / ⟨s, y⟩.
struct Past {
    moved: Vec<f64>,
    turned: Vec<f64>,
    rho: f64,
}

/// At most `iterations` steps from `start`. `after` every one is told its number and the value, and says whether to go on. Ends early
/// where no length of step makes the function fall.
pub(super) fn minimise(
    start: Vec<f64>,
    iterations: usize,
    mut function: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
    mut after: impl FnMut(usize, f64) -> bool,
) -> Result<Point> {
    let (value, gradient) = function(&start)?;
    let mut point = Point { x: start, value, gradient };
    let mut past: VecDeque<Past> = VecDeque::new();
    for step in 1..=iterations {
        let mut direction = direction(&point.gradient, &past);
        if dot(&direction, &point.gradient) >= 0.0 {
            // Rounding has spoiled the memory: begin again with the steepest descent.
            past.clear();
            direction = point.gradient.iter().map(|g| -g).collect();
        }
        // Without a memory the scale is unknown: the first trial moves by a length of at most 1.
        let first = if past.is_empty() { 1.0 / dot(&direction, &direction).sqrt().max(1.0) } else { 1.0 };
        let Some(next) = search(&point, &direction, first, &mut function)? else {
            if past.is_empty() {
                break;
            }
            past.clear();
            continue;
        };
        let moved: Vec<f64> = next.x.iter().zip(&point.x).map(|(a, b)| a - b).collect();
        let turned: Vec<f64> = next.gradient.iter().zip(&point.gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &turned);
        if curvature > 1e-10 * dot(&turned, &turned).sqrt() * dot(&moved, &moved).sqrt() {
            past.push_back(Past { moved, turned, rho: 1.0 / curvature });
            if past.len() > MEMORY {
                past.pop_front();
            }
        }
        point = next;
        if !after(step, point.value) || point.value == 0.0 {
            break;
        }
    }
    Ok(point)
}

/// −H g.
fn direction(gradient: &[f64], past: &VecDeque<Past>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut shares = vec![];
    for Past { moved, turned, rho } in past.iter().rev() {
        let share = rho * dot(moved, &q);
        q.iter_mut().zip(turned).for_each(|(q, y)| *q -= share * y);
        shares.push(share);
    }
    if let Some(last) = past.back() {
        let scale = 1.0 / (last.rho * dot(&last.turned, &last.turned));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (Past { moved, turned, rho }, share) in past.iter().zip(shares.iter().rev()) {
        let back = rho * dot(turned, &q);
        q.iter_mut().zip(moved).for_each(|(q, s)| *q += (share - back) * s);
    }
    q
}

/// A point along `direction` that meets the weak Wolfe conditions, or the lowest one tried; none when none is lower.
fn search(
    from: &Point,
    direction: &[f64],
    first: f64,
    function: &mut impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
) -> Result<Option<Point>> {
    let slope = dot(&from.gradient, direction);
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, first);
    let mut best: Option<Point> = None;
    for _ in 0..TRIALS {
        let x: Vec<f64> = from.x.iter().zip(direction).map(|(x, d)| x + length * d).collect();
        let (value, gradient) = function(&x)?;
        let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        let falls = finite && value <= from.value + 1e-4 * length * slope;
        let flat = finite && dot(&gradient, direction) >= 0.9 * slope;
        if finite && value < best.as_ref().map_or(from.value, |best| best.value) {
            best = Some(Point { x, value, gradient });
        }
        match (falls, flat) {
            (true, true) => break,
            (true, false) => low = length,
            (false, _) => high = length,
        }
        length = if high.is_finite() { f64::midpoint(low, high) } else { 2.0 * length };
    }
    Ok(best)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minimum_of_rosenbrock_is_found_at_one_one() {
        let function = |p: &[f64]| {
            let (x, y) = (p[0], p[1]);
            let bend = y - x * x;
            Ok(((1.0 - x).powi(2) + 100.0 * bend * bend, vec![2.0 * (x - 1.0) - 400.0 * x * bend, 200.0 * bend]))
        };
        let mut steps = 0;
        let found = minimise(vec![-1.2, 1.0], 60, function, |step, value| {
            steps = step;
            value > 1e-20
        });
        let found = found.unwrap();
        // L-BFGS codes need 35 to 45 steps from this start; the value 1e-20 is within 1e-9 of the place.
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-8) && steps < 60, "{found:?} after {steps}");
    }

    #[test]
    fn a_quadratic_of_five_scales_needs_few_steps_and_falls_all_the_time() {
        let scales: [f64; 5] = [1.0, 10.0, 100.0, 1e3, 1e4];
        let function = |x: &[f64]| {
            let value = x.iter().zip(scales).map(|(x, s)| 0.5 * s * (x - s.sqrt()).powi(2)).sum();
            Ok((value, x.iter().zip(scales).map(|(x, s)| s * (x - s.sqrt())).collect()))
        };
        let mut values = vec![];
        let found = minimise(vec![0.0; 5], 50, function, |_, value| {
            values.push(value);
            value > 1e-16
        });
        let found = found.unwrap();
        assert!(values.windows(2).all(|pair| pair[1] < pair[0]) && values.len() < 50, "{values:?}");
        for (x, s) in found.x.iter().zip(scales) {
            assert!((x - s.sqrt()).abs() < 1e-6, "{x} is not the root of {s}");
        }
    }

    #[test]
    fn a_wall_of_nan_is_walked_around() {
        // log x has no value below 0, which a first step from 0.1 would reach.
        let function = |x: &[f64]| Ok((x[0] - x[0].ln(), vec![1.0 - 1.0 / x[0]]));
        let found = minimise(vec![50.0], 100, function, |_, _| true).unwrap();
        assert!((found.x[0] - 1.0).abs() < 1e-6, "{found:?}");
    }
}
