//! What a computation did to the privacy of the records it read, as a value that travels with its output.

use crate::display::number::significant;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The privacy-relevant history of a result: which noisy releases were made, not what they contained.
///
/// Post-processing keeps the event: a model trained on a generated set carries the generator's event. Accountants
/// ([`Accountant`](super::Accountant)) turn an event into an ε; an event that one of them cannot count is an error there, never a guess.
///
/// # Example
/// ```
/// use freelunch::privacy::Event;
/// // 1000 steps of DP-SGD: every record is in the batch with probability 0.01, the noise is as large as the clipping norm.
/// let training = Event::gaussian(1.0)?.poisson(0.01)?.repeat(1000);
/// assert_eq!(training.to_string(), "1000 × Poisson(0.01, Gaussian(σ = 1))");
/// assert_eq!(training.and(Event::NonPrivate), Event::NonPrivate);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Event {
    /// No private record was read.
    NoOp,
    /// Private records were read without a mechanism that bounds their influence: no ε can be stated.
    NonPrivate,
    /// A sum over records, each clipped to norm C, was released with Gaussian noise of standard deviation σ·C.
    Gaussian {
        /// σ, the noise multiplier, positive: standard deviation of the noise in units of the clipping norm (what adding or removing one
        /// record can change).
        sigma: f64,
    },
    /// The inner event, on a sample that every record joins independently with probability `rate`.
    Poisson {
        /// q in (0, 1].
        rate: f64,
        /// What was done with the sample.
        of: Box<Event>,
    },
    /// The inner event several times after each other, each with fresh randomness.
    Repeat {
        /// How many times.
        times: u64,
        /// What was repeated.
        of: Box<Event>,
    },
    /// Events after each other on the same records.
    Sequence {
        /// The events in their order.
        parts: Vec<Event>,
    },
    /// Events on disjoint parts of the records (one per class, say).
    Parallel {
        /// The events, one for each part.
        parts: Vec<Event>,
    },
}

