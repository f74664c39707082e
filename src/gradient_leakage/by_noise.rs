//! Gradient leakage against defences: raw and condensed client data, clipped and noisy gradients, and the ε of each such release.
//!
//! 1. Draw batches of the client's raw records, and of its condensed set if it has one.
//! 2. For each [`Defence`], compute the update of every batch and attack it.
//! 3. Score what was recovered against the records that the update was made of, and against the raw record nearest to it.
//!
//! # Privacy
//! None: a study on records that are at hand. The ε in the table is that of one release of the kind in the row, for the raw records.
//!
//! # References
//! As [`super`]; clipping and noise: arXiv 1607.00133.
//!
//! # Example
//! ```
//! use freelunch::gradient_leakage::{GradientLeakage, LeakageByNoise, sigmoid_mlp, untrained};
//! use freelunch::{Dataset, Lab};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(50, &lab)?;
//! let model = untrained(sigmoid_mlp(&[16], &halves.members), &halves.members, &lab)?;
//! let sweep = LeakageByNoise::new(GradientLeakage::idlg().with_iterations(10)).with_batches(2).with_noises(&[1.0]);
//! let report = sweep.measure(&model, &halves.members, None, &halves.non_members, &lab)?;
//! assert_eq!(report.rows().len(), 3); // no defence, clipped, clipped with noise 1
//! # Ok::<(), freelunch::Error>(())
//! ```

pub mod report;

pub use report::{LeakageByNoiseReport, NoiseRow};

use super::similarity::{psnr, squared_error};
use super::{ClientUpdate, Defence, GradientLeakage, LeakageScore};
use crate::privacy::{Event, check_delta};
use crate::stats::MeanInterval;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A sweep of one attack over defences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageByNoise {
    /// The attack.
    pub attack: GradientLeakage,
    /// Records per batch, at least 1; 1 unless told: the worst case for the client.
    pub batch: usize,
    /// Batches per row, at least 2 (for intervals); 5 unless told.
    pub batches: usize,
    /// C, positive; 1 unless told.
    pub clip: f64,
    /// Noise multipliers σ, positive; 0.01, 0.1 and 1 unless told.
    pub noises: Vec<f64>,
    /// δ of the ε in the table; 1e-5 unless told.
    pub delta: f64,
}

/// Where the client's records come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Its raw records.
    Raw,
    /// Its condensed set.
    Condensed,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::Condensed => "condensed",
        })
    }
}

impl LeakageByNoise {
    /// Five batches of one record, clipping norm 1, noise 0.01, 0.1 and 1, δ = 1e-5.
    #[must_use]
    pub fn new(attack: GradientLeakage) -> Self {
        Self { attack, batch: 1, batches: 5, clip: 1.0, noises: vec![0.01, 0.1, 1.0], delta: crate::privacy::DELTA }
    }

    /// The same with other batches.
    #[must_use]
    pub fn with_batch(mut self, records: usize) -> Self {
        self.batch = records;
        self
    }

    /// The same with another number of batches.
    #[must_use]
    pub fn with_batches(mut self, batches: usize) -> Self {
        self.batches = batches;
        self
    }

    /// The same with another clipping norm.
    #[must_use]
    pub fn with_clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// The same with other noise multipliers.
    #[must_use]
    pub fn with_noises(mut self, noises: &[f64]) -> Self {
        self.noises = noises.to_vec();
        self
    }

    /// The same with another δ.
    #[must_use]
    pub fn with_delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// No defence, clipping, and clipping with each noise.
    #[must_use]
    pub fn defences(&self) -> Vec<Defence> {
        let clipped = Defence::clipped(self.clip);
        let mut all = vec![Defence::None, clipped];
        all.extend(self.noises.iter().map(|&noise| clipped.noised(noise)));
        all
    }

    fn check(&self, sets: &[(Source, &Dataset)]) -> Result<()> {
        check_delta(self.delta)?;
        if self.batches < 2 {
            return Err(Error::config(format!("batches is {}", self.batches), "expected at least 2, for intervals"));
        }
        for (source, set) in sets {
            if self.batch == 0 || self.batch > set.len() {
                let what = format!("a batch of {} from {} {source} records", self.batch, set.len());
                return Err(Error::config(what, "expected at least 1 and at most all of them"));
            }
        }
        if !(self.clip > 0.0 && self.clip.is_finite()) {
            return Err(Error::config(format!("clip is {}", self.clip), "expected a positive number"));
        }
        self.noises.iter().try_for_each(|&noise| Event::gaussian(noise).map(|_| ()))
    }

