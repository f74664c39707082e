//! Signals from and for Python: shadow models that were trained elsewhere are attacked here, and the other way round.
//!
//! A `.npz` file holds `logits` `[models, n, queries, classes]`, `membership` `[models, n]` and `labels` `[n]`; `ids`, `marked`, `started`, a
//! population (`population_logits`, `population_labels`), scores of releases (`released_NAME`) and the `manifest` (JSON) if there are any.
//!
//! # Privacy
//! None: this is material of attacks.
//!
//! # Example
//! ```
//! use freelunch::attack::{Manifest, Signals};
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(vec![2.0_f32, 0.0], [1, 1, 1, 2], vec![true], vec![0], manifest)?;
//! let path = std::env::temp_dir().join(format!("doc-signals-{}.npz", std::process::id()));
//! signals.save_npz(&path)?; // in Python: np.load(path)["logits"]
//! assert!(Signals::from_npz(&path)? == signals);
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::npy::{Array, Values};
use super::npz::{self, Npz};
use crate::attack::{Logits, Manifest, Signals};
use crate::{Error, Result};
use std::path::Path;

const POPULATION: &str = "population_";
const RELEASED: &str = "released_";
const LOGITS: &str = "float32 or float64 of shape [models, n, classes] or [models, n, queries, classes]";

impl Signals {
    /// Writes everything as a numpy `.npz` file: see [`crate::interchange::signals`] for the arrays.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written or would exceed 4 GiB.
    ///
    /// # Example
    /// See [`crate::interchange::signals`].
    pub fn save_npz(&self, path: impl AsRef<Path>) -> Result<()> {
        let (models, n) = (self.models(), self.len());
        let flags = |values: &[bool]| Values::Bool(values.to_vec());
        let ids = self.ids().iter().map(|&id| i64::try_from(id).unwrap_or(i64::MAX)).collect();
        let manifest = serde_json::to_string(self.manifest()).map_err(|cause| Error::table("manifest", cause))?;
        let mut arrays = rows("", self).to_vec();
        arrays.extend([
            ("membership".to_string(), Array::new(&[models, n], flags(self.membership()))),
            ("ids".to_string(), Array::new(&[n], Values::Integers(ids))),
            ("marked".to_string(), Array::new(&[n], flags(self.marked()))),
            ("manifest".to_string(), Array::text(manifest)),
        ]);
        if !self.started().is_empty() {
            arrays.push(("started".to_string(), Array::new(&[models, n], flags(self.started()))));
        }
        if let Some(population) = self.population() {
            arrays.extend(rows(POPULATION, population));
        }
        for (name, scores) in self.released() {
            arrays.push((format!("{RELEASED}{name}"), Array::new(&[models, n], Values::F64(scores.clone()))));
        }
        npz::write(path.as_ref(), &arrays)
    }

    /// Reads a numpy `.npz` file: one that [`Signals::save_npz`] wrote, or your own.
    ///
    /// Your own needs `logits` (float32 or float64, `[models, n, classes]` or `[models, n, queries, classes]`), `membership` (`[models, n]`, bool or
    /// 0 and 1: whether the record was in the model's training set) and `labels` (`[n]`, integers from 0). Give log-probabilities where there are no
    /// logits: the attacks read differences only.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] that names array, shape and dtype when one is not as expected; and as
    /// [`Signals::new`].
    ///
    /// # Example
    /// See [`crate::interchange::signals`].
    pub fn from_npz(path: impl AsRef<Path>) -> Result<Self> {
        let file = Npz::read(path.as_ref())?;
        let manifest = match file.words("manifest")?.and_then(|texts| texts.into_iter().next()) {
            Some(text) => {
                let broken = |cause: serde_json::Error| {
                    Error::data(file.file(), "array manifest", cause.to_string(), "expected what Signals::save_npz wrote, or leave it out")
                };
                let manifest: Manifest = serde_json::from_str(&text).map_err(broken)?;
                manifest.event.check()?;
                manifest
            }
            None => Manifest::new(serde_json::json!({ "method": "npz", "file": file.file() }), 0, "unknown"),
        };
        let (logits, shape) = logits(&file, "logits")?;
        let [models, n, ..] = shape;
        let membership = file.flags("membership", &[models, n])?;
        let mut signals = Self::new(logits, shape, membership, file.labels("labels", n)?, manifest.clone())?;
        if file.get("ids").is_some() {
            signals = signals.with_ids(file.counts("ids", &[n])?)?;
        }
        if file.get("marked").is_some() {
            signals = signals.with_marked(file.flags("marked", &[n])?)?;
        }
        if file.get("started").is_some() {
            signals = signals.with_started(file.flags("started", &[models, n])?)?;
        }
        let population = format!("{POPULATION}logits");
        if file.get(&population).is_some() {
            let (values, shape) = self::logits(&file, &population)?;
            let nobody = vec![false; shape[0] * shape[1]];
            let labels = file.labels(&format!("{POPULATION}labels"), shape[1])?;
            signals = signals.with_population(Self::new(values, shape, nobody, labels, manifest)?)?;
        }
        for name in file.names().filter(|name| name.starts_with(RELEASED)) {
            let expected = format!("float64 of shape {:?}", [models, n]);
            match file.get(name).map(|array| (&array.values, array.shape.as_slice())) {
                Some((Values::F64(scores), shape)) if shape == [models, n] => {
                    signals = signals.with_released(&name[RELEASED.len()..], scores.clone())?;
                }
                _ => return Err(file.wrong(name, &expected)),
            }
        }
        Ok(signals)
    }
}

