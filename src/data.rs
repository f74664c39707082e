//! Data sets: images or tables on the host, with labels, normalisation and the history of how they were made.

mod canaries;
pub mod cifar;
mod download;
pub mod folder;
mod gzip;
pub mod idx;
mod included;
mod numbers;
mod public;
mod select;
pub mod table;
mod toy;
pub mod whitening;

pub use numbers::Normalization;
pub(crate) use numbers::rows_at;
pub use select::Membership;
pub use table::{Column, Schema};
pub use whitening::Whitening;

use crate::privacy::Event;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Labelled records in memory. Cloning is cheap: the values are shared.
///
/// Images are kept in natural units (pixels 0..1), row-major `[n, c, h, w]`; tables as `[n, d, 1, 1]` with one-hot columns for
/// categories. [`Normalization`] travels along and is applied by whatever trains or condenses.
///
/// # Example
/// ```
/// use freelunch::Dataset;
/// let data = Dataset::toy();
/// assert_eq!(data.shape(), [1, 8, 8]);
/// assert_eq!(data.per_class().iter().sum::<usize>(), data.len());
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct Dataset {
    name: String,
    x: Arc<Vec<f32>>,
    labels: Arc<Vec<u32>>,
    shape: [usize; 3],
    class_names: Vec<String>,
    normalization: Normalization,
    /// Whether the normalisation was chosen without looking at the records.
    #[serde(default)]
    normalization_is_public: bool,
    schema: Option<Schema>,
    #[serde(default)]
    soft_labels: Option<Arc<Vec<f32>>>,
    origin: Origin,
}

/// How a data set came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The condenser or reader.
    pub method: String,
    /// Its parameters.
    pub config: serde_json::Value,
    /// The seed of the lab it ran in.
    pub seed: u64,
    /// What it did to privacy.
    pub event: Event,
    /// The loss at some steps, if there was one.
    pub trace: Vec<(usize, f64)>,
    /// For every record, the records of the real set it started from: none for noise, several for a mixture.
    pub started_from: Vec<Vec<usize>>,
    /// Seconds of computing.
    pub seconds: f64,
    /// Pictures on the way, when the lab was watching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub film: Vec<Snapshot>,
}

/// A condensation at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Steps made.
    pub step: usize,
    /// The loss of the last of them.
    pub loss: f64,
    /// The first record of each class, normalised, row-major.
    pub x: Vec<f32>,
}

impl Origin {
    /// Whether the records are as they were read, not computed from others.
    #[must_use]
    pub fn is_real(&self) -> bool {
        self.config.is_null()
    }

    /// Real records, read by `method`.
    #[must_use]
    pub fn real(method: &str) -> Self {
        Self {
            method: method.to_string(),
            config: serde_json::Value::Null,
            seed: 0,
            event: Event::NonPrivate,
            trace: vec![],
            started_from: vec![],
            seconds: 0.0,
            film: vec![],
        }
    }
}

/// A training and a test set that belong together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Split {
    /// Records to learn from.
    pub train: Dataset,
    /// Records to test on.
    pub test: Dataset,
}

impl Dataset {
    /// Images in natural units: `x` is row-major `[n, c, h, w]`, `shape` is `[c, h, w]`.
    ///
    /// # Errors
    /// [`Error::Data`] when there is no record, a length does not fit, a label is out of range or a value is not finite.
    pub fn images(name: &str, x: Vec<f32>, shape: [usize; 3], labels: Vec<u32>, class_names: Vec<String>) -> Result<Self> {
        Self::checked(name, x, shape, labels, class_names, None)
    }

    /// A table whose `d` encoded columns are described by `schema`: `x` is row-major `[n, d]`.
    ///
    /// # Errors
    /// As [`Dataset::images`].
    pub fn table(name: &str, x: Vec<f32>, schema: Schema, labels: Vec<u32>, class_names: Vec<String>) -> Result<Self> {
        let shape = [schema.width(), 1, 1];
        Self::checked(name, x, shape, labels, class_names, Some(schema))
    }

