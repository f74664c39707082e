//! Privacy loss distributions: the tightest ε for Poisson-sampled Gaussian releases, still an upper bound.
//!
//! With L the privacy loss of the whole history, δ(ε) = E[max(0, 1 − e^(ε − L))], and the loss of releases after each other is the sum
//! of their losses.
//!
//! 1. Every way a record can take part in the event is listed: disjoint parts are alternatives, or under replace-one pairs of parts.
//! 2. The loss distribution of each release is put on a grid so that δ only grows ("connect the dots").
//! 3. Its Fourier transform is raised to the number of repetitions, the transforms of different releases are multiplied. Before, each
//!    distribution is tilted by e^(θL), with θ such that the sum's mean is near the ε asked for: what the transform wraps around or
//!    rounds off is then small next to δ, however small δ is; bounds on both are added to δ.
//! 4. ε is the largest over all ways and over both directions (the record is in the first or in the second data set).
//!
//! The grid is [`Pld::discretisation`] wide; only where a distribution would need more than 4 million points, it is doubled until it
//! fits, which keeps the bound and makes it looser. The accountant's name then says so. Where all losses are small it is finer.
//!
//! Where a parallel event is repeated or one follows another, the partition must be fixed before the first release
//! ([`Event::parallel`]): only records that cannot be moved by what was released are counted as alternatives.
//!
//! # Privacy
//! None of its own: it reads an [`Event`], no record.
//!
//! # References
//! Koskela, Jälkö, Honkela, arXiv:1906.03049; Doroshenko et al., arXiv:2207.04380 (connect the dots); Zhu, Dong, Wang,
//! arXiv:2106.08567 (dominating pairs); Gopi, Lee, Wutschitz, arXiv:2106.02848.
//!
//! # Example
//! ```
//! use freelunch::privacy::{Accountant, Event, Pld};
//! let training = Event::gaussian(1.0)?.poisson(0.01)?.repeat(10_000);
//! assert_eq!(Pld::new().epsilon(&training, 1e-5)?.to_string(), "ε ≤ 6.188 (δ = 1e-5, add-or-remove-one, PLD)");
//! # Ok::<(), freelunch::Error>(())
//! ```

mod compose;
mod grid;
mod history;
mod pair;
mod plan;
#[cfg(test)]
mod tests;

use super::gaussian::{gaussian_delta, gaussian_epsilon};
use super::{Accountant, Adjacency, Epsilon, Event, Kind, check_delta, trivial};
use crate::{Error, Result};
use compose::Composition;
use history::{Change, History, histories};
use plan::Target;
use serde::{Deserialize, Serialize};

/// Points that one query may transform: about half a minute.
const WORK: f64 = 5e8;
/// How often a window is doubled until ε is in it.
const WIDENINGS: i32 = 10;

/// The accountant by privacy loss distributions.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, Adjacency, Event, Pld};
/// let training = Event::gaussian(2.0)?.poisson(0.1)?.repeat(100);
/// let joined = Pld::new().epsilon(&training, 1e-5)?;
/// let replaced = Pld::new().with_adjacency(Adjacency::ReplaceOne).epsilon(&training, 1e-5)?;
/// assert_eq!(format!("{:.2} {:.2}", joined.value, replaced.value), "2.34 4.37");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pld {
    /// d, the width of the grid of losses, in (0, 0.1]; 1e-4 as in dp_accounting. The error of ε grows with d² and with the steps.
    pub discretisation: f64,
    /// The neighbouring relation.
    pub adjacency: Adjacency,
}

impl Default for Pld {
    fn default() -> Self {
        Self::new()
    }
}

impl Pld {
    /// A grid of 1e-4, add-or-remove-one.
    #[must_use]
    pub fn new() -> Self {
        Self { discretisation: 1e-4, adjacency: Adjacency::AddOrRemoveOne }
    }

    /// Another grid: a coarser one is quicker, a finer one tighter.
    #[must_use]
    pub fn with_discretisation(mut self, discretisation: f64) -> Self {
        self.discretisation = discretisation;
        self
    }

    /// Another neighbouring relation.
    #[must_use]
    pub fn with_adjacency(mut self, adjacency: Adjacency) -> Self {
        self.adjacency = adjacency;
        self
    }

    fn check(&self) -> Result<()> {
        if self.discretisation > 0.0 && self.discretisation <= 0.1 {
            return Ok(());
        }
        Err(Error::config(format!("discretisation is {}", self.discretisation), "expected a width above 0 and at most 0.1, such as 1e-4"))
    }

