//! What a federation ends with: the global model, the history of its rounds, and what was seen on the way.

use super::{Federation, Held};
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::privacy::Event;
use crate::stats::Rate;
use crate::train::Model;
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The result of [`Federation::run`].
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, nn::Arch, train::Train};
/// use freelunch::federated::{ClientData, Federation, Partition};
/// let lab = Lab::new()?.quiet();
/// let clients = ClientData::each(&Partition::iid().split(&Dataset::toy(), 3, &lab)?);
/// let run = Federation::new(Train::new(Arch::Logistic), 2).with_trace().run(&clients, &lab)?;
/// assert_eq!(run.rounds()[1].answered, [0, 1, 2]);
/// assert_eq!(run.globals().len(), 3); // before the first round, and after each
/// assert_eq!(run.frame().height(), 2);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct FederatedRun {
    pub(super) model: Model,
    pub(super) summary: Summary,
    pub(super) seen: Option<Seen>,
}

/// Everything but weights.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) federation: Federation,
    pub(super) clients: Vec<String>,
    pub(super) held: Vec<Held>,
    pub(super) records: Vec<usize>,
    pub(super) participant: Option<String>,
    pub(super) rounds: Vec<Round>,
    pub(super) event: Event,
    pub(super) seed: u64,
}

/// The models on the way.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) globals: Vec<Model>,
    pub(super) locals: Vec<Vec<(usize, Model)>>,
}

/// One round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// 1, 2, ..
    pub round: usize,
    /// Accuracy of the global model after it on the test set, if there is one.
    pub test_accuracy: Option<Rate>,
    /// Mean cross-entropy there.
    pub test_loss: Option<f64>,
    /// Mean loss of the last local epochs, by number of records; none with privacy, because no ε covers it.
    pub training_loss: Option<f64>,
    /// The clients whose answers were averaged, by number; the participant of [`Federation::run_with`] comes after the last. Empty when the
    /// round was skipped, and under client-level privacy, whose sample must stay secret.
    pub answered: Vec<usize>,
    /// The clients that were drawn and vanished.
    pub vanished: Vec<usize>,
}

impl FederatedRun {
    /// The global model after the last round.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The history. Shorter than planned when a time budget ended the run.
    #[must_use]
    pub fn rounds(&self) -> &[Round] {
        &self.summary.rounds
    }

