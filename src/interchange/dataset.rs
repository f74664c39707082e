//! Data sets as arrays: `.npz` for numpy, safetensors for PyTorch and JAX.
//!
//! Both hold `x` (images `[n, c, h, w]`, tables `[n, d]`; float32, natural units), `y` (`[n]`, int64), `mean` and `std` (per channel or column), and
//! `soft_labels` (`[n, classes]`) where there are any; the `.npz` also `class_names`. The history with its privacy event, the columns of a table
//! and all names travel inside as JSON (`provenance`).
//!
//! # Privacy
//! None: copies of what is there. A set that was read back carries the event it was saved with; records that were changed in between are refused,
//! and those of a foreign file count as read, without an ε.
//!
//! # Example
//! ```
//! use freelunch::Dataset;
//! let path = std::env::temp_dir().join(format!("toy-{}.npz", std::process::id()));
//! Dataset::toy().save_npz(&path)?; // in Python: np.load(path)["x"]
//! assert_eq!(Dataset::from_npz(&path)?.digest(), Dataset::toy().digest());
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::npy::{Array, Values};
use super::npz::{self, Npz};
use super::provenance::Provenance;
use crate::data::{Column, Normalization, Schema};
use crate::file::{floats, write_whole};
use crate::{Dataset, Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::io::Error as IoError;
use std::path::Path;

const PROVENANCE: &str = "provenance";
/// The key of the history among the metadata of safetensors.
const KEY: &str = "freelunch.provenance";

impl Dataset {
    /// Writes the set as a numpy `.npz` file: `x`, `y`, `mean`, `std`, `class_names`, `soft_labels` if any, and the history as JSON in
    /// `provenance`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written or would exceed 4 GiB.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let path = std::env::temp_dir().join(format!("doc-table-{}.npz", std::process::id()));
    /// Dataset::toy_table().save_npz(&path)?;
    /// assert_eq!(Dataset::from_npz(&path)?.schema(), Dataset::toy_table().schema());
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn save_npz(&self, path: impl AsRef<Path>) -> Result<()> {
        let channels = self.shape()[..1].to_vec();
        let Normalization { mean, std } = self.normalization().clone();
        let labels = self.labels().iter().map(|&label| i64::from(label)).collect();
        let mut arrays = vec![
            ("x".to_string(), Array::new(&outer_shape(self), Values::F32(self.x().to_vec()))),
            ("y".to_string(), Array::new(&[self.len()], Values::Integers(labels))),
            ("mean".to_string(), Array::new(&channels, Values::F32(mean))),
            ("std".to_string(), Array::new(&channels, Values::F32(std))),
            ("class_names".to_string(), Array::new(&[self.classes()], Values::Text(self.class_names().to_vec()))),
            (PROVENANCE.to_string(), Array::text(Provenance::of(self).json()?)),
        ];
        if let Some(soft) = self.soft_labels() {
            arrays.push(("soft_labels".to_string(), Array::new(&[self.len(), self.classes()], Values::F32(soft.to_vec()))));
        }
        npz::write(path.as_ref(), &arrays)
    }

    /// Reads a numpy `.npz` file: one that [`Dataset::save_npz`] wrote, or your own with `x` and `y`.
    ///
    /// Of your own, `x` is float32 or float64 of shape `[n, c, h, w]`, `[n, h, w]` or `[n, d]` (a table of numbers), or uint8 (0..255 becomes 0..1);
    /// `y` holds integers from 0. `class_names`, `mean` and `std` are used when they are there.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] that names array, shape and dtype when one is not as expected;
    /// [`Error::Mismatch`] when the records are not those the history was saved with.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let error = Dataset::from_npz("no-such.npz").unwrap_err().to_string();
    /// assert!(error.starts_with("cannot read no-such.npz"));
    /// ```
    pub fn from_npz(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = Npz::read(path)?;
        let x = file.need("x", "float32 of shape [n, c, h, w], [n, h, w] or [n, d]")?;
        let (shape, bytes) = (x.shape.clone(), x.kind == "u1");
        let x = match &x.values {
            Values::Integers(pixels) if bytes => pixels.iter().map(|&pixel| pixel as f32 / 255.0).collect(),
            _ => file.floats("x")?,
        };
        let labels = file.labels("y", shape.first().copied().unwrap_or(0))?;
        let history = file.words(PROVENANCE)?.and_then(|texts| texts.into_iter().next());
        let names = file.words("class_names")?;
        let normalization = match (file.get("mean"), file.get("std")) {
            (Some(_), Some(_)) => Some(Normalization { mean: file.floats("mean")?, std: file.floats("std")? }),
            _ => None,
        };
        assemble(path, Arrays { x, shape, labels, names, normalization }, history.as_deref())
    }

    /// Writes the set as safetensors: `x`, `y`, `mean`, `std`, `soft_labels` if any, and the history as JSON in the metadata.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let path = std::env::temp_dir().join(format!("doc-{}.safetensors", std::process::id()));
    /// Dataset::toy().save_safetensors(&path)?; // in Python: safetensors.torch.load_file(path)["x"]
    /// assert_eq!(Dataset::from_safetensors(&path)?.class_names(), Dataset::toy().class_names());
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let channels = self.shape()[..1].to_vec();
        let Normalization { mean, std } = self.normalization();
        let labels: Vec<u8> = self.labels().iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect();
        let mut parts = vec![
            ("x", Dtype::F32, outer_shape(self), bytes(self.x())),
            ("y", Dtype::I64, vec![self.len()], labels),
            ("mean", Dtype::F32, channels.clone(), bytes(mean)),
            ("std", Dtype::F32, channels, bytes(std)),
        ];
        if let Some(soft) = self.soft_labels() {
            parts.push(("soft_labels", Dtype::F32, vec![self.len(), self.classes()], bytes(soft)));
        }
        let refused = |cause: String| Error::io("write", path, IoError::other(cause), "check the path");
        let mut views = vec![];
        for (name, dtype, shape, bytes) in &parts {
            views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(|cause| refused(cause.to_string()))?));
        }
        let about = HashMap::from([(KEY.to_string(), Provenance::of(self).json()?)]);
        write_whole(path, &safetensors::serialize(views, Some(about)).map_err(|cause| refused(cause.to_string()))?)
    }

    /// Reads a safetensors file: one that [`Dataset::save_safetensors`] wrote, or your own with `x` (float32) and `y` (int64), shaped as for
    /// [`Dataset::from_npz`].
    ///
    /// # Errors
    /// As [`Dataset::from_npz`].
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// assert!(Dataset::from_safetensors("no-such.safetensors").is_err());
    /// ```
    pub fn from_safetensors(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|cause| Error::io("read", path, cause, "check the path"))?;
        let broken = |cause: String| Error::data(&file, "contents", cause, "write it with safetensors' save_file");
        let tensors = SafeTensors::deserialize(&bytes).map_err(|cause| broken(cause.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|cause| broken(cause.to_string()))?;
        let part = |name: &str, dtype: Dtype| match tensors.tensor(name) {
            Ok(view) if view.dtype() == dtype => Ok(view),
            Ok(view) => {
                let what = format!("shape {:?}, dtype {:?}", view.shape(), view.dtype());
                Err(Error::data(&file, format!("tensor {name}"), what, format!("expected dtype {dtype:?}")))
            }
            Err(_) => {
                let what = format!("missing; the file has {}", tensors.names().join(", "));
                Err(Error::data(&file, format!("tensor {name}"), what, format!("expected dtype {dtype:?}")))
            }
        };
        let x = part("x", Dtype::F32)?;
        let wide = part("y", Dtype::I64)?;
        let labels: Option<Vec<u32>> = wide.data().as_chunks().0.iter().map(|b| u32::try_from(i64::from_le_bytes(*b)).ok()).collect();
        let labels = labels.ok_or_else(|| Error::data(&file, "tensor y", "a negative label", "labels count from 0"))?;
        let normalization = match (part("mean", Dtype::F32), part("std", Dtype::F32)) {
            (Ok(mean), Ok(std)) => Some(Normalization { mean: floats(mean.data()), std: floats(std.data()) }),
            _ => None,
        };
        let arrays = Arrays { x: floats(x.data()), shape: x.shape().to_vec(), labels, names: None, normalization };
        assemble(path, arrays, header.metadata().as_ref().and_then(|entries| entries.get(KEY)).map(String::as_str))
    }
}

