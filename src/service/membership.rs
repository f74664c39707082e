//! Membership inference through a service: the attacker has models of its own and asks about each record once.
//!
//! 1. The attacker's shadow runs, whose members it knows, are the [`Signals`] of a game over the pool, played without the target.
//! 2. It asks the service about every record of the pool (and its mirror image or shifts, if asked for), and about a population.
//! 3. With p the answered probabilities, log max(p, 1e-45) take the place of the target's logits, as φ = log(p/(1 − p)) needs only those.
//! 4. An attacker who knows the defences passes its shadows' probabilities through the same ones, with noise of its own ([`Knowledge`]).
//! 5. Any [`Attack`] scores the service as its target with all shadows.
//!
//! # Privacy
//! None: this is an attack. The truth about the members is used only to draw the curve.
//!
//! # References
//! Shokri et al., arXiv 1610.05820; Carlini et al., arXiv 2112.03570 (φ from probabilities, the floor).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{MembershipByService, Service};
//! let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
//! let train = Train::new(Arch::Logistic).with_epochs(5);
//! let shadows = Game::new(4).play(&Pipeline::direct(train.clone()), &toy, &lab)?;
//! let members: Vec<bool> = (0..toy.len()).map(|i| i < 60).collect();
//! let target = train.fit(&toy.subset(&(0..60).collect::<Vec<_>>())?, &lab)?;
//! let mallory = Service::new(&target, &toy)?.client("mallory");
//! let found = MembershipByService::new(LossThreshold::new()).attack(&mallory, &shadows, &toy, &members, &lab)?;
//! assert_eq!((found.queries, found.roc.members()), (120, 60));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::defence::{FLOOR, protect};
use super::{BlackBox, Defence};
use crate::attack::{Attack, Game, Queries, Signals};
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::roc::Roc;
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What the attacker knows of the service's defences.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// Everything but the seed of the noise: its shadows answer as the service does.
    #[default]
    Defences,
    /// Nothing: it compares protected answers with bare ones. For teaching; a defence that stops only this attacker stops nobody.
    Nothing,
}

/// A membership attack that asks a service.
#[derive(Debug, Clone)]
pub struct MembershipByService {
    attack: Arc<dyn Attack>,
    knowledge: Knowledge,
    queries: Queries,
    population: Option<Dataset>,
}

/// What a membership attack through a service found, and what it cost.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRoc {
    /// The curve over the records of the pool; one target, so few trials.
    pub roc: Roc,
    /// One score for each record, higher = member.
    pub scores: Vec<f64>,
    /// Queries it spent.
    pub queries: usize,
    /// What they cost.
    pub cost: f64,
    /// What the attacker knew.
    pub knowledge: Knowledge,
    /// The service's defences.
    pub defences: Vec<Defence>,
}

impl MembershipByService {
    /// This attack through a service, by someone who knows the defences and asks about each record as it is.
    #[must_use]
    pub fn new(attack: impl Attack + 'static) -> Self {
        Self::of(Arc::new(attack))
    }

    pub(super) fn of(attack: Arc<dyn Attack>) -> Self {
        Self { attack, knowledge: Knowledge::default(), queries: Queries::Original, population: None }
    }

    /// The same attack by someone who does not know the defences.
    #[must_use]
    pub fn naive(mut self) -> Self {
        self.knowledge = Knowledge::Nothing;
        self
    }

    /// The same attack with more questions for each record; the shadows must have been asked the same ([`Game::with_queries`]).
    #[must_use]
    pub fn with_queries(mut self, queries: Queries) -> Self {
        self.queries = queries;
        self
    }

    /// The same attack, also asking about records that no model learned from, such as the test set that [`Game::with_test`] had (then as many
    /// of it are asked about as the shadows' population has). Some attacks compare with them.
    #[must_use]
    pub fn with_population(mut self, population: &Dataset) -> Self {
        self.population = Some(population.clone());
        self
    }

