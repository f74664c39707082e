//! Signals on disk: one safetensors file whose metadata holds the manifest, written to a temporary name and then renamed.

use super::{Logits, Signals};
use crate::attack::Manifest;
use crate::file::write_whole;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

const MANIFEST: &str = "freelunch.manifest";
const LOGITS: &str = "logits";
const LABELS: &str = "labels";
const STARTED: &str = "started";
/// What the names of scores of releases begin with.
const RELEASED: &str = "released:";
/// What the names of the population's parts begin with.
const POPULATION: &str = "population:";

impl Signals {
    /// Writes one safetensors file: logits, membership, labels, ids, marks, the population, scores of releases, and the manifest as JSON in
    /// the metadata. An existing file is replaced only when the new one is complete.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    ///
    /// # Example
    /// ```
    /// # use freelunch::attack::{Manifest, Signals};
    /// # let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
    /// # let signals = Signals::new(vec![2.0_f32, 0.0], [1, 1, 1, 2], vec![true], vec![0], manifest)?;
    /// let path = std::env::temp_dir().join(format!("signals-{}.safetensors", std::process::id()));
    /// signals.save(&path)?;
    /// let loaded = Signals::load(&path)?;
    /// loaded.manifest().matches(signals.manifest())?;
    /// assert!(loaded == signals);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.to_bytes().map_err(|cause| broken(path, &cause))?;
        write_whole(path, &bytes)
    }

    /// Reads what [`Signals::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] or [`Error::Config`] when it is cut short or not of this kind.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut bytes = vec![];
        let read = File::open(path).and_then(|mut file| file.read_to_end(&mut bytes));
        read.map_err(|source| Error::io("read", path, source, "play the game again and save its signals there"))?;
        Self::from_bytes(&bytes).map_err(|cause| broken(path, &cause))
    }

    fn to_bytes(&self) -> std::result::Result<Vec<u8>, String> {
        let (n, mut parts) = (self.len(), vec![]);
        let mut add = |name: &str, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>| parts.push((name.to_string(), dtype, shape, bytes));
        let bools = |values: &[bool]| values.iter().map(|&value| u8::from(value)).collect::<Vec<u8>>();
        let (dtype, logits) = self.logits.bytes();
        add(LOGITS, dtype, vec![self.models, n, self.queries, self.classes], logits);
        add("membership", Dtype::U8, vec![self.models, n], bools(&self.membership));
        add(LABELS, Dtype::U32, vec![n], self.labels.iter().flat_map(|value| value.to_le_bytes()).collect());
        add("ids", Dtype::U64, vec![n], self.ids.iter().flat_map(|&value| (value as u64).to_le_bytes()).collect());
        add("marked", Dtype::U8, vec![n], bools(&self.marked));
        if !self.started.is_empty() {
            add(STARTED, Dtype::U8, vec![self.models, n], bools(&self.started));
        }
        for (name, scores) in &self.released {
            let bytes = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            add(&format!("{RELEASED}{name}"), Dtype::F64, vec![self.models, n], bytes);
        }
        if let Some(population) = &self.population {
            let (dtype, logits) = population.logits.bytes();
            let shape = vec![self.models, population.len(), self.queries, self.classes];
            add(&format!("{POPULATION}{LOGITS}"), dtype, shape, logits);
            let labels = population.labels.iter().flat_map(|value| value.to_le_bytes()).collect();
            add(&format!("{POPULATION}{LABELS}"), Dtype::U32, vec![population.len()], labels);
        }
        let mut tensors = vec![];
        for (name, dtype, shape, bytes) in &parts {
            tensors.push((name, TensorView::new(*dtype, shape.clone(), bytes).map_err(|cause| cause.to_string())?));
        }
        let manifest = serde_json::to_string(&self.manifest).map_err(|cause| cause.to_string())?;
        safetensors::serialize(tensors, Some(HashMap::from([(MANIFEST.to_string(), manifest)]))).map_err(|cause| cause.to_string())
    }

    fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|cause| cause.to_string())?;
        let manifest = header.metadata().as_ref().and_then(|entries| entries.get(MANIFEST)).ok_or("its metadata has no manifest")?;
        let manifest: Manifest = serde_json::from_str(manifest).map_err(|cause| format!("its manifest: {cause}"))?;
        let tensors = SafeTensors::deserialize(bytes).map_err(|cause| cause.to_string())?;
        let part = |name: &str, kinds: &[Dtype]| match tensors.tensor(name) {
            Ok(tensor) if kinds.contains(&tensor.dtype()) => Ok(tensor),
            Ok(tensor) => Err(format!("{name} are {:?}, expected {kinds:?}", tensor.dtype())),
            Err(cause) => Err(cause.to_string()),
        };
        let logits = |name: &str| -> std::result::Result<(Logits, [usize; 4]), String> {
            let view = part(name, &[Dtype::F32, Dtype::F64])?;
            let shape: [usize; 4] = view.shape().try_into().map_err(|_| format!("logits of shape {:?}", view.shape()))?;
            let logits = match view.dtype() {
                Dtype::F64 => Logits::F64(numbers(view.data(), f64::from_le_bytes)),
                _ => Logits::F32(numbers(view.data(), f32::from_le_bytes)),
            };
            Ok((logits, shape))
        };
        let labels = |name: &str| part(name, &[Dtype::U32]).map(|tensor| numbers(tensor.data(), u32::from_le_bytes));
        let has = |name: &str| tensors.names().contains(&name);
        let ids = numbers(part("ids", &[Dtype::U64])?.data(), |bytes| u64::from_le_bytes(bytes) as usize);
        let bools = |name: &str| part(name, &[Dtype::U8]).map(|tensor| tensor.data().iter().map(|&byte| byte != 0).collect::<Vec<bool>>());
        let text = |cause: Error| cause.to_string();
        let (values, shape) = logits(LOGITS)?;
        let mut signals = Self::new(values, shape, bools("membership")?, labels(LABELS)?, manifest.clone()).map_err(text)?;
        signals = signals.with_ids(ids).map_err(text)?.with_marked(bools("marked")?).map_err(text)?;
        if has(STARTED) {
            signals = signals.with_started(bools(STARTED)?).map_err(text)?;
        }
        for name in tensors.names().into_iter().filter(|name| name.starts_with(RELEASED)) {
            let scores = numbers(part(name, &[Dtype::F64])?.data(), f64::from_le_bytes);
            signals = signals.with_released(&name[RELEASED.len()..], scores).map_err(text)?;
        }
        if has(&format!("{POPULATION}{LOGITS}")) {
            let (values, shape) = logits(&format!("{POPULATION}{LOGITS}"))?;
            let nobody = vec![false; shape[0] * shape[1]];
            let population = Self::new(values, shape, nobody, labels(&format!("{POPULATION}{LABELS}"))?, manifest).map_err(text)?;
            signals = signals.with_population(population).map_err(text)?;
        }
        Ok(signals)
    }
}

