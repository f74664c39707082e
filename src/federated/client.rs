//! What a client holds: records, or what was made of them.

use super::Federation;
use crate::data::Origin;
use crate::generate::Encoder;
use crate::privacy::Event;
use crate::synthesize::Synthesize;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The data of one client with the privacy history it has so far.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, condense::RandomSubset, federated::{ClientData, Partition}};
/// let lab = Lab::new()?.seed(1).quiet();
/// let parts = Partition::iid().split(&Dataset::toy(), 3, &lab)?;
/// let raw = ClientData::each(&parts);
/// let small = ClientData::synthesized("a clinic", &parts[0], &RandomSubset::new(1), &lab)?;
/// assert_eq!((raw.len(), raw[0].data().len(), small.data().len()), (3, 40, 4));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct ClientData {
    name: String,
    data: Dataset,
    held: Held,
}

/// What kind of data a client trains on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// Its records as they are.
    Records,
    /// What a method made of its records: a condensed set, or samples of a generator such as DP-VaeGM.
    Synthetic(String),
    /// Codes of an encoder (DP-AuGM).
    Codes,
}

impl ClientData {
    /// A client that trains on its own records.
    #[must_use]
    pub fn new(name: &str, records: &Dataset) -> Self {
        Self { name: name.to_string(), data: records.clone(), held: Held::Records }
    }

    /// One client for each set, named by number from 0.
    #[must_use]
    pub fn each(parts: &[Dataset]) -> Vec<Self> {
        parts.iter().enumerate().map(|(i, part)| Self::new(&format!("client {i}"), part)).collect()
    }

    /// A client that trains on what `method` makes of its records: condensed, or sampled from a generator. Its event is that of the
    /// method.
    ///
    /// # Errors
    /// As [`Synthesize::synthesize`].
    pub fn synthesized(name: &str, records: &Dataset, method: &dyn Synthesize, lab: &Lab) -> Result<Self> {
        // Two clients must not share the noise of a private method.
        let data = method.synthesize(records, &lab.child(&format!("client {name}"), 0))?;
        Ok(Self { name: name.to_string(), data, held: Held::Synthetic(method.name()) })
    }

    /// A client that trains on codes: `records` as `encoder` writes them. All clients need the same encoder, and so do those who ask the
    /// model later. The codes of private records are as private as they were; those of public records carry the encoder's event alone.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn encoded(name: &str, records: &Dataset, encoder: &Encoder) -> Result<Self> {
        Ok(Self { name: name.to_string(), data: encoder.encode(records)?, held: Held::Codes })
    }

    /// The name in tables and figures.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it trains on.
    #[must_use]
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// The kind of it.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// What was done to the privacy of its records so far.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.data.event()
    }
}

impl fmt::Debug for ClientData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientData({}, {:?}, {:?})", self.name, self.held, self.data)
    }
}

/// The clients' records under one normalisation: that of the first, which private training must not have computed from them. What was made
/// of records with noise may be normalised by itself.
pub(super) fn alike(federation: &Federation, clients: &[ClientData]) -> Result<Vec<Dataset>> {
    let private = federation.train.privacy.is_some() || federation.client_privacy.is_some();
    let mut alike: Vec<Dataset> = vec![];
    for client in clients {
        let own = if private { client.data().publicly_normalized()? } else { client.data().clone() };
        let common = alike.first().map_or_else(|| own.normalization().clone(), |first| first.normalization().clone());
        alike.push(own.with_normalization(common));
    }
    Ok(alike)
}

/// All records in one set.
pub(super) fn union(data: &[Dataset], name: &str) -> Result<Dataset> {
    let Some(first) = data.first() else { return Err(Error::config("0 clients", "give at least one")) };
    let x = data.iter().flat_map(Dataset::x).copied().collect();
    let labels = data.iter().flat_map(Dataset::labels).copied().collect();
    Ok(first.synthetic(x, labels, Origin::real(name))?.named(name))
}
