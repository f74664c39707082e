//! A trained model behind an interface that only answers questions: machine learning as a service, with budgets, defences, a log, and HTTP.
//!
//! 1. [`Service::new`] takes a model, or the outcome of a pipeline (behind its encoder), and an example of the records it takes.
//! 2. [`Service::client`] gives an identity whose queries are counted; [`Service::serve`] answers the same over HTTP on this machine.
//! 3. Both are a [`BlackBox`], which attacks ask: [`MembershipByService`], [`CopyAttack`], [`BlackBoxInversion`]. Each says how many queries it spent.
//! 4. [`DefenceTable`] puts the [`Defence`]s beside each other: what they cost and what they stop.
//!
//! # Privacy
//! A service has the model's event, however often it is asked: with DP-SGD answers are post-processing. Without, neither budgets nor defences are
//! an ε.
//!
//! # References
//! Shokri et al., arXiv 1610.05820; Tramèr et al., arXiv 1609.02943 (models as a service, membership and extraction through it).
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{BlackBox, Defence, Service};
//! let toy = Dataset::toy();
//! let model = Train::new(Arch::Logistic).with_epochs(2).fit(&toy, &Lab::new()?.quiet())?;
//! let service = Service::new(&model, &toy)?.with_budget(150).with_defences(&[Defence::LabelOnly])?;
//! let alice = service.client("alice");
//! assert_eq!(alice.ask(&toy)?.len(), 120);
//! assert!(alice.ask(&toy).unwrap_err().to_string().contains("30 are left"));
//! assert_eq!(service.log().entries().len(), 2);
//! # Ok::<(), freelunch::Error>(())
//! ```

pub mod black_box;
mod client;
pub mod copy;
pub mod defence;
pub mod defence_table;
mod http_client;
pub mod inversion;
pub mod log;
pub mod membership;
pub mod server;
mod state;

pub use black_box::{Answers, BlackBox};
pub use client::Client;
pub use copy::{CopiedModel, CopyAttack, CopyReport};
pub use defence::Defence;
pub use defence_table::{DefenceRow, DefenceStudy, DefenceTable, Measured};
pub use http_client::HttpClient;
pub use inversion::{BlackBoxInversion, Inverted};
pub use log::{Entry, ServiceLog, Verdict};
pub use membership::{Knowledge, MembershipByService, ServiceRoc};
pub use server::{Server, Serving};

use crate::attack::Outcome;
use crate::display::{Figure, Show, Table, show_inline};
use crate::lab::Rng;
use crate::privacy::Event;
use crate::stats::log_sum_exp;
use crate::train::Model;
use crate::{Dataset, Error, Result};
use defence::{noise_of, protect};
use rayon::prelude::*;
use state::{Refused, State};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The noise of a record; its digest is taken only where there is noise.
fn stream(settings: &Settings, record: &[f32]) -> Rng {
    let noisy = settings.defences.iter().any(|defence| matches!(defence, Defence::Noise { .. }));
    noise_of(if noisy { record } else { &[] }, settings.seed)
}

/// What a [`Service`] can stand before.
#[derive(Debug, Clone)]
pub enum Served {
    /// A model.
    Model(Box<Model>),
    /// The model that a pipeline ended with; records are encoded first where an encoder was published.
    Outcome(Box<Outcome>),
}

impl From<&Model> for Served {
    fn from(model: &Model) -> Self {
        Self::Model(Box::new(model.clone()))
    }
}

impl From<&Outcome> for Served {
    fn from(outcome: &Outcome) -> Self {
        Self::Outcome(Box::new(outcome.clone()))
    }
}

impl Served {
    fn logits(&self, records: &Dataset) -> Result<Vec<f32>> {
        match self {
            Self::Model(model) => model.logits(records),
            Self::Outcome(outcome) => outcome.logits(records),
        }
    }

    fn event(&self) -> &Event {
        match self {
            Self::Model(model) => model.event(),
            Self::Outcome(outcome) => outcome.event(),
        }
    }
}

