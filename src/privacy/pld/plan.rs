//! How to compose a history: the tilt of each direction, the range of losses to look at, and the grid that fits into memory.

use super::history::{Change, History};
use super::pair::{Moments, Pair};
use crate::stats::normal_log_cdf;
use crate::{Error, Result};

/// A grid of this many points is not exceeded.
const POINTS: f64 = 4_194_304.0;
/// What may be added to δ on purpose, by each of several causes: a share of e^-15.
const LOG_SHARE: f64 = -15.0;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// The ε of this δ.
    Delta(f64),
    /// The δ of this ε.
    Epsilon(f64),
}

/// One kind of release in a composition.
pub(super) struct Part {
    pub(super) pair: Pair,
    pub(super) times: u64,
    /// In the first direction, the pair has its roles exchanged.
    pub(super) swapped: bool,
    moments: Moments,
}

/// The window of one direction.
pub(super) struct Side {
    /// θ.
    pub(super) tilt: f64,
    /// Smallest and largest loss to look at.
    pub(super) low: f64,
    pub(super) high: f64,
    /// The tilt at which the mass above the window is bounded.
    pub(super) beyond: f64,
}

pub(super) struct Plan {
    pub(super) parts: Vec<Part>,
    pub(super) sides: [Side; 2],
    /// Per release, at most Φ(−z) is rounded up to an infinite loss.
    pub(super) z: f64,
    /// The grid.
    pub(super) step: f64,
    /// ln δ, about.
    pub(super) log_delta: f64,
    /// Points to transform, over all parts.
    pub(super) work: f64,
}

impl Part {
    /// ln of the mean of e^(tL) in the first direction, or with the roles exchanged.
    fn log_moment(&self, t: f64, mirrored: bool) -> f64 {
        self.times as f64 * self.moments.log(if self.is_dual(mirrored) { -1.0 - t } else { t })
    }

    /// Whether the losses are those of the pair with its roles exchanged.
    pub(super) fn is_dual(&self, mirrored: bool) -> bool {
        self.swapped != mirrored && !self.pair.is_symmetric()
    }
}

