//! Differential privacy that can be checked: what a computation released ([`Event`]), and which ε follows from it ([`Accountant`]).
//!
//! A mechanism builds its own event from the noisy releases that really happened; an accountant turns the event into an upper bound
//! on ε for a δ and a stated neighbouring relation ([`Adjacency`]). Nothing else in this library may be called private.

pub mod calibrate;
pub mod central_limit;
#[cfg(test)]
mod contract;
pub mod curve;
pub mod dp_sgd;
pub mod event;
mod flat;
pub mod gaussian;
#[cfg(test)]
mod golden;
pub mod ledger;
pub(crate) mod mixing;
pub mod museum;
pub mod noisy;
#[cfg(test)]
mod pitfalls;
pub mod pld;
pub mod randomness;
pub mod rdp;
pub mod recommended;
pub mod utility;

pub use calibrate::Calibrate;
pub use central_limit::CentralLimit;
pub use curve::EpsilonCurve;
pub use dp_sgd::DpSgd;
pub use event::Event;
pub use gaussian::ExactGaussian;
pub use ledger::Ledger;
pub use noisy::Noisy;
pub use pld::Pld;
pub use randomness::Randomness;
pub use rdp::{Conversion, Rdp};
pub use recommended::{AccountantKind, Recommended};
pub use utility::PrivacyUtility;

pub(crate) use dp_sgd::Mechanism;
pub(crate) use ledger::{Reserved, guard};

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

/// ε of an event at δ = 1e-5 as a short text, for captions.
pub(crate) fn stated(event: &Event) -> String {
    let number = |value: f64| crate::display::number::significant(value, 4);
    match event.epsilon(DELTA) {
        Ok(epsilon) if epsilon.value == 0.0 || epsilon.value.is_infinite() => format!("ε = {}", number(epsilon.value)),
        Ok(epsilon) => epsilon.to_string(),
        Err(error) => format!("ε unknown: {error}"),
    }
}

/// Where a display needs a δ and none was asked for: the usual choice for some ten thousand records.
pub(crate) const DELTA: f64 = 1e-5;

/// Of the events of two runs the one that costs more.
pub(crate) fn worse(a: Event, b: Event) -> Result<Event> {
    if a == b || b == Event::NoOp {
        return Ok(a);
    }
    Ok(if a.epsilon(DELTA)?.value >= b.epsilon(DELTA)?.value { a } else { b })
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

impl Event {
    /// ε for add-or-remove-one by the recommended accountant: the exact one where the event has no sampled release, else by privacy
    /// loss distributions, else by Rényi divergences. The value names which.
    ///
    /// # Errors
    /// [`Error::Config`] when δ is outside (0, 1), or for an event that none of them can count.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::Event;
    /// let training = Event::gaussian(1.0)?.poisson(0.05)?.repeat(400);
    /// assert_eq!(training.epsilon(1e-3)?.to_string(), "ε ≤ 4.664 (δ = 1e-3, add-or-remove-one, PLD)");
    /// assert_eq!(Event::NoOp.epsilon(1e-3)?.value, 0.0);
    /// assert_eq!(Event::NonPrivate.epsilon(1e-3)?.value, f64::INFINITY);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn epsilon(&self, delta: f64) -> Result<Epsilon> {
        Recommended::new().epsilon(self, delta)
    }
}