    /// What was done to the privacy of the clients' records; under client-level privacy, of clients: neighbours then differ by one client.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.summary.event
    }

    /// The federation.
    #[must_use]
    pub fn federation(&self) -> &Federation {
        &self.summary.federation
    }

    /// The clients' names, in their order; the participant of [`Federation::run_with`] is not among them.
    #[must_use]
    pub fn clients(&self) -> &[String] {
        &self.summary.clients
    }

    /// The global models before the first round and after each: what every participant sees. Empty without [`Federation::with_trace`].
    #[must_use]
    pub fn globals(&self) -> &[Model] {
        self.seen.as_ref().map_or(&[], |seen| &seen.globals)
    }

    /// What client `client` sent in `round` (0, 1, ..): what the server sees. None when it sent nothing then, or without
    /// [`Federation::with_trace`].
    #[must_use]
    pub fn sent(&self, round: usize, client: usize) -> Option<&Model> {
        let locals = self.seen.as_ref()?.locals.get(round)?;
        locals.iter().find(|(sender, _)| *sender == client).map(|(_, model)| model)
    }

    /// The seed of the lab it ran in.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.summary.seed
    }

    pub(super) fn check_seen(&self, client: usize) -> Result<()> {
        if self.seen.is_none() {
            return Err(Error::config("a run whose models were not kept", "run the federation with_trace()"));
        }
        let count = self.summary.clients.len();
        if client >= count {
            return Err(Error::config(format!("client {client}"), format!("there are {count}, counted from 0")));
        }
        Ok(())
    }

    /// The rounds as a polars table.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let rounds = self.rounds();
        let numbers = |name: &str, value: &dyn Fn(&Round) -> Option<f64>| -> Column {
            Column::new(name.into(), rounds.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let known = |count: usize| self.federation().client_privacy.is_none().then_some(count as f64);
        let columns = vec![
            numbers("round", &|round| Some(round.round as f64)),
            numbers("test_accuracy", &|round| round.test_accuracy.map(|rate| rate.value())),
            numbers("test_accuracy_low", &|round| round.test_accuracy.map(|rate| rate.low)),
            numbers("test_accuracy_high", &|round| round.test_accuracy.map(|rate| rate.high)),
            numbers("test_loss", &|round| round.test_loss),
            numbers("training_loss", &|round| round.training_loss),
            numbers("answered", &|round| known(round.answered.len())),
            numbers("vanished", &|round| known(round.vanished.len())),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(rounds.len(), columns).unwrap_or_default()
    }

    /// Writes `federation.csv`, `.svg`, `.png`, `.html` and `.json` and the model as `federation.safetensors` into a folder, which is made
    /// if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        crate::file::save_report(folder, "federation", "federation.json", self.frame(), &self.summary, &self.figure())?;
        self.model.save(folder.join("federation.safetensors"))
    }

    /// The test accuracy in per cent round by round.
    pub(super) fn curve(&self) -> Vec<(f64, f64)> {
        let point = |round: &Round| round.test_accuracy.map(|rate| (round.round as f64, 100.0 * rate.value()));
        self.rounds().iter().filter_map(point).collect()
    }

    fn participation(&self) -> Option<Plot> {
        if self.federation().client_privacy.is_some() {
            return None;
        }
        let points = |of: &dyn Fn(&Round) -> &[usize]| -> Vec<(f64, f64)> {
            self.rounds().iter().flat_map(|round| of(round).iter().map(|&client| (round.round as f64, client as f64))).collect()
        };
        let plot = Plot::new("Who answered").x_label("round").y_label("client").points("answered", &points(&|round| &round.answered));
        let vanished = points(&|round| &round.vanished);
        Some(if vanished.is_empty() { plot } else { plot.points("vanished", &vanished) })
    }

    fn overview(&self) -> Table {
        let records = &self.summary.records;
        let held = |held: &Held| match held {
            Held::Records => "records".to_string(),
            Held::Synthetic(method) => format!("made by {method}"),
            Held::Codes => "codes".to_string(),
        };
        let mut kinds: Vec<String> = self.summary.held.iter().map(held).collect();
        kinds.dedup();
        let last = self.rounds().last();
        let text = |value: Option<String>| value.unwrap_or_else(|| "not tested".into());
        let skipped = self.rounds().iter().filter(|round| round.answered.is_empty()).count();
        let mut table = Table::new(["federation", self.federation().train.arch.name().as_str()])
            .row(["clients".to_string(), self.clients().len().to_string()])
            .row(["they train on".to_string(), kinds.join(", ")])
            .row(["records".to_string(), records.iter().sum::<usize>().to_string()])
            .row(["rounds".to_string(), self.rounds().len().to_string()])
            .row(["test accuracy".to_string(), text(last.and_then(|round| round.test_accuracy).map(|rate| rate.to_string()))])
            .row(["privacy".to_string(), self.event().to_string()]);
        if skipped > 0 && self.federation().client_privacy.is_none() {
            table = table.row(["rounds without an answer, skipped".to_string(), skipped.to_string()]);
        }
        if let Some(name) = &self.summary.participant {
            table = table.row(["with".to_string(), name.clone()]);
        }
        if self.federation().client_privacy.is_some() {
            table = table.row(["neighbours differ by", "one client"]);
        }
        table
    }
}

impl Show for FederatedRun {
    fn figure(&self) -> Figure {
        let curve = self.curve();
        let accuracy = (!curve.is_empty())
            .then(|| Plot::new("Learning curve").x_label("round").y_label("test accuracy (%)").line("federated", &curve).figure());
        let participation = self.participation().map(|plot| plot.figure());
        let tested = self.rounds().iter().find_map(|round| round.test_accuracy).map_or(0, |rate| rate.of);
        let caption = format!("Test records: {tested}; intervals: 95 % Clopper-Pearson; seed {}.", self.summary.seed);
        let plots = Figure::row(accuracy.into_iter().chain(participation));
        Figure::column([self.overview().figure(), plots]).titled("Federated learning").captioned(&caption)
    }
}

show_inline!(FederatedRun);

impl fmt::Debug for FederatedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FederatedRun({} clients, {} rounds, {})", self.clients().len(), self.rounds().len(), self.event())
    }
}
