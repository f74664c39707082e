//! What is inverted: a model of pictures, or one that was trained on codes of a published encoder.

use super::CodeDecoder;
use super::chain::{Chain, Stage, log_softmax};
use crate::data::{Column, Origin, Schema};
use crate::generate::Encoder;
use crate::nn::Net;
use crate::privacy::Event;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use std::fmt;

/// The target of a [`ModelInversion`](super::ModelInversion).
///
/// # Example
/// ```
/// use freelunch::inversion::{CodeDecoder, InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let public = Dataset::toy().declared_public();
/// let encoder = PrivateAutoencoder::new(8, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
/// let model = Train::new(Arch::Logistic).fit(&encoder.encode(&public)?, &lab)?;
/// let naive = ModelInversion::small().invert(&InversionTarget::naive(&encoder, &model), &lab)?;
/// let through = ModelInversion::small().invert(&InversionTarget::through(&encoder, &model), &lab)?;
/// assert_eq!((naive.images().shape(), through.images().shape()), ([8, 1, 1], [1, 8, 8]));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
// One is made per attack, so its size does not matter.
#[allow(clippy::large_enum_variant)]
pub enum InversionTarget {
    /// A model trained on pictures: the search is for pixels.
    Model(Model),
    /// A model trained on codes of a published encoder.
    Encoded {
        /// The published encoder.
        encoder: Encoder,
        /// The model that takes its codes.
        model: Model,
        /// How the adversary goes about it.
        way: EncodedWay,
    },
}

/// Ways to invert a model of codes.
#[derive(Clone)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // as above
pub enum EncodedWay {
    /// The code is what is found and shown, as in arXiv 1812.02274: nothing to see.
    Naive,
    /// Adaptive: a decoder learned public (code, picture) pairs and turns the code into a picture.
    Decoded(CodeDecoder),
    /// Adaptive: the search is for pixels, with the gradient taken through the encoder.
    Through,
}

impl EncodedWay {
    /// The way's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Decoded(_) => "decoded",
            Self::Through => "through the encoder",
        }
    }
}

impl InversionTarget {
    /// A model of pictures.
    #[must_use]
    pub fn model(model: &Model) -> Self {
        Self::Model(model.clone())
    }

    /// A model of codes, whose code is shown as it is.
    #[must_use]
    pub fn naive(encoder: &Encoder, model: &Model) -> Self {
        Self::Encoded { encoder: encoder.clone(), model: model.clone(), way: EncodedWay::Naive }
    }

    /// A model of codes, whose code is decoded by what public records taught.
    #[must_use]
    pub fn decoded(encoder: &Encoder, model: &Model, decoder: &CodeDecoder) -> Self {
        Self::Encoded { encoder: encoder.clone(), model: model.clone(), way: EncodedWay::Decoded(decoder.clone()) }
    }

    /// A model of codes, attacked through the published encoder.
    #[must_use]
    pub fn through(encoder: &Encoder, model: &Model) -> Self {
        Self::Encoded { encoder: encoder.clone(), model: model.clone(), way: EncodedWay::Through }
    }

