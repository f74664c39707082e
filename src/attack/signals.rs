//! What the runs of a membership game leave behind: every model's logits on every record, and who was a member of which model.
//!
//! With z the logits of a record under a model and y its label, attacks read
//! φ = log(p/(1 − p)) = z_y − log Σ_{j≠y} exp z_j (the logit of the label's probability p), the hinge z_y − max_{j≠y} z_j, or the
//! loss −log p = log(1 + exp(−φ)); all computed in f64 from logits, so nothing saturates.
//!
//! # References
//! Carlini et al., arXiv 2112.03570, section IV (φ and its stable form).
//!
//! # Example
//! ```
//! use freelunch::attack::{Manifest, Signals};
//! // Two models, two records, one query, two classes.
//! let logits = vec![2.0_f32, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0, 1.0];
//! let manifest = Manifest::new(serde_json::json!({"method": "made up"}), 7, "no data");
//! let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 0], manifest)?;
//! assert_eq!(signals.phi(0)?, [2.0, 1.0]);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod file;
mod logits;
mod parts;
mod rows;

pub use super::manifest::{Manifest, Run};
pub use logits::Logits;

use crate::display::{Figure, Show, Table, show_inline};
use crate::stats::MeanInterval;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;

/// Logits of many models on the same records, with each model's members.
#[derive(Clone, PartialEq)]
pub struct Signals {
    logits: Logits, // [models, n, queries, classes]
    models: usize,
    queries: usize,
    classes: usize,
    membership: Vec<bool>, // [models, n]
    labels: Vec<u32>,      // [n]
    ids: Vec<usize>,       // [n]
    marked: Vec<bool>,     // [n]
    started: Vec<bool>,    // [models, n], or empty when nothing is known
    population: Option<Box<Signals>>,
    released: BTreeMap<String, Vec<f64>>, // [models, n] each
    manifest: Manifest,
}

impl Signals {
    /// Signals from `logits`, row-major of `shape` `[models, n, queries, classes]`, `membership` `[models, n]` and `labels` `[n]`.
    ///
    /// # Errors
    /// [`Error::Config`] for a side of length 0, fewer than 2 classes or a length that does not fit `shape`; [`Error::Data`] for a
    /// label without a class or a logit that is not finite.
    pub fn new(logits: impl Into<Logits>, shape: [usize; 4], membership: Vec<bool>, labels: Vec<u32>, manifest: Manifest) -> Result<Self> {
        let logits = logits.into();
        let [models, n, queries, classes] = shape;
        let sizes =
            [("logits", logits.len(), &shape[..]), ("membership", membership.len(), &shape[..2]), ("labels", labels.len(), &shape[1..2])];
        for (what, have, sides) in sizes {
            let expected = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
            if have == 0 || expected != Some(have) {
                return Err(Error::config(format!("{have} {what}"), format!("expected one for each of {sides:?}, no side 0")));
            }
        }
        if classes < 2 {
            return Err(Error::config(format!("{classes} classes"), "expected at least 2"));
        }
        if let Some(record) = labels.iter().position(|&label| label as usize >= classes) {
            let what = format!("label {} of {classes} classes", labels[record]);
            return Err(Error::data("signals", format!("record {record}"), what, "labels count from 0"));
        }
        if let Some(at) = logits.first_not_finite() {
            let (model, record) = (at / (n * queries * classes), at / (queries * classes) % n);
            let remedy = "the model diverged: lower its learning rate and play again";
            return Err(Error::data("signals", format!("model {model}, record {record}"), "a logit is not finite", remedy));
        }
        let (ids, marked) = ((0..n).collect(), vec![false; n]);
        let (started, population, released) = (vec![], None, BTreeMap::new());
        Ok(Self { logits, models, queries, classes, membership, labels, ids, marked, started, population, released, manifest })
    }

