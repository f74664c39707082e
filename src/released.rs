//! What an adversary gets.

use crate::generate::{Autoencoder, Encoder, VaeGenerator};
use crate::train::Model;
use crate::{Dataset, Lab, Result};
use std::fmt::Debug;

/// What was published.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Released {
    /// A data set.
    Set(Dataset),
    /// An encoder.
    Encoder(Encoder),
    /// An autoencoder.
    Autoencoder(Autoencoder),
    /// A generator.
    Generator(VaeGenerator),
    /// A model.
    Model(Model),
}

/// An attack on it.
pub trait ReleaseAttack: Debug + Send + Sync {
    /// Its name.
    fn name(&self) -> String;
    /// Its parameters.
    fn config(&self) -> serde_json::Value;
    /// Whether it applies.
    ///
    /// # Errors
    /// Why not.
    fn applies(&self, released: &Released) -> std::result::Result<(), String>;
    /// Scores.
    ///
    /// # Errors
    /// Some.
    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>>;
}
