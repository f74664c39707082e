//! Federations beside each other and beside training in one place.

use super::FederatedRun;
use crate::display::{Cell, Figure, Plot, Show, Table, show_inline};
use crate::privacy::Event;
use crate::roc::Roc;
use crate::stats::{Estimate, Rate};
use crate::train::Model;
use crate::{Dataset, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Runs by name, as a table, a figure and a polars frame.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, nn::Arch, train::Train};
/// use freelunch::federated::{ClientData, Federation, FederationTable, Partition};
/// let (lab, data) = (Lab::new()?.seed(1).quiet(), Dataset::toy());
/// let federation = Federation::new(Train::new(Arch::Logistic).with_batch(10), 3).with_test(&data);
/// let mut table = FederationTable::new("toy", &data);
/// for partition in [Partition::iid(), Partition::shards(2)] {
///     let run = federation.run(&ClientData::each(&partition.split(&data, 4, &lab)?), &lab)?;
///     table.add(&partition.name(), &run)?;
/// }
/// table.add_reference("in one place", &federation.centralised(&data, &lab)?)?;
/// assert_eq!(table.frame().height(), 3);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct FederationTable {
    title: String,
    test: Dataset,
    rows: Vec<FederationRow>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FederationRow {
    /// Its name.
    pub name: String,
    /// Clients; none for training in one place.
    pub clients: Option<usize>,
    /// Rounds, or epochs in one place.
    pub rounds: usize,
    /// Accuracy of the last model on the test set.
    pub accuracy: Rate,
    /// Share of the way that was gone, and the test accuracy there.
    pub curve: Vec<(f64, f64)>,
    /// What was done to the privacy of the records, or of clients.
    pub event: Event,
    /// Whether neighbours differ by one client instead of one record.
    pub by_client: bool,
    /// AUC of a membership attack, if one was made.
    pub attack: Option<(String, Estimate)>,
}

impl FederationTable {
    /// An empty table; all models are tested on `test`.
    #[must_use]
    pub fn new(title: &str, test: &Dataset) -> Self {
        Self { title: title.to_string(), test: test.clone(), rows: vec![] }
    }

    /// Adds a run.
    ///
    /// # Errors
    /// As [`Model::accuracy`].
    pub fn add(&mut self, name: &str, run: &FederatedRun) -> Result<()> {
        let (clients, by_client) = (Some(run.clients().len()), run.federation().client_privacy.is_some());
        self.push(name, clients, run.model(), by_client)
    }

    /// Adds a run with what an attack on it found.
    ///
    /// # Errors
    /// As [`Model::accuracy`].
    pub fn add_attacked(&mut self, name: &str, run: &FederatedRun, attack: &Roc) -> Result<()> {
        self.add(name, run)?;
        if let Some(row) = self.rows.last_mut() {
            row.attack = Some((attack.name().to_string(), attack.auc()));
        }
        Ok(())
    }

    /// Adds a model that was trained in one place ([`Federation::centralised`](super::Federation::centralised)).
    ///
    /// # Errors
    /// As [`Model::accuracy`].
    pub fn add_reference(&mut self, name: &str, model: &Model) -> Result<()> {
        self.push(name, None, model, false)
    }

    fn push(&mut self, name: &str, clients: Option<usize>, model: &Model, by_client: bool) -> Result<()> {
        let (accuracy, rounds) = (model.accuracy(&self.test)?, model.history().len());
        let point = |(i, epoch): (usize, &crate::train::model::Epoch)| {
            epoch.test_accuracy.map(|accuracy| ((i + 1) as f64 / rounds as f64, accuracy))
        };
        let curve = model.history().iter().enumerate().filter_map(point).collect();
        let (name, event) = (name.to_string(), model.event().clone());
        self.rows.push(FederationRow { name, clients, rounds, accuracy, curve, event, by_client, attack: None });
        Ok(())
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[FederationRow] {
        &self.rows
    }

    /// The rows as a polars table.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let texts = |name: &str, value: &dyn Fn(&FederationRow) -> Option<String>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<String>>>())
        };
        let numbers = |name: &str, value: &dyn Fn(&FederationRow) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let auc = |row: &FederationRow| row.attack.as_ref().map(|attack| attack.1);
        let columns = vec![
            texts("name", &|row| Some(row.name.clone())),
            numbers("clients", &|row| row.clients.map(|n| n as f64)),
            numbers("rounds", &|row| Some(row.rounds as f64)),
            numbers("accuracy", &|row| Some(row.accuracy.value())),
            numbers("accuracy_low", &|row| Some(row.accuracy.low)),
            numbers("accuracy_high", &|row| Some(row.accuracy.high)),
            texts("event", &|row| Some(row.event.to_string())),
            texts("neighbours_differ_by", &|row| Some(unit(row).to_string())),
            texts("attack", &|row| row.attack.as_ref().map(|attack| attack.0.clone())),
            numbers("auc", &|row| auc(row).map(|auc| auc.value)),
            numbers("auc_low", &|row| auc(row).map(|auc| auc.low)),
            numbers("auc_high", &|row| auc(row).map(|auc| auc.high)),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// Writes `federations.csv`, `.svg`, `.png`, `.html` and `.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "federations", "federations.json", self.frame(), &self.rows, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["", "clients", "rounds", "test accuracy", "privacy", "neighbours differ by", "membership attack, AUC"]);
        for row in &self.rows {
            table = table.row([
                Cell::from(&row.name),
                Cell::from(row.clients.map_or_else(|| "in one place".to_string(), |n| n.to_string())),
                Cell::from(row.rounds),
                Cell::from(row.accuracy.to_string()),
                Cell::from(row.event.to_string()),
                Cell::from(unit(row)),
                Cell::from(row.attack.as_ref().map(|(name, auc)| format!("{auc} ({name})"))),
            ]);
        }
        table
    }
}

fn unit(row: &FederationRow) -> &'static str {
    if row.by_client { "one client" } else { "one record" }
}

impl Show for FederationTable {
    fn figure(&self) -> Figure {
        if self.rows.is_empty() {
            return Figure::text("no run yet: table.add(\"iid\", &run)?").titled(&self.title);
        }
        let plot = Plot::new("Learning curves").x_label("share of the rounds (epochs, in one place) (%)").y_label("test accuracy (%)");
        let line = |plot: Plot, row: &FederationRow| {
            let points: Vec<(f64, f64)> = row.curve.iter().map(|(x, y)| (100.0 * x, 100.0 * y)).collect();
            if points.is_empty() { plot } else { plot.line(&row.name, &points) }
        };
        let curves = self.rows.iter().any(|row| !row.curve.is_empty()).then(|| self.rows.iter().fold(plot, line).figure());
        let caption = format!(
            "{} test records; intervals: 95 % Clopper-Pearson over them, of AUC DeLong. One run each: what changes with the seed is not in them.",
            self.test.len()
        );
        Figure::column(std::iter::once(self.table().figure()).chain(curves)).titled(&self.title).captioned(&caption)
    }
}

show_inline!(FederationTable);

impl fmt::Debug for FederationTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FederationTable({}, {} rows)", self.title, self.rows.len())
    }
}
