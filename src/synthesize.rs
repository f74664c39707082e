//! Anything that turns a real data set into a synthetic one.

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

    /// Makes a synthetic set from `real`.
    ///
    /// # Errors
    /// [`crate::Error::Config`] for a parameter that cannot work, [`crate::Error::Data`] when a class has too few records,
    /// [`crate::Error::Diverged`] and [`crate::Error::Device`] from the computation.
    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset>;
}
