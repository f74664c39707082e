//! DP-AuGM: an autoencoder learns private records with differential privacy, and only its encoder is published; whoever has public
//! records of the same kind trains on their codes.
//!
//! For a record x the loss is L(x) = ½ |x − d(e(x))|², with e the encoder, d the decoder, and x under a public normalisation.
//!
//! 1. Each step takes a Poisson sample and the gradient of L of every record in it, in the weights of e and d together.
//! 2. Each of these is clipped as one vector, the clipped sum is made noisy ([`DpSgd`]), and the optimiser follows it.
//! 3. The decoder is dropped: nobody needs it to encode. It is covered by the same ε, but it would turn codes of records back into pictures
//!    of them for anyone who sees such codes.
//! 4. [`Encoder::encode`] turns public records into a table of codes, each in −1 .. 1 (the last layer is a tanh), with their labels.
//!
//! The paper prints no architecture that could be verified; networks, rates and batch sizes are chosen here. Whether the private
//! records helped at all is measured by [`EncoderControls`]: codes of a random encoder or principal components may do as well.
//!
//! # Privacy
//! `steps × Poisson(B / n, Gaussian(σ))`, counted from the steps that were made. Codes of public records carry the same event; those of
//! other records carry what was done to these, too. The shape, the number of records and the columns of a table with their levels count as
//! public. No loss is kept.
//!
//! # References
//! arXiv 1812.02274 (the method), 1607.00133 (DP-SGD).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, generate::PrivateAutoencoder};
//! let lab = Lab::new()?.seed(1).quiet();
//! let encoder = PrivateAutoencoder::new(4, 1.0).with_epochs(2).with_batch(30).fit(&Dataset::toy(), &lab)?;
//! let codes = encoder.encode(&Dataset::toy().declared_public())?;
//! assert_eq!((codes.features(), codes.event().releases()), (4, 8));
//! # Ok::<(), freelunch::Error>(())
//! ```

pub(crate) mod controls;
mod encoder;

pub use controls::{Control, EncoderControls, EncoderReport, EncoderRow};
pub use encoder::{Autoencoder, Encoder};

use super::Coder;
use super::kept::Template;
use super::pair::{Pair, Recipe, Run, lengths_of};
use crate::data::rows_at;
use crate::device::guarded;
use crate::nn::{Layer, Optimizer, SampleGradients, to_tensor};
use crate::privacy::{DpSgd, Event, Reserved};
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};

/// The recipe of DP-AuGM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DP-AuGM")]
pub struct PrivateAutoencoder {
    /// Length of the code, at least 1.
    pub code: usize,
    /// The networks.
    pub network: Coder,
    /// Passes over the records on average, at least 1: n / `batch` steps each.
    pub epochs: usize,
    /// B, the expected size of a Poisson sample (without privacy, of a shuffled batch), at least 1.
    pub batch: usize,
    /// The optimiser with its learning rate.
    pub optimizer: Optimizer,
    /// Noise and clipping; `None` trains without privacy, for controls.
    pub privacy: Option<DpSgd>,
}

impl PrivateAutoencoder {
    /// Codes of length `code` under the noise multiplier σ, clipping norm 1; one hidden layer of 128 units, 20 epochs with samples of 256,
    /// Adam at 0.002. Chosen here, on Fashion-MNIST: the paper's values could not be verified.
    #[must_use]
    pub fn new(code: usize, noise: f64) -> Self {
        Self {
            code,
            network: Coder::Dense { hidden: vec![128] },
            epochs: 20,
            batch: 256,
            optimizer: Optimizer::adam(0.002),
            privacy: Some(DpSgd::new(noise)),
        }
    }

    /// The same with other networks.
    #[must_use]
    pub fn with_network(mut self, network: Coder) -> Self {
        self.network = network;
        self
    }

