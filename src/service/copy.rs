//! Model extraction: a copy is trained on what a service answers about public records.
//!
//! With f the service and g the copy, g minimises the recipe's loss of (x, f(x)) over public records x. Cross-entropy learns the answered labels;
//! [`Loss::SquaredError`](crate::nn::Loss) and [`Loss::BinaryCrossEntropy`](crate::nn::Loss) learn the answered probabilities.
//!
//! 1. [`CopyAttack::attack`] asks about each public record once and trains. The records' own labels are not used.
//! 2. [`CopiedModel::compare`] tells agreement, the share of test records with g = f (fidelity), and the accuracy of both.
//! 3. Its control is the same recipe on the public records' own labels: what was to be had without asking. Where it agrees as much as the copy
//!    does, nothing was stolen.
//!
//! # Privacy
//! None: this is an attack. The copy carries the event of the public records, not that of the service's model: do not release it as if private
//! records had nothing to do with it.
//!
//! # References
//! Tramèr et al., arXiv 1609.02943; Orekondy et al. (Knockoff nets), arXiv 1812.02766.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{CopyAttack, Service};
//! let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
//! let recipe = Train::new(Arch::Logistic).with_epochs(5);
//! let service = Service::new(&recipe.fit(&toy, &lab)?, &toy)?;
//! let stolen = CopyAttack::new(recipe).attack(&service.client("mallory"), &toy, &lab)?;
//! let report = stolen.compare(&service.look(&toy)?, &toy)?;
//! assert!(report.agreement.value() > 0.5 && report.queries == 120);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Answers, BlackBox, Defence};
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::stats::Rate;
use crate::train::{Model, Train};
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Copies a model by asking it.
#[doc(alias = "model extraction")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyAttack {
    /// How the copy, and its control, are trained.
    pub train: Train,
}

/// A copy and its control.
#[derive(Clone, Serialize, Deserialize)]
pub struct CopiedModel {
    copy: Model,
    control: Model,
    queries: usize,
    cost: f64,
    defences: Vec<Defence>,
    seed: u64,
}

/// How good a copy is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CopyReport {
    /// Share of test records on which copy and service say the same.
    pub agreement: Rate,
    /// The same of the control, a model trained on the public records' own labels.
    pub agreement_of_control: Rate,
    /// Share of test records that the service gets right.
    pub accuracy_of_service: Rate,
    /// Share of test records that the copy gets right.
    pub accuracy: Rate,
    /// Share of test records that the control gets right.
    pub accuracy_of_control: Rate,
    /// Queries spent on the copy.
    pub queries: usize,
    /// What they cost.
    pub cost: f64,
    /// The service's defences.
    pub defences: Vec<Defence>,
    /// The seed of the lab.
    pub seed: u64,
}

impl CopyAttack {
    /// A copy trained by this recipe.
    #[must_use]
    pub fn new(train: Train) -> Self {
        Self { train }
    }

    /// Asks about every record of `public` and trains on the answers.
    ///
    /// # Errors
    /// As [`BlackBox::ask`] and [`Train::fit`].
    pub fn attack(&self, service: &dyn BlackBox, public: &Dataset, lab: &Lab) -> Result<CopiedModel> {
        if service.classes() != public.classes() {
            let what = format!("public records in {} classes", public.classes());
            return Err(Error::mismatch(what, format!("the service answers in {}", service.classes())));
        }
        let before = service.queries_spent();
        let answers = service.ask(public)?;
        let queries = service.queries_spent().saturating_sub(before);
        let probabilities = answers.probabilities().iter().map(|&p| p as f32).collect();
        let answered = public
            .synthetic(public.x().to_vec(), answers.labels().to_vec(), public.origin().clone())?
            .named(public.name())
            .with_soft_labels(probabilities)?;
        // An attack is no release, so no ledger counts it; both begin with the same weights.
        let training = lab.simulation("copy", 0);
        let copy = self.train.fit(&answered, &training)?;
        let control = self.train.fit(public, &training)?;
        let cost = queries as f64 * service.price_per_query();
        Ok(CopiedModel { copy, control, queries, cost, defences: service.defences(), seed: lab.seed_value() })
    }
}

impl CopiedModel {
    /// The copy.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.copy
    }

    /// Compares the copy with what the service says about `test` ([`Service::look`](super::Service::look), so that measuring spends nothing).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when there is not one answer for each record, and as [`Model::logits`].
    pub fn compare(&self, answers: &Answers, test: &Dataset) -> Result<CopyReport> {
        if answers.len() != test.len() {
            let what = format!("{} answers about {} records", answers.len(), test.len());
            return Err(Error::mismatch(what, "give the service's answers about the same records"));
        }
        let said = test.synthetic(test.x().to_vec(), answers.labels().to_vec(), test.origin().clone())?;
        Ok(CopyReport {
            agreement: self.copy.accuracy(&said)?,
            agreement_of_control: self.control.accuracy(&said)?,
            accuracy_of_service: same(answers.labels(), test.labels()),
            accuracy: self.copy.accuracy(test)?,
            accuracy_of_control: self.control.accuracy(test)?,
            queries: self.queries,
            cost: self.cost,
            defences: self.defences.clone(),
            seed: self.seed,
        })
    }
}

/// The share of places with equal labels.
pub(super) fn same(a: &[u32], b: &[u32]) -> Rate {
    Rate::counted(a.iter().zip(b).filter(|pair| pair.0 == pair.1).count(), a.len())
}

impl CopyReport {
    fn lines(&self) -> [(&'static str, Rate, Rate); 3] {
        let always = Rate::counted(self.accuracy.of, self.accuracy.of);
        [
            ("service", always, self.accuracy_of_service),
            ("copy", self.agreement, self.accuracy),
            ("control: own labels, nothing asked", self.agreement_of_control, self.accuracy_of_control),
        ]
    }

    /// A polars table: service, copy and control.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let lines = self.lines();
        let of = |name: &str, value: &dyn Fn(&(&str, Rate, Rate)) -> f64| {
            Column::new(name.into(), lines.iter().map(value).collect::<Vec<f64>>())
        };
        let columns = vec![
            Column::new("model".into(), lines.iter().map(|line| line.0).collect::<Vec<&str>>()),
            of("agreement", &|line| line.1.value()),
            of("agreement_low", &|line| line.1.low),
            of("agreement_high", &|line| line.1.high),
            of("accuracy", &|line| line.2.value()),
            of("accuracy_low", &|line| line.2.low),
            of("accuracy_high", &|line| line.2.high),
        ];
        DataFrame::new(lines.len(), columns).map_err(|cause| Error::table("copied model", cause))
    }
}

impl Show for CopyReport {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["model", "agreement with the service", "accuracy"]);
        for (name, agreement, accuracy) in self.lines() {
            let agreement = if name == "service" { Cell::Missing } else { agreement.to_string().into() };
            table = table.row([name.into(), agreement, accuracy.to_string().into()]);
        }
        let caption = format!(
            "{} queries, cost {}; defences: {}; {} test records, seed {}. Intervals: 95 % Clopper-Pearson over the test records.",
            self.queries,
            self.cost,
            Defence::names(&self.defences),
            self.accuracy.of,
            self.seed
        );
        table.titled("Model extraction").captioned(&caption).figure()
    }
}

show_inline!(CopyReport);

impl fmt::Debug for CopiedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CopiedModel({:?}, {} queries)", self.copy, self.queries)
    }
}
