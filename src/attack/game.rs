//! The membership game: the whole pipeline is rerun for every shadow run, with each record a member of exactly half of the runs.
//!
//! 1. For every record draw a random order of the k runs; the record is a member of the first k/2 (so "in" and "out" are
//!    balanced record by record, arXiv 2112.03570).
//! 2. For every run: condense (or not) the run's members, train a fresh network on the result, and keep the logits of *all*
//!    records under it. Nothing else is kept.
//!
//! Condensing anew in every run matters: an attack on the classifier alone would keep the condensed set fixed and could not see
//! what it gives away (arXiv 2209.14987, 2502.12976).

use super::Signals;
use super::signals::{Manifest, Run};
use crate::display::number::significant;
use crate::privacy::{Event, worse};
use crate::synthesize::Synthesize;
use crate::train::{Model, Train};
use crate::{Dataset, Device, Error, Lab, Result};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The randomised algorithm under test: optional condensation, then training.
///
/// # Example
/// ```
/// use freelunch::{attack::Pipeline, condense::RandomSubset, nn::Arch, train::Train};
/// let direct = Pipeline::direct(Train::new(Arch::mlp()));
/// let condensed = Pipeline::through(RandomSubset::new(1), Train::on_condensed(Arch::mlp()));
/// assert_eq!(direct.name(), "real records");
/// assert_eq!(condensed.name(), "random subset");
/// ```
#[derive(Debug, Clone)]
pub struct Pipeline {
    synthesize: Option<Arc<dyn Synthesize>>,
    train: Train,
}

impl Pipeline {
    /// Trains on the real records themselves.
    #[must_use]
    pub fn direct(train: Train) -> Self {
        Self { synthesize: None, train }
    }

    /// Condenses (or generates) first and trains on what comes out.
    #[must_use]
    pub fn through(method: impl Synthesize + 'static, train: Train) -> Self {
        Self { synthesize: Some(Arc::new(method)), train }
    }

    /// What the model learns from, and its noise if it learns privately.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.synthesize.as_ref().map_or_else(|| "real records".into(), |method| method.name());
        match &self.train.privacy {
            Some(privacy) => format!("{name}, DP-SGD σ = {}", significant(privacy.noise, 3)),
            None => name,
        }
    }

    /// All parameters.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        let method = self.synthesize.as_ref().map(|method| (method.name(), method.config()));
        serde_json::json!({ "synthesize": method, "train": self.train })
    }

    /// One run of the whole pipeline.
    ///
    /// # Errors
    /// What the condenser and [`Train::fit`] answer.
    pub fn run(&self, data: &Dataset, lab: &Lab) -> Result<Model> {
        match &self.synthesize {
            None => self.train.fit(data, lab),
            Some(method) => self.train.fit(&method.synthesize(data, lab)?, lab),
        }
    }
}

/// Which variants of a record the attacker asks the model about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Queries {
    /// The record itself.
    Original,
    /// The record and its mirror image.
    Mirrored,
    /// The record and its shifts by one pixel in the four directions.
    Shifted,
}

/// How many shadow runs to play, and what to ask them.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, attack::{Game, Pipeline}, nn::Arch, train::Train};
/// let lab = Lab::new()?.seed(1).quiet();
/// let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
/// let signals = Game::new(4).play(&pipeline, &Dataset::toy(), &lab)?;
/// assert_eq!(signals.models(), 4);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Game {
    shadows: usize,
    queries: Queries,
    test: Option<Dataset>,
    canaries: Vec<usize>,
}

impl Game {
    /// A game of `shadows` runs, an even number of at least 2. 16 show a trend, 64 and more resolve low false positive rates.
    #[must_use]
    pub fn new(shadows: usize) -> Self {
        Self { shadows, queries: Queries::Original, test: None, canaries: vec![] }
    }

    /// The same game with more questions per record.
    #[must_use]
    pub fn with_queries(mut self, queries: Queries) -> Self {
        self.queries = queries;
        self
    }

    /// The same game, also testing every shadow run's model, so that privacy can be read beside accuracy.
    #[must_use]
    pub fn with_test(mut self, test: &Dataset) -> Self {
        self.test = Some(test.clone());
        self
    }

    /// The same game with these records of the pool marked, so that a [`Report`](crate::report::Report) counts them alone: the
    /// records that are easiest to find, such as mislabelled ones (arXiv 2404.17399).
    #[must_use]
    pub fn with_canaries(mut self, positions: &[usize]) -> Self {
        self.canaries = positions.to_vec();
        self
    }

