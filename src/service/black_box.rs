//! What can be asked, wherever it runs, and what it answers.

use super::Defence;
use super::defence::FLOOR;
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::{Dataset, Error, Result};
use std::fmt;

/// A model that can only be asked: a [`Client`](super::Client) of a service in this process, or an [`HttpClient`](super::HttpClient).
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::service::{BlackBox, Service};
/// let toy = Dataset::toy();
/// let model = Train::new(Arch::Logistic).with_epochs(2).fit(&toy, &Lab::new()?.quiet())?;
/// let alice = Service::new(&model, &toy)?.with_budget(200).client("alice");
/// assert_eq!(alice.ask(&toy)?.labels().len(), 120);
/// assert_eq!((alice.queries_spent(), alice.queries_left()), (120, Some(80)));
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait BlackBox: fmt::Debug + Send + Sync {
    /// `[c, h, w]` of the records it takes.
    fn shape(&self) -> [usize; 3];

    /// Number of classes.
    fn classes(&self) -> usize;

    /// Its answers about these records; each is one query. The labels of the records are not looked at.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for records of another shape, [`Error::Config`] when the budget does not cover all of them (then none is answered
    /// and none is spent), and what the model answers.
    fn ask(&self, records: &Dataset) -> Result<Answers>;

    /// Queries that this client can still ask; none when there is no budget.
    fn queries_left(&self) -> Option<usize>;

    /// Queries that were answered for this client.
    fn queries_spent(&self) -> usize;

    /// What one query costs.
    fn price_per_query(&self) -> f64;

    /// What it does to its answers. Public, as a defence must not rest on nobody knowing it.
    fn defences(&self) -> Vec<Defence>;
}

/// The answers of a service: for each record one probability for each class, finite and not negative, and a label. What the service hides is
/// spread evenly over the hidden classes; rounded probabilities need not sum to 1.
///
/// # Example
/// ```
/// use freelunch::service::Answers;
/// let answers = Answers::new(vec![0.75, 0.25, 0.0, 1.0], vec![0, 1])?;
/// assert_eq!((answers.len(), answers.classes(), answers.labels()), (2, 2, &[0, 1][..]));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Answers {
    probabilities: Vec<f64>, // [n, classes]
    labels: Vec<u32>,        // [n]
}

impl Answers {
    /// Answers from probabilities, row-major `[n, classes]`, and labels.
    ///
    /// # Errors
    /// [`Error::Data`] when the lengths do not fit, a label has no class, or a probability is negative or not finite.
    pub fn new(probabilities: Vec<f64>, labels: Vec<u32>) -> Result<Self> {
        let wrong = |position: String, what: String| Err(Error::data("answers", position, what, "ask a service of this library"));
        if labels.is_empty() || probabilities.is_empty() || !probabilities.len().is_multiple_of(labels.len()) {
            return wrong("lengths".into(), format!("{} probabilities for {} labels", probabilities.len(), labels.len()));
        }
        let classes = probabilities.len() / labels.len();
        if let Some(at) = probabilities.iter().position(|p| !p.is_finite() || *p < 0.0) {
            return wrong(format!("record {}", at / classes), format!("a probability is {}", probabilities[at]));
        }
        if let Some(at) = labels.iter().position(|&label| label as usize >= classes) {
            return wrong(format!("record {at}"), format!("label {} of {classes} classes", labels[at]));
        }
        Ok(Self { probabilities, labels })
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never true: there is at least one answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.probabilities.len() / self.labels.len().max(1)
    }

    /// The probabilities, row-major `[n, classes]`.
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The labels, `[n]`.
    #[must_use]
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// log(max(p, 1e-45)), row-major `[n, classes]`: what attacks read, finite whatever was hidden.
    #[must_use]
    pub fn log_probabilities(&self) -> Vec<f64> {
        self.probabilities.iter().map(|p| p.max(FLOOR).ln()).collect()
    }
}

impl Show for Answers {
    /// A row for each record: its label and the probability of each class.
    fn figure(&self) -> Figure {
        let classes = self.classes();
        let headers = ["record".to_string(), "label".to_string()].into_iter().chain((0..classes).map(|class| format!("p({class})")));
        let mut table = Table::new(headers);
        for (i, (label, probabilities)) in self.labels.iter().zip(self.probabilities.chunks(classes.max(1))).enumerate() {
            let cells: [Cell; 2] = [i.into(), (*label as usize).into()];
            table = table.row(cells.into_iter().chain(probabilities.iter().map(|&p| p.into())));
        }
        table.figure().titled(&format!("{self:?}"))
    }
}

show_inline!(Answers);

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({} records, {} classes)", self.len(), self.classes())
    }
}