    fn checked(
        name: &str,
        x: Vec<f32>,
        shape: [usize; 3],
        labels: Vec<u32>,
        class_names: Vec<String>,
        schema: Option<Schema>,
    ) -> Result<Self> {
        let features = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side)).unwrap_or(usize::MAX);
        let expected = features.checked_mul(labels.len());
        if features == 0 || labels.is_empty() {
            let what = format!("{} records of shape {shape:?}", labels.len());
            return Err(Error::data(name, "shape", what, "expected at least one record and no side of length zero"));
        }
        if expected != Some(x.len()) {
            let what = format!("{} values for {} records of shape {shape:?}", x.len(), labels.len());
            return Err(Error::data(name, "values", what, "expected n * c * h * w values"));
        }
        if let Some(at) = labels.iter().position(|&label| label as usize >= class_names.len()) {
            let what = format!("label {} with {} classes", labels[at], class_names.len());
            return Err(Error::data(name, format!("record {at}"), what, "expected labels 0, 1, .. below the number of classes"));
        }
        if let Some(at) = x.iter().position(|value| !value.is_finite()) {
            let (record, feature) = (at / features, at % features);
            let what = format!("value {}", x[at]);
            return Err(Error::data(name, format!("record {record}, feature {feature}"), what, "replace or drop NaN and infinite values"));
        }
        let normalization = match &schema {
            Some(schema) => Normalization::of_table(&x, schema),
            None => Normalization::of_images(&x, shape),
        };
        Ok(Self {
            name: name.to_string(),
            x: Arc::new(x),
            labels: Arc::new(labels),
            shape,
            class_names,
            normalization,
            normalization_is_public: false,
            schema,
            soft_labels: None,
            origin: Origin::real(name),
        })
    }

    /// A set of the same kind, classes and normalisation with other records: what condensers and generators return.
    ///
    /// # Errors
    /// As [`Dataset::images`].
    pub fn synthetic(&self, x: Vec<f32>, labels: Vec<u32>, origin: Origin) -> Result<Self> {
        let name = format!("{} by {}", self.name, origin.method);
        let made = Self::checked(&name, x, self.shape, labels, self.class_names.clone(), self.schema.clone())?;
        let (normalization, normalization_is_public) = (self.normalization.clone(), self.normalization_is_public);
        Ok(Self { normalization, normalization_is_public, origin, ..made })
    }

    /// The same records under another normalisation (that of the training set, say).
    #[must_use]
    pub fn with_normalization(mut self, normalization: Normalization) -> Self {
        self.normalization = normalization;
        self.normalization_is_public = false;
        self
    }

    /// The same records with learned targets, row-major `[n, classes]`, beside their labels.
    ///
    /// # Errors
    /// [`Error::Data`] when the length does not fit or a value is not finite.
    pub fn with_soft_labels(mut self, targets: Vec<f32>) -> Result<Self> {
        let expected = self.len() * self.classes();
        if targets.len() != expected || targets.iter().any(|value| !value.is_finite()) {
            let what = format!("{} values for {} records in {} classes", targets.len(), self.len(), self.classes());
            return Err(Error::data(&self.name, "soft labels", what, format!("expected {expected} finite values")));
        }
        self.soft_labels = Some(Arc::new(targets));
        Ok(self)
    }

    /// Learned targets, row-major `[n, classes]`, if a condenser learned any (label learning); [`Dataset::labels`] always exist.
    #[must_use]
    pub fn soft_labels(&self) -> Option<&[f32]> {
        self.soft_labels.as_ref().map(|targets| targets.as_slice())
    }

    /// The set's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same set under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_string();
        self
    }

    /// All values, row-major `[n, c, h, w]`, in natural units.
    #[must_use]
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// The values of record `i`, or an empty slice when there is no such record.
    #[must_use]
    pub fn record(&self, i: usize) -> &[f32] {
        let d = self.features();
        self.x.get(i * d..(i + 1) * d).unwrap_or(&[])
    }

    /// The labels, 0, 1, .. below [`Dataset::classes`].
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: a set has at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// `[c, h, w]` of one record; `[d, 1, 1]` for a table.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Values of one record: c · h · w.
    #[must_use]
    pub fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The classes' names in label order.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// The columns, if this is a table.
    #[must_use]
    pub fn schema(&self) -> Option<&Schema> {
        self.schema.as_ref()
    }

    /// Mean and deviation that training and condensing apply.
    #[must_use]
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// How the set came to be.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What was done to privacy on the way here.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.origin.event
    }

    /// Number of records of each class.
    #[must_use]
    pub fn per_class(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        for &label in self.labels.iter() {
            counts[label as usize] += 1;
        }
        counts
    }

    /// Positions of the records of one class.
    #[must_use]
    pub fn of_class(&self, class: usize) -> Vec<usize> {
        (0..self.len()).filter(|&i| self.labels[i] as usize == class).collect()
    }

    /// All values after normalisation, row-major `[n, c, h, w]`: what networks see.
    #[must_use]
    pub fn normalized(&self) -> Vec<f32> {
        self.normalization.apply(&self.x, self.shape)
    }

    /// [`Dataset::normalized`], without a copy where normalisation changes nothing.
    pub(crate) fn as_seen(&self) -> Cow<'_, [f32]> {
        self.normalization.applied(&self.x, self.shape)
    }

    /// SHA-256 of shape, labels and values in hexadecimal: the same data, the same digest.
    #[must_use]
    pub fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        self.shape.iter().for_each(|&side| hash.update((side as u64).to_le_bytes()));
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        self.x.iter().for_each(|value| hash.update(value.to_le_bytes()));
        self.soft_labels().unwrap_or_default().iter().for_each(|value| hash.update(value.to_le_bytes()));
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether two sets can be used together: same shape and the same number of classes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] with both shapes.
    pub fn same_kind(&self, other: &Dataset) -> Result<()> {
        if self.shape == other.shape && self.classes() == other.classes() {
            return Ok(());
        }
        let what = format!(
            "{} has records {:?} in {} classes, {} has {:?} in {}",
            self.name,
            self.shape,
            self.classes(),
            other.name,
            other.shape,
            other.classes()
        );
        Err(Error::mismatch(what, "use sets of the same shape and classes"))
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({}, {} records of {:?}, {} classes)", self.name, self.len(), self.shape, self.classes())
    }
}
