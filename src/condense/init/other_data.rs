//! Another, public set to start from.

use super::Records;
use crate::{Dataset, Error, Lab, Result};
use rand::seq::index;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A set that an initialisation takes its records from. Only its name, digest and size are written to files; what was read back
/// from one must be given its records again with [`Init::other`](super::Init::other). Two are equal when their digests are.
///
/// # Example
/// ```
/// use freelunch::{Dataset, condense::{Init, init::OtherData}};
/// let data = OtherData::new(&Dataset::toy());
/// assert_eq!((data.name(), data.records()), ("toy", 120));
/// assert_eq!(Init::Other { data }, Init::other(&Dataset::toy()));
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct OtherData {
    name: String,
    digest: String,
    records: usize,
    #[serde(skip)]
    data: Option<Arc<Dataset>>,
}

impl OtherData {
    /// `data` as a set to start from; cheap, the values are shared.
    #[must_use]
    pub fn new(data: &Dataset) -> Self {
        Self { name: data.name().to_string(), digest: data.digest(), records: data.len(), data: Some(Arc::new(data.clone())) }
    }

    /// The set's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its shape, labels and values, as [`Dataset::digest`].
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Number of its records.
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// `per_class` records for each class of `real`. None of them is real, unless the two sets overlap.
    pub(super) fn records_for(&self, real: &Dataset, per_class: usize, lab: &Lab) -> Result<Records> {
        let Some(other) = &self.data else {
            let what = format!("the records of {} are not in the file that this initialisation was read from", self.name);
            return Err(Error::config(what, "give the set again with Init::other(&data)"));
        };
        if other.shape() != real.shape() || other.schema() != real.schema() {
            let what = format!("{} has records of {:?}, {} of {:?}", real.name(), real.shape(), other.name(), other.shape());
            return Err(Error::mismatch(what, "start from a set with the same shape, and the same columns if it is a table"));
        }
        let positions = if other.classes() == real.classes() {
            other.draw_per_class(per_class, lab)?
        } else {
            self.any(per_class * real.classes(), lab)?
        };
        let chosen = other.subset(&positions)?;
        let started_from = same_records(&chosen, real);
        Ok((real.normalization().apply(chosen.x(), real.shape()), started_from))
    }

    fn any(&self, count: usize, lab: &Lab) -> Result<Vec<usize>> {
        if count > self.records {
            let what = format!("{} has {} records, {count} asked for", self.name, self.records);
            return Err(Error::config(what, "ask for fewer per class, or start from a larger set"));
        }
        Ok(index::sample(&mut lab.rng("init other", 0), self.records, count).into_vec())
    }
}

/// For each chosen record the real ones with the same values: a public set that shares records with the real one starts from them
/// all the same, and what is published must not hide it.
fn same_records(chosen: &Dataset, real: &Dataset) -> Vec<Vec<usize>> {
    let bits = |record: &[f32]| record.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
    let mut places: HashMap<Vec<u32>, Vec<usize>> = HashMap::new();
    for i in 0..chosen.len() {
        places.entry(bits(chosen.record(i))).or_default().push(i);
    }
    let mut found = vec![vec![]; chosen.len()];
    for at in 0..real.len() {
        for &i in places.get(&bits(real.record(at))).into_iter().flatten() {
            found[i].push(at);
        }
    }
    found
}

impl PartialEq for OtherData {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl fmt::Debug for OtherData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = if self.data.is_some() { "" } else { ", not loaded" };
        write!(f, "OtherData({}, {} records{missing})", self.name, self.records)
    }
}
