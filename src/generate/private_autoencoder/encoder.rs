//! What is published: an encoder that turns records into codes. And what is not: the decoder that goes with it.

use super::PrivateAutoencoder;
use crate::data::{Column, Normalization, Origin, Schema};
use crate::device::guarded;
use crate::display::{Figure, Show, Table, show_inline};
use crate::generate::coder::{network, shapes};
use crate::generate::kept::{self, Template};
use crate::generate::pair::Pair;
use crate::nn::Layer;
use crate::privacy::Event;
use crate::train::model::forward_rows;
use crate::{Dataset, Device, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// A trained encoder with everything needed to use it: networks, weights, the public normalisation, the privacy event.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    recipe: PrivateAutoencoder,
    template: Template,
    weights: Vec<Vec<f32>>,
    event: Event,
    trained_on: String,
    records: usize,
    seed: u64,
    device: Device,
}

/// An encoder and its decoder: for public records, and for attacks.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Autoencoder {
    encoder: Encoder,
    decoder: Vec<Vec<f32>>,
}

impl Encoder {
    const KEY: &str = "freelunch_encoder";

    /// The recipe it was trained with.
    #[must_use]
    pub fn recipe(&self) -> &PrivateAutoencoder {
        &self.recipe
    }

    /// The layers, from a record to its code.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        self.recipe.encoder_layers(self.template.shape)
    }

    /// The parameter vectors, in layer order.
    #[must_use]
    pub fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// Length of a code.
    #[must_use]
    pub fn code(&self) -> usize {
        self.recipe.code
    }

    /// The shape of the records it takes, `[c, h, w]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.template.shape
    }

    /// What is subtracted from and divided into records.
    pub(crate) fn normalization(&self) -> &Normalization {
        &self.template.normalization
    }

    /// What was done to the privacy of the records it was trained on.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The codes of records of the same kind as a table: columns "code 1", "code 2", .., the labels stay. Its event is the encoder's and
    /// that of `data`: codes of records that nobody declared public are not private.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] for records of another shape or with other columns, [`crate::Error::Device`] when the device fails.
    pub fn encode(&self, data: &Dataset) -> Result<Dataset> {
        self.template.fits(data, &self.trained_on)?;
        let start = Instant::now();
        let x = self.template.normalization.apply(data.x(), self.template.shape);
        let codes = guarded(&self.device, || {
            forward_rows(&network(&self.layers(), &self.weights, &self.device)?, &x, self.template.shape, &self.device)
        })?;
        let event = data.event().clone().and(self.event.clone());
        codes_of(data, codes, self.code(), self.origin(event, start))
    }

    fn origin(&self, event: Event, start: Instant) -> Origin {
        Origin {
            method: self.recipe.name(),
            config: serde_json::json!(self.recipe),
            seed: self.seed,
            event,
            seconds: start.elapsed().as_secs_f64(),
            ..Origin::real("")
        }
    }

    /// Writes the weights as safetensors with everything else as JSON in the header.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        kept::save(path.as_ref(), Self::KEY, &Self { weights: vec![], ..self.clone() }, &self.weights)
    }

    /// Reads what [`Encoder::save`] wrote.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the file cannot be read, [`crate::Error::Data`] when it is not a saved encoder.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, generate::{Encoder, PrivateAutoencoder}};
    /// let lab = Lab::new()?.quiet();
    /// let encoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
    /// let file = std::env::temp_dir().join("doc-encoder.safetensors");
    /// encoder.save(&file)?;
    /// assert_eq!(Encoder::load(&file)?, encoder);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (about, weights): (Self, _) = kept::load(path, Self::KEY)?;
        let encoder = Self { weights, ..about };
        encoder.check().map_err(|what| kept::broken(path, what))?;
        Ok(encoder)
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.template.check()?;
        self.recipe.check(self.template.shape).and_then(|()| self.event.check()).map_err(|e| e.to_string())?;
        let layers = self.layers();
        shapes(&layers, self.template.shape)?;
        let (needed, found): (Vec<usize>, Vec<usize>) =
            (layers.iter().flat_map(Layer::parameters).collect(), self.weights.iter().map(Vec::len).collect());
        if needed == found { Ok(()) } else { Err(format!("weights of lengths {found:?} where {needed:?} are needed")) }
    }
}

impl Autoencoder {
    pub(super) fn new(
        recipe: PrivateAutoencoder,
        template: Template,
        pair: &Pair,
        event: Event,
        data: &Dataset,
        lab: &Lab,
    ) -> Result<Self> {
        let encoder = Encoder {
            recipe,
            template,
            weights: pair.encoder.host_weights()?,
            event,
            trained_on: data.name().to_string(),
            records: data.len(),
            seed: lab.seed_value(),
            device: lab.device().clone(),
        };
        Ok(Self { encoder, decoder: pair.decoder.host_weights()? })
    }

