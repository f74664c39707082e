//! What a computation did to the privacy of the records it read, as a value that travels with its output.

use serde::{Deserialize, Serialize};

/// The privacy-relevant history of a result.
///
/// Post-processing keeps the event, so a model trained on a condensed set carries the condenser's event.
///
/// # Example
/// ```
/// use freelunch::privacy::Event;
/// assert_eq!(Event::NonPrivate.epsilon(), f64::INFINITY);
/// assert_eq!(Event::NoOp.epsilon(), 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// No private record was read.
    NoOp,
    /// Private records were read without a mechanism that bounds their influence: no ε can be stated.
    NonPrivate,
}

impl Event {
    /// The proven ε of this history (add-or-remove-one, any δ): 0 or ∞ for the events that exist today.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        match self {
            Self::NoOp => 0.0,
            Self::NonPrivate => f64::INFINITY,
        }
    }

    /// The history of two computations after each other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == Self::NonPrivate || other == Self::NonPrivate { Self::NonPrivate } else { Self::NoOp }
    }
}
