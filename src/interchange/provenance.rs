//! What a file format has no place for: how a set came to be, its privacy event, its columns and names, soft labels, normalisation.
//!
//! Formats with metadata carry it inside; beside the others lies `<path>.json`. The digest of the records ties the two together, so that an
//! event is never believed of other records than those it was earned for.

use crate::data::{Normalization, Origin, Schema};
use crate::file::write_whole;
use crate::{Dataset, Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A data set without its records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    /// The version of the library; the field's name tells this JSON from any other.
    freelunch_provenance: String,
    pub(crate) name: String,
    pub(crate) class_names: Vec<String>,
    pub(crate) shape: [usize; 3],
    pub(crate) schema: Option<Schema>,
    normalization: Normalization,
    normalization_is_public: bool,
    soft_labels: Option<Vec<f32>>,
    origin: Origin,
    digest: String,
}

impl Provenance {
    const MARK: &str = "freelunch_provenance";

    /// Of the set as its file will give it back.
    pub(crate) fn of(data: &Dataset) -> Self {
        let public = data.publicly_normalized().is_ok_and(|public| public.normalization() == data.normalization());
        Self {
            freelunch_provenance: env!("CARGO_PKG_VERSION").to_string(),
            name: data.name().to_string(),
            class_names: data.class_names().to_vec(),
            shape: data.shape(),
            schema: data.schema().cloned(),
            normalization: data.normalization().clone(),
            normalization_is_public: public,
            soft_labels: data.soft_labels().map(<[f32]>::to_vec),
            origin: data.origin().clone(),
            digest: data.digest(),
        }
    }

    pub(crate) fn json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(|cause| Error::table("provenance", cause))
    }

    /// What [`Provenance::json`] made; `file` is where it stands.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self> {
        let kept: Self = serde_json::from_str(text).map_err(|cause| {
            let remedy = "restore the file; without it the set counts as records that were read, with no ε";
            Error::data(file, "provenance", cause.to_string(), remedy)
        })?;
        kept.origin.event.check()?;
        Ok(kept)
    }

    /// The set of these records with this history.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the records are not those that were saved.
    pub(crate) fn onto(self, file: &str, x: Vec<f32>, labels: Vec<u32>) -> Result<Dataset> {
        let bare = match self.schema {
            Some(schema) => Dataset::table(&self.name, x, schema, labels, self.class_names)?,
            None => Dataset::images(&self.name, x, self.shape, labels, self.class_names)?,
        };
        let checked = bare.clone().with_public_normalization(self.normalization.clone())?;
        let normalized = if self.normalization_is_public { checked } else { bare.with_normalization(self.normalization) };
        let (x, labels) = (normalized.x().to_vec(), normalized.labels().to_vec());
        let data = normalized.synthetic(x, labels, self.origin)?.named(&self.name);
        let data = match self.soft_labels {
            Some(targets) => data.with_soft_labels(targets)?,
            None => data,
        };
        if data.digest() == self.digest {
            return Ok(data);
        }
        let what = format!("the records of {file} are not those that its history was saved with");
        Err(Error::mismatch(what, "restore the file, or delete its .json: then they count as records that were read, with no ε"))
    }

    /// Writes `<path>.json`.
    pub(crate) fn save_beside(&self, path: &Path) -> Result<()> {
        write_whole(&beside(path), self.json()?.as_bytes())
    }

    /// What lies beside a file, if anything of this kind does.
    pub(crate) fn find_beside(path: &Path) -> Result<Option<Self>> {
        let place = beside(path);
        match std::fs::read_to_string(&place) {
            Ok(text) if text.contains(Self::MARK) => Self::parse(&place.display().to_string(), &text).map(Some),
            Ok(_) => Ok(None), // a file of the user's
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", &place, cause, "it may hold the privacy event of the set: restore or delete it")),
        }
    }
}

