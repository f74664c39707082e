//! The shadow models of one target: a statistic of every model, and which of them saw a record.

use super::Signals;
use crate::{Error, Result};
use std::borrow::Cow;

/// A statistic `[models][n, queries]` of every model but the target, whose members stay out of sight.
#[derive(Debug, Clone)]
pub(crate) struct Shadows<'a> {
    pub(crate) signals: &'a Signals,
    pub(crate) values: &'a [Vec<f64>],
    pub(crate) target: usize,
    models: Vec<usize>,
}

/// A statistic of every model, `[models][n, queries]`.
pub(crate) fn every_model(signals: &Signals, statistic: impl Fn(usize) -> Result<Vec<f64>>) -> Result<Vec<Vec<f64>>> {
    let values: Vec<Vec<f64>> = (0..signals.models()).map(statistic).collect::<Result<_>>()?;
    for (model, of_model) in values.iter().enumerate() {
        // Logits are finite, but their differences may not be.
        if let Some(at) = of_model.iter().position(|value| !value.is_finite()) {
            let position = format!("model {model}, record {}", at / signals.queries());
            return Err(Error::data("signals", position, "the logits overflow", "scale them down"));
        }
    }
    Ok(values)
}

/// Who was a member of `model`, each record's answer once for each of `queries`, `[n, queries]`.
pub(crate) fn members_of_rows(signals: &Signals, model: usize, queries: usize) -> Cow<'_, [bool]> {
    let n = signals.len();
    let members = &signals.membership()[model * n..(model + 1) * n];
    match queries {
        1 => Cow::Borrowed(members),
        _ => Cow::Owned(members.iter().flat_map(|&member| std::iter::repeat_n(member, queries)).collect()),
    }
}

impl<'a> Shadows<'a> {
    /// All models but `target`.
    pub(crate) fn new(signals: &'a Signals, values: &'a [Vec<f64>], target: usize) -> Result<Self> {
        signals.members_of(target)?; // there is such a model
        let models = (0..signals.models()).filter(|&model| model != target).collect();
        Ok(Self { signals, values, target, models })
    }

    /// The shadows of one of the shadows; the first target is none of them.
    pub(crate) fn of_shadow(&self, shadow: usize) -> Self {
        let models = self.models.iter().copied().filter(|&model| model != shadow).collect();
        Self { target: shadow, models, ..*self }
    }

    pub(crate) fn all_models(&self) -> &[usize] {
        &self.models
    }

    pub(crate) fn value(&self, model: usize, record: usize, query: usize) -> f64 {
        self.values[model][record * self.signals.queries() + query]
    }

    /// The shadows for which `record` is IN (`side` true) or OUT.
    pub(crate) fn models(&self, record: usize, side: bool) -> impl Iterator<Item = usize> + '_ {
        let (n, membership) = (self.signals.len(), self.signals.membership());
        self.models.iter().copied().filter(move |&model| membership[model * n + record] == side)
    }

    pub(crate) fn of(&self, record: usize, query: usize, side: bool) -> Vec<f64> {
        self.models(record, side).map(|model| self.value(model, record, query)).collect()
    }

    /// All values of one side, model by model.
    pub(crate) fn all(&self, side: bool) -> Vec<f64> {
        let (n, queries) = (self.signals.len(), self.signals.queries());
        let mut all = vec![];
        for &model in &self.models {
            let members = &self.signals.membership()[model * n..(model + 1) * n];
            let of_side = self.values[model].chunks(queries).zip(members).filter(|record| *record.1 == side);
            all.extend(of_side.flat_map(|record| record.0));
        }
        all
    }

    /// Refuses a record that is on that side for no shadow.
    pub(crate) fn check_side(&self, attack: &str, side: bool) -> Result<()> {
        let name = if side { "IN" } else { "OUT" };
        match (0..self.signals.len()).find(|&record| self.models(record, side).next().is_none()) {
            None => Ok(()),
            Some(record) => {
                let what = format!("record {record} is {name} for 0 of the {} shadow models", self.models.len());
                Err(Error::config(what, format!("{attack} needs 1: play the game with more models")))
            }
        }
    }
}
