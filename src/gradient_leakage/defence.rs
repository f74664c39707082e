//! What a client does to its gradient before it sends it: nothing, clipping, or clipping and noise.

use crate::privacy::DpSgd;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the client does to its gradient before it sends it.
///
/// # Example
/// ```
/// use freelunch::gradient_leakage::Defence;
/// assert_eq!(Defence::clipped(1.0).noised(0.5).to_string(), "clipped to 1, noise 0.5");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Defence {
    /// Nothing: the mean gradient of the batch.
    None,
    /// The gradient of each record is clipped, then the mean is taken. Bounds what one record can do, but hides nothing: no ε.
    Clipped {
        /// C, positive: the largest length of a record's gradient.
        clip: f64,
    },
    /// Clipped, and Gaussian noise of deviation σ · C on the sum, as one step of DP-SGD that takes the whole batch.
    Noised {
        /// C, positive.
        clip: f64,
        /// σ, positive: the noise multiplier.
        noise: f64,
    },
}

impl Defence {
    /// Each record's gradient clipped to length `clip`.
    #[must_use]
    pub fn clipped(clip: f64) -> Self {
        Self::Clipped { clip }
    }

    /// The same with noise of `multiplier` times the clipping norm; without clipping there is no such norm, and 1 is taken.
    #[must_use]
    pub fn noised(self, multiplier: f64) -> Self {
        match self {
            Self::None => Self::Noised { clip: 1.0, noise: multiplier },
            Self::Clipped { clip } | Self::Noised { clip, .. } => Self::Noised { clip, noise: multiplier },
        }
    }

    /// σ, 0 without noise.
    #[must_use]
    pub fn noise(&self) -> f64 {
        match self {
            Self::Noised { noise, .. } => *noise,
            _ => 0.0,
        }
    }

    /// The mechanism's parameters; without noise those of its clipping alone.
    pub(super) fn mechanism(self) -> Option<DpSgd> {
        match self {
            Self::None => None,
            Self::Clipped { clip } => Some(DpSgd::new(1.0).with_clip(clip)),
            Self::Noised { clip, noise } => Some(DpSgd::new(noise).with_clip(clip)),
        }
    }
}

impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::Clipped { clip } => write!(f, "clipped to {clip}"),
            Self::Noised { clip, noise } => write!(f, "clipped to {clip}, noise {noise}"),
        }
    }
}
