//! What may come with logits and membership: positions, canaries, a population, start records, the scores of releases.

use super::Signals;
use crate::{Error, Result};

impl Signals {
    /// The same signals with each record's position in the pool (`0, 1, ..` unless said).
    ///
    /// # Errors
    /// [`Error::Config`] unless there is one for each record.
    pub fn with_ids(mut self, ids: Vec<usize>) -> Result<Self> {
        self.one_each("ids", ids.len())?;
        self.ids = ids;
        Ok(self)
    }

    /// The same signals with the canaries marked.
    ///
    /// # Errors
    /// [`Error::Config`] unless there is one mark for each record.
    pub fn with_marked(mut self, marked: Vec<bool>) -> Result<Self> {
        self.one_each("marks", marked.len())?;
        self.marked = marked;
        Ok(self)
    }

    /// The same signals with a population: records that no model learned from, under the same models and queries.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when models, queries or classes differ; [`Error::Config`] when a model had one of the records as a member.
    pub fn with_population(mut self, population: Self) -> Result<Self> {
        let sides = |signals: &Self| [signals.models, signals.queries, signals.classes];
        if sides(&population) != sides(&self) {
            let what = format!("a population with [models, queries, classes] = {:?}", sides(&population));
            return Err(Error::mismatch(what, format!("the signals have {:?}", sides(&self))));
        }
        if let Some(at) = population.membership.iter().position(|&member| member) {
            let what = format!("record {} of the population is a member of model {}", at % population.len(), at / population.len());
            return Err(Error::config(what, "a population is made of records that no model learned from"));
        }
        self.population = Some(Box::new(Self { population: None, ..population }));
        Ok(self)
    }

    /// The same signals with the records that each run's release started from, row-major `[models, n]`.
    ///
    /// # Errors
    /// [`Error::Config`] unless there is one mark for each model and record, and only members are marked.
    pub fn with_started(mut self, started: Vec<bool>) -> Result<Self> {
        self.one_each_trial("start marks", started.len())?;
        if let Some(at) = (0..started.len()).find(|&at| started[at] && !self.membership[at]) {
            let what = format!("model {} started from record {}, no member of it", at / self.len(), at % self.len());
            return Err(Error::config(what, "a release can start from members only"));
        }
        self.started = started;
        Ok(self)
    }

    /// The same signals with the scores that an attack on what was released gave, row-major `[models, n]`, higher = member. Scores of the
    /// same name are replaced.
    ///
    /// # Errors
    /// [`Error::Config`] unless there is one finite score for each model and record.
    pub fn with_released(mut self, name: &str, scores: Vec<f64>) -> Result<Self> {
        self.one_each_trial("scores", scores.len())?;
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            let what = format!("score of model {}, record {} is {}", at / self.len(), at % self.len(), scores[at]);
            return Err(Error::config(what, "expected finite scores"));
        }
        self.released.insert(name.to_string(), scores);
        Ok(self)
    }

    fn one_each_trial(&self, what: &str, have: usize) -> Result<()> {
        if have == self.membership.len() {
            return Ok(());
        }
        let expected = format!("expected one for each of {} models × {} records", self.models, self.len());
        Err(Error::config(format!("{have} {what}"), expected))
    }

    fn one_each(&self, what: &str, have: usize) -> Result<()> {
        if have == self.len() {
            return Ok(());
        }
        Err(Error::config(format!("{have} {what}"), format!("expected one for each of the {} records", self.len())))
    }
}
