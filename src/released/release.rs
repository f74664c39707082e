//! The things that are released, as one type.

use crate::display::{Figure, Show, show_inline};
use crate::generate::{Autoencoder, Encoder, MeanEmbeddingGenerator, VaeGenerator};
use crate::privacy::Event;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use std::fmt;

/// What an adversary gets.
///
/// # Example
/// ```
/// use freelunch::{Dataset, released::Released};
/// let released = Released::from(Dataset::toy());
/// assert_eq!((released.kind(), released.name()), ("set", "toy".to_string()));
/// ```
#[derive(Clone)]
#[non_exhaustive]
// One is made per release, so its size does not matter, and a box would only be typing.
#[allow(clippy::large_enum_variant)]
pub enum Released {
    /// A condensed or generated set.
    Set(Dataset),
    /// An encoder without its decoder.
    Encoder(Encoder),
    /// An encoder with its decoder.
    Autoencoder(Autoencoder),
    /// The decoders of variational autoencoders.
    Generator(VaeGenerator),
    /// A generator that learned from a mean embedding.
    MeanEmbedding(MeanEmbeddingGenerator),
    /// A trained network.
    Model(Model),
}

macro_rules! released_from {
    ($($kind:ident($inner:ty)),+ $(,)?) => {$(
        impl From<$inner> for Released {
            fn from(inner: $inner) -> Self {
                Self::$kind(inner)
            }
        }
    )+};
}

released_from!(
    Set(Dataset),
    Encoder(Encoder),
    Autoencoder(Autoencoder),
    Generator(VaeGenerator),
    MeanEmbedding(MeanEmbeddingGenerator),
    Model(Model),
);

impl Released {
    /// What it is in one word: `set`, `encoder`, `autoencoder`, `generator` or `model`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Set(_) => "set",
            Self::Encoder(_) => "encoder",
            Self::Autoencoder(_) => "autoencoder",
            Self::Generator(_) | Self::MeanEmbedding(_) => "generator",
            Self::Model(_) => "model",
        }
    }

    /// The set's name, or the method or architecture behind it.
    #[must_use]
    pub fn name(&self) -> String {
        use crate::synthesize::Synthesize as _;
        match self {
            Self::Set(set) => set.name().to_string(),
            Self::Encoder(encoder) => encoder.recipe().name(),
            Self::Autoencoder(both) => both.encoder().recipe().name(),
            Self::Generator(generator) => generator.recipe().name(),
            Self::MeanEmbedding(generator) => generator.config().name(),
            Self::Model(model) => model.train().arch.name(),
        }
    }

    /// What was done to the privacy of the records it was made from.
    #[must_use]
    pub fn event(&self) -> &Event {
        match self {
            Self::Set(set) => set.event(),
            Self::Encoder(encoder) => encoder.event(),
            Self::Autoencoder(both) => both.encoder().event(),
            Self::Generator(generator) => generator.event(),
            Self::MeanEmbedding(generator) => generator.event(),
            Self::Model(model) => model.event(),
        }
    }

    /// Released records: the set itself, or `per_class` records of each class that a generator makes with the seed of `lab`.
    ///
    /// # Errors
    /// [`Error::Config`] for what neither holds nor makes records, and when `per_class` is 0; [`Error::Device`] when the device fails.
    pub fn records(&self, per_class: usize, lab: &Lab) -> Result<Dataset> {
        match self {
            Self::Set(set) => Ok(set.clone()),
            Self::Generator(generator) => generator.sample(per_class, lab),
            Self::MeanEmbedding(generator) => generator.sample(per_class, lab),
            Self::Encoder(_) | Self::Autoencoder(_) | Self::Model(_) => {
                Err(Error::config(format!("records of the {} {}", self.kind(), self.name()), "expected a set or a generator"))
            }
        }
    }

    /// Why there are no records to compare with, if there are none.
    pub(crate) fn has_records(&self) -> Result<(), String> {
        match self {
            Self::Set(_) | Self::Generator(_) | Self::MeanEmbedding(_) => Ok(()),
            _ => Err(format!("it compares with records; the release is {}, which makes none", self.with_article())),
        }
    }

    pub(crate) fn with_article(&self) -> String {
        let article = if matches!(self, Self::Encoder(_) | Self::Autoencoder(_)) { "an" } else { "a" };
        format!("{article} {}", self.kind())
    }
}

impl Show for Released {
    fn figure(&self) -> Figure {
        let text = format!("{self:?}\n{} records can be compared with it directly", if self.has_records().is_ok() { "its" } else { "no" });
        Figure::text(text).titled(&format!("Released {}: {}", self.kind(), self.name())).captioned(&self.event().to_string())
    }
}

show_inline!(Released);

impl fmt::Debug for Released {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner: &dyn fmt::Debug = match self {
            Self::Set(inner) => inner,
            Self::Encoder(inner) => inner,
            Self::Autoencoder(inner) => inner,
            Self::Generator(inner) => inner,
            Self::MeanEmbedding(inner) => inner,
            Self::Model(inner) => inner,
        };
        write!(f, "Released({inner:?})")
    }
}
