//! Data sets: images or tables on the host, with labels, normalisation and the history of how they were made.

mod canaries;
pub mod cifar;
mod download;
pub mod folder;
mod gzip;
pub mod idx;
mod included;
mod numbers;
pub mod table;
mod toy;

pub use numbers::Normalization;
pub use table::{Column, Schema};

use crate::privacy::Event;
use crate::{Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
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
    schema: Option<Schema>,
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
    /// For every record, the record of the real set it started from (`None` when it started from noise).
    pub started_from: Vec<Option<usize>>,
    /// Seconds of computing.
    pub seconds: f64,
}

impl Origin {
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
            schema,
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
        Ok(Self { normalization: self.normalization.clone(), origin, ..made })
    }

    /// The same records under another normalisation (that of the training set, say).
    #[must_use]
    pub fn with_normalization(mut self, normalization: Normalization) -> Self {
        self.normalization = normalization;
        self
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
    pub fn event(&self) -> Event {
        self.origin.event
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

    /// The records at these positions, in this order.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request or a position outside the set.
    pub fn subset(&self, positions: &[usize]) -> Result<Self> {
        if positions.is_empty() {
            return Err(Error::config("subset of 0 records", "ask for at least one position"));
        }
        if let Some(bad) = positions.iter().find(|&&i| i >= self.len()) {
            return Err(Error::config(format!("position {bad} of {}", self.name), format!("expected positions below {}", self.len())));
        }
        let mut x = Vec::with_capacity(positions.len() * self.features());
        let mut labels = Vec::with_capacity(positions.len());
        for &i in positions {
            x.extend_from_slice(self.record(i));
            labels.push(self.labels[i]);
        }
        let mut origin = self.origin.clone();
        if !origin.started_from.is_empty() {
            origin.started_from = positions.iter().map(|&i| self.origin.started_from.get(i).copied().flatten()).collect();
        }
        Ok(Self { x: Arc::new(x), labels: Arc::new(labels), origin, ..self.clone() })
    }

    /// Only the records of these classes, which are renumbered 0, 1, .. in the order given.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request, a class that does not exist, one named twice, or one without records.
    pub fn only(&self, classes: &[usize]) -> Result<Self> {
        if classes.is_empty() {
            return Err(Error::config("0 classes asked for", "name at least one class"));
        }
        let mut new_label = vec![None; self.classes()];
        for (new, &class) in classes.iter().enumerate() {
            match new_label.get_mut(class) {
                Some(slot @ None) => *slot = Some(new as u32),
                Some(Some(_)) => return Err(Error::config(format!("class {class} named twice"), "name each class once")),
                None => return Err(Error::config(format!("class {class}"), format!("expected classes below {}", self.classes()))),
            }
        }
        let positions: Vec<usize> = (0..self.len()).filter(|&i| new_label[self.labels[i] as usize].is_some()).collect();
        let mut kept = self.subset(&positions)?;
        kept.labels = Arc::new(kept.labels.iter().filter_map(|&label| new_label[label as usize]).collect());
        kept.class_names = classes.iter().map(|&class| self.class_names[class].clone()).collect();
        Ok(kept)
    }

    /// `per_class` random records of each class, class by class.
    ///
    /// # Errors
    /// [`Error::Data`] when a class has fewer records, [`Error::Config`] when `per_class` is 0.
    pub fn sample_per_class(&self, per_class: usize, lab: &Lab) -> Result<Self> {
        self.subset(&self.draw_per_class(per_class, lab)?)
    }

    pub(crate) fn draw_per_class(&self, per_class: usize, lab: &Lab) -> Result<Vec<usize>> {
        self.require_per_class(per_class)?;
        let mut rng = lab.rng("sample_per_class", 0);
        let mut positions = vec![];
        for class in 0..self.classes() {
            let mut members = self.of_class(class);
            members.shuffle(&mut rng);
            positions.extend_from_slice(&members[..per_class]);
        }
        Ok(positions)
    }

    pub(crate) fn require_per_class(&self, per_class: usize) -> Result<()> {
        if per_class == 0 {
            return Err(Error::config("per_class is 0", "expected at least 1 record per class"));
        }
        for (class, count) in self.per_class().into_iter().enumerate() {
            if count < per_class {
                let what = format!("{count} records, {per_class} asked for");
                let class = format!("class {class} ({})", self.class_names[class]);
                return Err(Error::data(&self.name, class, what, "ask for fewer per class, or leave the class out with `only`"));
            }
        }
        Ok(())
    }

    /// `n` random records.
    ///
    /// # Errors
    /// [`Error::Config`] when `n` is 0 or larger than the set.
    pub fn sample(&self, n: usize, lab: &Lab) -> Result<Self> {
        if n == 0 || n > self.len() {
            return Err(Error::config(format!("sample of {n} records"), format!("expected 1 to {}", self.len())));
        }
        self.subset(&self.shuffled(lab, "sample")[..n])
    }

    /// Two disjoint random halves for a membership experiment: `n` members and `n` non-members. Exact duplicates are removed
    /// first, so that no non-member is also a member.
    ///
    /// # Errors
    /// [`Error::Config`] when fewer than `2 n` distinct records exist or `n` is 0.
    pub fn members(&self, n: usize, lab: &Lab) -> Result<Membership> {
        let distinct = self.distinct();
        if n == 0 || 2 * n > distinct.len() {
            let remedy = format!("expected 1 to {} (half of the {} distinct records)", distinct.len() / 2, distinct.len());
            return Err(Error::config(format!("members of {n} records"), remedy));
        }
        let order = distinct.shuffled(lab, "members");
        Ok(Membership { members: distinct.subset(&order[..n])?, non_members: distinct.subset(&order[n..2 * n])? })
    }

    /// The set without exact duplicates (same values); the first of each stays.
    #[must_use]
    pub fn distinct(&self) -> Self {
        self.without(&[])
    }

    /// The set without exact duplicates and without records that occur in `others`.
    #[must_use]
    pub fn without(&self, others: &[&Dataset]) -> Self {
        let key = |record: &[f32]| record.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        let mut seen: HashSet<Vec<u32>> = others.iter().flat_map(|set| (0..set.len()).map(|i| key(set.record(i)))).collect();
        let kept: Vec<usize> = (0..self.len()).filter(|&i| seen.insert(key(self.record(i)))).collect();
        // An empty result would not be a data set; it can only happen when `others` covers everything.
        self.subset(&kept).unwrap_or_else(|_| self.clone())
    }

    fn shuffled(&self, lab: &Lab, label: &str) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut lab.rng(label, 0));
        order
    }

    /// All values after normalisation, row-major `[n, c, h, w]`: what networks see.
    #[must_use]
    pub fn normalized(&self) -> Vec<f32> {
        self.normalization.apply(&self.x, self.shape)
    }

    /// SHA-256 of shape, labels and values in hexadecimal: the same data, the same digest.
    #[must_use]
    pub fn digest(&self) -> String {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        self.shape.iter().for_each(|&side| hash.update((side as u64).to_le_bytes()));
        self.labels.iter().for_each(|label| hash.update(label.to_le_bytes()));
        self.x.iter().for_each(|value| hash.update(value.to_le_bytes()));
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

/// Members and non-members of a training set, disjoint and without duplicates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// Records to train on.
    pub members: Dataset,
    /// Records held out.
    pub non_members: Dataset,
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dataset({}, {} records of {:?}, {} classes)", self.name, self.len(), self.shape, self.classes())
    }
}