/// A model as a black box. Its builders start a new log and new budgets, so use them before there are clients; clones share both.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::service::Service;
/// let toy = Dataset::toy();
/// let model = Train::new(Arch::Logistic).with_epochs(1).fit(&toy, &Lab::new()?.quiet())?;
/// let service = Service::new(&model, &toy)?.with_client_budget(1000).with_price_per_query(0.001);
/// assert_eq!(service.log().entries().len(), 0);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Service {
    served: Arc<Served>,
    example: Arc<Dataset>, // one record
    settings: Settings,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    budget: Option<usize>,
    client_budget: Option<usize>,
    defences: Vec<Defence>,
    price: f64,
    seed: u64,
}

impl Service {
    /// A service that answers about records such as those of `like` (shape, classes and columns are taken from it), without budget or defence.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the model takes other records.
    pub fn new(model: impl Into<Served>, like: &Dataset) -> Result<Self> {
        let served = model.into();
        let example = like.subset(&[0])?;
        served.logits(&example)?;
        let settings = Settings { budget: None, client_budget: None, defences: vec![], price: 0.0, seed: 0 };
        Ok(Self { served: Arc::new(served), example: Arc::new(example), settings, state: Arc::default() })
    }

    /// The same service answering at most so many queries in all; a query is one record.
    #[must_use]
    pub fn with_budget(self, queries: usize) -> Self {
        let settings = Settings { budget: Some(queries), ..self.settings.clone() };
        self.anew(settings)
    }

    /// The same service answering each client at most so many queries. Nothing keeps a client from coming back under another name.
    #[must_use]
    pub fn with_client_budget(self, queries: usize) -> Self {
        let settings = Settings { client_budget: Some(queries), ..self.settings.clone() };
        self.anew(settings)
    }

    /// The same service with these defences, in this order, in place of those it had.
    ///
    /// # Errors
    /// [`Error::Config`] for a defence that cannot work.
    pub fn with_defences(self, defences: &[Defence]) -> Result<Self> {
        defences.iter().try_for_each(|defence| defence.check(self.example.classes()))?;
        let settings = Settings { defences: defences.to_vec(), ..self.settings.clone() };
        Ok(self.anew(settings))
    }

    /// The same service where a query costs this much; the currency is yours. For the cost column of attacks.
    #[must_use]
    pub fn with_price_per_query(self, price: f64) -> Self {
        let settings = Settings { price, ..self.settings.clone() };
        self.anew(settings)
    }

