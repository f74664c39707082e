//! One entry from the files of each kind: only headers are read, and what cannot be read is no entry.

use super::{Kept, KeptRun};
use crate::attack::Run;
use crate::job::saved::Saved;
use crate::stats::{MeanInterval, mean};
use crate::{Error, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What lies in a folder; nothing where there is none.
pub(super) fn inside(folder: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(Error::io("read", folder, e, "check who may read it")),
    }
}

/// A run's file of a game, without its tensors.
#[derive(Deserialize)]
struct OfRun {
    run: Run,
}

pub(super) fn game(folder: &Path) -> Option<KeptRun> {
    let settings: Value = serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).ok()?).ok()?;
    let files = finished(folder, "run-")?;
    let runs: Vec<Run> = files.iter().filter_map(|path| header::<OfRun>(path, "freelunch.run")).map(|found| found.run).collect();
    let accuracies: Vec<f64> = runs.iter().filter_map(|run| run.test_accuracy).collect();
    let row = entry(folder, Kept::Game, &files)?;
    Some(KeptRun {
        name: settings.get("name")?.as_str()?.to_string(),
        done: runs.len(),
        planned: settings.pointer("/game/shadows").and_then(Value::as_u64).map(|shadows| shadows as usize),
        accuracy: (!accuracies.is_empty()).then(|| mean(&accuracies)),
        interval: MeanInterval::new(&accuracies).ok(),
        seconds: Some(runs.iter().map(|run| run.seconds).sum()),
        ..row
    })
}

/// A checkpoint of a condensation, without its tensors.
#[derive(Deserialize)]
struct OfCondensation {
    next: usize,
    seconds: f64,
}

pub(super) fn condensation(path: &Path) -> Option<KeptRun> {
    let found: OfCondensation = header(path, "freelunch_condensation")?;
    let row = entry(path, Kept::Condensation, &[path.to_path_buf()])?;
    Some(KeptRun { done: found.next, seconds: Some(found.seconds), ..row })
}

pub(super) fn experts(folder: &Path) -> Option<KeptRun> {
    folder.file_name()?.to_str()?.strip_prefix("experts-")?;
    let files = finished(folder, "expert-")?;
    let row = entry(folder, Kept::Experts, &files)?;
    Some(KeptRun { done: files.len(), ..row })
}

pub(super) fn job(path: &Path) -> Option<KeptRun> {
    // Results may be large and are of any kind: they are passed over.
    let found: Saved<IgnoredAny> = serde_json::from_reader(std::io::BufReader::new(File::open(path).ok()?)).ok()?;
    let row = entry(path, Kept::Job, &[path.to_path_buf()])?;
    Some(KeptRun { name: found.name, done: 1, planned: Some(1), seconds: Some(found.seconds), ..row })
}

/// Files `PREFIX*.safetensors` of a folder; files under way end otherwise.
fn finished(folder: &Path, prefix: &str) -> Option<Vec<PathBuf>> {
    let is_whole = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "safetensors")
            && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(prefix))
    };
    let mut files: Vec<PathBuf> = inside(folder).ok()?.into_iter().filter(is_whole).collect();
    files.sort();
    Some(files)
}

/// Name, key, size and age from `NAME-KEY` and the files.
fn entry(path: &Path, kind: Kept, files: &[PathBuf]) -> Option<KeptRun> {
    let (name, key) = path.file_stem()?.to_str()?.rsplit_once('-')?;
    let (mut bytes, mut newest) = (0, std::fs::metadata(path).ok()?.modified().ok()?);
    for file in files {
        let about = std::fs::metadata(file).ok()?;
        bytes += about.len();
        newest = newest.max(about.modified().ok()?);
    }
    let age = SystemTime::now().duration_since(newest).unwrap_or(Duration::ZERO);
    Some(KeptRun {
        kind,
        name: name.replace('-', " "),
        key: key.to_string(),
        done: 0,
        planned: None,
        accuracy: None,
        interval: None,
        seconds: None,
        bytes,
        age_s: age.as_secs_f64(),
        path: path.to_path_buf(),
    })
}

/// What a safetensors file says under `key` in its header; the tensors are not read.
fn header<T: serde::de::DeserializeOwned>(path: &Path, key: &str) -> Option<T> {
    /// That of a real file is a few kilobytes; the limit is that of the format.
    const LONGEST: u64 = 100_000_000;
    #[derive(Deserialize)]
    struct Json {
        #[serde(rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let mut file = File::open(path).ok()?;
    let mut length = [0; 8];
    file.read_exact(&mut length).ok()?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST.min(file.metadata().ok()?.len()) {
        return None;
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json).ok()?;
    let found: Json = serde_json::from_slice(&json).ok()?;
    serde_json::from_str(found.metadata.get(key)?).ok()
}
