//! What each route answers; nothing here knows about connections.

use super::super::state::Refused;
use super::super::{Answers, BlackBox, Service};
use super::Serving;
use super::gate::Gate;
use crate::{Dataset, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Site {
    service: Service,
    pub(super) gate: Gate,
    pub(super) limits: Serving,
}

/// An HTTP response before it is one.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) close: bool,
    pub(super) retry_after: Option<u64>,
    pub(super) allow: Option<&'static str>,
}

#[derive(Deserialize)]
struct Question {
    records: Vec<Vec<f32>>,
}

#[derive(Serialize)]
struct Said<'a> {
    labels: &'a [u32],
    probabilities: Vec<&'a [f64]>,
    queries_left: Option<usize>,
}

impl Reply {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string().into_bytes(), ..Self::default() }
    }

    pub(super) fn refusal(status: u16, what: &str, remedy: &str) -> Self {
        Self::json(status, &json!({ "error": { "what": what, "remedy": remedy } }))
    }

    fn error(status: u16, error: &Error) -> Self {
        match error {
            Error::Config { what, remedy } | Error::Mismatch { what, remedy } => Self::refusal(status, what, remedy),
            Error::Data { position, what, remedy, .. } => Self::refusal(status, &format!("{position}: {what}"), remedy),
            other => Self::refusal(status, &other.to_string(), "look at the server's console"),
        }
    }

    pub(super) fn closing(self) -> Self {
        Self { close: true, ..self }
    }
}

impl Site {
    pub(super) fn new(service: Service, gate: Gate, limits: Serving) -> Self {
        Self { service, gate, limits }
    }

    pub(super) fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.limits.patience_s)
    }

    pub(super) fn features(&self) -> usize {
        self.service.example.features()
    }

    /// A body that asks about one record of zeros.
    pub(super) fn zeros(&self) -> Value {
        json!({ "records": [vec![0; self.features()]] })
    }

    /// Who asks for a prediction; nobody where another route is meant.
    pub(super) fn admit(&self, method: &str, path: &str, key: Option<&str>) -> Result<Option<String>, Reply> {
        let expected = match path {
            "/" | "/health" => "GET",
            "/predict" => "POST",
            _ => return Err(Reply::refusal(404, "no such route", "there are GET /, GET /health and POST /predict")),
        };
        if method != expected {
            let remedy = format!("use {expected}");
            return Err(Reply { allow: Some(expected), ..Reply::refusal(405, "a method this route does not have", &remedy) });
        }
        if expected == "GET" {
            return Ok(None);
        }
        let Some(client) = self.client(key) else {
            return Err(Reply::refusal(401, "no client has this key", "send the header Authorization: Bearer KEY; Server::key gives keys"));
        };
        self.gate.pass(&client, Instant::now()).map_err(|seconds| {
            let remedy = format!("wait {seconds} s");
            Reply { retry_after: Some(seconds), ..Reply::refusal(429, "too many requests", &remedy) }
        })?;
        Ok(Some(client))
    }

    fn client(&self, key: Option<&str>) -> Option<String> {
        let (scheme, key) = key?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| self.gate.client(key.trim()))?
    }

    /// The answer of the routes that take no records.
    pub(super) fn about(&self, path: &str, key: Option<&str>) -> Reply {
        if path == "/health" {
            return Reply::json(200, &json!({ "status": "ok" }));
        }
        let (example, settings) = (&self.service.example, &self.service.settings);
        let client = self.client(key).map(|name| self.service.client(&name));
        let left = client.as_ref().map_or_else(|| self.service.queries_left(), BlackBox::queries_left);
        let about = json!({
            "name": example.name(),
            "shape": example.shape(),
            "classes": example.classes(),
            "class_names": example.class_names(),
            "defences": settings.defences,
            "price_per_query": settings.price,
            "queries_left": left,
            "queries_spent": client.map(|client| client.queries_spent()),
            "body_bytes": self.limits.body_bytes,
            "routes": ["GET /", "GET /health", "POST /predict"],
        });
        Reply::json(200, &about)
    }

    pub(super) fn predict(&self, client: &str, body: &[u8]) -> Reply {
        let question: Question = match serde_json::from_slice(body) {
            Ok(question) => question,
            Err(error) => {
                return Reply::refusal(400, &format!("not such JSON: {error}"), "send {\"records\": [[..numbers..], ..]}");
            }
        };
        let records = match self.records(&question) {
            Ok(records) => records,
            Err(reply) => return reply,
        };
        match self.service.answer(client, &records, body.len()) {
            Ok(answers) => self.said(client, &answers),
            Err(Refused::Invalid(error)) => Reply::error(400, &error),
            Err(Refused::Failed(error)) => Reply::error(500, &error),
            Err(Refused::Budget { error, left }) => {
                let Error::Config { what, remedy } = error else { return Reply::error(429, &error) };
                Reply::json(429, &json!({ "error": { "what": what, "remedy": remedy }, "queries_left": left }))
            }
        }
    }

    fn records(&self, question: &Question) -> Result<Dataset, Reply> {
        let features = self.features();
        if question.records.is_empty() {
            return Err(Reply::refusal(400, "no record", "send at least one"));
        }
        for (i, row) in question.records.iter().enumerate() {
            if row.len() != features {
                let what = format!("record {i} has {} numbers", row.len());
                return Err(Reply::refusal(400, &what, &format!("expected {features}: {:?}, flat", self.service.example.shape())));
            }
            if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Reply::refusal(400, &format!("record {i} has a value of {value}"), "expected finite numbers"));
            }
        }
        let example = &self.service.example;
        let records = example.synthetic(question.records.concat(), vec![0; question.records.len()], example.origin().clone());
        records.map_err(|error| Reply::error(400, &error))
    }

    fn said(&self, client: &str, answers: &Answers) -> Reply {
        let said = Said {
            labels: answers.labels(),
            probabilities: answers.probabilities().chunks(answers.classes()).collect(),
            queries_left: self.service.client(client).queries_left(),
        };
        match serde_json::to_vec(&said) {
            Ok(body) => Reply { status: 200, body, ..Reply::default() },
            Err(error) => Reply::refusal(500, &error.to_string(), "ask again"),
        }
    }
}
