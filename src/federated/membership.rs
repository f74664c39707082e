//! Membership inference from inside a federation: what the models of the rounds tell about a client's records.
//!
//! With L_r the loss of a candidate record under the r-th model that the attacker saw, the score is −L of the last one, −mean of L over all,
//! the mean fall of L in a round, or −the mean length of the candidate's gradient.
//!
//! 1. A participant sees the global model after every round. It learns that somebody holds the record, not who.
//! 2. The server sees what the victim sends. It knows the model that the victim started from in each round, too, so a fall is that of the
//!    victim's own training.
//! 3. Both are passive: they follow the protocol.
//!
//! Of the attack of Nasr et al. this is the loss and the gradient's length as features, without their trained network over whole gradients and
//! activations and without their active variants: a lower bound on what an insider can do. Scores are not calibrated by record; an attack
//! with shadow federations is [`FederatedGame`](super::FederatedGame).
//!
//! # Privacy
//! None: this is an attack. Under [`ClientPrivacy`](super::ClientPrivacy) the server's view is not covered by the event.
//!
//! # References
//! arXiv 1812.00910.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, train::Train};
//! use freelunch::federated::{ClientData, FederatedMembership, Federation, Partition};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(60, &lab)?;
//! let parts = Partition::iid().split(&halves.members, 3, &lab)?;
//! let run = Federation::new(Train::new(Arch::mlp()).with_batch(5), 3).fed_avg(5).with_trace().run(&ClientData::each(&parts), &lab)?;
//! let roc = FederatedMembership::server().roc(&run, 0, &parts[0], &halves.non_members)?;
//! assert_eq!((roc.members(), roc.non_members()), (20, 60));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::FederatedRun;
use crate::roc::Roc;
use crate::stats::log_sum_exp;
use crate::train::Model;
use crate::{Dataset, Error, Result};
use serde::{Deserialize, Serialize};

/// Who attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeenBy {
    /// Another participant: the global model of every round.
    Participant,
    /// The server: what the victim sends.
    Server,
}

/// What is computed from the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statistic {
    /// The loss under the last model.
    LastLoss,
    /// The mean loss over all models.
    MeanLoss,
    /// The mean fall of the loss in a round: a participant sees it of the federation, the server of the victim's own training.
    Fall,
    /// The mean length of the record's gradient over all models.
    GradientNorm,
}

/// The attack of an insider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedMembership {
    /// Who attacks.
    pub seen_by: SeenBy,
    /// What is computed.
    pub statistic: Statistic,
}

impl FederatedMembership {
    /// The attack of another participant, on the mean loss.
    #[must_use]
    pub fn participant() -> Self {
        Self { seen_by: SeenBy::Participant, statistic: Statistic::MeanLoss }
    }

    /// The attack of the server, on the mean loss.
    #[must_use]
    pub fn server() -> Self {
        Self { seen_by: SeenBy::Server, statistic: Statistic::MeanLoss }
    }

    /// The same attacker with another statistic.
    #[must_use]
    pub fn with_statistic(mut self, statistic: Statistic) -> Self {
        self.statistic = statistic;
        self
    }

    /// The attack in a few words.
    #[must_use]
    pub fn name(&self) -> String {
        let who = match self.seen_by {
            SeenBy::Participant => "participant",
            SeenBy::Server => "server",
        };
        let what = match self.statistic {
            Statistic::LastLoss => "last loss",
            Statistic::MeanLoss => "mean loss",
            Statistic::Fall => "fall of the loss",
            Statistic::GradientNorm => "gradient norm",
        };
        format!("{who}, {what}")
    }

