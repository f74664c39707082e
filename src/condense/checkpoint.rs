//! A running condensation on disk: written whole beside the old one and renamed, so that a kill at any moment leaves one that works.
//!
//! One safetensors file per (method, its parameters, seed, digest of the real set, version); a run with other parameters finds
//! another file, so nothing is ever mixed up.

use super::descent::State;
use crate::file::{floats, key_of, slug, write_tensors};
use crate::synthesize::Synthesize;
use crate::{Dataset, Error, Lab, Result};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where one run is kept.
pub(super) struct Checkpoint {
    path: PathBuf,
}

/// What was found there.
pub(super) struct Found {
    pub(super) state: State,
    pub(super) trace: Vec<(usize, f64)>,
    /// The first step that has not been made.
    pub(super) next: usize,
    pub(super) seconds: f64,
}

/// Everything but the tensors.
#[derive(Serialize, Deserialize)]
struct Header {
    labels: Vec<u32>,
    started_from: Vec<Vec<usize>>,
    trace: Vec<(usize, f64)>,
    next: usize,
    seconds: f64,
}

impl Checkpoint {
    const KEY: &str = "freelunch_condensation";
    const REMEDY: &str = "delete the file to start anew";

    /// The file of this run, if the lab keeps runs.
    pub(super) fn of(method: &dyn Synthesize, real: &Dataset, lab: &Lab) -> Result<Option<Self>> {
        let Some(folder) = lab.kept_in() else { return Ok(None) };
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e, "choose a folder that can be written"))?;
        let version = env!("CARGO_PKG_VERSION");
        // The state is kept in the normalised space.
        let space = serde_json::json!(real.normalization()).to_string();
        let (name, seed) = (method.name(), lab.seed_value().to_string());
        let key = key_of([name.as_str(), &method.config().to_string(), &seed, &real.digest(), &space, version]);
        Ok(Some(Self { path: folder.join(format!("{}-{key}.safetensors", slug(&name))) }))
    }

    /// Writes the run as it is now.
    pub(super) fn save(&self, state: &State, trace: &[(usize, f64)], next: usize, seconds: f64) -> Result<()> {
        let mut tensors: Vec<(String, Vec<usize>, &[f32])> = vec![("x".into(), vec![state.x.len()], &state.x)];
        if let Some(targets) = &state.soft_labels {
            tensors.push(("soft_labels".into(), vec![targets.len()], targets));
        }
        tensors.extend(state.memory.iter().map(|(name, values)| (format!("memory.{name}"), vec![values.len()], values.as_slice())));
        let header =
            Header { labels: state.labels.clone(), started_from: state.started_from.clone(), trace: trace.to_vec(), next, seconds };
        write_tensors(&self.path, &tensors, Self::KEY, &header)
    }

    /// The run as it was last saved, if it was.
    pub(super) fn load(&self) -> Result<Option<Found>> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &self.path, e, Self::REMEDY)),
        };
        let broken = |what: String| Error::data(self.path.display().to_string(), "checkpoint", what, Self::REMEDY);
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
        let json = metadata.metadata().as_ref().and_then(|m| m.get(Self::KEY)).ok_or_else(|| broken("not a condensation".into()))?;
        let header: Header = serde_json::from_str(json).map_err(|e| broken(e.to_string()))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
        let mut state = State { labels: header.labels, started_from: header.started_from, ..State::default() };
        for (name, view) in tensors.tensors() {
            let values = floats(view.data());
            match name.strip_prefix("memory.") {
                Some(memory) => drop(state.memory.insert(memory.to_string(), values)),
                None if name == "soft_labels" => state.soft_labels = Some(values),
                None => state.x = values,
            }
        }
        Ok(Some(Found { state, trace: header.trace, next: header.next, seconds: header.seconds }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condense::RandomSubset;
    use std::collections::BTreeMap;

    #[test]
    fn a_damaged_checkpoint_is_named_with_a_remedy() {
        let folder = std::env::temp_dir().join(format!("freelunch-checkpoint-{}", std::process::id()));
        let lab = Lab::on(crate::Device::Cpu).unwrap().keep(&folder).unwrap();
        let checkpoint = Checkpoint::of(&RandomSubset::new(1), &Dataset::toy(), &lab).unwrap().unwrap();
        assert!(checkpoint.load().unwrap().is_none());
        let memory = BTreeMap::from([("velocity".to_string(), vec![0.5f32; 3])]);
        let state = State { x: vec![1.0, 2.0], labels: vec![0], started_from: vec![vec![4, 5]], soft_labels: Some(vec![0.1]), memory };
        checkpoint.save(&state, &[(0, 0.25)], 7, 1.5).unwrap();
        let found = checkpoint.load().unwrap().unwrap();
        assert_eq!((found.state, found.next, found.trace, found.seconds), (state, 7, vec![(0, 0.25)], 1.5));
        let whole = std::fs::read(&checkpoint.path).unwrap();
        for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&checkpoint.path, &whole[..cut]).unwrap();
            let message = checkpoint.load().err().unwrap().to_string();
            assert!(message.contains("delete the file"), "{message}");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
