//! The place where one participant of a federation does as it likes.

use crate::train::Model;
use crate::{Dataset, Lab, Result};
use std::fmt::Debug;

/// A participant whose data may depend on what it has seen: the hook of attacks from within.
///
/// Every round it is handed the current global model, answers with the records that it trains on this round, and may look at the
/// aggregated model afterwards.
///
/// # Example
/// ```
/// use freelunch::federated::{Honest, Participant};
/// use freelunch::Dataset;
/// let own = Honest::new("a hospital", &Dataset::toy());
/// assert_eq!(own.name(), "a hospital");
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait Participant: Debug + Send {
    /// What it is called in tables and figures.
    fn name(&self) -> String;

    /// The records that it trains on in `round` (0, 1, ..), asked for before local training with the current global model.
    ///
    /// # Errors
    /// Whatever the participant cannot do; the run then ends with that error.
    fn local_data(&mut self, round: usize, global: &Model, lab: &Lab) -> Result<Dataset>;

    /// What it sees after aggregation: the new global model of `round`. By default it looks at nothing.
    ///
    /// # Errors
    /// Whatever the participant cannot do; the run then ends with that error.
    fn observe(&mut self, _round: usize, _global: &Model, _lab: &Lab) -> Result<()> {
        Ok(())
    }
}

/// A participant that trains on the same records every round, as the protocol says.
#[derive(Debug, Clone)]
pub struct Honest {
    name: String,
    data: Dataset,
}

impl Honest {
    /// A participant with these records.
    #[must_use]
    pub fn new(name: &str, data: &Dataset) -> Self {
        Self { name: name.to_string(), data: data.clone() }
    }
}

impl Participant for Honest {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn local_data(&mut self, _round: usize, _global: &Model, _lab: &Lab) -> Result<Dataset> {
        Ok(self.data.clone())
    }
}
