//! Anything that turns a real data set into a synthetic one.

use crate::data::Origin;
use crate::privacy::Event;
use crate::{Dataset, Lab, Result};
use std::fmt::Debug;

/// A condenser or a generator. The configuration struct *is* the algorithm; it builds the privacy event of what it makes.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, condense::RandomSubset, synthesize::Synthesize};
/// let lab = Lab::new()?.seed(1).quiet();
/// let small = RandomSubset::new(2).synthesize(&Dataset::toy(), &lab)?;
/// assert_eq!(small.per_class(), vec![2; small.classes()]);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait Synthesize: Debug + Send + Sync {
    /// The method's name, as papers write it.
    fn name(&self) -> String;

    /// The parameters, for manifests and displays.
    fn config(&self) -> serde_json::Value;

    /// What [`Synthesize::synthesize`] would do to the privacy of `real`: every noisy release it plans. A run that a time budget stops makes fewer,
    /// and its result says so. [`Event::NonPrivate`] unless a method proves better.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a parameter that cannot work.
    fn event(&self, _real: &Dataset) -> Result<Event> {
        Ok(Event::NonPrivate)
    }

    /// Makes a synthetic set from `real`.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a parameter that cannot work, [`crate::Error::Data`] when a class has too few records,
    /// [`crate::Error::Diverged`] and [`crate::Error::Device`] from the computation.
    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset>;
}

/// The origin of what `method` made.
pub(crate) fn origin(method: &dyn Synthesize, lab: &Lab, event: Event, seconds: f64) -> Origin {
    Origin {
        method: method.name(),
        // Null says that records are as they were read.
        config: if method.config().is_null() { serde_json::json!({}) } else { method.config() },
        seed: lab.seed_value(),
        event,
        trace: vec![],
        started_from: vec![],
        seconds,
        film: vec![],
    }
}
