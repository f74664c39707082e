//! Attacks on a model that answers with a label alone: right answers, above all stable ones, mean member.
//!
//! With ŷ(q) the model's answer to query q of a record and y its label,
//!
//! gap score = 1 if ŷ is y, else 0,  augmented score = share of the queries with ŷ(q) = y
//!
//! 1. The answer is the class with the largest logit, the lowest of several.
//! 2. The gap attack asks the first query, the record as it is. Its accuracy is ½ + ½ (training accuracy − test accuracy).
//! 3. The augmented attack asks all queries: shifted or flipped copies that the model, trained with or without such, gets right more
//!    often when it has seen the record.
//! 4. [`LabelOnly::calibrated`] takes off the mean of the same score over the shadows for which the record is OUT.
//!
//! The paper trains a classifier on the answers of a shadow model; the count of right ones is the statistic that it sorts by.
//!
//! # Privacy
//! None: this is an attack. It shows that hiding confidences does not hide members.
//!
//! # References
//! Yeom, Giacomelli, Fredrikson, Jha, arXiv 1709.01604 (gap attack); Choquette-Choo, Tramèr, Carlini, Papernot, arXiv 2007.14321.
//!
//! # Example
//! ```
//! use freelunch::attack::{Attack, LabelOnly, Manifest, Signals};
//! // One model, two records, two queries, two classes.
//! let logits = vec![3.0_f32, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 1.0];
//! let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
//! let signals = Signals::new(logits, [1, 2, 2, 2], vec![true, false], vec![0, 0], manifest)?;
//! assert_eq!(LabelOnly::gap().score(&signals, 0)?, [1.0, 1.0]);
//! assert_eq!(LabelOnly::augmented().score(&signals, 0)?, [1.0, 0.5]);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::shadows::{Shadows, every_model};
use super::{Attack, Signals};
use crate::stats::mean;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Which answers count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answers {
    /// The first query's.
    #[default]
    First,
    /// The share of right answers to all queries.
    Share,
}

/// Whether the record's difficulty is taken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Difficulty {
    /// No: no shadow model is needed.
    #[default]
    Kept,
    /// The mean score over the OUT shadows is taken off.
    TakenOff,
}

/// The label-only attacks. The default is the gap attack.
///
/// # Example
/// ```
/// use freelunch::attack::{Attack, LabelOnly};
/// assert_eq!(LabelOnly::augmented().calibrated().name(), "label only, augmented, calibrated");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelOnly {
    /// The first answer, or the share of right ones.
    pub answers: Answers,
    /// The score itself, or what it exceeds that of other models by.
    pub difficulty: Difficulty,
}

impl LabelOnly {
    /// Member if the answer is right.
    #[must_use]
    pub fn gap() -> Self {
        Self::default()
    }

    /// The share of right answers over all queries, of which there must be two or more.
    #[must_use]
    pub fn augmented() -> Self {
        Self { answers: Answers::Share, ..Self::default() }
    }

    /// The same attack less the mean score of the shadows that did not see the record.
    #[must_use]
    pub fn calibrated(mut self) -> Self {
        self.difficulty = Difficulty::TakenOff;
        self
    }

    /// 1 or 0 for each answer of one model, `[n, queries]`.
    fn right(&self, signals: &Signals, model: usize) -> Result<Vec<f64>> {
        if self.answers == Answers::Share && signals.queries() < 2 {
            let what = format!("{} query of each record", signals.queries());
            return Err(Error::config(what, "a share needs 2 or more: play with Game::with_queries, or use LabelOnly::gap"));
        }
        let (hinge, classes) = (signals.hinge(model)?, signals.classes());
        let log_p = if hinge.contains(&0.0) { signals.log_probabilities(model)? } else { vec![] };
        let is_right = |at: usize| {
            if hinge[at] != 0.0 {
                return hinge[at] > 0.0;
            }
            // The label shares the largest logit with another class; the lowest of them is the answer.
            let (row, label) = (&log_p[at * classes..(at + 1) * classes], signals.labels()[at / signals.queries()] as usize);
            row[..label].iter().all(|&other| other < row[label])
        };
        Ok((0..hinge.len()).map(|at| f64::from(u8::from(is_right(at)))).collect())
    }