    /// An upper bound on the smallest δ for which the event is (`epsilon`, δ)-private.
    ///
    /// # Errors
    /// [`Error::Config`] for a negative `epsilon`, for an event that this accountant cannot count, or one that needs too much memory.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, Pld};
    /// let training = Event::gaussian(1.0)?.poisson(0.01)?.repeat(10_000);
    /// let delta = Pld::new().delta(&training, 6.187_745)?;
    /// assert!((delta - 1e-5).abs() < 1e-9);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn delta(&self, event: &Event, epsilon: f64) -> Result<f64> {
        if epsilon.is_nan() || epsilon < 0.0 {
            return Err(Error::config(format!("epsilon is {epsilon}"), "expected a number that is not negative"));
        }
        let mut worst: f64 = 0.0;
        let mut left = WORK;
        for way in self.ways(event)? {
            worst = worst.max(if way.sampled.is_empty() {
                gaussian_delta(way.square.sqrt(), epsilon)
            } else {
                let composed = Composition::new(&way, self.discretisation, Target::Epsilon(epsilon), 1.0, left)?;
                left -= composed.work;
                composed.delta(epsilon)
            });
        }
        Ok(if event.is_non_private() { 1.0 } else { worst.min(1.0) })
    }

    /// [`Pld::delta`] at each of `epsilons`: the curve that δ draws over ε.
    ///
    /// # Errors
    /// As [`Pld::delta`].
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, Pld};
    /// let curve = Pld::new().delta_curve(&Event::gaussian(1.0)?.poisson(0.1)?, &[0.0, 0.5, 1.0])?;
    /// assert!(curve.windows(2).all(|pair| pair[1] < pair[0]));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn delta_curve(&self, event: &Event, epsilons: &[f64]) -> Result<Vec<f64>> {
        epsilons.iter().map(|epsilon| self.delta(event, *epsilon)).collect()
    }

    /// The ε of one way, and the grid it was found on; what it took is taken from `left`.
    fn composed(&self, way: &History, delta: f64, left: &mut f64) -> Result<(f64, f64)> {
        // Where ε is far below what Rényi's divergence let expect, the window is widened.
        for widening in (0..=WIDENINGS).map(|power| 2f64.powi(power)) {
            let composed = Composition::new(way, self.discretisation, Target::Delta(delta), widening, *left)?;
            *left -= composed.work;
            match composed.epsilon(delta) {
                Some(epsilon) if epsilon.is_finite() => return Ok((epsilon, composed.step)),
                Some(_) => {
                    let what = format!("PLD bounds no epsilon of this event at delta {delta:e} on a grid of {:e}", composed.step);
                    return Err(Error::config(what, "use the Rdp accountant, a larger delta or fewer releases"));
                }
                None => {}
            }
        }
        let what = format!("PLD found no epsilon of this event at delta {delta:e} in {WIDENINGS} widenings of its window");
        Err(Error::config(what, "use the Rdp accountant or another delta"))
    }

    fn ways(&self, event: &Event) -> Result<Vec<History>> {
        self.check()?;
        event.check()?;
        if event.is_non_private() {
            return Ok(vec![]);
        }
        // Each way is composed in both directions, so the record that joins is the one that leaves, seen from the other side.
        let ways = histories(event, if self.adjacency == Adjacency::ReplaceOne { Change::Exchanged } else { Change::Leaves })?;
        if ways.is_empty() {
            // No way at all would be an ε of 0.
            return Err(Error::config(format!("PLD found no way to take part in {event}"), "use the Rdp accountant"));
        }
        Ok(ways)
    }
}

impl Accountant for Pld {
    fn name(&self) -> String {
        if self.discretisation == 1e-4 { "PLD".to_string() } else { format!("PLD, grid {:e}", self.discretisation) }
    }

    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon> {
        check_delta(delta)?;
        let mut value = if event.is_non_private() { trivial(event) } else { 0.0 };
        let (mut widest, mut left) = (*self, WORK);
        for way in self.ways(event)? {
            value = value.max(if way.sampled.is_empty() {
                gaussian_epsilon(way.square.sqrt(), delta)
            } else {
                let (found, step) = self.composed(&way, delta, &mut left)?;
                widest.discretisation = widest.discretisation.max(step);
                found
            });
        }
        Ok(Epsilon { value, delta, adjacency: self.adjacency, accountant: widest.name(), kind: Kind::UpperBound })
    }
}
