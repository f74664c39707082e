//! Membership inference on what is released itself: a condensed set, a generator, an encoder or a model is attacked directly.
//!
//! An attack gives every candidate x one score s(x; released), higher = member, without knowing who is a member. With members and
//! non-members of the set that the release was made from, the scores give a [`Roc`]; AUC 0.5 and TPR = FPR are guessing.
//!
//! 1. [`Released`] holds what an adversary gets, [`Released::event`] what was proven about it.
//! 2. [`ReleaseAttack::applies`] says whether an attack can do anything with it, and if not, why.
//! 3. [`Released::attack`] shuffles members and non-members, so that their order says nothing, and ranks them.
//!    [`Released::attack_all`] does so with every attack that applies.
//!
//! # Members
//! | attack | on | score | reference |
//! |---|---|---|---|
//! | [`NearestNeighbour`] | sets, generators | distance to the nearest released record | GAN-Leaks, arXiv 1909.03935 |
//! | [`SeedMembership`] | sets | a released record lies nearer than to any other candidate | this library |
//! | [`DensityRatio`] (DOMIAS) | sets, generators | density of the released against that of public records | arXiv 2302.12580 |
//! | [`ReconstructionError`] | autoencoders, encoders | how well the record comes back from its code | arXiv 1909.03935 |
//! | [`DecoderLikelihood`] | VAE generators | log p(x) under the decoder | arXiv 1909.03935 |
//! | [`ModelLoss`] | models | loss of the record | arXiv 1709.01604 |
//! | [`TrainedModelLoss`] | sets, generators | the same under a model trained on the release | arXiv 1709.01604 |
//!
//! # Privacy
//! None: these are attacks. That all of them fail proves nothing; only an [`Event`](crate::privacy::Event) does. A release is one run of
//! its algorithm: for attacks that compare with other runs, and for rates over several, play a [`Game`](crate::attack::Game).
//!
//! # References
//! Chen et al., arXiv 1909.03935 (GAN-Leaks); van Breugel et al., arXiv 2302.12580 (DOMIAS); Yeom et al., arXiv 1709.01604.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{NearestNeighbour, Released};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(40, &lab)?;
//! let released = Released::from(RandomSubset::new(5).synthesize(&halves.members, &lab)?);
//! let roc = released.attack(&NearestNeighbour::pixels(), &halves, &lab)?;
//! assert_eq!(roc.tpr_at(0.0).rate.hits, 20); // the five of each class that were copied
//! # Ok::<(), Error>(())
//! ```

pub mod decoder_likelihood;
pub mod density_ratio;
pub mod model_loss;
pub mod nearest_neighbour;
pub mod reconstruction_error;
pub mod release;
pub mod report;
pub mod seed_membership;

pub use decoder_likelihood::{Aggregate, DecoderLikelihood};
pub use density_ratio::DensityRatio;
pub use model_loss::{ModelLoss, TrainedModelLoss};
pub use nearest_neighbour::{Among, NearestNeighbour};
pub use reconstruction_error::ReconstructionError;
pub use release::Released;
pub use report::{Outcome, ReleaseReport, ReleaseRow};
pub use seed_membership::SeedMembership;

use crate::data::{Membership, Normalization, Origin};
use crate::nn::Arch;
use crate::roc::Roc;
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use rand::seq::SliceRandom;
use std::fmt;

impl Released {
    /// How well one attack tells the members from the non-members.
    ///
    /// # Errors
    /// [`Error::Config`] when the attack does not apply, [`Error::Mismatch`] for records of another kind, and what the attack answers.
    pub fn attack(&self, attack: &dyn ReleaseAttack, truth: &Membership, lab: &Lab) -> Result<Roc> {
        let (candidates, members) = shuffled(truth, lab)?;
        let scores = attack.score(self, &candidates, lab)?;
        let note = format!("one {}, {}, seed {}", self.kind(), self.name(), lab.seed_value());
        Ok(Roc::new(&scores, &members)?.named(&attack.name()).with_note(&note))
    }

    /// The same with every attack of [`release_attacks`], most of which need nothing but the release. `reference` are public records of
    /// the same population that are not among the candidates.
    ///
    /// # Errors
    /// As [`Released::attack`]; an attack that does not apply is a row of the report and no error.
    ///
    /// # Example
    /// ```
    /// use freelunch::prelude::*;
    /// use freelunch::released::Released;
    /// let lab = Lab::new()?.quiet();
    /// let halves = Dataset::toy().members(30, &lab)?;
    /// let model = Train::new(Arch::Logistic).with_epochs(2).fit(&halves.members, &lab)?;
    /// let report = Released::from(model).attack_all(&halves, None, &lab)?;
    /// assert_eq!(report.rocs().curves().len(), 1); // the loss attack; the others say why they do not apply
    /// # Ok::<(), Error>(())
    /// ```
    pub fn attack_all(&self, truth: &Membership, reference: Option<&Dataset>, lab: &Lab) -> Result<ReleaseReport> {
        let mut rows = vec![];
        for attack in release_attacks(reference) {
            let outcome = match attack.applies(self) {
                Ok(()) => Outcome::Measured(self.attack(&*attack, truth, lab)?),
                Err(why) => Outcome::DoesNotApply(why),
            };
            rows.push(ReleaseRow { attack: attack.name(), config: attack.config(), outcome });
        }
        Ok(ReleaseReport::new(self, truth, rows, lab))
    }
}

