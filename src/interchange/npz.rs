//! Named arrays in one `.npz` file: a zip archive of `.npy` files, with errors that name file, array, shape and dtype.

use super::npy::{Array, Values};
use super::zip;
use crate::file::write_whole;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::io::Error as IoError;
use std::path::Path;

/// The arrays of a file.
#[derive(Debug)]
pub(crate) struct Npz {
    file: String,
    arrays: BTreeMap<String, Array>,
}

/// Writes the arrays, deflated; a reader sees the old file or the new one.
pub(crate) fn write(path: &Path, arrays: &[(String, Array)]) -> Result<()> {
    let entries: Vec<(String, Vec<u8>)> = arrays.iter().map(|(name, array)| (format!("{name}.npy"), array.to_bytes())).collect();
    let bytes = zip::pack(&entries).map_err(|cause| Error::io("write", path, IoError::other(cause), "save as safetensors"))?;
    write_whole(path, &bytes)
}

impl Npz {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|cause| Error::io("read", path, cause, "check the path"))?;
        let broken = |position: &str, cause: String| Error::data(&file, position, cause, "write it with numpy.savez");
        let mut arrays = BTreeMap::new();
        for (name, bytes) in zip::unpack(&bytes).map_err(|cause| broken("contents", cause))? {
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
            let array = Array::parse(&bytes).map_err(|cause| broken(&format!("array {name}"), cause))?;
            arrays.insert(name, array);
        }
        Ok(Self { file, arrays })
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().map(String::as_str)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Array> {
        self.arrays.get(name)
    }

    /// An array that must be there.
    pub(crate) fn need(&self, name: &str, expected: &str) -> Result<&Array> {
        self.get(name).ok_or_else(|| {
            let found = self.names().collect::<Vec<_>>().join(", ");
            Error::data(&self.file, format!("array {name}"), format!("missing; the file has {found}"), format!("expected {expected}"))
        })
    }

    /// An array that is not what it should be.
    pub(crate) fn wrong(&self, name: &str, expected: &str) -> Error {
        let what = self.get(name).map_or("missing".to_string(), |array| format!("shape {:?}, dtype {}", array.shape, array.kind));
        Error::data(&self.file, format!("array {name}"), what, format!("expected {expected}"))
    }

    /// Integers that count from 0, of this shape.
    pub(crate) fn counts(&self, name: &str, shape: &[usize]) -> Result<Vec<usize>> {
        let expected = format!("integers of shape {shape:?}, counted from 0");
        let array = self.need(name, &expected)?;
        match &array.values {
            Values::Integers(values) if array.shape == shape => {
                let counts: Option<Vec<usize>> = values.iter().map(|&value| usize::try_from(value).ok()).collect();
                counts.ok_or_else(|| Error::data(&self.file, format!("array {name}"), "a negative value", format!("expected {expected}")))
            }
            _ => Err(self.wrong(name, &expected)),
        }
    }

    /// Labels, `[n]`.
    pub(crate) fn labels(&self, name: &str, n: usize) -> Result<Vec<u32>> {
        let labels: Option<Vec<u32>> = self.counts(name, &[n])?.into_iter().map(|label| u32::try_from(label).ok()).collect();
        labels.ok_or_else(|| self.wrong(name, "labels below 2^32"))
    }

    /// Truth values of this shape: bool, or integers 0 and 1.
    pub(crate) fn flags(&self, name: &str, shape: &[usize]) -> Result<Vec<bool>> {
        let expected = format!("bool, or integers 0 and 1, of shape {shape:?}");
        let array = self.need(name, &expected)?;
        match &array.values {
            Values::Bool(values) if array.shape == shape => Ok(values.clone()),
            Values::Integers(values) if array.shape == shape && values.iter().all(|value| matches!(value, 0 | 1)) => {
                Ok(values.iter().map(|&value| value == 1).collect())
            }
            _ => Err(self.wrong(name, &expected)),
        }
    }

    /// Numbers of any shape in single precision.
    pub(crate) fn floats(&self, name: &str) -> Result<Vec<f32>> {
        match &self.need(name, "float32 or float64")?.values {
            Values::F32(values) => Ok(values.clone()),
            Values::F64(values) => Ok(values.iter().map(|&value| value as f32).collect()),
            _ => Err(self.wrong(name, "float32 or float64")),
        }
    }

    /// Texts, if the array is there.
    pub(crate) fn words(&self, name: &str) -> Result<Option<Vec<String>>> {
        match self.get(name).map(|array| &array.values) {
            None => Ok(None),
            Some(Values::Text(words)) => Ok(Some(words.clone())),
            Some(_) => Err(self.wrong(name, "unicode text")),
        }
    }
}