    /// The same service whose noise ([`Defence::Noise`]) is drawn from another seed, 0 at first. Whoever knows it can take the noise off: in earnest
    /// it must be secret.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        let settings = Settings { seed, ..self.settings.clone() };
        self.anew(settings)
    }

    fn anew(self, settings: Settings) -> Self {
        Self { settings, state: Arc::default(), ..self }
    }

    /// An identity to ask under. The same name is the same client.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        Client::new(self.clone(), name)
    }

    /// What the service would answer, neither counted nor logged nor refused: for its operator, and to evaluate attacks.
    ///
    /// # Errors
    /// As [`BlackBox::ask`], but for the budget.
    pub fn look(&self, records: &Dataset) -> Result<Answers> {
        self.check(records)?;
        self.answers(records)
    }

    /// Who asked what, and what the service said: the last 10,000 requests.
    #[must_use]
    pub fn log(&self) -> ServiceLog {
        self.state().log(self.settings.price)
    }

    /// Queries that are left to all clients together; none when there is no such budget.
    #[must_use]
    pub fn queries_left(&self) -> Option<usize> {
        self.settings.budget.map(|budget| budget.saturating_sub(self.state().spent()))
    }

    /// The defences, in the order in which they work.
    #[must_use]
    pub fn defences(&self) -> &[Defence] {
        &self.settings.defences
    }

    /// What was done to the privacy of the records that the model learned from. Asking changes nothing about it.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.served.event()
    }

    /// Answers over HTTP on this machine (127.0.0.1) at a port that is free, as [`Serving::new`] says.
    ///
    /// # Errors
    /// [`Error::Config`] when no port can be had.
    pub fn serve(&self) -> Result<Server> {
        Serving::new().start(self)
    }

    /// Answers over HTTP on this machine at this port; 0 stands for any.
    ///
    /// # Errors
    /// [`Error::Config`] when the port cannot be had.
    pub fn serve_on(&self, port: u16) -> Result<Server> {
        Serving::new().with_port(port).start(self)
    }

    /// One request: all of it or nothing.
    pub(crate) fn answer(&self, client: &str, records: &Dataset, bytes: usize) -> std::result::Result<Answers, Refused> {
        self.check(records).map_err(|error| {
            self.state().note(client, records.len(), bytes, Verdict::Invalid);
            Refused::Invalid(error)
        })?;
        // Spent before it is answered, so that no two threads share what is left.
        self.state().spend(client, records.len(), bytes, &self.settings)?;
        self.answers(records).map_err(|error| {
            self.state().give_back(client, records.len(), bytes);
            Refused::Failed(error)
        })
    }

    fn check(&self, records: &Dataset) -> Result<()> {
        if records.shape() != self.example.shape() {
            let what = format!("records of shape {:?}", records.shape());
            return Err(Error::mismatch(what, format!("the service takes {:?}", self.example.shape())));
        }
        if let Some(at) = records.x().iter().position(|value| !value.is_finite()) {
            let (record, value) = (at / records.features(), records.x()[at]);
            return Err(Error::data("request", format!("record {record}"), format!("value {value}"), "expected finite numbers"));
        }
        Ok(())
    }

    fn answers(&self, records: &Dataset) -> Result<Answers> {
        // Labels are the asker's business and may have other classes; columns are those of the example.
        let records = self.example.synthetic(records.x().to_vec(), vec![0; records.len()], self.example.origin().clone())?;
        let logits = self.served.logits(&records)?;
        let of_record = |(i, z): (usize, &[f32])| {
            let z: Vec<f64> = z.iter().map(|&z| f64::from(z)).collect();
            let total = log_sum_exp(&z);
            let mut p: Vec<f64> = z.iter().map(|z| (z - total).exp()).collect();
            let label = protect(&self.settings.defences, &mut p, &mut stream(&self.settings, records.record(i)));
            (p, label as u32)
        };
        let classes = self.example.classes();
        let (p, labels): (Vec<Vec<f64>>, Vec<u32>) = logits.par_chunks(classes).enumerate().map(of_record).unzip();
        if p.iter().flatten().any(|p| !p.is_finite()) {
            return Err(Error::data(
                "answers",
                "model",
                "a logit is not finite",
                "the model diverged: train it with a lower learning rate",
            ));
        }
        Answers::new(p.concat(), labels)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Show for Service {
    fn figure(&self) -> Figure {
        let budget = |budget: Option<usize>| budget.map_or("unlimited".to_string(), |queries| queries.to_string());
        let settings = &self.settings;
        Table::new(["service", self.example.name()])
            .row(["records".to_string(), format!("{:?}", self.example.shape())])
            .row(["classes".to_string(), self.example.classes().to_string()])
            .row(["defences".to_string(), Defence::names(&settings.defences)])
            .row(["queries in all".to_string(), budget(settings.budget)])
            .row(["queries left".to_string(), budget(self.queries_left())])
            .row(["queries of a client".to_string(), budget(settings.client_budget)])
            .row(["price of a query".to_string(), settings.price.to_string()])
            .row(["privacy".to_string(), self.event().to_string()])
            .captioned("Defences and budgets are no ε; the privacy is that of the model.")
            .figure()
    }
}

show_inline!(Service);

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({}, defences: {})", self.example.name(), Defence::names(&self.settings.defences))
    }
}

#[cfg(test)]
pub(crate) mod tests;