    /// Asks `service` about all records of `pool` and scores them; `members` says which of them the model behind it learned from.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when pool, shadows and service do not fit each other, [`Error::Config`] when the budget does not cover the pool, and
    /// what the attack answers.
    pub fn attack(&self, service: &dyn BlackBox, shadows: &Signals, pool: &Dataset, members: &[bool], lab: &Lab) -> Result<ServiceRoc> {
        let before = service.queries_spent();
        let signals = self.signals(service, shadows, pool, members, lab)?;
        let queries = service.queries_spent().saturating_sub(before);
        let scores = self.attack.score(&signals, shadows.models())?;
        let note = format!("1 model × {} records, {} shadows, seed {}", pool.len(), shadows.models(), shadows.manifest().seed);
        let roc = Roc::new(&scores, members)?.named(&self.attack.name()).with_note(&note);
        let cost = queries as f64 * service.price_per_query();
        Ok(ServiceRoc { roc, scores, queries, cost, knowledge: self.knowledge, defences: service.defences() })
    }

    /// The shadows, as the attacker sees them, with the service as their last model.
    ///
    /// # Errors
    /// As [`MembershipByService::attack`].
    pub fn signals(&self, service: &dyn BlackBox, shadows: &Signals, pool: &Dataset, members: &[bool], lab: &Lab) -> Result<Signals> {
        check(shadows, pool, members)?;
        let population = match (&self.population, shadows.population()) {
            (Some(records), Some(of_shadows)) => {
                Some((records.subset(&(0..records.len().min(of_shadows.len())).collect::<Vec<_>>())?, of_shadows))
            }
            _ => None,
        };
        if let Some((records, of_shadows)) = &population {
            check(of_shadows, records, &vec![false; records.len()])?;
        }
        let (asked, had) = (self.variants(&pool.subset(&[0])?)?.len(), shadows.queries());
        if asked != had || service.classes() != shadows.classes() {
            let what = format!("{asked} queries of each record in {} classes", service.classes());
            let remedy = format!("the shadows have {had} in {}: choose Queries as in their game", shadows.classes());
            return Err(Error::mismatch(what, remedy));
        }
        // All that will be asked, before anything is: a budget that ends half way would be wasted.
        let records = pool.len() + population.as_ref().map_or(0, |(records, _)| records.len());
        let needed = records * shadows.queries();
        if let Some(left) = service.queries_left().filter(|&left| left < needed) {
            let remedy = "nothing was asked: attack fewer records, or with Queries::Original";
            return Err(Error::config(format!("the attack needs {needed} queries, {left} are left"), remedy));
        }
        let signals = self.joined(service, shadows, pool, members, &lab.child("pool", 0))?;
        match population {
            None => Ok(signals),
            Some((records, of_shadows)) => {
                let nobody = vec![false; records.len()];
                signals.with_population(self.joined(service, of_shadows, &records, &nobody, &lab.child("population", 0))?)
            }
        }
    }

    /// The records as asked, one data set per query.
    fn variants(&self, records: &Dataset) -> Result<Vec<Dataset>> {
        Game::new(2).with_queries(self.queries).variants(records)
    }

    fn joined(&self, service: &dyn BlackBox, shadows: &Signals, records: &Dataset, members: &[bool], lab: &Lab) -> Result<Signals> {
        let (n, queries, classes) = (shadows.len(), shadows.queries(), shadows.classes());
        let variants = self.variants(records)?;
        let known = if self.knowledge == Knowledge::Defences { service.defences() } else { vec![] };
        let mut logits = Vec::with_capacity((shadows.models() + 1) * n * queries * classes);
        for model in 0..shadows.models() {
            logits.extend(as_answered(&shadows.log_probabilities(model)?, classes, &known, &lab.child("shadow", model as u64)));
        }
        let answers = variants.iter().map(|variant| Ok(service.ask(variant)?.log_probabilities())).collect::<Result<Vec<_>>>()?;
        for record in 0..n {
            answers.iter().for_each(|of_query| logits.extend_from_slice(&of_query[record * classes..(record + 1) * classes]));
        }
        let membership = [shadows.membership(), members].concat();
        let shape = [shadows.models() + 1, n, queries, classes];
        Signals::new(logits, shape, membership, shadows.labels().to_vec(), shadows.manifest().clone())?
            .with_ids(shadows.ids().to_vec())?
            .with_marked(shadows.marked().to_vec())
    }
}

