//! Experts: the weights of networks after every epoch of their training on the real set.
//!
//! One safetensors file for each expert, `weights` `[epochs + 1, parameters]` in f32, with what it was made from as JSON in the
//! header. A file is written whole or not at all; two epochs are read from it without the others.

use super::TrajectoryMatching;
use crate::data::Normalization;
use crate::nn::{Layer, Net, to_host};
use crate::train::{Pass, Rows, Train};
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Trained experts: in a folder, where [`TrajectoryMatching::with_experts_in`] finds them again, or in memory.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, condense::TrajectoryMatching, condense::trajectory_matching::Experts, nn::Arch};
/// let lab = Lab::new()?.quiet();
/// let mut matching = TrajectoryMatching::small(1).with_arch(Arch::mlp()).with_experts(2);
/// matching.expert.epochs = 3;
/// matching.latest_start = 1;
/// let folder = std::env::temp_dir().join(format!("freelunch-doc-experts-{}", std::process::id()));
/// let experts = Experts::train(&matching, &Dataset::toy(), &folder, &lab)?;
/// assert_eq!((experts.count(), experts.weights(1, 3)?.len()), (2, 6));
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Experts {
    place: Place,
    count: usize,
    recipe: Train,
    /// The lengths of the parameter vectors.
    lengths: Vec<usize>,
}

#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    /// One expert after the other, its epochs one after the other, all parameters in one vector.
    Memory(Arc<Vec<Vec<f32>>>),
}

/// What an expert was made from: it can be used again where all of this is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Key {
    library: String,
    recipe: Train,
    data: String,
    normalization: Normalization,
    seed: u64,
    expert: usize,
}

impl Experts {
    const KEY: &str = "freelunch_expert";
    const TENSOR: &str = "weights";
    const REMEDY: &str = "delete the file, and the expert is trained again";

    /// The experts of `method` on `real`: those in the folder are used, those that are missing are trained and kept there one by
    /// one, so that a run that was killed goes on. Given the lab, expert i is what [`Train::fit`] makes of its recipe in
    /// `lab.child("expert", i)`. After the lab's time budget no further expert is begun.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the folder has experts of another recipe, data set, seed or version, [`Error::Data`] for a damaged
    /// file, [`Error::Io`] when a file cannot be read or written, and what [`Train::fit`] may answer.
    pub fn train(method: &TrajectoryMatching, real: &Dataset, folder: impl AsRef<Path>, lab: &Lab) -> Result<Self> {
        method.check(real.shape())?;
        crate::device::guarded(lab.device(), || Self::ready(method, real, Some(folder.as_ref()), lab))
    }

    /// The experts of one condensation: in its own folder, or beside what the lab keeps, or in memory.
    pub(super) fn of_run(method: &TrajectoryMatching, real: &Dataset, lab: &Lab) -> Result<Self> {
        if let Some(folder) = &method.experts_in {
            return Self::ready(method, real, Some(folder), lab);
        }
        // Named after the key, because one lab keeps the runs of many methods.
        let json = serde_json::json!(Key::new(method, real, lab, 0)).to_string();
        let digest: String = Sha256::digest(json.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self::ready(method, real, lab.kept_in().map(|kept| kept.join(format!("experts-{digest}"))).as_deref(), lab)
    }

    fn ready(method: &TrajectoryMatching, real: &Dataset, folder: Option<&Path>, lab: &Lab) -> Result<Self> {
        let recipe = &method.expert;
        let lengths: Vec<usize> = recipe.arch.layers(real.shape(), real.classes())?.iter().flat_map(Layer::parameters).collect();
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e, "choose a folder that can be written"))?;
        }
        let shape = [recipe.epochs + 1, lengths.iter().sum()];
        let mut missing = vec![];
        for expert in 0..method.experts {
            let found = folder.map_or(Ok(false), |folder| found(&path(folder, expert), shape, &Key::new(method, real, lab, expert)))?;
            if !found {
                missing.push(expert);
            }
        }
        let deadline = lab.deadline();
        let mut progress = lab.progress("experts", missing.len() * recipe.epochs);
        let mut kept = vec![];
        let mut count = method.experts;
        for (done, &expert) in missing.iter().enumerate() {
            if expert > 0 && deadline.is_some_and(|deadline| Instant::now() > deadline) {
                count = expert; // all before it are there
                break;
            }
            let weights = trajectory(recipe, real, &lab.child("expert", expert as u64), |epoch, loss| {
                progress.step(done * recipe.epochs + epoch, &format!("expert {}, loss {loss:.3}", expert + 1));
            })?;
            match folder {
                Some(folder) => save(&path(folder, expert), &weights, shape, &Key::new(method, real, lab, expert))?,
                None => kept.push(weights),
            }
        }
        let place = folder.map_or_else(|| Place::Memory(Arc::new(kept)), |folder| Place::Folder(folder.to_path_buf()));
        Ok(Self { place, count, recipe: recipe.clone(), lengths })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Epochs each was trained for.
    #[must_use]
    pub fn epochs(&self) -> usize {
        self.recipe.epochs
    }

    /// The parameter vectors of one expert, in layer order: at epoch 0 before training, then after each epoch.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such expert or epoch, [`Error::Io`] when its file is gone.
    pub fn weights(&self, expert: usize, epoch: usize) -> Result<Vec<Vec<f32>>> {
        if expert >= self.count || epoch > self.recipe.epochs {
            let what = format!("expert {expert} at epoch {epoch}");
            return Err(Error::config(what, format!("expected an expert below {} and an epoch up to {}", self.count, self.recipe.epochs)));
        }
        let length: usize = self.lengths.iter().sum();
        let flat = match &self.place {
            Place::Memory(experts) => experts[expert][epoch * length..(epoch + 1) * length].to_vec(),
            Place::Folder(folder) => {
                let path = path(folder, expert);
                read(&path, epoch, length).map_err(|e| Error::io("read", &path, e, Self::REMEDY))?
            }
        };
        let mut rest = flat.as_slice();
        let mut vectors = vec![];
        for &length in &self.lengths {
            let (vector, after) = rest.split_at(length);
            vectors.push(vector.to_vec());
            rest = after;
        }
        Ok(vectors)
    }
}

