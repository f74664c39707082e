//! Who asked a service what, and what it said.

use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Answered, or being answered.
    Answered,
    /// The budget did not cover it; nothing was spent.
    OverBudget,
    /// Records of another shape or with values that are no numbers; nothing was spent.
    Invalid,
    /// The model failed; nothing was spent.
    Failed,
}

impl Verdict {
    /// The verdict in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::OverBudget => "over budget",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// 1, 2, .. in the order of arrival.
    pub number: usize,
    /// Who asked.
    pub client: String,
    /// Records asked about.
    pub records: usize,
    /// What the service did.
    pub verdict: Verdict,
    /// Bytes of the request: of the body over HTTP, of the values in this process.
    pub bytes: usize,
    /// Seconds since the service began.
    pub seconds: f64,
}

/// What one client did in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Queries that were answered.
    pub queries: usize,
    /// Requests that were answered.
    pub answered: usize,
    /// Requests that were not.
    pub refused: usize,
    /// Bytes of all requests.
    pub bytes: usize,
}

/// The log of a [`Service`](super::Service): totals of every client, and the last requests.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::service::{BlackBox, Service};
/// let toy = Dataset::toy();
/// let model = Train::new(Arch::Logistic).with_epochs(1).fit(&toy, &Lab::new()?.quiet())?;
/// let service = Service::new(&model, &toy)?;
/// service.client("alice").ask(&toy)?;
/// assert_eq!(service.log().frame()?.height(), 1);
/// assert_eq!(service.log().clients()["alice"].queries, 120);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceLog {
    entries: Vec<Entry>,
    clients: BTreeMap<String, Totals>,
    price: f64,
}

impl ServiceLog {
    pub(super) fn new(entries: Vec<Entry>, clients: BTreeMap<String, Totals>, price: f64) -> Self {
        Self { entries, clients, price }
    }

    /// The last requests, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The totals of every client.
    #[must_use]
    pub fn clients(&self) -> &BTreeMap<String, Totals> {
        &self.clients
    }

    /// The last requests as a polars table.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let whole = |value: &dyn Fn(&Entry) -> usize| self.entries.iter().map(|entry| value(entry) as u64).collect::<Vec<u64>>();
        let columns = vec![
            Column::new("number".into(), whole(&|entry| entry.number)),
            Column::new("client".into(), self.entries.iter().map(|entry| entry.client.as_str()).collect::<Vec<&str>>()),
            Column::new("records".into(), whole(&|entry| entry.records)),
            Column::new("verdict".into(), self.entries.iter().map(|entry| entry.verdict.name()).collect::<Vec<&str>>()),
            Column::new("bytes".into(), whole(&|entry| entry.bytes)),
            Column::new("seconds".into(), self.entries.iter().map(|entry| entry.seconds).collect::<Vec<f64>>()),
        ];
        DataFrame::new(self.entries.len(), columns).map_err(|cause| Error::table("service log", cause))
    }
}

impl Show for ServiceLog {
    fn figure(&self) -> Figure {
        let mut clients = Table::new(["client", "queries", "requests answered", "refused", "bytes", "cost"]);
        for (name, totals) in &self.clients {
            let cells: [Cell; 6] = [
                name.as_str().into(),
                totals.queries.into(),
                totals.answered.into(),
                totals.refused.into(),
                totals.bytes.into(),
                (totals.queries as f64 * self.price).into(),
            ];
            clients = clients.row(cells);
        }
        let mut requests = Table::new(["number", "client", "records", "verdict", "bytes"]);
        for entry in &self.entries {
            let verdict = entry.verdict.name();
            let cells: [Cell; 5] =
                [entry.number.into(), entry.client.as_str().into(), entry.records.into(), verdict.into(), entry.bytes.into()];
            requests = requests.row(cells);
        }
        Figure::column([clients.figure(), requests.figure()]).titled("Service log").captioned("A query is one record.")
    }
}

show_inline!(ServiceLog);

impl fmt::Debug for ServiceLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceLog({} requests of {} clients)", self.entries.len(), self.clients.len())
    }
}