fn numbers<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|&chunk| read(chunk)).collect()
}

fn broken(path: &Path, cause: &str) -> Error {
    let what = format!("not a whole file of signals ({cause})");
    Error::data(path.display().to_string(), "contents", what, "delete it and play the game again")
}

#[cfg(test)]
mod tests {
    use super::super::tests::made_up;
    use super::*;
    use std::fs;

    fn scratch(name: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("freelunch-signals-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_saved_file_comes_back_equal_and_leaves_nothing_else_behind() {
        let folder = scratch("round-trip");
        let path = folder.join("signals.safetensors");
        let signals = made_up(5).with_ids(vec![9, 8, 7, 6, 5]).unwrap().with_marked(vec![true, false, true, false, false]).unwrap();
        let nobody = Signals { membership: vec![false; 30], ..made_up(5) };
        let signals = signals.with_population(nobody).unwrap();
        let signals = signals.with_released("nearest", vec![0.25; 30]).unwrap().with_started(vec![false; 30]).unwrap();
        signals.save(&path).unwrap();
        signals.save(&path).unwrap(); // replaces
        assert!(Signals::load(&path).unwrap() == signals);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let doubles = Signals::new(vec![0.1, 0.7], [1, 1, 1, 2], vec![true], vec![0], signals.manifest().clone()).unwrap();
        doubles.save(&path).unwrap();
        assert!(Signals::load(&path).unwrap() == doubles);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_truncated_or_foreign_file_is_refused_with_its_name() {
        let folder = scratch("broken");
        let path = folder.join("signals.safetensors");
        let signals = made_up(5);
        signals.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in [0, 4, 30, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let text = Signals::load(&path).unwrap_err().to_string();
            assert!(text.contains("signals.safetensors") && text.contains("play the game again"), "{length}: {text}");
        }
        fs::write(&path, b"something else entirely, and long enough").unwrap();
        assert!(Signals::load(&path).is_err());
        fs::remove_dir_all(folder).unwrap();
        assert!(Signals::load(&path).unwrap_err().to_string().starts_with("cannot read"));
    }
}