impl Event {
    /// The Gaussian mechanism with noise multiplier σ.
    ///
    /// # Errors
    /// [`Error::Config`] unless `sigma` is positive and finite, and so are σ² and 1/σ².
    pub fn gaussian(sigma: f64) -> Result<Self> {
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::config(format!("sigma is {sigma}"), "expected a positive number: without noise there is no ε"));
        }
        if !((sigma * sigma).is_finite() && (1.0 / (sigma * sigma)).is_finite()) {
            return Err(Error::config(format!("sigma is {sigma:e}"), "expected a number between 1e-150 and 1e150"));
        }
        Ok(Self::Gaussian { sigma })
    }

    /// This event on a Poisson sample of the records.
    ///
    /// # Errors
    /// [`Error::Config`] unless `rate` is in (0, 1].
    pub fn poisson(self, rate: f64) -> Result<Self> {
        if !(rate > 0.0 && rate <= 1.0) {
            return Err(Error::config(format!("rate is {rate}"), "expected a probability above 0 and at most 1"));
        }
        // A sample of everything is no sample.
        Ok(if rate == 1.0 { self } else { Self::Poisson { rate, of: Box::new(self) } })
    }

    /// This event `times` times.
    #[must_use]
    pub fn repeat(self, times: u64) -> Self {
        match (self, times) {
            (_, 0) | (Self::NoOp, _) => Self::NoOp,
            (event, 1) | (event @ Self::NonPrivate, _) => event,
            (Self::Repeat { times: inner, of }, times) => Self::Repeat { times: inner.saturating_mul(times), of },
            (event, times) => Self::Repeat { times, of: Box::new(event) },
        }
    }

    /// This event and then another one on the same records.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::NonPrivate, _) | (_, Self::NonPrivate) => Self::NonPrivate,
            (Self::NoOp, event) | (event, Self::NoOp) => event,
            (first, second) => {
                let mut parts = vec![];
                for event in [first, second] {
                    match event {
                        Self::Sequence { parts: inner } => parts.extend(inner),
                        event => parts.push(event),
                    }
                }
                Self::Sequence { parts }
            }
        }
    }

    /// Events on disjoint parts of the records, where which part a record is in does not depend on the others.
    ///
    /// The partition must be fixed beforehand. Where such events follow each other or are repeated, a record may be in another part each
    /// time, but which one must not be chosen from what was released before: accountants count the worst fixed choice of parts, and
    /// nothing is proven here for a partition that adapts to the releases.
    #[must_use]
    pub fn parallel(parts: Vec<Self>) -> Self {
        if parts.contains(&Self::NonPrivate) {
            return Self::NonPrivate;
        }
        match parts.first() {
            None => Self::NoOp,
            Some(first) if parts.len() == 1 => first.clone(),
            Some(_) if parts.iter().all(|part| *part == Self::NoOp) => Self::NoOp,
            Some(_) => Self::Parallel { parts },
        }
    }

    /// Whether records were read without a mechanism anywhere in this history.
    #[must_use]
    pub fn is_non_private(&self) -> bool {
        match self {
            Self::NonPrivate => true,
            Self::NoOp | Self::Gaussian { .. } => false,
            Self::Poisson { of, .. } | Self::Repeat { of, .. } => of.is_non_private(),
            Self::Sequence { parts } | Self::Parallel { parts } => parts.iter().any(Self::is_non_private),
        }
    }

    /// Number of noisy releases in this history; of parallel parts, the largest.
    #[must_use]
    pub fn releases(&self) -> u64 {
        match self {
            Self::NoOp | Self::NonPrivate => 0,
            Self::Gaussian { .. } => 1,
            Self::Poisson { of, .. } => of.releases(),
            Self::Repeat { times, of } => times.saturating_mul(of.releases()),
            Self::Sequence { parts } => parts.iter().map(Self::releases).fold(0, u64::saturating_add),
            Self::Parallel { parts } => parts.iter().map(Self::releases).max().unwrap_or(0),
        }
    }

    /// What a value read from a file may have broken.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::NoOp | Self::NonPrivate => Ok(()),
            Self::Gaussian { sigma } => Self::gaussian(*sigma).map(|_| ()),
            Self::Poisson { rate, of } => Self::NoOp.poisson(*rate).and_then(|_| of.check()),
            Self::Repeat { of, .. } => of.check(),
            Self::Sequence { parts } | Self::Parallel { parts } => parts.iter().try_for_each(Self::check),
        }
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |f: &mut std::fmt::Formatter<'_>, name: &str, parts: &[Event]| {
            write!(f, "{name}(")?;
            for (i, part) in parts.iter().enumerate() {
                write!(f, "{}{part}", if i == 0 { "" } else { ", " })?;
            }
            write!(f, ")")
        };
        match self {
            Self::NoOp => write!(f, "nothing read"),
            Self::NonPrivate => write!(f, "not private"),
            Self::Gaussian { sigma } => write!(f, "Gaussian(σ = {})", significant(*sigma, 4)),
            Self::Poisson { rate, of } => write!(f, "Poisson({}, {of})", significant(*rate, 4)),
            Self::Repeat { times, of } => write!(f, "{times} × {of}"),
            Self::Sequence { parts } => list(f, "sequence", parts),
            Self::Parallel { parts } => list(f, "parallel", parts),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_part_that_is_not_private_spoils_the_whole() {
        let noisy = Event::gaussian(1.0).unwrap();
        assert_eq!(noisy.clone().and(Event::NonPrivate), Event::NonPrivate);
        assert_eq!(Event::parallel(vec![noisy.clone(), Event::NonPrivate]), Event::NonPrivate);
        assert_eq!(Event::NonPrivate.repeat(7), Event::NonPrivate);
        assert!(!noisy.is_non_private());
    }

    #[test]
    fn nothing_read_changes_nothing() {
        let noisy = Event::gaussian(1.0).unwrap();
        assert_eq!(Event::NoOp.and(noisy.clone()), noisy);
        assert_eq!(noisy.clone().repeat(0), Event::NoOp);
        assert_eq!(noisy.clone().repeat(1), noisy);
        assert_eq!(noisy.clone().poisson(1.0).unwrap(), noisy);
    }

    #[test]
    fn releases_are_counted_through_every_kind() {
        let step = Event::gaussian(1.0).unwrap().poisson(0.1).unwrap();
        let run = step.clone().repeat(10).repeat(3).and(step.clone());
        assert_eq!(run.releases(), 31);
        assert_eq!(Event::parallel(vec![run, step]).releases(), 31);
    }

    #[test]
    fn impossible_parameters_are_refused_with_their_value() {
        assert!(Event::gaussian(0.0).unwrap_err().to_string().contains("sigma is 0"));
        assert!(Event::gaussian(f64::NAN).is_err());
        assert!(Event::gaussian(1.0).unwrap().poisson(1.5).unwrap_err().to_string().contains("rate is 1.5"));
        assert!(Event::gaussian(1.0).unwrap().poisson(0.0).is_err());
    }

    #[test]
    fn an_event_survives_serde() {
        let event = Event::parallel(vec![Event::gaussian(0.7).unwrap().poisson(0.25).unwrap().repeat(12), Event::NoOp]);
        assert_eq!(serde_json::from_str::<Event>(&serde_json::to_string(&event).unwrap()).unwrap(), event);
        assert_eq!(serde_json::to_string(&Event::NonPrivate).unwrap(), "\"NonPrivate\"");
    }

    #[test]
    fn more_releases_than_a_number_holds_do_not_start_again_at_zero() {
        let many = Event::gaussian(1.0).unwrap().repeat(u64::MAX);
        assert_eq!(many.clone().and(many).releases(), u64::MAX);
    }

    #[test]
    fn noise_whose_square_is_no_number_is_refused() {
        for sigma in [1e-200, 1e-160, 1e200] {
            assert!(Event::gaussian(sigma).unwrap_err().to_string().contains("sigma is 1e"), "{sigma}");
        }
        assert!(Event::gaussian(1e-100).is_ok() && Event::gaussian(1e100).is_ok());
    }
}