    fn score_target(&self, signals: &Signals, right: &[Vec<f64>], target: usize) -> Result<Vec<f64>> {
        let shadows = Shadows::new(signals, right, target)?;
        if self.difficulty == Difficulty::TakenOff {
            shadows.check_side(&self.name(), false)?;
        }
        let of_record = |record: usize| {
            let own = self.of_model(&shadows, target, record);
            match self.difficulty {
                Difficulty::Kept => own,
                Difficulty::TakenOff => {
                    let others: Vec<f64> = shadows.models(record, false).map(|model| self.of_model(&shadows, model, record)).collect();
                    own - mean(&others)
                }
            }
        };
        Ok((0..signals.len()).into_par_iter().map(of_record).collect())
    }

    fn of_model(&self, shadows: &Shadows, model: usize, record: usize) -> f64 {
        let queries = if self.answers == Answers::First { 1 } else { shadows.signals.queries() };
        (0..queries).map(|query| shadows.value(model, record, query)).sum::<f64>() / queries as f64
    }
}

impl Attack for LabelOnly {
    fn name(&self) -> String {
        let mut name = match self.answers {
            Answers::First => "label only, gap".to_string(),
            Answers::Share => "label only, augmented".to_string(),
        };
        name.push_str(if self.difficulty == Difficulty::TakenOff { ", calibrated" } else { "" });
        name
    }

    fn score(&self, signals: &Signals, target: usize) -> Result<Vec<f64>> {
        signals.members_of(target)?;
        self.score_target(signals, &every_model(signals, |model| self.right(signals, model))?, target)
    }

    fn score_all(&self, signals: &Signals) -> Result<Vec<Vec<f64>>> {
        let right = every_model(signals, |model| self.right(signals, model))?;
        (0..signals.models()).map(|target| self.score_target(signals, &right, target)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::super::signals::tests::made_up;
    use super::*;

    fn signals(logits: Vec<f64>, shape: [usize; 4], membership: &[bool], labels: Vec<u32>) -> Signals {
        Signals::new(logits, shape, membership.to_vec(), labels, Manifest::new(serde_json::Value::Null, 0, "")).unwrap()
    }

    #[test]
    fn among_equal_logits_the_lowest_class_is_the_answer() {
        let logits = vec![5.0, 5.0, 0.0, 5.0, 5.0, 0.0, 0.0, 5.0, 5.0, 0.0, 0.0, 0.0];
        let signals = signals(logits, [1, 4, 1, 3], &[false; 4], vec![0, 1, 1, 2]);
        assert_eq!(LabelOnly::gap().score(&signals, 0).unwrap(), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_share_counts_right_answers_and_calibration_takes_off_that_of_others() {
        // Three models, one record, two queries, label 0; right answers 2, 1 and 0 of 2.
        let logits = vec![1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0];
        let signals = signals(logits, [3, 1, 2, 2], &[true, false, false], vec![0]);
        let score = |attack: LabelOnly, target| attack.score(&signals, target).unwrap()[0];
        assert_eq!([0, 1, 2].map(|target| score(LabelOnly::augmented(), target)), [1.0, 0.5, 0.0]);
        assert_eq!([0, 1, 2].map(|target| score(LabelOnly::gap(), target)), [1.0, 1.0, 0.0]);
        assert_eq!([0, 1, 2].map(|target| score(LabelOnly::augmented().calibrated(), target)), [0.75, 0.5, -0.5]);
        assert_eq!(score(LabelOnly::gap().calibrated(), 0), 0.5);
    }

    #[test]
    fn the_gap_attack_is_as_accurate_as_its_formula_says() {
        let signals = made_up(300);
        let (scores, members) = (LabelOnly::gap().score(&signals, 0).unwrap(), signals.members_of(0).unwrap());
        let accuracy = |side: bool| {
            let right = scores.iter().zip(members).filter(|trial| *trial.1 == side).map(|trial| *trial.0);
            right.clone().sum::<f64>() / right.count() as f64
        };
        let balanced = LabelOnly::gap().roc_of_model(&signals, 0).unwrap().balanced_accuracy();
        assert!((balanced - (0.5 + 0.5 * (accuracy(true) - accuracy(false)))).abs() < 1e-12);
    }

    #[test]
    fn one_query_has_no_share_and_no_out_shadow_no_calibration() {
        let text = LabelOnly::augmented().score(&made_up(12), 0).unwrap_err().to_string();
        assert!(text.contains("Game::with_queries"), "{text}");
        let few = made_up(12).keep_models(&[0, 1]).unwrap();
        assert!(LabelOnly::gap().calibrated().score(&few, 0).unwrap_err().to_string().starts_with("record 3 is OUT for 0"));
        assert!(LabelOnly::gap().score(&few.keep_models(&[0]).unwrap(), 0).is_ok());
    }
}