/// `[n, c, h, w]`, or `[n, d]` for a table.
fn outer_shape(data: &Dataset) -> Vec<usize> {
    let [c, h, w] = data.shape();
    if data.schema().is_some() { vec![data.len(), c] } else { vec![data.len(), c, h, w] }
}

struct Arrays {
    x: Vec<f32>,
    shape: Vec<usize>,
    labels: Vec<u32>,
    names: Option<Vec<String>>,
    normalization: Option<Normalization>,
}

fn assemble(path: &Path, arrays: Arrays, history: Option<&str>) -> Result<Dataset> {
    let file = path.display().to_string();
    let Arrays { x, shape, labels, names, normalization } = arrays;
    let ([n, c, h, w], is_table) = match *shape.as_slice() {
        [n, c, h, w] => ([n, c, h, w], false),
        [n, h, w] => ([n, 1, h, w], false),
        [n, d] => ([n, d, 1, 1], true),
        _ => {
            let what = format!("shape {shape:?}");
            return Err(Error::data(file, "array x", what, "expected [n, c, h, w], [n, h, w] or [n, d]"));
        }
    };
    if n != labels.len() {
        return Err(Error::data(file, "array y", format!("{} labels for {n} records", labels.len()), "expected one label for each record"));
    }
    if let Some(text) = history {
        let kept = Provenance::parse(&file, text)?;
        if kept.shape != [c, h, w] {
            let what = format!("{file} has records of shape {:?}, its history is of {:?}", [c, h, w], kept.shape);
            return Err(Error::mismatch(what, "restore the file"));
        }
        return kept.onto(&file, x, labels);
    }
    let count = labels.iter().max().map_or(0, |&label| label as usize + 1).max(2);
    let names = names.unwrap_or_else(|| (0..count).map(|class| class.to_string()).collect());
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
    let data = if is_table {
        let columns = (0..c).map(|column| Column::Numeric { name: format!("x{column}") }).collect();
        Dataset::table(&name, x, Schema { columns, label: "y".into() }, labels, names)?
    } else {
        Dataset::images(&name, x, [c, h, w], labels, names)?
    };
    let Some(normalization) = normalization else { return Ok(data) };
    // Checks the numbers; whether they are public is not for a file without history to say.
    data.clone().with_public_normalization(normalization.clone())?;
    Ok(data.with_normalization(normalization))
}

