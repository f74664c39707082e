//! Differential privacy that can be checked: what a computation released ([`Event`]), and which ε follows from it ([`Accountant`]).
//!
//! A mechanism builds its own event from the noisy releases that really happened; an accountant turns the event into an upper bound
//! on ε for a δ and a stated neighbouring relation ([`Adjacency`]). Nothing else in this library may be called private.

pub mod dp_sgd;
pub mod event;
pub(crate) mod mixing;
pub mod randomness;

pub use dp_sgd::DpSgd;
pub use event::Event;
pub use randomness::Randomness;

pub(crate) use dp_sgd::Mechanism;

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which pairs of data sets must be hard to tell apart.
///
/// # Example
/// ```
/// use freelunch::privacy::Adjacency;
/// assert_eq!(Adjacency::AddOrRemoveOne.to_string(), "add-or-remove-one");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Adjacency {
    /// They differ in the presence of one record: what DP-SGD is usually stated for.
    AddOrRemoveOne,
    /// They have the same size and differ in the content of one record: about twice as expensive.
    ReplaceOne,
}

impl fmt::Display for Adjacency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddOrRemoveOne => "add-or-remove-one",
            Self::ReplaceOne => "replace-one",
        })
    }
}

/// How far an ε can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Proven: the true ε is at most this.
    UpperBound,
    /// Equal to the true ε up to rounding.
    Exact,
    /// Neither an upper nor a lower bound.
    Approximation,
}

/// An ε with everything that gives it a meaning.
///
/// # Example
/// ```
/// use freelunch::privacy::{Adjacency, Epsilon, Kind};
/// let e = Epsilon { value: 2.5, delta: 1e-5, adjacency: Adjacency::AddOrRemoveOne, accountant: "RDP".into(), kind: Kind::UpperBound };
/// assert_eq!(e.to_string(), "ε ≤ 2.5 (δ = 1e-5, add-or-remove-one, RDP)");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Epsilon {
    /// ε ≥ 0; infinite when nothing can be promised.
    pub value: f64,
    /// δ in (0, 1).
    pub delta: f64,
    /// The neighbouring relation.
    pub adjacency: Adjacency,
    /// The accountant's name.
    pub accountant: String,
    /// What sort of statement this is.
    pub kind: Kind,
}

impl fmt::Display for Epsilon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.kind {
            Kind::UpperBound => "≤",
            Kind::Exact => "=",
            Kind::Approximation => "≈",
        };
        let value = crate::display::number::significant(self.value, 4);
        write!(f, "ε {sign} {value} (δ = {:e}, {}, {})", self.delta, self.adjacency, self.accountant)
    }
}

/// Turns an event into an ε.
pub trait Accountant: fmt::Debug + Send + Sync {
    /// The accountant's name, as papers write it.
    fn name(&self) -> String;

    /// The neighbouring relation its values are for.
    fn adjacency(&self) -> Adjacency;

    /// The smallest ε this accountant can state for `event` and δ.
    ///
    /// # Errors
    /// [`Error::Config`] when δ is outside (0, 1), or for an event this accountant cannot count.
    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon>;
}

/// The ε of histories that need no accountant: 0 or ∞.
pub(crate) fn trivial(event: &Event) -> f64 {
    if *event == Event::NoOp { 0.0 } else { f64::INFINITY }
}

/// δ must leave something to promise.
pub(crate) fn check_delta(delta: f64) -> Result<()> {
    if delta > 0.0 && delta < 1.0 {
        return Ok(());
    }
    Err(Error::config(format!("delta is {delta}"), "expected a number above 0 and below 1, usually well below 1 / records"))
}
