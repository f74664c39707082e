//! Which accountant to use, as a value: for configurations, and for who does not want to choose.

use super::{Accountant, Adjacency, CentralLimit, Epsilon, Event, ExactGaussian, Pld, Rdp};
use crate::Result;
use serde::{Deserialize, Serialize};

/// The accountants of this library with their defaults.
///
/// # Example
/// ```
/// use freelunch::privacy::{AccountantKind, Event};
/// let event = Event::gaussian(1.0)?.poisson(0.05)?.repeat(400);
/// let all = AccountantKind::ALL.map(|kind| kind.build().name());
/// assert_eq!(all, ["recommended", "exact Gaussian", "PLD", "RDP", "GDP central limit"]);
/// assert_eq!(AccountantKind::Pld.build().epsilon(&event, 1e-3)?.to_string(), "ε ≤ 4.664 (δ = 1e-3, add-or-remove-one, PLD)");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AccountantKind {
    /// [`Recommended`].
    #[default]
    Recommended,
    /// [`ExactGaussian`].
    ExactGaussian,
    /// [`Pld`].
    Pld,
    /// [`Rdp`].
    Rdp,
    /// [`CentralLimit`], which is no bound.
    CentralLimit,
}

impl AccountantKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Recommended, Self::ExactGaussian, Self::Pld, Self::Rdp, Self::CentralLimit];

    /// The accountant with its defaults, for add-or-remove-one.
    #[must_use]
    pub fn build(self) -> Box<dyn Accountant> {
        match self {
            Self::Recommended => Box::new(Recommended::new()),
            Self::ExactGaussian => Box::new(ExactGaussian::new()),
            Self::Pld => Box::new(Pld::new()),
            Self::Rdp => Box::new(Rdp::new()),
            Self::CentralLimit => Box::new(CentralLimit::new()),
        }
    }
}

/// The tightest accountant that can count an event: [`ExactGaussian`], else [`Pld`], else [`Rdp`]. Its ε names the one that was used.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, Event, Recommended};
/// let noisy = Event::gaussian(1.0)?;
/// assert_eq!(Recommended::new().epsilon(&noisy, 1e-5)?.accountant, "exact Gaussian");
/// assert_eq!(Recommended::new().epsilon(&noisy.poisson(0.1)?, 1e-5)?.accountant, "PLD");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recommended {
    /// The neighbouring relation.
    pub adjacency: Adjacency,
}

impl Default for Recommended {
    fn default() -> Self {
        Self::new()
    }
}

impl Recommended {
    /// For add-or-remove-one.
    #[must_use]
    pub fn new() -> Self {
        Self { adjacency: Adjacency::AddOrRemoveOne }
    }

    /// Another neighbouring relation.
    #[must_use]
    pub fn with_adjacency(mut self, adjacency: Adjacency) -> Self {
        self.adjacency = adjacency;
        self
    }
}

/// Whether the ε of RDP is to be stated and not the one of PLD.
fn replaces(rdp: f64, pld: f64) -> bool {
    rdp < pld || (rdp.is_finite() && rdp > 50.0 && pld < rdp / 3.0)
}

impl Accountant for Recommended {
    fn name(&self) -> String {
        "recommended".to_string()
    }

    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon> {
        if let Ok(exact) = ExactGaussian::new().with_adjacency(self.adjacency).epsilon(event, delta) {
            return Ok(exact);
        }
        let rdp = Rdp::new().with_adjacency(self.adjacency);
        let pld = Pld::new().with_adjacency(self.adjacency);
        match pld.epsilon(event, delta) {
            // On a grid that had to be coarsened PLD may be the looser one of two bounds. Where ε is large and PLD far below RDP, its
            // Fourier transforms are not trusted: no such event is known, and RDP has none of their rounding.
            Ok(found) => Ok(rdp.epsilon(event, delta).ok().filter(|other| replaces(other.value, found.value)).unwrap_or(found)),
            // The first error names what is wrong; the second one only that the last resort failed too.
            Err(error) => rdp.epsilon(event, delta).map_err(|_| error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_epsilon_far_below_rdp_is_not_trusted() {
        assert!(replaces(60.0, 0.0) && replaces(60.0, 19.0) && !replaces(60.0, 21.0));
        assert!(!replaces(40.0, 1.0) && replaces(1.0, 2.0) && !replaces(f64::INFINITY, 1.0));
        let event = crate::privacy::golden::sampled(0.01, 0.1, 1000);
        let found = Recommended::new().epsilon(&event, 0.5).unwrap();
        assert!(found.value > 200.0 && found.value < 622.0, "{found}");
    }
}