impl fmt::Debug for Experts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Experts({} of {}, {} epochs, ", self.count, self.recipe.arch.name(), self.recipe.epochs)?;
        match &self.place {
            Place::Folder(folder) => write!(f, "in {})", folder.display()),
            Place::Memory(_) => write!(f, "in memory)"),
        }
    }
}

impl Key {
    fn new(method: &TrajectoryMatching, real: &Dataset, lab: &Lab, expert: usize) -> Self {
        Self {
            library: env!("CARGO_PKG_VERSION").into(),
            recipe: method.expert.clone(),
            data: real.digest(),
            normalization: real.normalization().clone(),
            seed: lab.seed_value(),
            expert,
        }
    }
}

fn path(folder: &Path, expert: usize) -> PathBuf {
    folder.join(format!("expert-{expert:03}.safetensors"))
}

/// The weights before training and after every epoch, one after the other.
fn trajectory(recipe: &Train, real: &Dataset, lab: &Lab, mut told: impl FnMut(usize, f64)) -> Result<Vec<f32>> {
    let device = lab.open()?;
    let mut net = Net::new(recipe.arch.layers(real.shape(), real.classes())?, &mut lab.rng("weights", 0), &device);
    let x = real.normalized();
    let rows = Rows { x: &x, labels: real.labels(), soft: None, shape: real.shape(), classes: real.classes() };
    let mut steps = recipe.optimizer.start();
    let mut order: Vec<usize> = (0..real.len()).collect();
    let mut step = 0;
    let mut weights = net.host_weights()?.concat();
    for epoch in 0..recipe.epochs {
        order.shuffle(&mut lab.rng("order", epoch as u64));
        let mut losses = vec![];
        for batch in order.chunks(recipe.batch) {
            let pass = Pass { loss: recipe.loss, augment: recipe.augment.as_ref(), rng: lab.rng("pass", step as u64) };
            let (loss, gradients) = rows.gradients(&net, batch, pass, lab.device())?;
            steps.step(&mut net.weights, gradients, 1.0);
            losses.push(loss);
            step += 1;
        }
        let loss = f64::from(to_host(Tensor::cat(losses, 0).mean())?[0]);
        if !loss.is_finite() {
            return Err(Error::Diverged { what: "training loss of an expert".into(), step, value: loss });
        }
        weights.extend(net.host_weights()?.concat());
        told(epoch + 1, loss);
    }
    Ok(weights)
}

/// Writes one expert; a reader sees all of it or nothing.
fn save(path: &Path, weights: &[f32], shape: [usize; 2], key: &Key) -> Result<()> {
    let unwritable = |e: String| Error::io("write", path, std::io::Error::other(e), "check the folder and the free space");
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).map_err(|e| unwritable(e.to_string()))?;
    let json = serde_json::to_string(key).map_err(|e| unwritable(e.to_string()))?;
    let header = HashMap::from([(Experts::KEY.to_string(), json)]);
    let file = safetensors::serialize([(Experts::TENSOR, view)], Some(header)).map_err(|e| unwritable(e.to_string()))?;
    let partial = path.with_extension("partial");
    std::fs::write(&partial, file).and_then(|()| std::fs::rename(&partial, path)).map_err(|e| unwritable(e.to_string()))
}

/// Whether there is a file of these experts; an error if it is damaged or not the one that is wanted.
fn found(path: &Path, shape: [usize; 2], wanted: &Key) -> Result<bool> {
    let broken = |what: String| Error::data(path.display().to_string(), "header", what, Experts::REMEDY);
    let (header, length) = match header_of(path) {
        Ok(read) => read,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => return Err(broken(e.to_string())),
        Err(e) => return Err(Error::io("read", path, e, Experts::REMEDY)),
    };
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| broken(e.to_string()))?;
    let json = metadata.metadata().as_ref().and_then(|m| m.get(Experts::KEY)).ok_or_else(|| broken("not an expert".into()))?;
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
    match metadata.info(Experts::TENSOR) {
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
    let behind = behind.ok_or_else(|| std::io::Error::new(ErrorKind::InvalidData, "the file ends within its header"))?;
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
fn read(path: &Path, epoch: usize, length: usize) -> std::io::Result<Vec<f32>> {
    let mut file = File::open(path)?;
    let header = header_length(&mut file)?;
    file.seek(SeekFrom::Start(8 + header + (4 * epoch * length) as u64))?;
    let mut bytes = vec![0; 4 * length];
    file.read_exact(&mut bytes)?;
    Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// Adds "recipe.epochs is 20 in the file, 30 now" for every leaf that differs.
fn compare(field: &str, saved: &Value, now: &Value, differences: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (saved, now) else {
        if saved != now {
            differences.push(format!("{field} is {saved} in the file, {now} now"));
        }
        return;
    };
    for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
        let inner = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
        compare(&inner, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), differences);
    }
}
