//! The membership game: the whole pipeline is rerun for every shadow run, with each record a member of exactly half of the runs.
//!
//! 1. For every record draw a random order of the k runs; the record is a member of the first k/2 (so "in" and "out" are
//!    balanced record by record, arXiv 2112.03570).
//! 2. For every run: condense (or not) the run's members, train a fresh network on the result, and keep the logits of *all*
//!    records under it, the scores of attacks on what was released, and which records it began as. Neither sets nor networks are kept.
//! 3. In a lab that keeps ([`Lab::keep`]) every finished run is written to a file of its own: a game that is killed at any moment loses
//!    the runs that were under way (one for each core), and one with equal settings reads what is there.
//! 4. After the lab's time budget no run is begun; those under way are finished, and the signals say how many were planned.
//!
//! Condensing anew in every run matters: an attack on the classifier alone would keep the condensed set fixed and could not see
//! what it gives away (arXiv 2209.14987, 2502.12976).

mod kept;
mod workers;

use super::signals::{Manifest, Run};
use super::{Pipeline, Signals};
use crate::privacy::{Event, worse};
use crate::released::ReleaseAttack;
use crate::{Dataset, Device, Error, Lab, Result};
use kept::Kept;
use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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

impl Queries {
    fn count(self) -> usize {
        match self {
            Self::Original => 1,
            Self::Mirrored => 2,
            Self::Shifted => 5,
        }
    }
}

/// How it is drawn who is a member of which run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coins {
    /// Every record is in exactly half of the runs (arXiv 2112.03570): every record has shadows on both sides.
    Balanced,
    /// Every record is in every run by a coin of its own, independent of all others: nothing about a run can be learnt from the members of
    /// the others, which [`OneRun`](crate::audit::OneRun) needs for attacks with shadow models. Of k runs, a record is on one side only
    /// with probability 2^(2 − k) for some target: 16 runs and more are safe for thousands of records.
    Independent,
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
    coins: Coins,
    queries: Queries,
    test: Option<Dataset>,
    canaries: Vec<usize>,
    copies: Vec<[usize; 2]>,
    attacks: Vec<Arc<dyn ReleaseAttack>>,
}

impl Game {
    /// Records of the test set that serve as population; more add nothing but time.
    const POPULATION: usize = 2_000;

    /// A game of `shadows` runs, an even number of at least 2. 16 show a trend, 64 and more resolve low false positive rates.
    #[must_use]
    pub fn new(shadows: usize) -> Self {
        Self { shadows, coins: Coins::Balanced, queries: Queries::Original, test: None, canaries: vec![], copies: vec![], attacks: vec![] }
    }

    /// The same game with members drawn in another way.
    ///
    /// # Example
    /// ```
    /// use freelunch::attack::{Coins, Game};
    /// let game = Game::new(64).with_coins(Coins::Independent);
    /// ```
    #[must_use]
    pub fn with_coins(mut self, coins: Coins) -> Self {
        self.coins = coins;
        self
    }

    /// The same game with more questions per record.
    #[must_use]
    pub fn with_queries(mut self, queries: Queries) -> Self {
        self.queries = queries;
        self
    }

    /// The same game, also testing every shadow run's model, so that privacy can be read beside accuracy. The first 2,000 records of the
    /// set become the signals' population, which [`RelativeLikelihood`](super::RelativeLikelihood) compares with.
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

    /// The same game where each first record is a copy of the second ([`Dataset::with_duplicated`]): it is a member exactly when the other
    /// one is.
    #[must_use]
    pub fn with_copies(mut self, copies: &[[usize; 2]]) -> Self {
        self.copies = copies.to_vec();
        self
    }

    /// The same game, also attacking what each run releases: the set, the encoder, the model. The scores are in
    /// [`Signals::released`], and [`OnRelease`](super::OnRelease) reads them. Can be called several times.
    #[must_use]
    pub fn with_release_attack(mut self, attack: impl ReleaseAttack + 'static) -> Self {
        self.attacks.push(Arc::new(attack));
        self
    }

