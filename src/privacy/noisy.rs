//! The noise that an ε asks for, for any method of this library.

use super::calibrate::smallest_sigma;
use super::{Event, Recommended};
use crate::{Dataset, Result};

/// A method whose privacy is a matter of its noise multiplier σ.
///
/// # Example
/// ```
/// use freelunch::{Dataset, nn::Arch, privacy::{DpSgd, Noisy}, train::Train};
/// let data = Dataset::toy();
/// let recipe = Train::new(Arch::mlp()).with_epochs(5).with_batch(30).with_privacy(DpSgd::new(1.0));
/// let recipe = recipe.to_epsilon(3.0, 1e-3, &data)?;
/// let epsilon = recipe.event(&data)?.epsilon(1e-3)?;
/// assert!(epsilon.value <= 3.0 && epsilon.value > 2.99);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait Noisy: Clone {
    /// The same method with another noise multiplier.
    #[must_use]
    fn with_noise(self, noise: f64) -> Self;

    /// What the method would do to the privacy of `real`: every release it plans.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a parameter that cannot work.
    fn planned(&self, real: &Dataset) -> Result<Event>;

    /// The same method with the least noise that keeps what it plans for `real` within (ε, δ), add-or-remove-one, by the
    /// [`Recommended`] accountant.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for an ε or δ out of range, or one that no noise can reach.
    fn to_epsilon(&self, epsilon: f64, delta: f64, real: &Dataset) -> Result<Self> {
        let event = |sigma: f64| self.clone().with_noise(sigma).planned(real);
        Ok(self.clone().with_noise(smallest_sigma(epsilon, delta, &Recommended::new(), event)?))
    }
}
