//! What generators keep besides weights: the public facts about the records they were made for, and files.

use crate::data::{Normalization, Origin, Schema};
use crate::file::{floats, write_tensors};
use crate::{Dataset, Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is public about a kind of records: everything needed to read or write some.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Template {
    pub(super) shape: [usize; 3],
    pub(super) schema: Option<Schema>,
    pub(super) normalization: Normalization,
}

impl Template {
    /// Of records under a public normalisation.
    pub(super) fn of(data: &Dataset) -> Self {
        Self { shape: data.shape(), schema: data.schema().cloned(), normalization: data.normalization().clone() }
    }

    pub(super) fn features(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the records can be read: same shape, and for tables the same columns.
    pub(super) fn fits(&self, data: &Dataset, trained_on: &str) -> Result<()> {
        if self.shape != data.shape() {
            let what = format!("{} has records {:?}, the private set {trained_on} had {:?}", data.name(), data.shape(), self.shape);
            return Err(Error::mismatch(what, "use public records of the same shape"));
        }
        let columns = |schema: Option<&Schema>| schema.map(|schema| schema.columns.clone());
        if columns(self.schema.as_ref()) != columns(data.schema()) {
            let what = format!("{} has other columns than {trained_on}", data.name());
            return Err(Error::mismatch(what, "encode both tables with one schema: Dataset::encode_frame"));
        }
        Ok(())
    }

    /// Records in natural units, under the public normalisation.
    pub(super) fn records(&self, x: Vec<f32>, labels: Vec<u32>, class_names: Vec<String>, origin: Origin, name: &str) -> Result<Dataset> {
        let plain = match &self.schema {
            Some(schema) => Dataset::table(name, x.clone(), schema.clone(), labels.clone(), class_names)?,
            None => Dataset::images(name, x.clone(), self.shape, labels.clone(), class_names)?,
        };
        Ok(plain.with_public_normalization(self.normalization.clone())?.synthetic(x, labels, origin)?.named(name))
    }

    /// What a file may have broken.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        let n = &self.normalization;
        let whole = n.mean.len() == self.shape[0] && n.std.len() == self.shape[0];
        if !whole || !n.mean.iter().chain(&n.std).all(|v| v.is_finite()) || n.std.iter().any(|std| *std <= 0.0) {
            return Err(format!("a normalisation that does not fit records of shape {:?}", self.shape));
        }
        match &self.schema {
            Some(schema) if self.shape != [schema.width(), 1, 1] => Err(format!("columns that do not fit the shape {:?}", self.shape)),
            _ => Ok(()),
        }
    }
}

/// Writes weights as safetensors (`0`, `1`, ..) with everything else as JSON in the header.
pub(super) fn save(path: &Path, key: &str, about: &impl Serialize, weights: &[Vec<f32>]) -> Result<()> {
    let tensors: Vec<(String, Vec<usize>, &[f32])> =
        weights.iter().enumerate().map(|(i, w)| (i.to_string(), vec![w.len()], w.as_slice())).collect();
    write_tensors(path, &tensors, key, about)
}

/// Reads what [`save`] wrote under the same key.
pub(super) fn load<T: DeserializeOwned>(path: &Path, key: &str) -> Result<(T, Vec<Vec<f32>>)> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e, "check the path"))?;
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(path, e.to_string()))?;
    let json = header.metadata().as_ref().and_then(|all| all.get(key)).ok_or_else(|| broken(path, format!("no {key} in the header")))?;
    let about = serde_json::from_str(json).map_err(|e| broken(path, e.to_string()))?;
    let tensors = safetensors::SafeTensors::deserialize(&bytes).map_err(|e| broken(path, e.to_string()))?;
    let weight = |i: usize| tensors.tensor(&i.to_string()).map(|view| floats(view.data())).map_err(|e| broken(path, e.to_string()));
    let weights: Result<Vec<Vec<f32>>> = (0..tensors.len()).map(weight).collect();
    let weights = weights?;
    match weights.iter().flatten().find(|v| !v.is_finite()) {
        Some(bad) => Err(broken(path, format!("a weight of {bad}"))),
        None => Ok((about, weights)),
    }
}

pub(super) fn broken(path: &Path, what: String) -> Error {
    Error::data(path.display().to_string(), "contents", what, "expected a file written by `save` of the same type")
}
