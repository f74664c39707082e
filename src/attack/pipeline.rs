//! The randomised algorithm under test, from private records to the model that learned from what was made of them.

use crate::display::number::significant;
use crate::generate::{Encoder, PrivateAutoencoder};
use crate::privacy::Event;
use crate::released::Released;
use crate::stats::Rate;
use crate::synthesize::Synthesize;
use crate::train::{Model, Train};
use crate::{Dataset, Lab, Result};
use std::sync::Arc;

/// Optional condensation, generation or encoding, then training.
///
/// # Example
/// ```
/// use freelunch::{attack::Pipeline, condense::RandomSubset, nn::Arch, train::Train};
/// let direct = Pipeline::direct(Train::new(Arch::mlp()));
/// let condensed = Pipeline::through(RandomSubset::new(1), Train::on_condensed(Arch::mlp()));
/// assert_eq!(direct.name(), "real records");
/// assert_eq!(condensed.name(), "random subset");
/// ```
#[derive(Debug, Clone)]
pub struct Pipeline {
    source: Source,
    train: Train,
    name: Option<String>,
}

#[derive(Debug, Clone)]
enum Source {
    Records,
    Synthetic(Arc<dyn Synthesize>),
    Codes(Arc<(PrivateAutoencoder, Dataset)>),
}

impl Pipeline {
    /// Trains on the real records themselves.
    #[must_use]
    pub fn direct(train: Train) -> Self {
        Self { source: Source::Records, train, name: None }
    }

    /// Condenses (or generates) first and trains on what comes out.
    #[must_use]
    pub fn through(method: impl Synthesize + 'static, train: Train) -> Self {
        Self { source: Source::Synthetic(Arc::new(method)), train, name: None }
    }

    /// Trains an encoder on the private records, publishes it, and trains on the codes of public records (DP-AuGM).
    #[must_use]
    pub fn encoded(autoencoder: PrivateAutoencoder, public: &Dataset, train: Train) -> Self {
        Self { source: Source::Codes(Arc::new((autoencoder, public.clone()))), train, name: None }
    }

    /// The same pipeline under another name, for tables where several differ in a parameter.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_string());
        self
    }

    /// What the model learns from, and its noise if it learns privately, unless it was named.
    #[must_use]
    pub fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let name = match &self.source {
            Source::Records => "real records".into(),
            Source::Synthetic(method) => method.name(),
            Source::Codes(codes) => codes.0.name(),
        };
        match &self.train.privacy {
            Some(privacy) => format!("{name}, DP-SGD σ = {}", significant(privacy.noise, 3)),
            None => name,
        }
    }

    /// All parameters.
    #[must_use]
    pub fn config(&self) -> serde_json::Value {
        let method = match &self.source {
            Source::Records => serde_json::Value::Null,
            Source::Synthetic(method) => serde_json::json!([method.name(), method.config()]),
            Source::Codes(codes) => serde_json::json!([codes.0.name(), codes.0, codes.1.digest()]),
        };
        serde_json::json!({ "synthesize": method, "train": self.train })
    }

    /// One run of the whole pipeline.
    ///
    /// # Errors
    /// What the method and [`Train::fit`] answer.
    pub fn run(&self, data: &Dataset, lab: &Lab) -> Result<Outcome> {
        match &self.source {
            Source::Records => {
                let model = self.train.fit(data, lab)?;
                Ok(Outcome { released: Released::Model(model.clone()), model, encoder: None })
            }
            Source::Synthetic(method) => {
                let set = method.synthesize(data, lab)?;
                let model = self.train.fit(&set, lab)?;
                Ok(Outcome { released: Released::Set(set), model, encoder: None })
            }
            Source::Codes(codes) => {
                let (autoencoder, public) = codes.as_ref();
                let encoder = autoencoder.fit(data, lab)?;
                let model = self.train.fit(&encoder.encode(public)?, lab)?;
                Ok(Outcome { released: Released::Encoder(encoder.clone()), model, encoder: Some(encoder) })
            }
        }
    }
}

/// What one run of a [`Pipeline`] ends with: the thing that was released, and the model that learned from it.
#[derive(Debug, Clone)]
pub struct Outcome {
    released: Released,
    model: Model,
    encoder: Option<Encoder>,
}

impl Outcome {
    /// What was released: the model itself, the synthetic set, or the encoder.
    #[must_use]
    pub fn released(&self) -> &Released {
        &self.released
    }

    /// The model. Behind an encoder it works on codes.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What was done to the privacy of the records.
    #[must_use]
    pub fn event(&self) -> &Event {
        self.model.event()
    }

    /// The model's logits of records, which are encoded first where an encoder was published, row-major `[n, classes]`.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn logits(&self, data: &Dataset) -> Result<Vec<f32>> {
        match &self.encoder {
            Some(encoder) => self.model.logits(&encoder.encode(data)?),
            None => self.model.logits(data),
        }
    }

    /// The share of records that the model gets right.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn accuracy(&self, data: &Dataset) -> Result<Rate> {
        match &self.encoder {
            Some(encoder) => self.model.accuracy(&encoder.encode(data)?),
            None => self.model.accuracy(data),
        }
    }

    /// The records that the release began as, by position in the data it was made from, in ascending order.
    #[must_use]
    pub fn started_from(&self) -> Vec<usize> {
        let Released::Set(set) = &self.released else { return vec![] };
        let mut started: Vec<usize> = set.origin().started_from.iter().flatten().copied().collect();
        started.sort_unstable();
        started.dedup();
        started
    }
}
