//! An identity that asks a service in the same process.

use super::{Answers, BlackBox, Defence, Service};
use crate::{Dataset, Result};
use std::fmt;

/// Asks a [`Service`] under a name; its queries are counted. Cloning gives the same client, for another thread.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::service::{BlackBox, Service};
/// let toy = Dataset::toy();
/// let model = Train::new(Arch::Logistic).with_epochs(1).fit(&toy, &Lab::new()?.quiet())?;
/// let bob = Service::new(&model, &toy)?.client("bob");
/// bob.ask(&toy)?;
/// assert_eq!((bob.name(), bob.queries_spent(), bob.queries_left()), ("bob", 120, None));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    service: Service,
    name: String,
}

impl Client {
    pub(super) fn new(service: Service, name: &str) -> Self {
        Self { service, name: name.to_string() }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl BlackBox for Client {
    fn shape(&self) -> [usize; 3] {
        self.service.example.shape()
    }

    fn classes(&self) -> usize {
        self.service.example.classes()
    }

    fn ask(&self, records: &Dataset) -> Result<Answers> {
        let bytes = size_of_val(records.x());
        self.service.answer(&self.name, records, bytes).map_err(super::state::Refused::into_error)
    }

    fn queries_left(&self) -> Option<usize> {
        self.service.state().left(&self.name, &self.service.settings)
    }

    fn queries_spent(&self) -> usize {
        self.service.state().spent_by(&self.name)
    }

    fn price_per_query(&self) -> f64 {
        self.service.settings.price
    }

    fn defences(&self) -> Vec<Defence> {
        self.service.settings.defences.clone()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {} queries spent)", self.name, self.queries_spent())
    }
}