    /// Plays the game on a pool of records. Runs are independent, so they run on all cores; their results do not depend on how
    /// many there are.
    ///
    /// # Errors
    /// [`Error::Config`] for an odd or zero number of runs or queries that do not fit tables, and what the pipeline answers.
    pub fn play(&self, pipeline: &Pipeline, pool: &Dataset, lab: &Lab) -> Result<Signals> {
        if self.shadows < 2 || !self.shadows.is_multiple_of(2) {
            return Err(Error::config(format!("shadows is {}", self.shadows), "expected an even number of at least 2"));
        }
        if self.queries != Queries::Original && pool.schema().is_some() {
            return Err(Error::config(format!("queries are {:?}", self.queries), "tables have no pixels: use Queries::Original"));
        }
        if let Some(test) = &self.test {
            pool.same_kind(test)?;
        }
        let mut marked = vec![false; pool.len()];
        for &canary in &self.canaries {
            let Some(mark) = marked.get_mut(canary) else {
                return Err(Error::config(format!("canary {canary}"), format!("expected positions below {}", pool.len())));
            };
            *mark = true;
        }
        let start = Instant::now();
        let member = balanced_membership(self.shadows, pool.len(), lab);
        let variants = self.variants(pool)?;
        let progress = Mutex::new((lab.progress(&format!("shadow runs, {}", pipeline.name()), self.shadows), 0));
        let play_one = |m: usize| -> Result<Played> {
            let started = Instant::now();
            let members: Vec<usize> = (0..pool.len()).filter(|&i| member[m * pool.len() + i]).collect();
            let run_lab = lab.simulation("shadow", m as u64).quiet();
            let model = pipeline.run(&pool.subset(&members)?, &run_lab)?;
            let logits = interleave(&variants.iter().map(|v| model.logits(v)).collect::<Result<Vec<_>>>()?, pool.classes());
            let accuracy = self.test.as_ref().map(|test| model.accuracy(test)).transpose()?;
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.1 += 1;
            let done = progress.1;
            progress.0.step(done, "");
            let run = Run {
                seed: run_lab.seed_value(),
                test_accuracy: accuracy.map(|rate| rate.value()),
                seconds: started.elapsed().as_secs_f64(),
            };
            Ok(Played { logits, run, event: model.event().clone() })
        };
        let played: Result<Vec<Played>> = match lab.device() {
            Device::Cpu => (0..self.shadows).into_par_iter().map(play_one).collect(),
            _ => (0..self.shadows).map(play_one).collect(),
        };
        let mut logits = vec![];
        let mut runs = vec![];
        let mut event = Event::NoOp;
        for played in played? {
            logits.extend(played.logits);
            runs.push(played.run);
            // A pipeline is judged by one run, as only one is released.
            event = worse(event, played.event)?;
        }
        let manifest = Manifest {
            library: env!("CARGO_PKG_VERSION").into(),
            name: pipeline.name(),
            pipeline: pipeline.config(),
            game: serde_json::json!({ "shadows": self.shadows, "queries": self.queries }),
            seed: lab.seed_value(),
            data: pool.digest(),
            event,
            runs,
            seconds: start.elapsed().as_secs_f64(),
        };
        let shape = [self.shadows, pool.len(), variants.len(), pool.classes()];
        Signals::new(logits, shape, member, pool.labels().to_vec(), manifest)?.with_marked(marked)
    }

    /// The pool as asked, one data set per query.
    fn variants(&self, pool: &Dataset) -> Result<Vec<Dataset>> {
        let [_, h, w] = pool.shape();
        let moved = |source: &dyn Fn(usize, usize) -> Option<usize>| -> Result<Dataset> {
            let mut x = Vec::with_capacity(pool.x().len());
            for plane in pool.x().chunks_exact(h * w) {
                for row in 0..h {
                    x.extend((0..w).map(|column| source(row, column).map_or(0.0, |at| plane[at])));
                }
            }
            let changed = pool.synthetic(x, pool.labels().to_vec(), pool.origin().clone())?;
            Ok(changed)
        };
        let mut variants = vec![pool.clone()];
        match self.queries {
            Queries::Original => {}
            Queries::Mirrored => variants.push(moved(&|row, column| Some(row * w + (w - 1 - column)))?),
            Queries::Shifted => {
                variants.push(moved(&|row, column| (row > 0).then(|| (row - 1) * w + column))?);
                variants.push(moved(&|row, column| (row + 1 < h).then(|| (row + 1) * w + column))?);
                variants.push(moved(&|row, column| (column > 0).then(|| row * w + column - 1))?);
                variants.push(moved(&|row, column| (column + 1 < w).then(|| row * w + column + 1))?);
            }
        }
        Ok(variants)
    }
}

/// What one shadow run leaves.
struct Played {
    logits: Vec<f32>, // [n, queries, classes]
    run: Run,
    event: Event,
}

/// `[models, n]`: record i is a member of the half of the runs that come first in its own random order.
fn balanced_membership(shadows: usize, n: usize, lab: &Lab) -> Vec<bool> {
    let mut member = vec![false; shadows * n];
    let mut rng = lab.rng("membership", 0);
    let mut order: Vec<usize> = (0..shadows).collect();
    for i in 0..n {
        order.shuffle(&mut rng);
        for &m in &order[..shadows / 2] {
            member[m * n + i] = true;
        }
    }
    member
}

/// `[queries][n, classes]` to `[n, queries, classes]`.
fn interleave(logits: &[Vec<f32>], classes: usize) -> Vec<f32> {
    let n = logits.first().map_or(0, |l| l.len() / classes);
    let mut out = Vec::with_capacity(logits.len() * n * classes);
    for i in 0..n {
        for query in logits {
            out.extend_from_slice(&query[i * classes..(i + 1) * classes]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_a_member_of_exactly_half_of_the_runs() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(5);
        let member = balanced_membership(6, 50, &lab);
        for i in 0..50 {
            assert_eq!((0..6).filter(|m| member[m * 50 + i]).count(), 3);
        }
        let sizes: Vec<usize> = (0..6).map(|m| member[m * 50..(m + 1) * 50].iter().filter(|&&b| b).count()).collect();
        assert!(sizes.iter().any(|&s| s != 25), "membership must not be the same for all records: {sizes:?}");
    }

    #[test]
    fn queries_are_interleaved_record_by_record() {
        let out = interleave(&[vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0]], 2);
        assert_eq!(out, vec![1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
    }
}
