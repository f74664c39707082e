//! Differentially private makers of data: generators, encoders and private condensation.
//!
//! Every method here (unless it is told `without_privacy`) computes from the records through noisy sums of clipped contributions only, and its result carries the event of
//! the releases that were really made; accountants ([`crate::privacy`]) turn it into an ε. Records are normalised with public constants; the number of
//! records and the class sizes count as public. Methods that work class by class sample each class by itself: a record is in one class, so
//! the classes' events compose in parallel.

mod class_sums;
mod coder;
mod kept;
pub mod mean_embedding;
pub mod noisy_group_means;
mod pair;
pub mod private_autoencoder;
pub mod private_distribution_matching;
pub mod private_gradient_matching;
pub mod private_vae;

pub use coder::Coder;
pub use mean_embedding::{MeanEmbedding, MeanEmbeddingGenerator};
pub use noisy_group_means::NoisyGroupMeans;
pub use private_autoencoder::{Autoencoder, Control, Encoder, EncoderControls, EncoderReport, EncoderRow, PrivateAutoencoder};
pub use private_distribution_matching::PrivateDistributionMatching;
pub use private_gradient_matching::PrivateGradientMatching;
pub use private_vae::{PrivateVae, VaeGenerator};

use crate::privacy::{DpSgd, Event, Noisy};
use crate::synthesize::Synthesize;
use crate::{Dataset, Result};

/// Every generator and private condenser with `per_class` records of each class and noise multiplier `noise`, on presets small enough for a processor.
///
/// # Example
/// ```
/// assert!(freelunch::generate::generators(1, 1.0).iter().any(|method| method.name() == "NDPDC"));
/// ```
#[must_use]
pub fn generators(per_class: usize, noise: f64) -> Vec<Box<dyn Synthesize>> {
    vec![
        Box::new(PrivateDistributionMatching::small(per_class, noise)),
        Box::new(PrivateGradientMatching::small(per_class, noise)),
        Box::new(MeanEmbedding::small(per_class, noise)),
        Box::new(PrivateVae::new(per_class, noise)),
        Box::new(NoisyGroupMeans::new(per_class, noise)),
    ]
}

/// A method whose config has a field `noise`.
macro_rules! noisy {
    ($($method:ident),*) => {$(
        impl Noisy for $method {
            fn with_noise(mut self, noise: f64) -> Self {
                self.noise = noise;
                self
            }

            fn planned(&self, real: &Dataset) -> Result<Event> {
                self.event(real)
            }
        }
    )*};
}

noisy!(PrivateDistributionMatching, PrivateGradientMatching, MeanEmbedding, NoisyGroupMeans);

/// A method whose noise is that of its DP-SGD; without privacy so far, one with clipping norm 1.
macro_rules! noisy_training {
    ($($method:ident),*) => {$(
        impl Noisy for $method {
            fn with_noise(mut self, noise: f64) -> Self {
                self.privacy = Some(DpSgd { noise, ..self.privacy.unwrap_or_else(|| DpSgd::new(noise)) });
                self
            }

            fn planned(&self, real: &Dataset) -> Result<Event> {
                self.event(real)
            }
        }
    )*};
}

noisy_training!(PrivateAutoencoder, PrivateVae);