    /// The encoder.
    #[must_use]
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    pub(super) fn into_encoder(self) -> Encoder {
        self.encoder
    }

    /// What the decoder makes of codes, in natural units; pixels are cut off at 0 and 1. Its event is that of the codes and then that of
    /// this autoencoder, even where the codes are its own.
    ///
    /// # Errors
    /// [`crate::Error::Mismatch`] for codes of another length, [`crate::Error::Device`] when the device fails.
    pub fn decode(&self, codes: &Dataset) -> Result<Dataset> {
        self.decoded(codes, codes.event().clone().and(self.encoder.event.clone()))
    }

    fn decoded(&self, codes: &Dataset, event: Event) -> Result<Dataset> {
        let (encoder, start) = (&self.encoder, Instant::now());
        if codes.shape() != [encoder.code(), 1, 1] {
            let what = format!("codes of shape {:?} for a decoder of {} numbers", codes.shape(), encoder.code());
            return Err(crate::Error::mismatch(what, "decode what the encoder of this autoencoder made"));
        }
        let shape = encoder.template.shape;
        let x = guarded(&encoder.device, || {
            let layers = encoder.recipe.network.decoder(encoder.code(), shape);
            forward_rows(&network(&layers, &self.decoder, &encoder.device)?, codes.x(), codes.shape(), &encoder.device)
        })?;
        let mut x = encoder.template.normalization.undo(&x, shape);
        if encoder.template.schema.is_none() {
            x.iter_mut().for_each(|pixel| *pixel = pixel.clamp(0.0, 1.0));
        }
        let origin = encoder.origin(event, start);
        let name = format!("{}, decoded", codes.name());
        encoder.template.records(x, codes.labels().to_vec(), codes.class_names().to_vec(), origin, &name)
    }

    /// Records as they come back from their codes.
    ///
    /// # Errors
    /// As [`Encoder::encode`].
    pub fn reconstruct(&self, data: &Dataset) -> Result<Dataset> {
        let codes = self.encoder.encode(data)?;
        // Encoder and decoder are one release.
        let event = codes.event().clone();
        self.decoded(&codes, event)
    }
}

/// Codes as a table with the labels of `data`. The codes' own normalisation is public where the data is.
pub(super) fn codes_of(data: &Dataset, codes: Vec<f32>, length: usize, origin: Origin) -> Result<Dataset> {
    let label = data.schema().map_or_else(|| "class".to_string(), |schema| schema.label.clone());
    let columns = (1..=length).map(|i| Column::Numeric { name: format!("code {i}") }).collect();
    let name = format!("{}, codes by {}", data.name(), origin.method);
    let plain = Dataset::table(&name, codes, Schema { columns, label }, data.labels().to_vec(), data.class_names().to_vec())?;
    let normalization = plain.normalization().clone();
    let plain = if *data.event() == Event::NoOp { plain.with_public_normalization(normalization)? } else { plain };
    let codes = plain.synthetic(plain.x().to_vec(), plain.labels().to_vec(), origin)?.named(&name);
    match data.soft_labels() {
        Some(targets) => codes.with_soft_labels(targets.to_vec()),
        None => Ok(codes),
    }
}

impl Show for Encoder {
    fn figure(&self) -> Figure {
        let layers = self.layers();
        let mut table = Table::new(["layer", "output", "parameters"]);
        let name = |layer: &Layer| format!("{layer:?}").split([' ', '(', '{']).next().unwrap_or_default().to_string();
        for (layer, shape) in layers.iter().zip(shapes(&layers, self.template.shape).unwrap_or_default()) {
            table = table.row([name(layer), format!("{shape:?}"), layer.parameters().iter().sum::<usize>().to_string()]);
        }
        let caption = format!(
            "records {:?} to codes of {}; trained on {} records of {}, seed {}; {}",
            self.template.shape,
            self.code(),
            self.records,
            self.trained_on,
            self.seed,
            self.event
        );
        table.titled(&format!("Encoder by {}", self.recipe.name())).captioned(&caption).figure()
    }
}

impl Show for Autoencoder {
    fn figure(&self) -> Figure {
        self.encoder.figure()
    }
}

show_inline!(Encoder, Autoencoder);

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({:?} to {}, {}, {})", self.template.shape, self.code(), self.recipe.name(), self.event)
    }
}

impl fmt::Debug for Autoencoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Autoencoder({:?})", self.encoder)
    }
}