    /// Plays the game on a pool of records. Runs are independent, so each core plays its own, and so does each device of the lab
    /// ([`Lab::across`]); their results do not depend on how many there are.
    ///
    /// # Errors
    /// [`Error::Config`] for an odd or zero number of runs, queries that do not fit tables, an attack that does not apply to what the
    /// pipeline releases or a budget that leaves fewer than two runs; [`Error::Io`] when runs cannot be kept; and what the pipeline answers.
    pub fn play(&self, pipeline: &Pipeline, pool: &Dataset, lab: &Lab) -> Result<Signals> {
        let marked = self.check(pool)?;
        let (start, deadline) = (Instant::now(), lab.deadline());
        let member = self.membership(pool.len(), lab);
        let variants = self.variants(pool)?;
        let population = match &self.test {
            Some(test) => self.variants(&test.subset(&(0..test.len().min(Self::POPULATION)).collect::<Vec<_>>())?)?,
            None => vec![],
        };
        let manifest = Manifest {
            name: pipeline.name(),
            game: self.settings(),
            planned: self.shadows,
            ..Manifest::new(pipeline.config(), lab.seed_value(), &pool.digest())
        };
        let kept = Kept::of(&manifest, lab)?;
        let progress = Mutex::new((lab.progress(&format!("shadow runs, {}", pipeline.name()), self.shadows), 0));
        let play_one = |m: usize, device: &Device| -> Result<Option<Played>> {
            let found = kept.as_ref().and_then(|kept| kept.load(m));
            let played = match found {
                Some(played) => played,
                None if deadline.is_some_and(|deadline| Instant::now() >= deadline) => return Ok(None),
                None => {
                    let members: Vec<usize> = (0..pool.len()).filter(|&i| member[m * pool.len() + i]).collect();
                    let lab_of_run = lab.simulation("shadow", m as u64).alone_on(device);
                    let played = self.play_one(pipeline, pool, &members, [&variants, &population], &lab_of_run);
                    if lab.is_cancelled() {
                        return Ok(None); // it may have been cut short
                    }
                    let played = played?;
                    if let Some(kept) = &kept {
                        kept.save(m, &played)?;
                    }
                    played
                }
            };
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            progress.1 += 1;
            let done = progress.1;
            progress.0.step(done, "");
            Ok(Some(played))
        };
        let played = workers::each(self.shadows, &lab.devices().collect::<Vec<_>>(), play_one)?;
        if played.iter().flatten().count() < 2 {
            lab.proceed()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        self.signals(played, &member, marked, pool, Manifest { seconds, ..manifest })
    }

    /// Which records are marked, if all that was asked for is possible.
    fn check(&self, pool: &Dataset) -> Result<Vec<bool>> {
        if self.shadows < 2 || !self.shadows.is_multiple_of(2) {
            return Err(Error::config(format!("shadows is {}", self.shadows), "expected an even number of at least 2"));
        }
        if self.queries != Queries::Original && pool.schema().is_some() {
            return Err(Error::config(format!("queries are {:?}", self.queries), "tables have no pixels: use Queries::Original"));
        }
        if let Some(test) = &self.test {
            pool.same_kind(test)?;
        }
        if let Some(pair) = self.copies.iter().find(|pair| pair.iter().any(|&at| at >= pool.len()) || pair[0] == pair[1]) {
            let expected = format!("expected two different positions below {}", pool.len());
            return Err(Error::config(format!("record {} as a copy of {}", pair[0], pair[1]), expected));
        }
        let mut marked = vec![false; pool.len()];
        for &canary in &self.canaries {
            let Some(mark) = marked.get_mut(canary) else {
                return Err(Error::config(format!("canary {canary}"), format!("expected positions below {}", pool.len())));
            };
            *mark = true;
        }
        Ok(marked)
    }

    /// All that decides what a run of this game is.
    fn settings(&self) -> serde_json::Value {
        let attacks: Vec<_> = self.attacks.iter().map(|attack| serde_json::json!([attack.name(), attack.config()])).collect();
        let test = self.test.as_ref().map(Dataset::digest);
        let mut settings = serde_json::json!({
            "shadows": self.shadows, "queries": self.queries, "test": test, "copies": self.copies, "attacks": attacks
        });
        // Balanced coins are not written, so that signals from before there was a choice still match.
        if self.coins == Coins::Independent {
            settings["coins"] = serde_json::json!(self.coins);
        }
        settings
    }

    /// `[models, n]`.
    fn membership(&self, n: usize, lab: &Lab) -> Vec<bool> {
        let mut member = match self.coins {
            Coins::Balanced => balanced_membership(self.shadows, n, lab),
            Coins::Independent => {
                let mut rng = lab.rng("independent membership", 0);
                (0..self.shadows * n).map(|_| rng.random()).collect()
            }
        };
        for run in member.chunks_exact_mut(n) {
            for &[copy, original] in &self.copies {
                run[copy] = run[original];
            }
        }
        member
    }

    /// One run of the whole pipeline, and the attacks on what it released.
    fn play_one(
        &self,
        pipeline: &Pipeline,
        pool: &Dataset,
        members: &[usize],
        [variants, population]: [&[Dataset]; 2],
        lab: &Lab,
    ) -> Result<Played> {
        let (started, lab) = (Instant::now(), lab.clone().quiet().unlimited());
        let outcome = pipeline.run(&pool.subset(members)?, &lab)?;
        let of_all = |variants: &[Dataset]| -> Result<Vec<f32>> {
            Ok(interleave(&variants.iter().map(|v| outcome.logits(v)).collect::<Result<Vec<_>>>()?, pool.classes()))
        };
        let mut scores = vec![];
        for attack in &self.attacks {
            attack.applies(outcome.released()).map_err(|reason| {
                Error::config(format!("{} does not apply to what {} releases: {reason}", attack.name(), pipeline.name()), "leave it out")
            })?;
            scores.push((attack.name(), attack.score(outcome.released(), pool, &lab.child("release attack", 0))?));
        }
        let logits = of_all(variants)?;
        let accuracy = self.test.as_ref().map(|test| outcome.accuracy(test)).transpose()?;
        let mut begun = vec![false; pool.len()];
        outcome.started_from().iter().filter_map(|&at| members.get(at)).for_each(|&record| begun[record] = true);
        let run =
            Run { seed: lab.seed_value(), test_accuracy: accuracy.map(|rate| rate.value()), seconds: started.elapsed().as_secs_f64() };
        Ok(Played { logits, population: of_all(population)?, started: begun, scores, run, event: outcome.event().clone() })
    }

    /// The signals of the runs that were played.
    fn signals(
        &self,
        played: Vec<Option<Played>>,
        member: &[bool],
        marked: Vec<bool>,
        pool: &Dataset,
        mut manifest: Manifest,
    ) -> Result<Signals> {
        let (n, mut event) = (pool.len(), Event::NoOp);
        let (mut logits, mut membership, mut population, mut started) = (vec![], vec![], vec![], vec![]);
        let mut scores: Vec<(String, Vec<f64>)> = self.attacks.iter().map(|attack| (attack.name(), vec![])).collect();
        for (m, played) in played.into_iter().enumerate() {
            let Some(played) = played else { continue };
            membership.extend_from_slice(&member[m * n..(m + 1) * n]);
            logits.extend(played.logits);
            population.extend(played.population);
            started.extend(played.started);
            scores.iter_mut().zip(played.scores).for_each(|(all, of_run)| all.1.extend(of_run.1));
            manifest.runs.push(played.run);
            // A pipeline is judged by one run, as only one is released.
            event = worse(event, played.event)?;
        }
        manifest.event = event;
        let models = manifest.runs.len();
        if models < 2 {
            let what = format!("{models} of {} runs were played before the time budget was spent", self.shadows);
            return Err(Error::config(what, "give the lab more time, or a folder to keep runs in and play again"));
        }
        let (queries, classes) = (self.queries.count(), pool.classes());
        let of_population = population.len() / (models * queries * classes);
        let labels = self.test.as_ref().map(|test| test.labels()[..of_population].to_vec());
        let mut signals = Signals::new(logits, [models, n, queries, classes], membership, pool.labels().to_vec(), manifest.clone())?
            .with_marked(marked)?;
        if started.contains(&true) {
            signals = signals.with_started(started)?;
        }
        for (name, values) in scores {
            signals = signals.with_released(&name, values)?;
        }
        if let Some(labels) = labels {
            let shape = [models, of_population, queries, classes];
            signals = signals.with_population(Signals::new(population, shape, vec![false; models * of_population], labels, manifest)?)?;
        }
        Ok(signals)
    }

    /// The pool as asked, one data set per query.
    pub(crate) fn variants(&self, pool: &Dataset) -> Result<Vec<Dataset>> {
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
    logits: Vec<f32>,     // [n, queries, classes]
    population: Vec<f32>, // [of the population, queries, classes]
    started: Vec<bool>,   // [n]
    scores: Vec<(String, Vec<f64>)>,
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
    fn independent_coins_say_nothing_about_each_other() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(6);
        let member = Game::new(4).with_coins(Coins::Independent).membership(20_000, &lab);
        let count = |of: &dyn Fn(usize) -> bool| (0..20_000).filter(|&i| of(i)).count() as f64;
        let inside = |m: usize, i: usize| member[m * 20_000 + i];
        // Binomial with p = ½ and ¼: within 5 standard deviations.
        for m in 0..4 {
            assert!((count(&|i| inside(m, i)) - 10_000.0).abs() < 354.0);
        }
        assert!((count(&|i| inside(0, i) && inside(3, i)) - 5_000.0).abs() < 307.0);
        assert!((count(&|i| (0..4).all(|m| inside(m, i))) - 1_250.0).abs() < 172.0);
    }

    #[test]
    fn queries_are_interleaved_record_by_record() {
        let out = interleave(&[vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0, 7.0, 8.0]], 2);
        assert_eq!(out, vec![1.0, 2.0, 5.0, 6.0, 3.0, 4.0, 7.0, 8.0]);
    }
}