/// An attack on a release that needs no other run of the algorithm.
///
/// # Example
/// ```
/// use freelunch::released::release_attacks;
/// use freelunch::{Dataset, released::Released};
/// let released = Released::from(Dataset::toy());
/// assert_eq!(release_attacks(None).iter().filter(|attack| attack.applies(&released).is_ok()).count(), 4);
/// ```
pub trait ReleaseAttack: fmt::Debug + Send + Sync {
    /// The attack in a few words, for legends and tables.
    fn name(&self) -> String;

    /// The parameters, for manifests and displays.
    fn config(&self) -> serde_json::Value;

    /// Whether it can attack this release.
    ///
    /// # Errors
    /// Why not, and what it would need.
    fn applies(&self, released: &Released) -> Result<(), String>;

    /// One finite score for each candidate, higher = member. Who is a member is not known here.
    ///
    /// # Errors
    /// [`Error::Config`] when it does not apply or a parameter cannot work, [`Error::Mismatch`] for candidates of another kind,
    /// [`Error::Device`] and [`Error::Diverged`] from networks.
    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>>;
}

/// Every attack of this module with its defaults; `reference` are public records of the same population, which two of them need.
#[must_use]
pub fn release_attacks(reference: Option<&Dataset>) -> Vec<Box<dyn ReleaseAttack>> {
    let (mut ratio, mut reconstruction) = (DensityRatio::new(), ReconstructionError::new());
    if let Some(reference) = reference {
        (ratio, reconstruction) = (ratio.with_reference(reference), reconstruction.with_reference(reference));
    }
    vec![
        Box::new(NearestNeighbour::pixels()),
        Box::new(NearestNeighbour::pixels().of_class()),
        Box::new(SeedMembership::new()),
        Box::new(ratio),
        Box::new(reconstruction),
        Box::new(DecoderLikelihood::new()),
        Box::new(ModelLoss::new()),
        Box::new(TrainedModelLoss::new(Train::on_condensed(Arch::mlp()))),
    ]
}

/// Records of each class that are sampled from a generator unless told otherwise.
pub(crate) const SAMPLES: usize = 200;

/// What [`ReleaseAttack::applies`] answers, as an error of [`ReleaseAttack::score`].
fn check(attack: &dyn ReleaseAttack, released: &Released) -> Result<()> {
    attack.applies(released).map_err(|why| Error::config(format!("{} on {}", attack.name(), released.name()), why))
}

/// The released records that an attack on sets works with, of the same kind as the candidates.
fn records_for(attack: &dyn ReleaseAttack, released: &Released, per_class: usize, candidates: &Dataset, lab: &Lab) -> Result<Dataset> {
    check(attack, released)?;
    let records = released.records(per_class, &lab.child("released records", 0))?;
    records.same_kind(candidates)?;
    Ok(records)
}

/// The values in which distances are taken: natural units for images, standard deviations of the columns for tables.
fn comparable(data: &Dataset, scale: &Normalization) -> Vec<f32> {
    if data.schema().is_some() { scale.apply(data.x(), data.shape()) } else { data.x().to_vec() }
}

/// The scores, if all are numbers: a network with broken weights gives others.
fn finite(attack: &dyn ReleaseAttack, scores: Vec<f64>) -> Result<Vec<f64>> {
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(at) => {
            let what = format!("{} gives candidate {at} the score {}", attack.name(), scores[at]);
            Err(Error::config(what, "expected a release whose weights and outputs are finite"))
        }
    }
}

/// Members and non-members in random order, as records without a history, and which are members.
fn shuffled(truth: &Membership, lab: &Lab) -> Result<(Dataset, Vec<bool>)> {
    let Membership { members, non_members } = truth;
    members.same_kind(non_members)?;
    let total = members.len() + non_members.len();
    let mut order: Vec<usize> = (0..total).collect();
    order.shuffle(&mut lab.rng("candidates", 0));
    let (mut x, mut labels, mut is_member) = (Vec::with_capacity(total * members.features()), vec![], vec![]);
    for i in order {
        let (set, at) = if i < members.len() { (members, i) } else { (non_members, i - members.len()) };
        x.extend_from_slice(set.record(at));
        labels.push(set.labels()[at]);
        is_member.push(i < members.len());
    }
    Ok((members.synthetic(x, labels, Origin::real("candidates"))?.named("candidates"), is_member))
}

#[cfg(test)]
mod tests;