    /// One score for each candidate, higher = a record of client `victim`.
    ///
    /// # Errors
    /// [`Error::Config`] for a run without a trace, a client that does not exist or never answered; [`Error::Mismatch`] for records of another
    /// kind; [`Error::Diverged`] when a score is not finite.
    pub fn scores(&self, run: &FederatedRun, victim: usize, candidates: &Dataset) -> Result<Vec<f64>> {
        let pairs = self.seen(run, victim)?;
        let mut scores = match self.statistic {
            Statistic::LastLoss => losses(pairs[pairs.len() - 1].1, candidates)?.into_iter().map(|loss| -loss).collect(),
            Statistic::MeanLoss => mean(&pairs, candidates, |_, after, data| losses(after, data))?,
            Statistic::Fall => mean(&pairs, candidates, |before, after, data| {
                let (before, after) = (losses(before, data)?, losses(after, data)?);
                Ok(before.into_iter().zip(after).map(|(before, after)| after - before).collect())
            })?,
            Statistic::GradientNorm => {
                mean(&pairs, candidates, |_, after, data| Ok(after.gradient_norms(data)?.into_iter().map(f64::from).collect()))?
            }
        };
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            return Err(Error::Diverged { what: format!("the score of candidate {at}"), step: run.rounds().len(), value: scores[at] });
        }
        // −0 and 0 are one score.
        scores.iter_mut().for_each(|score| *score += 0.0);
        Ok(scores)
    }

    /// The curve with `members`, records that the victim trained on, against records that nobody did.
    ///
    /// # Errors
    /// As [`FederatedMembership::scores`].
    pub fn roc(&self, run: &FederatedRun, victim: usize, members: &Dataset, non_members: &Dataset) -> Result<Roc> {
        let mut scores = self.scores(run, victim, members)?;
        scores.extend(self.scores(run, victim, non_members)?);
        let truth: Vec<bool> = (0..scores.len()).map(|i| i < members.len()).collect();
        let note =
            format!("{} of {} clients, {} rounds, seed {}", run.clients()[victim], run.clients().len(), run.rounds().len(), run.seed());
        Ok(Roc::new(&scores, &truth)?.named(&self.name()).with_note(&note))
    }

    /// The mean loss of `records` under each model that the attacker saw, by round (1, 2, ..).
    ///
    /// # Errors
    /// As [`FederatedMembership::scores`].
    pub fn trajectory(&self, run: &FederatedRun, victim: usize, records: &Dataset) -> Result<Vec<(usize, f64)>> {
        self.seen(run, victim)?;
        let mut points = vec![];
        for round in 0..run.rounds().len() {
            if let Some((_, after)) = self.in_round(run, victim, round) {
                points.push((round + 1, losses(after, records)?.iter().sum::<f64>() / records.len() as f64));
            }
        }
        Ok(points)
    }

    /// The model before and after each round in which the attacker saw one; at least one pair.
    fn seen<'a>(&self, run: &'a FederatedRun, victim: usize) -> Result<Vec<(&'a Model, &'a Model)>> {
        run.check_seen(victim)?;
        let pairs: Vec<_> = (0..run.rounds().len()).filter_map(|round| self.in_round(run, victim, round)).collect();
        if pairs.is_empty() {
            let what = format!("client {victim} answered in none of {} rounds", run.rounds().len());
            return Err(Error::config(what, "run more rounds, or choose a client that took part"));
        }
        Ok(pairs)
    }

    fn in_round<'a>(&self, run: &'a FederatedRun, victim: usize, round: usize) -> Option<(&'a Model, &'a Model)> {
        let before = run.globals().get(round)?;
        let after = match self.seen_by {
            SeenBy::Participant => run.globals().get(round + 1),
            SeenBy::Server => run.sent(round, victim),
        };
        after.map(|after| (before, after))
    }
}

/// −the mean of a value over all pairs of models, record by record.
fn mean(pairs: &[(&Model, &Model)], data: &Dataset, value: impl Fn(&Model, &Model, &Dataset) -> Result<Vec<f64>>) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; data.len()];
    for (before, after) in pairs {
        sums.iter_mut().zip(value(before, after, data)?).for_each(|(sum, value)| *sum -= value / pairs.len() as f64);
    }
    Ok(sums)
}

/// −log p of the label of every record, in 64 bits.
pub(super) fn losses(model: &Model, data: &Dataset) -> Result<Vec<f64>> {
    let logits = model.logits(data)?;
    let loss = |(row, &label): (&[f32], &u32)| {
        let z: Vec<f64> = row.iter().map(|&z| f64::from(z)).collect();
        log_sum_exp(&z) - z[label as usize]
    };
    Ok(logits.chunks_exact(data.classes()).zip(data.labels()).map(loss).collect())
}
