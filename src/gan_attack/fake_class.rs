//! The artificial class of the original attack.

use crate::{Dataset, Error, Result};

/// The name of the class that [`with_fake_class`] adds.
pub const FAKE: &str = "fake";

/// The same records in a label set that ends with one more class, [`FAKE`], of which there are none: what the original's attacker makes
/// the federation agree on. A public normalisation must be given again.
///
/// # Errors
/// [`Error::Config`] when the set has it already.
///
/// # Example
/// ```
/// use freelunch::{Dataset, gan_attack::with_fake_class};
/// let toy = with_fake_class(&Dataset::toy())?;
/// assert_eq!((toy.classes(), toy.per_class()[4]), (5, 0));
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn with_fake_class(data: &Dataset) -> Result<Dataset> {
    if data.class_names().iter().any(|name| name == FAKE) {
        return Err(Error::config(format!("{} has a class {FAKE:?}", data.name()), "call with_fake_class once"));
    }
    let (x, labels) = (data.x().to_vec(), data.labels().to_vec());
    let names = [data.class_names(), &[FAKE.to_string()]].concat();
    let made = match data.schema() {
        Some(schema) => Dataset::table(data.name(), x.clone(), schema.clone(), labels.clone(), names)?,
        None => Dataset::images(data.name(), x.clone(), data.shape(), labels.clone(), names)?,
    };
    let made = made.with_normalization(data.normalization().clone()).synthetic(x, labels, data.origin().clone())?.named(data.name());
    match data.soft_labels() {
        Some(soft) => made.with_soft_labels(soft.chunks(data.classes()).flat_map(|part| [part, &[0.0]].concat()).collect()),
        None => Ok(made),
    }
}