impl Plan {
    pub(super) fn new(history: &History, step: f64, target: Target, widening: f64, most_work: f64) -> Result<Self> {
        let mut parts = parts(history, 38.0);
        let log_moment = |parts: &[Part], t: f64, mirrored: bool| parts.iter().map(|part| part.log_moment(t, mirrored)).sum::<f64>();
        let times: f64 = parts.iter().map(|part| part.times as f64).sum();
        let log_delta = match target {
            Target::Delta(delta) => delta.ln(),
            // Chernoff's bound may be far above δ, hence the margin.
            Target::Epsilon(epsilon) => {
                let bound = |mirrored| {
                    let chernoff = |t: f64| log_moment(&parts, t, mirrored) - t * epsilon + log_entropy(t);
                    chernoff(smallest(0.01, 1e6, chernoff))
                };
                bound(false).max(bound(true)).clamp(-700.0, 0.0) - 7.0
            }
        };
        // A small share of δ may be rounded up to infinity.
        let z = quantile(log_delta + LOG_SHARE - times.ln());
        parts.iter_mut().for_each(|part| part.moments = part.pair.moments(z));
        let sides = [false, true].map(|mirrored| {
            let moment = |t: f64| log_moment(&parts, t, mirrored);
            let conversion = |t: f64| (moment(t) - log_delta + log_entropy(t)) / t;
            let (best, near) = match target {
                Target::Delta(_) => {
                    let best = smallest(0.01, 1e6, conversion);
                    (best, 0.5 * (conversion(best) + moment(best) / best))
                }
                Target::Epsilon(epsilon) => (smallest(0.01, 1e6, |t| moment(t) - t * epsilon + log_entropy(t)), epsilon),
            };
            // The loss is above this with a small share of δ, by Chernoff's bound at the tilt `beyond`.
            let above = |t: f64| (moment(t) - log_delta - LOG_SHARE) / t;
            let beyond = smallest(0.1 * best, 1e4 * best, above);
            let high = above(beyond);
            // Less tilt than the best shortens the upper tail, and with it the window.
            let mut side = Side { tilt: best, low: f64::NEG_INFINITY, high, beyond };
            for share in [1.0, 0.85, 0.7, 0.55, 0.4] {
                let tilt = share * best;
                let here = moment(tilt);
                // No ε of interest is below this: of the order 1 + θ, the Rényi divergence.
                let base = match target {
                    Target::Delta(_) => (here / tilt).max(0.0),
                    Target::Epsilon(epsilon) => epsilon,
                };
                // What is wrapped around from below comes back with a weight of e^(−θ · width), what is wrapped around from above is
                // a small share of the tilted distribution, which is e^(ln E[e^(θL)] − θε) times as much of δ. Both only add to δ.
                let log_excess = LOG_SHARE + (log_delta - here + tilt * near).min(0.0);
                let excess = |s: f64| (moment(tilt + s) - here - log_excess) / s;
                let tilted_high = excess(smallest(1e-2 * tilt, 1e3 * tilt, excess));
                let width = (high.max(tilted_high) - base).max((-LOG_SHARE - log_delta) / tilt) * widening;
                if high - width > side.low {
                    side = Side { tilt, low: high - width, high, beyond };
                }
            }
            side
        });
        let window = sides.iter().map(|side| side.high - side.low).fold(0.0, f64::max);
        // Where all losses are small, cells of the width asked for would blur them.
        let step = step.min(window / 2000.0);
        let widest = parts
            .iter()
            .map(|part| {
                let (low, high) = part.pair.ends(z);
                part.pair.loss(high) - part.pair.loss(low)
            })
            .fold(window, f64::max);
        let step = (0..60).map(|power| step * 2f64.powi(power)).find(|step| widest <= POINTS * step).unwrap_or(f64::INFINITY);
        if step > 0.1 {
            return Err(Error::config(
                format!("the losses of this event spread over {}", crate::display::number::significant(widest, 3)),
                "no ε of use comes out of that by PLD; expected more noise, or use the Rdp accountant",
            ));
        }
        let work = window / step * parts.len() as f64;
        if work > most_work {
            return Err(Error::config(
                format!("PLD would transform more than {most_work:e} points for this event at delta {:e}", libm::exp(log_delta)),
                "use the Rdp accountant, a coarser discretisation or fewer kinds of releases",
            ));
        }
        Ok(Self { parts, sides, z, step, log_delta, work })
    }
}

fn parts(history: &History, z: f64) -> Vec<Part> {
    let mut parts = vec![];
    let mut push = |pair: Pair, times: u64, swapped: bool| parts.push(Part { pair, times, swapped, moments: pair.moments(z) });
    if history.square > 0.0 {
        push(Pair { sigma: 1.0 / history.square.sqrt(), rate: 1.0, exchanged: false }, 1, false);
    }
    for release in &history.sampled {
        let pair = Pair { sigma: release.sigma, rate: release.rate, exchanged: release.change == Change::Exchanged };
        push(pair, release.times, release.change == Change::Joins);
    }
    parts
}

/// What the conversion from moments to δ gains over Chernoff's bound: ln of the largest value of (1 − e^-u) e^(−tu), u > 0.
fn log_entropy(t: f64) -> f64 {
    t * t.ln() - (1.0 + t) * libm::log1p(t)
}

/// Where f is about the smallest between `low` and `high`: a scan in even ratios, then golden sections.
fn smallest(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut best, mut value, mut at) = (low, f64::INFINITY, low);
    while at <= high {
        let found = f(at);
        if found < value {
            (best, value) = (at, found);
        }
        at *= 1.7;
    }
    let (mut a, mut b) = ((best / 1.7).ln(), (best * 1.7).ln());
    for _ in 0..8 {
        let (c, d) = (a + 0.382 * (b - a), a + 0.618 * (b - a));
        if f(c.exp()) < f(d.exp()) { b = d } else { a = c }
    }
    (0.5 * (a + b)).exp()
}

/// z with ln Φ(−z) ≤ `log_mass`, between 1 and 38.
fn quantile(log_mass: f64) -> f64 {
    let (mut low, mut high) = (1.0, 38.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if normal_log_cdf(-middle) > log_mass { low = middle } else { high = middle }
    }
    high
}