fn rows(prefix: &str, signals: &Signals) -> [(String, Array); 2] {
    let values = match signals.logits() {
        Logits::F32(values) => Values::F32(values.clone()),
        Logits::F64(values) => Values::F64(values.clone()),
    };
    let shape = [signals.models(), signals.len(), signals.queries(), signals.classes()];
    let labels = signals.labels().iter().map(|&label| i64::from(label)).collect();
    [
        (format!("{prefix}logits"), Array::new(&shape, values)),
        (format!("{prefix}labels"), Array::new(&[signals.len()], Values::Integers(labels))),
    ]
}

fn logits(file: &Npz, name: &str) -> Result<(Logits, [usize; 4])> {
    let array = file.need(name, LOGITS)?;
    let shape = match *array.shape.as_slice() {
        [models, n, queries, classes] => [models, n, queries, classes],
        [models, n, classes] => [models, n, 1, classes],
        _ => return Err(file.wrong(name, LOGITS)),
    };
    match &array.values {
        Values::F32(values) => Ok((Logits::F32(values.clone()), shape)),
        Values::F64(values) => Ok((Logits::F64(values.clone()), shape)),
        _ => Err(file.wrong(name, LOGITS)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::provenance::tests::scratch;
    use super::*;

    /// Two models, three records, two queries, two classes.
    fn signals(logits: impl Into<Logits>) -> Signals {
        let membership = vec![true, false, true, false, true, false];
        let manifest = Manifest::new(serde_json::json!({"method": "made up"}), 5, "none");
        let signals = Signals::new(logits, [2, 3, 2, 2], membership, vec![0, 1, 1], manifest).unwrap();
        signals.with_ids(vec![4, 9, 7]).unwrap().with_marked(vec![false, true, false]).unwrap()
    }

    #[test]
    fn signals_come_back_equal_in_their_precision() {
        let folder = scratch("signals");
        let path = folder.join("signals.npz");
        let population =
            Signals::new(vec![0.5_f32; 8], [2, 1, 2, 2], vec![false; 2], vec![1], signals(vec![0.0_f32; 24]).manifest().clone());
        let singles = signals((0..24).map(|i| i as f32 / 7.0).collect::<Vec<f32>>()).with_population(population.unwrap()).unwrap();
        let singles = singles.with_started(vec![true, false, false, false, true, false]).unwrap();
        let singles = singles.with_released("nearest record", vec![0.1; 6]).unwrap();
        for signals in [singles, signals((0..24).map(|i| f64::from(i) / 7.0).collect::<Vec<f64>>())] {
            signals.save_npz(&path).unwrap();
            assert!(Signals::from_npz(&path).unwrap() == signals);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn foreign_signals_need_three_arrays_and_errors_name_shape_and_dtype() {
        let folder = scratch("foreign-signals");
        let path = folder.join("signals.npz");
        let read = |logits: Array, membership: Array, labels: Array| {
            npz::write(&path, &[("logits".into(), logits), ("membership".into(), membership), ("labels".into(), labels)]).unwrap();
            Signals::from_npz(&path)
        };
        let logits = || Array::new(&[2, 3, 2], Values::F32((0..12).map(|i| i as f32).collect()));
        let members = |values: Vec<i64>| Array::new(&[2, 3], Values::Integers(values));
        let labels = |values: Vec<i64>| Array::new(&[3], Values::Integers(values));
        let signals = read(logits(), members(vec![0, 1, 0, 1, 0, 1]), labels(vec![0, 1, 1])).unwrap();
        assert_eq!((signals.queries(), signals.classes(), signals.members_of(1).unwrap()), (1, 2, &[true, false, true][..]));
        assert_eq!(signals.phi(1).unwrap(), [-1.0, 1.0, 1.0]);
        let message = read(logits(), members(vec![0, 2, 0, 1, 0, 1]), labels(vec![0, 1, 1])).unwrap_err().to_string();
        assert!(
            message.contains("array membership: shape [2, 3], dtype i8; expected bool, or integers 0 and 1, of shape [2, 3]"),
            "{message}"
        );
        let message = read(logits(), members(vec![0; 6]), labels(vec![0, -1, 1])).unwrap_err().to_string();
        assert!(message.contains("array labels: a negative value"), "{message}");
        assert!(read(logits(), members(vec![0; 6]), labels(vec![0, 5, 1])).unwrap_err().to_string().contains("label 5 of 2 classes"));
        let message = read(labels(vec![0; 3]), members(vec![0; 6]), labels(vec![0; 3])).unwrap_err().to_string();
        assert!(message.contains("array logits: shape [3], dtype i8; expected float32 or float64"), "{message}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