/// A set as it was read, with the history that lies beside its file, if one does. Labels stay as they are.
pub(crate) fn restored(path: &Path, read: Dataset) -> Result<Dataset> {
    match Provenance::find_beside(path)? {
        Some(kept) if kept.shape == read.shape() => kept.onto(&path.display().to_string(), read.x().to_vec(), read.labels().to_vec()),
        Some(kept) => {
            let what = format!("{} has records of shape {:?}, its history is of {:?}", path.display(), read.shape(), kept.shape);
            Err(Error::mismatch(what, "restore the file, or delete its .json"))
        }
        None => Ok(read),
    }
}

/// `<path>.json`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".json");
    path.with_file_name(name)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::privacy::Event;

    /// Two images of each class as a mechanism might have made them: not of 8 bits, with soft labels and an event.
    pub(crate) fn released() -> Dataset {
        let toy = Dataset::toy();
        let labels: Vec<u32> = [0, 0, 1, 1, 2, 2, 3, 3].to_vec();
        let x = (0..labels.len() * toy.features()).map(|i| (i % 97) as f32 / 97.0).collect();
        let mut origin = Origin::real("made up");
        origin.config = serde_json::json!({"steps": 3});
        origin.event = Event::gaussian(2.5).unwrap();
        origin.trace = vec![(0, 1.5), (2, 0.25)];
        origin.started_from = (0..labels.len()).map(|i| vec![i]).collect();
        let soft = (0..labels.len() * 4).map(|i| i as f32 / 32.0).collect();
        toy.synthetic(x, labels, origin).unwrap().with_soft_labels(soft).unwrap()
    }

    pub(crate) fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("freelunch-interchange-{}-{name}", std::process::id()));
        std::fs::remove_dir_all(&folder).ok();
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) fn assert_same(a: &Dataset, b: &Dataset) {
        assert_eq!((a.digest(), a.origin(), a.name(), a.class_names()), (b.digest(), b.origin(), b.name(), b.class_names()));
        assert_eq!((a.normalization(), a.schema(), a.soft_labels()), (b.normalization(), b.schema(), b.soft_labels()));
    }

    #[test]
    fn a_history_belongs_to_its_records_only() {
        let folder = scratch("history");
        let (path, data) = (folder.join("set"), released());
        assert_same(&restored(&path, data.clone()).unwrap(), &data);
        Provenance::of(&data).save_beside(&path).unwrap();
        let bare = Dataset::images("read", data.x().to_vec(), data.shape(), data.labels().to_vec(), data.class_names().to_vec()).unwrap();
        assert_same(&restored(&path, bare.clone()).unwrap(), &data);
        let mut x = data.x().to_vec();
        x[7] += 0.01;
        let other = Dataset::images("read", x, data.shape(), data.labels().to_vec(), data.class_names().to_vec()).unwrap();
        assert!(matches!(restored(&path, other), Err(Error::Mismatch { .. })));
        std::fs::write(folder.join("set.json"), r#"{"freelunch_provenance": "0", "cut": "#).unwrap();
        assert!(restored(&path, bare.clone()).unwrap_err().to_string().contains("set.json, provenance"));
        std::fs::write(folder.join("set.json"), r#"{"mine": 1}"#).unwrap();
        assert!(restored(&path, bare).unwrap().origin().is_real());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_public_normalisation_stays_public_and_another_does_not_become_it() {
        let toy = Dataset::toy();
        let public = toy.clone().with_public_normalization(Normalization { mean: vec![0.2], std: vec![0.3] }).unwrap();
        let back = |data: &Dataset| Provenance::of(data).onto("f", data.x().to_vec(), data.labels().to_vec()).unwrap();
        let seen = |data: &Dataset| data.publicly_normalized().unwrap().normalization().clone();
        assert_eq!(seen(&back(&public)).mean, [0.2]);
        assert_eq!(seen(&back(&toy)), seen(&toy));
        assert_ne!(&seen(&back(&toy)), toy.normalization());
    }
}
