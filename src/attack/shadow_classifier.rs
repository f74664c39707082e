//! A classifier learns from shadow models what the outputs for members look like: the first membership attack on deep networks.
//!
//! One classifier f_y for each class y takes the target's softmax vector p(x) and gives
//! score(x) = f_y(p(x)) = log P(member | p(x), y) − log P(non-member | p(x), y), the log-odds of "member".
//!
//! 1. For each class, the rows are the softmax vectors of that class's records under the shadow models, each with its membership.
//!    Equally many rows of members and of non-members are drawn, as in the paper, so that a score of 0 is even odds in every class
//!    and the scores of all classes can be ranked together.
//! 2. A logistic regression ([`ShadowClassifier::logistic`]) or a network with one hidden layer ([`ShadowClassifier::mlp`]) learns
//!    to tell them apart, on standardised columns.
//! 3. It scores the target's softmax vectors. The target's own rows are never learned from: every model but the target is a shadow.
//!
//! With several queries of a record its softmax vectors are averaged first. Like the paper's, these are probabilities, not their
//! logarithms: of records whose probability has saturated near 1 the attack sees little, which is one reason why
//! [`LikelihoodRatio`](super::LikelihoodRatio) finds more. It holds all records of a class to the same standard, easy or hard.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Shokri, Stronati, Song, Shmatikov, arXiv 1610.05820.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, Game, Pipeline, ShadowClassifier};
//! use freelunch::{Dataset, Lab, nn::Arch, train::Train};
//! let lab = Lab::new()?.seed(1).quiet();
//! let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(3));
//! let signals = Game::new(4).play(&pipeline, &Dataset::toy(), &lab)?;
//! let roc = ShadowClassifier::logistic().roc(&signals)?;
//! assert_eq!(roc.members() + roc.non_members(), 4 * 120);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod logistic;
mod network;
#[cfg(test)]
mod tests;

use super::{Attack, Signals};
use crate::lab::Rng;
use crate::stats::log_sum_exp;
use crate::{Device, Error, Lab, Result};
use logistic::Logistic;
use network::Network;
use rand::seq::SliceRandom as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Learns from the shadows, class by class, to tell members by their softmax vectors.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, ShadowClassifier};
/// let attack = ShadowClassifier::mlp().with_rows(1_000).with_seed(7);
/// assert_eq!(attack.name(), "shadow classifier, MLP");
/// ```
#[doc(alias = "Shokri")]
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ShadowClassifier {
    /// What learns; the paper: a network with one hidden layer.
    pub classifier: Classifier,
    /// The most rows a classifier learns from, half of them members, at least 2; 4,000 here, the paper used all.
    pub rows: usize,
    /// Decides which rows are drawn, and the network's first weights and batches.
    pub seed: u64,
}

/// What learns to tell members from non-members.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Classifier {
    /// Logistic regression, solved to its optimum.
    Logistic {
        /// λ > 0 in (mean cross-entropy) + (λ/2)|w|² on standardised columns; 1e-4 here.
        ridge: f64,
    },
    /// A network with one hidden layer, ReLU and softmax.
    Mlp {
        /// Units of the hidden layer, at least 1; 64 in the literature.
        hidden: usize,
        /// Passes over the rows, at least 1; 20 here.
        epochs: usize,
    },
}

impl ShadowClassifier {
    /// The attack with logistic regression: quick, and the same on every machine.
    #[must_use]
    pub fn logistic() -> Self {
        Self { classifier: Classifier::Logistic { ridge: 1e-4 }, rows: 4_000, seed: 0 }
    }

    /// The attack with networks, as in the paper, trained on the CPU: one for each class and target.
    #[must_use]
    pub fn mlp() -> Self {
        Self { classifier: Classifier::Mlp { hidden: 64, epochs: 20 }, ..Self::logistic() }
    }

    /// The same attack with another classifier.
    #[must_use]
    pub fn with_classifier(mut self, classifier: Classifier) -> Self {
        self.classifier = classifier;
        self
    }

