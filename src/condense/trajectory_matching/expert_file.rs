//! One expert on disk: a safetensors file with `weights` `[epochs + 1, parameters]` in f32 and the [`Key`] as JSON in its header,
//! written whole beside its place and renamed.

use super::TrajectoryMatching;
use crate::attack::manifest::compare;
use crate::data::Normalization;
use crate::file::{floats, write_tensors};
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Error as IoError, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const KEY: &str = "freelunch_expert";
const TENSOR: &str = "weights";
const REMEDY: &str = "delete the file, and the expert is trained again";

/// What an expert was made from: it can be used again where all of this is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    library: String,
    recipe: Train,
    data: String,
    normalization: Normalization,
    seed: u64,
    expert: usize,
}

impl Key {
    /// That of the first expert.
    pub(super) fn new(method: &TrajectoryMatching, real: &Dataset, lab: &Lab) -> Self {
        Self {
            library: env!("CARGO_PKG_VERSION").into(),
            recipe: method.expert.clone(),
            data: real.digest(),
            normalization: real.normalization().clone(),
            seed: lab.seed_value(),
            expert: 0,
        }
    }

    pub(super) fn of(&self, expert: usize) -> Self {
        Self { expert, ..self.clone() }
    }

    /// A name of its own for each key, because one lab keeps the runs of many methods.
    pub(super) fn folder(&self) -> String {
        let digest = Sha256::digest(serde_json::json!(self).to_string());
        format!("experts-{}", digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

pub(super) fn path(folder: &Path, expert: usize) -> PathBuf {
    folder.join(format!("expert-{expert:03}.safetensors"))
}

/// Writes one expert; a reader sees all of it or nothing.
pub(super) fn save(path: &Path, weights: &[f32], shape: [usize; 2], key: &Key) -> Result<()> {
    write_tensors(path, &[(TENSOR.into(), shape.to_vec(), weights)], KEY, key)
}

/// Whether there is a file of these experts; an error if it is damaged or not the one that is wanted.
pub(super) fn found(path: &Path, shape: [usize; 2], wanted: &Key) -> Result<bool> {
    let broken = |what: String| Error::data(path.display().to_string(), "header", what, REMEDY);
    let (header, length) = match header_of(path) {
        Ok(read) => read,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => return Err(broken(e.to_string())),
        Err(e) => return Err(Error::io("read", path, e, REMEDY)),
    };
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| broken(e.to_string()))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| broken("not an expert".into()))?;
    // Both from text, so that the same numbers compare as the same.
    let value = |json: &str| serde_json::from_str::<Value>(json).map_err(|e| broken(e.to_string()));
    let wanted = serde_json::to_string(wanted).map_err(|e| broken(e.to_string()))?;
    let mut differences = vec![];
    compare("", &value(json)?, &value(&wanted)?, &mut differences);
    if !differences.is_empty() {
        let what = format!("{}: {}", path.display(), differences.join(", "));
        return Err(Error::mismatch(what, "keep these experts in another folder, delete the file, or go back to its settings"));
    }
    let complete = metadata.data_len() as u64 == length && metadata.data_len() == 4 * shape[0] * shape[1];
    match metadata.info(TENSOR) {
        Some(info) if complete && info.shape == shape && info.dtype == Dtype::F32 => Ok(true),
        _ => Err(broken(format!("{length} bytes of weights, expected {shape:?} values of 4 bytes"))),
    }
}

/// The header of a safetensors file and the number of bytes behind it.
fn header_of(path: &Path) -> std::io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let header = header_length(&mut file)?;
    let behind = length.saturating_sub(8).checked_sub(header);
    let behind = behind.ok_or_else(|| IoError::new(ErrorKind::InvalidData, "the file ends within its header"))?;
    let mut bytes = vec![0; header as usize];
    file.read_exact(&mut bytes)?;
    Ok((bytes, behind))
}

fn header_length(file: &mut File) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// One epoch of a file that was [`found`].
pub(super) fn read(path: &Path, epoch: usize, length: usize) -> Result<Vec<f32>> {
    let bytes = || {
        let mut file = File::open(path)?;
        let header = header_length(&mut file)?;
        file.seek(SeekFrom::Start(8 + header + (4 * epoch * length) as u64))?;
        let mut bytes = vec![0; 4 * length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = bytes().map_err(|e| Error::io("read", path, e, REMEDY))?;
    Ok(floats(&bytes))
}
