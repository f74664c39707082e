//! Model inversion: from a trained model alone, what does it believe a record of a class looks like?
//!
//! For a class c the search minimises cost(x) + R(x), with cost(x) = 1 − p_c(x) (MIFace) or −log p_c(x), p the softmax of the model's
//! outputs, and R an optional total variation or distance from public records. It finds what the model takes for the class, which is
//! close to the class's mean where the records of a class look alike (one face a class) and else like no record at all: class-level
//! information, not membership, and differential privacy does not promise to hide it.
//!
//! 1. Start at black pixels; further starts are random. All classes and starts are one batch.
//! 2. Follow the gradient in the pixels by x ← x − η ∇cost(x), then cut off at the range of pixels.
//! 3. Stop a record when p_c(x) reaches the threshold, or when the cost is no better than any of the last 100; keep the best.
//! 4. [`Inversion::judge`] asks an independent network and the private records what came out; [`InversionQuality`] asks the same of the
//!    class means of public records, which need no attack.
//!
//! A model that was trained on codes of a DP-AuGM encoder takes codes: inverted as in the paper (arXiv 1812.02274), the result is a code,
//! and there is nothing to see. The encoder is published, though, so two *adaptive* attacks go around that: [`EncodedWay::Decoded`] and
//! [`EncodedWay::Through`].
//!
//! # Members
//! | attack | needs |
//! |---|---|
//! | [`ModelInversion`] (MIFace) | the model's weights |
//! | [`BlackBoxInversion`] | probabilities of records it may ask for |
//!
//! # Privacy
//! None: this is an attack. What it makes carries the model's event, by post-processing.
//!
//! # References
//! Fredrikson, Jha, Ristenpart, CCS 2015 (MIFace); values as in the Adversarial Robustness Toolbox, whose loop (commit 02999c8) goes on where
//! the paper's stops. The threshold is one of the confidence here, not of the cost. Zhang et al., arXiv 1911.07135 (public records as a
//! prior, an independent network as the judge).
//!
//! # Example
//! ```
//! use freelunch::inversion::{InversionTarget, ModelInversion};
//! use freelunch::prelude::*;
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(60, &lab)?;
//! let model = Train::new(Arch::Logistic).fit(&halves.members, &lab)?;
//! let inversion = ModelInversion::small().invert(&InversionTarget::model(&model), &lab)?;
//! let evaluator = Train::new(Arch::mlp()).fit(&halves.non_members, &lab)?;
//! let report = inversion.judge(&evaluator, &halves.members)?;
//! assert_eq!(report.accuracy().map(|rate| rate.of), Some(4)); // four classes
//! # Ok::<(), freelunch::Error>(())
//! ```

pub mod black_box;
mod chain;
pub mod decoder;
mod descend;
mod gallery;
pub mod model_inversion;
pub mod quality;
mod regularizer;
pub mod report;
pub mod result;
pub mod table;
pub mod target;

pub use black_box::{BlackBoxInversion, Probabilities};
pub use decoder::{CodeDecoder, DecoderRecipe};
pub use model_inversion::ModelInversion;
pub use quality::InversionQuality;
pub use report::{InversionReport, Likeness};
pub use result::{Inversion, InvertedClass, Stopped};
pub use table::InversionTable;
pub use target::{EncodedWay, InversionTarget};

use crate::Dataset;
use serde::{Deserialize, Serialize};

/// What the search makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum InversionCost {
    /// 1 − p_c(x), as in MIFace: flat where p_c is near 0.
    #[default]
    Confidence,
    /// −log p_c(x): has a slope wherever p_c is not 1.
    CrossEntropy,
}

/// Where the first search of a class begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Start {
    /// Zeros, as in MIFace: black pixels, or the code in the middle.
    #[default]
    Zeros,
    /// The middle of the valid range: grey pixels.
    Middle,
    /// The mean of the public records of the prior.
    PublicMean,
}

/// A distance from public records, as part of what is minimised.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prior {
    /// Public records of the same kind as the private ones.
    pub public: Dataset,
    /// Principal components whose variance is kept one by one, at least 1; the other directions share one variance.
    pub components: usize,
    /// λ of λ/2 times the squared Mahalanobis distance, positive; 1 with cross-entropy is the most probable image a posteriori.
    pub weight: f64,
}

#[cfg(test)]
mod tests;