#[cfg(test)]
mod tests {
    use super::super::provenance::tests::{assert_same, released, scratch};
    use super::*;

    #[test]
    fn a_set_comes_back_with_its_event_soft_labels_and_columns() {
        let folder = scratch("arrays");
        for data in [released(), Dataset::toy_table(), Dataset::toy()] {
            let (npz, tensors) = (folder.join("set.npz"), folder.join("set.safetensors"));
            data.save_npz(&npz).unwrap();
            data.save_safetensors(&tensors).unwrap();
            assert_same(&Dataset::from_npz(&npz).unwrap(), &data);
            assert_same(&Dataset::from_safetensors(&tensors).unwrap(), &data);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn records_that_were_changed_do_not_keep_the_event() {
        let folder = scratch("changed");
        let path = folder.join("set.npz");
        released().save_npz(&path).unwrap();
        let file = Npz::read(&path).unwrap();
        let mut arrays: Vec<(String, Array)> = file.names().map(|name| (name.to_string(), file.get(name).unwrap().clone())).collect();
        if let Some((_, Array { values: Values::F32(x), .. })) = arrays.iter_mut().find(|(name, _)| name == "x") {
            x[0] += 0.5;
        }
        npz::write(&path, &arrays).unwrap();
        assert!(matches!(Dataset::from_npz(&path), Err(Error::Mismatch { .. })));
        arrays.retain(|(name, _)| name != PROVENANCE);
        npz::write(&path, &arrays).unwrap();
        assert!(Dataset::from_npz(&path).unwrap().origin().is_real());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn foreign_arrays_of_every_rank_are_read_and_others_are_named() {
        let folder = scratch("foreign");
        let path = folder.join("mine.npz");
        let write = |x: Array, y: Array| npz::write(&path, &[("x".into(), x), ("y".into(), y)]).unwrap();
        let y = || Array::new(&[2], Values::Integers(vec![0, 2]));
        write(Array::new(&[2, 2, 2], Values::F64(vec![0.5; 8])), y());
        let images = Dataset::from_npz(&path).unwrap();
        assert_eq!((images.name(), images.shape(), images.classes()), ("mine", [1, 2, 2], 3));
        write(Array { kind: "u1".into(), ..Array::new(&[2, 3], Values::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])) }, y());
        let message = Dataset::from_npz(&path).unwrap_err().to_string();
        assert!(message.contains("array x: 24 bytes of values"), "{message}");
        write(Array::new(&[2, 3], Values::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0])), y());
        assert_eq!(Dataset::from_npz(&path).unwrap().schema().unwrap().columns[2].name(), "x2");
        write(Array::new(&[6], Values::F32(vec![0.0; 6])), Array::new(&[6], Values::Integers(vec![0; 6])));
        assert!(Dataset::from_npz(&path).unwrap_err().to_string().contains("array x: shape [6]"));
        write(Array::new(&[2, 3], Values::F32(vec![0.0; 6])), Array::new(&[2], Values::F64(vec![0.0, 1.0])));
        let message = Dataset::from_npz(&path).unwrap_err().to_string();
        assert!(message.contains("array y: shape [2], dtype f8; expected integers of shape [2]"), "{message}");
        npz::write(&path, &[("images".into(), y())]).unwrap();
        assert!(Dataset::from_npz(&path).unwrap_err().to_string().contains("array x: missing; the file has images"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