    /// Number of models.
    #[must_use]
    pub fn models(&self) -> usize {
        self.models
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: there is at least one record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of queries (augmented copies) of each record.
    #[must_use]
    pub fn queries(&self) -> usize {
        self.queries
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All logits, row-major `[models, n, queries, classes]`.
    #[must_use]
    pub fn logits(&self) -> &Logits {
        &self.logits
    }

    /// Whether each record was a member, row-major `[models, n]`.
    #[must_use]
    pub fn membership(&self) -> &[bool] {
        &self.membership
    }

    /// The members of one model, `[n]`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such model.
    pub fn members_of(&self, model: usize) -> Result<&[bool]> {
        self.check_model(model)?;
        Ok(&self.membership[model * self.len()..(model + 1) * self.len()])
    }

    /// The labels, `[n]`.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Each record's position in the pool, `[n]`.
    #[must_use]
    pub fn ids(&self) -> &[usize] {
        &self.ids
    }

    /// Which records are canaries, `[n]`.
    #[must_use]
    pub fn marked(&self) -> &[bool] {
        &self.marked
    }

    /// The positions of the canaries, for [`Attack::roc_of`](super::Attack::roc_of) and [`Signals::subset`].
    #[must_use]
    pub fn marked_records(&self) -> Vec<usize> {
        (0..self.len()).filter(|&record| self.marked[record]).collect()
    }

    /// Records that no model learned from, under the same models: the test set of the game, if it had one.
    #[must_use]
    pub fn population(&self) -> Option<&Self> {
        self.population.as_deref()
    }

    /// Whether the release of each run started from the record, row-major `[models, n]`; empty when nothing is known.
    #[must_use]
    pub fn started(&self) -> &[bool] {
        &self.started
    }

    /// The scores of attacks on what was released, by name, row-major `[models, n]` each.
    #[must_use]
    pub fn released(&self) -> &BTreeMap<String, Vec<f64>> {
        &self.released
    }

    /// What the signals were made from.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// φ = z_y − log Σ_{j≠y} exp z_j under one model, row-major `[n, queries]`.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no such model.
    #[doc(alias = "logit")]
    pub fn phi(&self, model: usize) -> Result<Vec<f64>> {
        self.phis(model)
    }

    /// z_y − max_{j≠y} z_j under one model, row-major `[n, queries]`.
    ///
    /// # Errors
    /// As [`Signals::phi`].
    pub fn hinge(&self, model: usize) -> Result<Vec<f64>> {
        self.hinges(model)
    }

    /// The cross-entropy −log p = log(1 + exp(−φ)) under one model, row-major `[n, queries]`.
    ///
    /// # Errors
    /// As [`Signals::phi`].
    pub fn loss(&self, model: usize) -> Result<Vec<f64>> {
        self.losses(model)
    }

    /// log p of every class, log softmax, under one model, row-major `[n, queries, classes]`.
    ///
    /// # Errors
    /// As [`Signals::phi`].
    pub fn log_probabilities(&self, model: usize) -> Result<Vec<f64>> {
        self.log_softmax(model)
    }

    pub(super) fn check_model(&self, model: usize) -> Result<()> {
        if model < self.models {
            return Ok(());
        }
        Err(Error::config(format!("model {model}"), format!("there are {}, counted from 0", self.models)))
    }

    /// Only the records at these positions, in this order.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request or a position outside the signals.
    pub fn subset(&self, records: &[usize]) -> Result<Self> {
        check_positions("record", records, self.len())?;
        let block = self.queries * self.classes;
        let of_model = |model: usize| records.iter().map(move |&record| model * self.len() + record);
        Ok(Self {
            logits: self.logits.gather((0..self.models).flat_map(of_model).map(|at| at * block), block),
            membership: gather(&self.membership, (0..self.models).flat_map(of_model)),
            started: gather(&self.started, (0..self.models).flat_map(of_model)),
            released: self.each_released(|scores| gather(scores, (0..self.models).flat_map(of_model))),
            population: self.population.clone(),
            labels: records.iter().map(|&record| self.labels[record]).collect(),
            ids: records.iter().map(|&record| self.ids[record]).collect(),
            marked: records.iter().map(|&record| self.marked[record]).collect(),
            ..self.without_values()
        })
    }

    /// Only these models, in this order: what an attacker with fewer shadow models sees.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request or a model that does not exist.
    pub fn keep_models(&self, models: &[usize]) -> Result<Self> {
        check_positions("model", models, self.models)?;
        let (n, block) = (self.len(), self.len() * self.queries * self.classes);
        let trials = || models.iter().flat_map(move |&model| model * n..(model + 1) * n);
        let runs = models.iter().filter_map(|&model| self.manifest.runs.get(model).copied()).collect();
        Ok(Self {
            logits: self.logits.gather(models.iter().map(|&model| model * block), block),
            models: models.len(),
            membership: gather(&self.membership, trials()),
            started: gather(&self.started, trials()),
            released: self.each_released(|scores| gather(scores, trials())),
            population: self.population.as_ref().map(|population| population.keep_models(models).map(Box::new)).transpose()?,
            labels: self.labels.clone(),
            ids: self.ids.clone(),
            marked: self.marked.clone(),
            manifest: Manifest { runs, ..self.manifest.clone() },
            ..self.without_values()
        })
    }

    fn each_released(&self, of: impl Fn(&[f64]) -> Vec<f64>) -> BTreeMap<String, Vec<f64>> {
        self.released.iter().map(|(name, scores)| (name.clone(), of(scores))).collect()
    }

    fn without_values(&self) -> Self {
        let (logits, manifest) = (Logits::F32(vec![]), self.manifest.clone());
        let Self { models, queries, classes, .. } = *self;
        let (membership, labels, ids, marked, started) = (vec![], vec![], vec![], vec![], vec![]);
        let (population, released) = (None, BTreeMap::new());
        Self { logits, models, queries, classes, membership, labels, ids, marked, started, population, released, manifest }
    }
}

/// The values at some places; nothing of nothing.
fn gather<T: Copy>(values: &[T], places: impl Iterator<Item = usize>) -> Vec<T> {
    places.filter_map(|at| values.get(at).copied()).collect()
}

pub(super) fn check_positions(what: &str, positions: &[usize], below: usize) -> Result<()> {
    if positions.is_empty() {
        return Err(Error::config(format!("0 {what}s asked for"), "ask for at least one"));
    }
    match positions.iter().find(|&&position| position >= below) {
        Some(bad) => Err(Error::config(format!("{what} {bad}"), format!("there are {below}, counted from 0"))),
        None => Ok(()),
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { models, queries, classes, .. } = self;
        write!(f, "Signals({models} models, {} records, {queries} queries, {classes} classes)", self.len())
    }
}

impl Show for Signals {
    fn figure(&self) -> Figure {
        let members: Vec<usize> = self.membership.chunks(self.len()).map(|model| model.iter().filter(|&&member| member).count()).collect();
        let (least, most) = (members.iter().min().copied().unwrap_or(0), members.iter().max().copied().unwrap_or(0));
        let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
        let accuracies: Vec<f64> = self.manifest.runs.iter().filter_map(|run| run.test_accuracy).collect();
        let accuracy = MeanInterval::new(&accuracies).map_or("unknown".to_string(), |mean| mean.to_string());
        let models = match self.manifest.planned {
            planned if planned > self.models => format!("{} of {planned} planned: the time budget was spent", self.models),
            _ => self.models.to_string(),
        };
        let table = Table::new(["signals", self.manifest.name.as_str()])
            .row(["models".to_string(), models])
            .row(["records".to_string(), self.len().to_string()])
            .row(["canaries among them".to_string(), self.marked_records().len().to_string()])
            .row(["queries per record".to_string(), self.queries.to_string()])
            .row(["classes".to_string(), self.classes.to_string()])
            .row(["members per model".to_string(), range])
            .row(["test accuracy".to_string(), accuracy])
            .row(["seed".to_string(), self.manifest.seed.to_string()]);
        table.figure()
    }
}

show_inline!(Signals);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Six models on `n` records of three classes; member of every second model, with a higher label logit there.
    pub(crate) fn made_up(n: usize) -> Signals {
        let (models, classes) = (6, 3);
        let mut state = 12_345_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 24) as f64
        };
        let labels: Vec<u32> = (0..n).map(|i| (i % classes) as u32).collect();
        let membership: Vec<bool> = (0..models * n).map(|at| (at / n + at % n / 3).is_multiple_of(2)).collect();
        let mut logits = vec![];
        for (at, &member) in membership.iter().enumerate() {
            for class in 0..classes {
                let shift = if class as u32 == labels[at % n] { 1.0 + 2.0 * f64::from(u8::from(member)) } else { 0.0 };
                logits.push((shift + 2.0 * noise()) as f32);
            }
        }
        let manifest = Manifest::new(serde_json::json!({"method": "made up"}), 5, "none");
        Signals::new(logits, [models, n, 1, classes], membership, labels, manifest).unwrap()
    }

    #[test]
    fn the_statistics_agree_with_probabilities_and_do_not_saturate() {
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let logits = vec![1.0, 0.5, -1.0, 900.0, -900.0, 0.0];
        let signals = Signals::new(logits, [1, 2, 1, 3], vec![true, false], vec![1, 0], manifest).unwrap();
        let p = 0.5f64.exp() / (1f64.exp() + 0.5f64.exp() + (-1f64).exp());
        assert!((signals.phi(0).unwrap()[0] - (p / (1.0 - p)).ln()).abs() < 1e-14);
        assert!((signals.loss(0).unwrap()[0] + p.ln()).abs() < 1e-14);
        assert_eq!(signals.hinge(0).unwrap(), [-0.5, 900.0]);
        assert_eq!(signals.phi(0).unwrap()[1], 900.0);
        assert!(signals.phi(1).is_err());
    }

    #[test]
    fn broken_signals_are_refused_with_their_place() {
        let manifest = Manifest::new(serde_json::Value::Null, 0, "");
        let make = |logits: Vec<f32>, labels: Vec<u32>| Signals::new(logits, [2, 2, 1, 2], vec![false; 4], labels, manifest.clone());
        assert!(make(vec![0.0; 8], vec![0, 1]).is_ok());
        assert!(make(vec![0.0; 7], vec![0, 1]).is_err());
        assert!(make(vec![0.0; 8], vec![0, 2]).unwrap_err().to_string().contains("record 1"));
        let mut logits = vec![0.0; 8];
        logits[7] = f32::NAN;
        assert!(make(logits, vec![0, 1]).unwrap_err().to_string().contains("model 1, record 1"));
    }

    #[test]
    fn subset_and_keep_models_take_what_they_name() {
        let signals = made_up(7).with_ids((10..17).collect()).unwrap().with_marked((0..7).map(|i| i > 4).collect()).unwrap();
        let scores: Vec<f64> = (0..6 * 7).map(f64::from).collect();
        let population = Signals { membership: vec![false; 42], ..made_up(7) };
        let signals = signals.with_released("nearest", scores).unwrap().with_started(vec![false; 42]).unwrap();
        let signals = signals.with_population(population.clone()).unwrap();
        let part = signals.subset(&signals.marked_records()).unwrap().keep_models(&[3, 0]).unwrap();
        assert_eq!(part.released()["nearest"], [26.0, 27.0, 5.0, 6.0]);
        assert_eq!(part.started(), [false; 4]);
        assert_eq!(part.population().unwrap().phi(0).unwrap(), population.phi(3).unwrap());
        assert_eq!((part.models(), part.ids(), part.marked()), (2, &[15, 16][..], &[true, true][..]));
        assert_eq!(part.phi(0).unwrap(), signals.phi(3).unwrap()[5..]);
        assert_eq!(part.members_of(1).unwrap(), &signals.members_of(0).unwrap()[5..]);
        assert!(signals.subset(&[7]).is_err() && signals.keep_models(&[]).is_err());
    }

    #[test]
    fn what_does_not_belong_to_the_signals_is_refused() {
        let signals = made_up(7);
        assert!(signals.clone().with_population(made_up(7)).unwrap_err().to_string().contains("is a member of model 0"));
        let fewer = made_up(7).keep_models(&[1]).unwrap();
        assert!(signals.clone().with_population(fewer).unwrap_err().to_string().contains("[1, 1, 3]"));
        assert!(signals.clone().with_released("short", vec![0.0; 41]).is_err());
        let text = signals.clone().with_released("nan", (0..42).map(|i| 1.0 / f64::from(i - 9) - 0.0).collect()).unwrap_err().to_string();
        assert!(text.contains("model 1, record 2"), "{text}");
        assert!(signals.with_started(vec![true; 42]).unwrap_err().to_string().contains("no member"));
    }

    #[test]
    fn log_probabilities_are_those_of_the_softmax() {
        let signals = made_up(7);
        let log_p = signals.log_probabilities(2).unwrap();
        for (record, row) in log_p.chunks(3).enumerate() {
            assert!((row.iter().map(|v| v.exp()).sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((row[signals.labels()[record] as usize] + signals.loss(2).unwrap()[record]).abs() < 1e-12);
        }
    }
}