/// Log probabilities of a shadow as a service with these defences would answer them. The noise is the attacker's own: that of the service
/// would make its target look like its shadows.
fn as_answered(log_p: &[f64], classes: usize, defences: &[Defence], lab: &Lab) -> Vec<f64> {
    let of_row = |(row, log_p): (usize, &[f64])| {
        let mut p: Vec<f64> = log_p.iter().map(|log_p| log_p.exp()).collect();
        let noise = if defences.is_empty() { 0 } else { row as u64 };
        protect(defences, &mut p, &mut lab.rng("noise", noise));
        p.into_iter().map(|p| p.max(FLOOR).ln()).collect::<Vec<f64>>()
    };
    log_p.par_chunks(classes).enumerate().flat_map_iter(of_row).collect()
}

fn check(shadows: &Signals, records: &Dataset, members: &[bool]) -> Result<()> {
    if shadows.len() != records.len() || shadows.labels() != records.labels() || members.len() != records.len() {
        let what = format!("{} records and {} members beside shadows on {} records", records.len(), members.len(), shadows.len());
        return Err(Error::mismatch(what, "give the records that the shadows' game was played on, in its order, and one truth for each"));
    }
    Ok(())
}

impl ServiceRoc {
    /// The result as a polars table of one row.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let (auc, tpr) = (self.roc.auc(), self.roc.tpr_at(0.01).rate);
        let number = |name: &str, value: f64| Column::new(name.into(), vec![value]);
        let columns = vec![
            Column::new("attack".into(), vec![self.roc.name()]),
            Column::new("defences".into(), vec![Defence::names(&self.defences)]),
            number("auc", auc.value),
            number("auc_low", auc.low),
            number("auc_high", auc.high),
            number("tpr_at_1_percent", tpr.value()),
            number("tpr_at_1_percent_low", tpr.low),
            number("tpr_at_1_percent_high", tpr.high),
            Column::new("queries".into(), vec![self.queries as u64]),
            number("cost", self.cost),
        ];
        DataFrame::new(1, columns).map_err(|cause| Error::table("membership by service", cause))
    }
}

impl Show for ServiceRoc {
    fn figure(&self) -> Figure {
        let known = match (self.defences.is_empty(), self.knowledge) {
            (true, _) => "there are none",
            (false, Knowledge::Defences) => "known to the attacker",
            (false, Knowledge::Nothing) => "unknown to the attacker (naive)",
        };
        let cells: [Cell; 5] = [
            self.roc.auc().to_string().into(),
            self.roc.tpr_at(0.01).rate.to_string().into(),
            self.queries.into(),
            self.cost.into(),
            format!("{}: {known}", Defence::names(&self.defences)).into(),
        ];
        let table = Table::new(["AUC", "TPR at 1 % FPR", "queries", "cost", "defences"])
            .row(cells)
            .captioned(&format!("{}. Guessing: AUC 0.5, TPR = FPR. Intervals: 95 %, over the records of one target.", self.roc.note()));
        Figure::column([table.figure(), self.roc.figure()]).titled(&format!("{} through a service", self.roc.name()))
    }
}

show_inline!(ServiceRoc);

impl fmt::Debug for ServiceRoc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceRoc({}, AUC {}, {} queries)", self.roc.name(), self.roc.auc(), self.queries)
    }
}