    /// The same with another number of epochs.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The same with another expected sample.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch;
        self
    }

    /// The same with another optimiser.
    #[must_use]
    pub fn with_optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// The same with other noise and clipping.
    #[must_use]
    pub fn with_privacy(mut self, privacy: DpSgd) -> Self {
        self.privacy = Some(privacy);
        self
    }

    /// The same without noise and clipping: for public records, or to see what privacy costs.
    #[must_use]
    pub fn without_privacy(mut self) -> Self {
        self.privacy = None;
        self
    }

    /// The method's name, as the paper writes it.
    #[must_use]
    pub fn name(&self) -> String {
        if self.privacy.is_some() { "DP-AuGM".into() } else { "AuGM without privacy".into() }
    }

    /// What [`PrivateAutoencoder::fit`] would do to the privacy of the records.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter that cannot work, such as a batch larger than the set.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, generate::PrivateAutoencoder};
    /// let recipe = PrivateAutoencoder::new(4, 2.0).with_epochs(3).with_batch(40);
    /// assert_eq!(recipe.event(&Dataset::toy())?.to_string(), "9 × Poisson(0.3333, Gaussian(σ = 2))");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn event(&self, private: &Dataset) -> Result<Event> {
        self.check(private.shape())?;
        Ok(after(private, self.recipe().event(private.len())?))
    }

    fn check(&self, shape: [usize; 3]) -> Result<()> {
        if self.code == 0 {
            return Err(Error::config("code is 0", "expected a code of at least 1 number"));
        }
        self.network.check(shape)?;
        self.recipe().check()
    }

    fn recipe(&self) -> Recipe<'_> {
        Recipe { epochs: self.epochs, batch: self.batch, optimizer: self.optimizer, privacy: self.privacy.as_ref() }
    }

    /// Trains on private records; only the encoder comes out.
    ///
    /// # Errors
    /// [`Error::Config`] for a parameter that cannot work, for a table without
    /// [`Dataset::with_public_normalization`], or for a batch larger than the set; [`Error::Diverged`] when a gradient is not finite;
    /// [`Error::Device`] when the device fails.
    pub fn fit(&self, private: &Dataset, lab: &Lab) -> Result<Encoder> {
        Ok(self.fit_whole(private, lab)?.into_encoder())
    }

    /// Trains on records and keeps the decoder, too: on public records, for an attacker who wants to turn codes back into records.
    ///
    /// # Errors
    /// As [`PrivateAutoencoder::fit`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, generate::PrivateAutoencoder};
    /// let public = Dataset::toy().declared_public();
    /// let lab = Lab::new()?.quiet();
    /// let whole = PrivateAutoencoder::new(4, 1.0).without_privacy().with_epochs(2).fit_whole(&public, &lab)?;
    /// assert_eq!(whole.reconstruct(&public)?.shape(), public.shape());
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn fit_whole(&self, data: &Dataset, lab: &Lab) -> Result<Autoencoder> {
        let planned = self.event(data)?;
        let data = &data.publicly_normalized()?;
        let reserved = Reserved::new(lab, &self.name(), data, &planned)?;
        let run = self.run(lab);
        guarded(lab.device(), || {
            let mut pair = self.pair(data, &run)?;
            let x = data.normalized();
            let made = pair.train(&self.recipe(), data.len(), &run, |pair, part, _| self.gradients(pair, &x, data.shape(), part, lab))?;
            let event = after(data, made);
            reserved.settle(&event)?;
            Autoencoder::new(self.clone(), Template::of(data), &pair, event, data, lab)
        })
    }

    /// An encoder that has learned nothing: its weights follow from the seed, and nothing of `like` but its kind enters.
    pub(crate) fn untrained(&self, like: &Dataset, lab: &Lab) -> Result<Encoder> {
        self.check(like.shape())?;
        let like = like.publicly_normalized()?;
        let pair = self.pair(&like, &self.run(lab))?;
        Ok(Autoencoder::new(self.clone(), Template::of(&like), &pair, Event::NoOp, &like, lab)?.into_encoder())
    }

    fn run<'a>(&self, lab: &'a Lab) -> Run<'a> {
        Run { lab, label: "autoencoder".into(), config: serde_json::json!(self).to_string(), deadline: lab.deadline() }
    }

    fn pair(&self, data: &Dataset, run: &Run) -> Result<Pair> {
        Pair::new(self.encoder_layers(data.shape()), self.network.decoder(self.code, data.shape()), run)
    }

    fn encoder_layers(&self, shape: [usize; 3]) -> Vec<Layer> {
        let mut layers = self.network.encoder(shape, self.code);
        layers.push(Layer::Tanh);
        layers
    }

    /// The gradient of L of each of the records at `positions`, in the weights of both networks.
    fn gradients(&self, pair: &Pair, x: &[f32], shape: [usize; 3], positions: &[usize], lab: &Lab) -> Result<SampleGradients> {
        let ([c, h, w], d) = (shape, shape.iter().product::<usize>());
        let values = rows_at(x, d, positions);
        let x = to_tensor(values, [positions.len(), c, h, w], &lab.open()?);
        let how = lengths_of(self.privacy.as_ref());
        let (codes, below) = pair.encoder.forward_saving(x.clone());
        let (y, above) = pair.decoder.forward_saving(codes);
        let (decoder, in_codes) = pair.decoder.per_sample(&above, y - x, how, true);
        match in_codes {
            Some(grad) => Ok(pair.encoder.per_sample(&below, grad, how, false).0.join(decoder)),
            None => Ok(decoder), // asked for above, so it is there
        }
    }
}

/// The event of what was made of `data`: `made` with privacy, otherwise that of the data.
pub(super) fn after(data: &Dataset, made: Option<Event>) -> Event {
    made.map_or_else(|| data.event().clone(), |event| data.event_after(event))
}

#[cfg(test)]
mod tests;