    /// The target in words.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Model(model) => model.train().arch.name(),
            Self::Encoded { encoder, model, way } => {
                format!("{} behind {}, {}", model.train().arch.name(), encoder.recipe().name(), way.name())
            }
        }
    }

    pub(super) fn attacked(&self) -> &Model {
        match self {
            Self::Model(model) | Self::Encoded { model, .. } => model,
        }
    }

    pub(super) fn classes(&self) -> usize {
        self.attacked().class_names().len()
    }

    pub(super) fn class_names(&self) -> &[String] {
        self.attacked().class_names()
    }

    /// What was done to the private records by what the attack read.
    pub(super) fn event(&self) -> Event {
        match self {
            Self::Model(model) => model.event().clone(),
            // The codes that the model learned carry the encoder's event already.
            Self::Encoded { model, way: EncodedWay::Decoded(decoder), .. } => model.event().clone().and(decoder.public_event().clone()),
            Self::Encoded { model, .. } => model.event().clone(),
        }
    }

    /// Whether a code is searched for, and not pixels.
    pub(super) fn searches_codes(&self) -> bool {
        matches!(self, Self::Encoded { way: EncodedWay::Naive | EncodedWay::Decoded(_), .. })
    }

    /// The shape of what is searched for.
    pub(super) fn searched_shape(&self) -> [usize; 3] {
        match self {
            Self::Encoded { encoder, way: EncodedWay::Through, .. } => encoder.shape(),
            _ => self.attacked().shape(),
        }
    }

    /// Public records as the search would find them: pictures or codes.
    pub(super) fn searched(&self, public: &Dataset) -> Result<Dataset> {
        let pictured = match self {
            Self::Model(model) => model.shape(),
            Self::Encoded { encoder, .. } => encoder.shape(),
        };
        if public.shape() != pictured {
            let what = format!("a prior of records {:?} for a target of {pictured:?}", public.shape());
            return Err(Error::mismatch(what, "give public records of the shape that the target takes"));
        }
        match self {
            Self::Encoded { encoder, .. } if self.searches_codes() => encoder.encode(public),
            _ => Ok(public.clone()),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Model(model) => pictures(model.shape(), "a model"),
            Self::Encoded { encoder, model, way } => {
                pictures(encoder.shape(), "an encoder")?;
                if model.shape() != [encoder.code(), 1, 1] {
                    let what = format!("a model of records {:?} behind an encoder to {} numbers", model.shape(), encoder.code());
                    return Err(Error::mismatch(what, "train the model on encoder.encode(&public)?"));
                }
                match way {
                    EncodedWay::Decoded(decoder) => decoder.fits(encoder.code(), encoder.shape()),
                    _ => Ok(()),
                }
            }
        }
    }

    pub(super) fn chain(&self, lab: &Lab) -> Result<Chain> {
        let device = lab.open()?;
        let model = self.attacked();
        let layers = model.train().arch.layers(model.shape(), self.classes())?;
        let last = Stage::new(Net::with_weights(layers, model.weights(), &device)?, model.normalization(), &device);
        let mut stages = vec![last];
        if let Self::Encoded { encoder, way: EncodedWay::Through, .. } = self {
            let net = Net::with_weights(encoder.layers(), encoder.weights(), &device)?;
            stages.insert(0, Stage::new(net, encoder.normalization(), &device));
        }
        // Codes end in a tanh.
        let range = if self.searches_codes() { [-1.0, 1.0] } else { [0.0, 1.0] };
        Ok(Chain { stages, shape: self.searched_shape(), range, device })
    }

    /// What was found as records, decoded where there is a decoder.
    pub(super) fn finish(&self, x: Vec<f32>, labels: Vec<u32>, event: Event, config: serde_json::Value, lab: &Lab) -> Result<Dataset> {
        let names = self.attacked().class_names().to_vec();
        let origin = Origin { config, seed: lab.seed_value(), event, ..Origin::real("model inversion") };
        let named = format!("inversion of {}", self.name());
        let plain = match self {
            Self::Encoded { encoder, way: EncodedWay::Naive, .. } => {
                let columns = (1..=encoder.code()).map(|i| Column::Numeric { name: format!("code {i}") }).collect();
                Dataset::table(&named, x.clone(), Schema { columns, label: "class".into() }, labels.clone(), names)?
            }
            Self::Encoded { encoder, way: EncodedWay::Decoded(decoder), .. } => {
                let images = Dataset::images(&named, decoder.images(&x, lab)?, encoder.shape(), labels.clone(), names)?;
                images.with_normalization(encoder.normalization().clone())
            }
            _ => {
                let normalization = match self {
                    Self::Encoded { encoder, .. } => encoder.normalization().clone(),
                    Self::Model(model) => model.normalization().clone(),
                };
                Dataset::images(&named, x.clone(), self.searched_shape(), labels.clone(), names)?.with_normalization(normalization)
            }
        };
        Ok(plain.synthetic(plain.x().to_vec(), labels, origin)?.named(&named))
    }

    /// What the target says of decoded pictures; of other results it is what the search reached.
    pub(super) fn confidence_of(&self, images: &Dataset, classes: &[usize]) -> Result<Vec<Option<f64>>> {
        let Self::Encoded { encoder, model, way: EncodedWay::Decoded(_) } = self else { return Ok(vec![None; classes.len()]) };
        let logits = model.logits(&encoder.encode(images)?)?;
        Ok(logits.chunks_exact(self.classes()).zip(classes).map(|(z, &class)| Some(log_softmax(z)[class].exp())).collect())
    }
}

/// Refuses tables.
pub(super) fn pictures(shape: [usize; 3], what: &str) -> Result<()> {
    let [_, h, w] = shape;
    if h * w > 1 {
        return Ok(());
    }
    let what = format!("{what} of table records {shape:?}");
    Err(Error::config(what, "model inversion makes pictures; behind an encoder of pictures use InversionTarget::naive, decoded or through"))
}

impl fmt::Debug for InversionTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InversionTarget({})", self.name())
    }
}

impl fmt::Debug for EncodedWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncodedWay({})", self.name())
    }
}
