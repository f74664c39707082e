//! A client of a service in another process or thread, over HTTP.

use super::{Answers, BlackBox, Defence};
use crate::{Dataset, Error, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Asks a [`Server`](super::Server) with the key of a client: every attack that takes a [`BlackBox`] runs over HTTP, too.
///
/// More records than fit one request are several requests, each answered whole or not at all.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::service::{BlackBox, HttpClient, Service};
/// let toy = Dataset::toy();
/// let model = Train::new(Arch::Logistic).with_epochs(1).fit(&toy, &Lab::new()?.quiet())?;
/// let server = Service::new(&model, &toy)?.with_client_budget(500).serve()?;
/// let alice = HttpClient::new(&server.url(), &server.key("alice"))?;
/// assert_eq!((alice.ask(&toy)?.len(), alice.queries_left()), (120, Some(380)));
/// # Ok::<(), freelunch::Error>(())
/// ```
pub struct HttpClient {
    agent: ureq::Agent,
    url: String,
    key: String,
    about: About,
    counted: Mutex<Counted>,
}

#[derive(Deserialize)]
struct About {
    shape: [usize; 3],
    classes: usize,
    defences: Vec<Defence>,
    price_per_query: f64,
    queries_left: Option<usize>,
    queries_spent: Option<usize>,
    body_bytes: usize,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    spent: usize,
    left: Option<usize>,
}

#[derive(Deserialize)]
struct Said {
    labels: Vec<u32>,
    queries_left: Option<usize>,
}

impl HttpClient {
    /// Bytes of an answer at most.
    const LARGEST: u64 = 256 << 20;

    /// A client of the service at `url`, such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// [`Error::Config`] when nobody answers there, what answers is no such service, or it does not know the key.
    pub fn new(url: &str, key: &str) -> Result<Self> {
        let url = url.trim_end_matches('/').to_string();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // The service is on this machine, whatever the environment says about proxies.
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_secs(600)));
        let agent: ureq::Agent = config.build().into();
        let request = agent.get(&url).header("Authorization", format!("Bearer {key}"));
        let text = read(&url, request.call())?;
        let about: About = serde_json::from_str(&text).map_err(|cause| odd(&url, &cause.to_string()))?;
        if about.queries_spent.is_none() {
            return Err(Error::config(format!("the service at {url} does not know this key"), "take one of Server::key"));
        }
        let counted = Counted { spent: about.queries_spent.unwrap_or(0), left: about.queries_left };
        Ok(Self { agent, url, key: key.to_string(), about, counted: Mutex::new(counted) })
    }

    fn ask_once(&self, records: &Dataset, from: usize, to: usize) -> Result<Answers> {
        let mut body = String::from("{\"records\":[");
        for i in from..to {
            body.push_str(if i == from { "" } else { "," });
            body.push_str(&serde_json::to_string(records.record(i)).map_err(|cause| odd(&self.url, &cause.to_string()))?);
        }
        body.push_str("]}");
        let request = self.agent.post(format!("{}/predict", self.url)).header("Authorization", format!("Bearer {}", self.key));
        let text = read(&self.url, request.content_type("application/json").send(&body))?;
        let said: Said = serde_json::from_str(&text).map_err(|cause| odd(&self.url, &cause.to_string()))?;
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        *counted = Counted { spent: counted.spent + said.labels.len(), left: said.queries_left };
        drop(counted);
        let answers = Answers::new(probabilities(&text).ok_or_else(|| odd(&self.url, "no probabilities"))?, said.labels)?;
        if answers.len() != to - from || answers.classes() != self.about.classes {
            return Err(odd(&self.url, &format!("{answers:?} for {} records", to - from)));
        }
        Ok(answers)
    }

    fn counted(&self) -> Counted {
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlackBox for HttpClient {
    fn shape(&self) -> [usize; 3] {
        self.about.shape
    }

    fn classes(&self) -> usize {
        self.about.classes
    }

    fn ask(&self, records: &Dataset) -> Result<Answers> {
        if records.shape() != self.about.shape {
            let what = format!("records of shape {:?}", records.shape());
            return Err(Error::mismatch(what, format!("the service takes {:?}", self.about.shape)));
        }
        // A number takes at most 16 bytes and a comma.
        let at_once = (self.about.body_bytes.saturating_sub(64) / (17 * records.features() + 3)).max(1);
        let (mut p, mut labels) = (vec![], vec![]);
        for from in (0..records.len()).step_by(at_once) {
            let answers = self.ask_once(records, from, records.len().min(from + at_once))?;
            p.extend_from_slice(answers.probabilities());
            labels.extend_from_slice(answers.labels());
        }
        Answers::new(p, labels)
    }

    fn queries_left(&self) -> Option<usize> {
        self.counted().left
    }

    fn queries_spent(&self) -> usize {
        self.counted().spent
    }

    fn price_per_query(&self) -> f64 {
        self.about.price_per_query
    }

    fn defences(&self) -> Vec<Defence> {
        self.about.defences.clone()
    }
}

/// The body of a good answer; the service's own words for a bad one.
fn read(url: &str, answer: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<String> {
    let nobody = |cause: ureq::Error| Error::config(format!("no answer from {url}: {cause}"), "start the service, or check the address");
    let mut answer = answer.map_err(nobody)?;
    let text = answer.body_mut().with_config().limit(HttpClient::LARGEST).read_to_string().map_err(nobody)?;
    if answer.status().is_success() {
        return Ok(text);
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let word = |name: &str| body["error"][name].as_str().map(str::to_string);
    let what = word("what").unwrap_or_else(|| format!("{} from {url}", answer.status()));
    Err(Error::config(what, word("remedy").unwrap_or_else(|| "check the address".to_string())))
}

fn odd(url: &str, cause: &str) -> Error {
    Error::config(format!("{url} does not answer as a service does: {cause}"), "check the address")
}

/// The probabilities exactly as they were written: serde_json's own numbers may differ in the last bit.
fn probabilities(text: &str) -> Option<Vec<f64>> {
    let rows = text.split_once("\"probabilities\":[[")?.1.split_once("]]")?.0;
    rows.split(',').map(|number| number.trim_matches(['[', ']', ' ']).parse().ok()).collect()
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpClient({}, {} queries spent)", self.url, self.counted().spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let p = [0.1 + 0.2, 1.0 / 3.0, 5e-324, 0.0, 1.0, 0.123_456_789_012_345_68];
        let text = format!(
            "{{\"labels\":[0],\"probabilities\":[{},{}],\"queries_left\":null}}",
            serde_json::json!(p[..3]),
            serde_json::json!(p[3..])
        );
        assert_eq!(probabilities(&text).unwrap().map_bits(), p.to_vec().map_bits());
        assert!(probabilities("{}").is_none() && probabilities("\"probabilities\":[[a]]").is_none());
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u64>;
    }

    impl MapBits for Vec<f64> {
        fn map_bits(&self) -> Vec<u64> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }

    #[test]
    fn nobody_there_is_an_error_with_a_remedy() {
        let text = HttpClient::new("http://127.0.0.1:1", "key").unwrap_err().to_string();
        assert!(text.contains("no answer from http://127.0.0.1:1") && text.contains("start the service"), "{text}");
    }
}
