//! What a service counts: the queries of every client, and the last requests.

use super::Settings;
use super::log::{Entry, ServiceLog, Totals, Verdict};
use crate::{Error, Result};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Requests that are remembered one by one.
const REMEMBERED: usize = 10_000;

/// Why a request was not answered.
#[derive(Debug)]
pub(crate) enum Refused {
    Invalid(Error),
    Budget { error: Error, left: usize },
    Failed(Error),
}

impl Refused {
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Invalid(error) | Self::Budget { error, .. } | Self::Failed(error) => error,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    start: Instant,
    spent: usize,
    requests: usize,
    clients: BTreeMap<String, Totals>,
    last: VecDeque<Entry>,
}

impl Default for State {
    fn default() -> Self {
        Self { start: Instant::now(), spent: 0, requests: 0, clients: BTreeMap::new(), last: VecDeque::new() }
    }
}

impl State {
    pub(crate) fn spent(&self) -> usize {
        self.spent
    }

    pub(crate) fn spent_by(&self, client: &str) -> usize {
        self.clients.get(client).map_or(0, |totals| totals.queries)
    }

    pub(crate) fn left(&self, client: &str, settings: &Settings) -> Option<usize> {
        let of_all = settings.budget.map(|budget| budget.saturating_sub(self.spent));
        let own = settings.client_budget.map(|budget| budget.saturating_sub(self.spent_by(client)));
        of_all.into_iter().chain(own).min()
    }

    pub(crate) fn spend(&mut self, client: &str, records: usize, bytes: usize, settings: &Settings) -> Result<(), Refused> {
        if let Some(left) = self.left(client, settings).filter(|&left| left < records) {
            self.note(client, records, bytes, Verdict::OverBudget);
            let what = format!("{records} queries of client {client}, {left} are left");
            let error = Error::config(what, "none was answered or spent: ask about fewer records");
            return Err(Refused::Budget { error, left });
        }
        self.spent += records;
        self.note(client, records, bytes, Verdict::Answered);
        Ok(())
    }

    /// The model failed on a request that was counted as answered.
    pub(crate) fn give_back(&mut self, client: &str, records: usize, bytes: usize) {
        self.spent = self.spent.saturating_sub(records);
        if let Some(totals) = self.clients.get_mut(client) {
            totals.queries = totals.queries.saturating_sub(records);
            totals.answered = totals.answered.saturating_sub(1);
            totals.bytes = totals.bytes.saturating_sub(bytes);
        }
        self.note(client, records, bytes, Verdict::Failed);
    }

    pub(crate) fn note(&mut self, client: &str, records: usize, bytes: usize, verdict: Verdict) {
        self.requests += 1;
        let totals = self.clients.entry(client.to_string()).or_default();
        match verdict {
            Verdict::Answered => {
                totals.queries += records;
                totals.answered += 1;
            }
            _ => totals.refused += 1,
        }
        totals.bytes += bytes;
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        let (number, seconds) = (self.requests, self.start.elapsed().as_secs_f64());
        self.last.push_back(Entry { number, client: client.to_string(), records, verdict, bytes, seconds });
    }

    pub(crate) fn log(&self, price: f64) -> ServiceLog {
        ServiceLog::new(self.last.iter().cloned().collect(), self.clients.clone(), price)
    }
}