    /// Attacks the updates that a client would send for batches of `client`, and of `condensed` if it trains on that. Public records are
    /// the control; those that are the client's too are left out of it. Every batch of a source is the same under all defences.
    ///
    /// # Errors
    /// [`Error::Config`] for bad parameters and tables, [`Error::Mismatch`] for sets that do not belong together, and what the attack
    /// says.
    pub fn measure(
        &self,
        model: &Model,
        client: &Dataset,
        condensed: Option<&Dataset>,
        public: &Dataset,
        lab: &Lab,
    ) -> Result<LeakageByNoiseReport> {
        let sets: Vec<(Source, &Dataset)> =
            std::iter::once((Source::Raw, client)).chain(condensed.map(|set| (Source::Condensed, set))).collect();
        self.check(&sets)?;
        for (_, set) in &sets {
            client.same_kind(set)?;
        }
        let public = public.without(&[client]);
        if (0..client.len()).any(|i| client.record(i) == public.record(0)) {
            // `without` gives the whole set back where nothing would be left.
            return Err(Error::config("every public record is also the client's", "give public records that the client does not hold"));
        }
        let deadline = lab.deadline();
        let mut progress = lab.progress("gradient leakage", sets.len() * self.defences().len());
        let (mut rows, mut galleries) = (vec![], vec![]);
        'all: for (source, set) in sets {
            for defence in self.defences() {
                if !rows.is_empty() && deadline.is_some_and(|deadline| std::time::Instant::now() > deadline) {
                    // What is missing shows in the rows.
                    break 'all;
                }
                let trials = self.trials(model, set, defence, &public, lab)?;
                rows.push(self.row(source, defence, set, client, &trials)?);
                galleries.extend(trials.into_iter().next());
                progress.step(rows.len(), &defence.to_string());
            }
        }
        Ok(LeakageByNoiseReport::new(self, model, client, &public, rows, galleries, lab))
    }

    /// The scores of all batches under one defence, on all cores.
    fn trials(&self, model: &Model, set: &Dataset, defence: Defence, public: &Dataset, lab: &Lab) -> Result<Vec<LeakageScore>> {
        let batches: Vec<u64> = (0..self.batches as u64).collect();
        let trial = |&i: &u64| {
            // A study, not a release: no ledger counts it. The search starts alike under all defences.
            let lab = lab.simulation("gradient leakage batch", i).quiet();
            let batch = set.sample(self.batch, &lab)?;
            let update = ClientUpdate::defended(model, &batch, defence, &lab)?;
            self.attack.attack(model, &update, &lab)?.judge_with_control(&batch, public)
        };
        batches.par_iter().map(trial).collect()
    }

    fn row(&self, source: Source, defence: Defence, set: &Dataset, client: &Dataset, trials: &[LeakageScore]) -> Result<NoiseRow> {
        let over = |value: &dyn Fn(&LeakageScore) -> f64| MeanInterval::new(&trials.iter().map(value).collect::<Vec<f64>>());
        let event = match defence {
            Defence::Noised { noise, .. } => set.event_after(Event::gaussian(noise)?),
            _ => set.event_after(Event::NonPrivate),
        };
        let ssim = trials.iter().map(LeakageScore::ssim).collect::<Option<Vec<f64>>>();
        let hits: usize = trials.iter().map(|score| score.labels().hits).sum();
        Ok(NoiseRow {
            source,
            defence,
            psnr: over(&LeakageScore::psnr)?,
            ssim: ssim.map(|values| MeanInterval::new(&values)).transpose()?,
            psnr_to_raw: over(&|score| nearest_raw(score, client))?,
            nearest_public: over(&|score| score.mean(|r| r.nearest_public.map(|s| s.psnr)).unwrap_or_default())?,
            labels: crate::stats::Rate::new(hits, trials.len() * self.batch)?,
            epsilon: event.epsilon(self.delta)?.value,
        })
    }
}

/// Mean PSNR of the recovered records to the raw record nearest to each.
fn nearest_raw(score: &LeakageScore, client: &Dataset) -> f64 {
    let found = score.recovered();
    let least = |i: usize| (0..client.len()).map(|at| squared_error(found.record(i), client.record(at))).fold(f64::INFINITY, f64::min);
    crate::stats::mean(&(0..found.len()).map(|i| psnr(least(i))).collect::<Vec<f64>>())
}
