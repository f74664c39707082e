//! Experts: the weights of networks after every epoch of their training on the real set.
//!
//! In a folder each expert is one file, from which two epochs are read without the others; an expert that was trained is found again
//! by every run for which it would be trained the same way.

use super::TrajectoryMatching;
use super::expert_file::{Key, found, path, read, save};
use crate::device::guarded;
use crate::nn::{Layer, Net};
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Trained experts: in a folder, where [`TrajectoryMatching::with_experts_in`] finds them again, or in memory.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, condense::TrajectoryMatching, condense::trajectory_matching::Experts, nn::Arch};
/// let lab = Lab::new()?.quiet();
/// let matching = TrajectoryMatching::small(1).with_arch(Arch::mlp());
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

impl Experts {
    /// The experts of `method` on `real`: those in the folder are used, those that are missing are trained and kept there one by
    /// one, so that a run that was killed goes on. Given the lab, expert i is what [`Train::fit`] makes of its recipe in
    /// `lab.child("expert", i)`. After the lab's time budget no further expert is begun.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the folder has experts of another recipe, data set, seed or version, [`Error::Data`] for a damaged
    /// file, [`Error::Io`] when a file cannot be read or written, and what [`Train::fit`] may answer.
    pub fn train(method: &TrajectoryMatching, real: &Dataset, folder: impl AsRef<Path>, lab: &Lab) -> Result<Self> {
        method.check(real.shape())?;
        guarded(lab.device(), || Self::ready(method, real, Some(folder.as_ref()), &Key::new(method, real, lab), lab))
    }

    /// The experts of one condensation: in its own folder, or beside what the lab keeps, or in memory.
    pub(super) fn of_run(method: &TrajectoryMatching, real: &Dataset, lab: &Lab) -> Result<Self> {
        let key = Key::new(method, real, lab);
        let folder = method.experts_in.clone().or_else(|| lab.kept_in().map(|kept| kept.join(key.folder())));
        Self::ready(method, real, folder.as_deref(), &key, lab)
    }

    fn ready(method: &TrajectoryMatching, real: &Dataset, folder: Option<&Path>, key: &Key, lab: &Lab) -> Result<Self> {
        let recipe = &method.expert;
        let lengths: Vec<usize> = recipe.arch.layers(real.shape(), real.classes())?.iter().flat_map(Layer::parameters).collect();
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e, "choose a folder that can be written"))?;
        }
        let shape = [recipe.epochs + 1, lengths.iter().sum()];
        let mut missing = vec![];
        for expert in 0..method.experts {
            let found = folder.map_or(Ok(false), |folder| found(&path(folder, expert), shape, &key.of(expert)))?;
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
                Some(folder) => save(&path(folder, expert), &weights, shape, &key.of(expert))?,
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
            Place::Folder(folder) => read(&path(folder, expert), epoch, length)?,
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

/// The weights before training and after every epoch, one after the other.
fn trajectory(recipe: &Train, real: &Dataset, lab: &Lab, mut told: impl FnMut(usize, f64)) -> Result<Vec<f32>> {
    let device = lab.open()?;
    let mut net = Net::new(recipe.arch.layers(real.shape(), real.classes())?, &mut lab.rng("weights", 0), &device);
    let mut weights = net.host_weights()?.concat();
    recipe.epochs(&mut net, real, lab, |epoch, loss, net| {
        weights.extend(net.host_weights()?.concat());
        told(epoch, loss);
        Ok(true)
    })?;
    Ok(weights)
}
