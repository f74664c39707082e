//! Shadow runs on disk: one file a run, in a folder of its own for each setting of the game.
//!
//! `FOLDER/signals/NAME-KEY/manifest.json` holds the settings, `run-007.safetensors` what run 7 left. KEY is a digest of the settings, so runs of
//! different settings are never mixed up. A file that cannot be read is played again.

use super::Played;
use crate::attack::manifest::{Manifest, Run, compare};
use crate::file::{floats, key_of, slug, write_whole};
use crate::privacy::Event;
use crate::{Error, Lab, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one setting.
pub(super) struct Kept {
    folder: PathBuf,
}

/// What is no tensor.
#[derive(Serialize, Deserialize)]
struct Header {
    attacks: Vec<String>,
    run: Run,
    event: Event,
}

impl Kept {
    const KEY: &str = "freelunch.run";
    const MANIFEST: &str = "manifest.json";

    /// The folder of this game, if the lab keeps runs. Says why the runs of another setting are not used.
    pub(super) fn of(manifest: &Manifest, lab: &Lab) -> Result<Option<Self>> {
        let Some(folder) = lab.kept_in() else { return Ok(None) };
        let settings = manifest.settings();
        let key = key_of([settings.to_string().as_str()]);
        let (all, name) = (folder.join("signals"), slug(&manifest.name));
        let folder = all.join(format!("{name}-{key}"));
        if !folder.exists() {
            for (other, differences) in others(&all, &name, &settings) {
                lab.remark(&format!("shadow runs in {} are of another setting: {differences}", other.display()));
            }
            fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e, "choose a folder that can be written"))?;
        }
        let text = serde_json::to_string_pretty(&settings).map_err(|e| Error::table(Self::MANIFEST, e))?;
        write_whole(&folder.join(Self::MANIFEST), text.as_bytes())?;
        Ok(Some(Self { folder }))
    }

    fn path(&self, run: usize) -> PathBuf {
        self.folder.join(format!("run-{run:03}.safetensors"))
    }

    /// What run `run` left, if it was finished and can be read.
    pub(super) fn load(&self, run: usize) -> Option<Played> {
        let bytes = fs::read(self.path(run)).ok()?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).ok()?;
        let header: Header = serde_json::from_str(metadata.metadata().as_ref()?.get(Self::KEY)?).ok()?;
        header.event.check().ok()?;
        let tensors = SafeTensors::deserialize(&bytes).ok()?;
        let data = |name: &str| tensors.tensor(name).ok().map(|tensor| tensor.data());
        let score = |(at, name): (usize, String)| {
            let values = data(&format!("score {at}"))?.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect();
            Some((name, values))
        };
        Some(Played {
            logits: floats(data("logits")?),
            population: floats(data("population")?),
            started: data("started")?.iter().map(|&byte| byte != 0).collect(),
            scores: header.attacks.into_iter().enumerate().map(score).collect::<Option<_>>()?,
            run: header.run,
            event: header.event,
        })
    }

    /// Writes what run `run` left, whole or not at all.
    pub(super) fn save(&self, run: usize, played: &Played) -> Result<()> {
        let path = self.path(run);
        let impossible = |cause: String| Error::io("write", &path, std::io::Error::other(cause), "check that the disk has space");
        let singles = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let mut parts = vec![
            ("logits".to_string(), Dtype::F32, played.logits.len(), singles(&played.logits)),
            ("population".to_string(), Dtype::F32, played.population.len(), singles(&played.population)),
            ("started".to_string(), Dtype::U8, played.started.len(), played.started.iter().map(|&begun| u8::from(begun)).collect()),
        ];
        for (at, (_, scores)) in played.scores.iter().enumerate() {
            let bytes = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
            parts.push((format!("score {at}"), Dtype::F64, scores.len(), bytes));
        }
        let mut tensors = vec![];
        for (name, dtype, length, bytes) in &parts {
            tensors.push((name, TensorView::new(*dtype, vec![*length], bytes).map_err(|e| impossible(e.to_string()))?));
        }
        let attacks = played.scores.iter().map(|(name, _)| name.clone()).collect();
        let header = serde_json::to_string(&Header { attacks, run: played.run, event: played.event.clone() });
        let about = HashMap::from([(Self::KEY.to_string(), header.map_err(|e| impossible(e.to_string()))?)]);
        write_whole(&path, &safetensors::serialize(tensors, Some(about)).map_err(|e| impossible(e.to_string()))?)
    }
}

/// Folders of the same pipeline by name, each with how its settings differ.
fn others(all: &Path, name: &str, settings: &serde_json::Value) -> Vec<(PathBuf, String)> {
    let folders = fs::read_dir(all).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<(PathBuf, String)> = folders
        .filter_map(|folder| {
            let own = folder.file_name()?.to_str()?.rsplit_once('-')?.0 == name;
            let saved = serde_json::from_slice(&fs::read(folder.join(Kept::MANIFEST)).ok().filter(|_| own)?).ok()?;
            let mut differences = vec![];
            compare("", &saved, settings, &mut differences);
            Some((folder, differences.join(", ")))
        })
        .collect();
    found.sort();
    found
}