    /// The same attack learning from at most so many rows a class.
    #[must_use]
    pub fn with_rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// The same attack with other random draws.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    fn check(&self) -> Result<()> {
        let positive = |name: &str, value: usize, least: usize| match value < least {
            true => Err(Error::config(format!("{name} is {value}"), format!("expected at least {least}"))),
            false => Ok(()),
        };
        positive("rows", self.rows, 2)?;
        match self.classifier {
            Classifier::Logistic { ridge } if ridge > 0.0 && ridge.is_finite() => Ok(()),
            Classifier::Logistic { ridge } => Err(Error::config(format!("ridge is {ridge}"), "expected a positive number")),
            Classifier::Mlp { hidden, epochs } => {
                positive("hidden", hidden, 1)?;
                positive("epochs", epochs, 1)
            }
        }
    }

    /// Rows of one class under all models but the target: equally many members and non-members, drawn at random where there are
    /// more than needed.
    fn draw(&self, signals: &Signals, target: usize, class: usize, records: &[usize], lab: &Lab) -> Result<Vec<Row>> {
        let (n, membership) = (signals.len(), signals.membership());
        let (mut members, mut non_members) = (vec![], vec![]);
        for model in (0..signals.models()).filter(|&model| model != target) {
            for &record in records {
                let member = membership[model * n + record];
                if member { &mut members } else { &mut non_members }.push(Row { model, record, member });
            }
        }
        let each = members.len().min(non_members.len()).min(self.rows / 2);
        if each == 0 {
            let what = format!("class {class} has {} rows of members and {} of non-members", members.len(), non_members.len());
            return Err(Error::config(what, "its classifier needs both: play the game with more models or records"));
        }
        let rng = &mut lab.rng("rows", 0);
        let mut rows = some(members, each, rng);
        rows.extend(some(non_members, each, rng));
        Ok(rows)
    }

    /// The scores of some records of one class.
    fn score_class(&self, signals: &Signals, target: usize, part: &Part) -> Result<Vec<f64>> {
        let vectors = |places: &mut dyn Iterator<Item = (usize, usize)>| -> Vec<f64> {
            places.flat_map(|(model, record)| probabilities(signals, model, record)).collect()
        };
        let learned = vectors(&mut part.rows.iter().map(|row| (row.model, row.record))); // [rows, classes]
        let asked = vectors(&mut part.records.iter().map(|&record| (target, record))); // [records, classes]
        let members: Vec<bool> = part.rows.iter().map(|row| row.member).collect();
        let classes = signals.classes();
        let scores = match self.classifier {
            Classifier::Logistic { ridge } => {
                let model = Logistic::fit(&learned, classes, &members, ridge)?;
                asked.chunks_exact(classes).map(|row| model.log_odds(row)).collect()
            }
            Classifier::Mlp { hidden, epochs } => Network::fit(&learned, classes, &members, hidden, epochs, &part.lab)?.log_odds(&asked)?,
        };
        match scores.iter().position(|score: &f64| !score.is_finite()) {
            None => Ok(scores),
            Some(at) => {
                let what = format!("the classifier's score of record {} is {}", part.records[at], scores[at]);
                Err(Error::config(what, "use ShadowClassifier::logistic() with a larger ridge"))
            }
        }
    }
}

/// A softmax vector to learn from.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Row {
    model: usize,
    record: usize,
    member: bool,
}

/// The work of one class.
struct Part {
    records: Vec<usize>,
    rows: Vec<Row>,
    lab: Lab,
}

fn some(mut rows: Vec<Row>, count: usize, rng: &mut Rng) -> Vec<Row> {
    rows.partial_shuffle(rng, count).0.to_vec()
}

/// The softmax vector of a record under a model, averaged over the queries, `[classes]`.
fn probabilities(signals: &Signals, model: usize, record: usize) -> Vec<f64> {
    let (queries, classes) = (signals.queries(), signals.classes());
    let (mut row, mut mean) = (vec![], vec![0.0; classes]);
    for query in 0..queries {
        signals.logits().read(((model * signals.len() + record) * queries + query) * classes, classes, &mut row);
        let total = log_sum_exp(&row);
        mean.iter_mut().zip(&row).for_each(|(mean, z)| *mean += libm::exp(z - total) / queries as f64);
    }
    mean
}

impl Attack for ShadowClassifier {
    fn name(&self) -> String {
        match self.classifier {
            Classifier::Logistic { .. } => "shadow classifier, logistic".to_string(),
            Classifier::Mlp { .. } => "shadow classifier, MLP".to_string(),
        }
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        self.check()?;
        signals.check_model(target)?;
        if signals.models() < 2 {
            return Err(Error::config("0 shadow models", "expected at least 1: play the game with 2 or more models"));
        }
        let lab = Lab::on(Device::Cpu)?.seed(self.seed).quiet().child("shadow classifier", target as u64);
        let mut of_class = vec![vec![]; signals.classes()];
        signals.labels().iter().enumerate().for_each(|(record, &label)| of_class[label as usize].push(record));
        let mut parts = vec![];
        // A class without records needs no classifier.
        for (class, records) in of_class.into_iter().enumerate().filter(|class| !class.1.is_empty()) {
            let lab = lab.child("class", class as u64);
            parts.push(Part { rows: self.draw(signals, target, class, &records, &lab)?, records, lab });
        }
        // Collected before the first error is looked for, so that it does not depend on the number of threads which one is told.
        let results: Vec<Result<Vec<f64>>> = parts.par_iter().map(|part| self.score_class(signals, target, part)).collect();
        let mut scores = vec![0.0; signals.len()];
        for (part, of_part) in parts.iter().zip(results) {
            part.records.iter().zip(of_part?).for_each(|(&record, score)| scores[record] = score);
        }
        Ok(scores)
    }
}
