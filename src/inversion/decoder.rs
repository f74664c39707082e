//! A decoder of somebody else's codes: the encoder is published, so public records and their codes teach the way back.
//!
//! The mean square error per pixel of g(e(x)) is minimised over public records x, with e the published encoder and g a network with
//! one hidden layer and a sigmoid at the end. Its error on public records that it did not learn is reported beside that of the mean
//! public record, the best guess of those who see no code.

use crate::data::Normalization;
use crate::data::Origin;
use crate::data::rows_at;
use crate::device::guarded;
use crate::display::{Figure, Show, Table, show_inline};
use crate::generate::Encoder;
use crate::nn::{Layer, Linear, Net, Optimizer, to_host, to_tensor};
use crate::privacy::Event;
use crate::{Dataset, Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Instant;

/// How a [`CodeDecoder`] is trained. The values are chosen here.
///
/// # Example
/// ```
/// use freelunch::inversion::DecoderRecipe;
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.quiet();
/// let encoder = PrivateAutoencoder::new(8, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
/// let decoder = DecoderRecipe { epochs: 5, ..DecoderRecipe::default() }.fit(&encoder, &Dataset::toy(), &lab)?;
/// assert!(decoder.error() > 0.0);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DecoderRecipe {
    /// Units of the hidden layer, at least 1.
    pub hidden: usize,
    /// Passes over the public records, at least 1.
    pub epochs: usize,
    /// Records per step, at least 1.
    pub batch: usize,
    /// Adam's learning rate, positive.
    pub rate: f64,
    /// Share of the public records that only measure the error, above 0, below 1.
    pub held_out: f64,
}

impl Default for DecoderRecipe {
    fn default() -> Self {
        Self { hidden: 128, epochs: 40, batch: 32, rate: 0.003, held_out: 0.2 }
    }
}

/// A network from codes to pictures that learned public pairs.
///
/// # Example
/// ```
/// use freelunch::inversion::CodeDecoder;
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let encoder = PrivateAutoencoder::new(8, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
/// let decoder = CodeDecoder::fit(&encoder, &Dataset::toy(), &lab)?;
/// assert!(decoder.error() < decoder.error_of_mean()); // the codes tell something
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeDecoder {
    recipe: DecoderRecipe,
    code: usize,
    shape: [usize; 3],
    codes: Normalization,
    weights: Vec<Vec<f32>>,
    error: f64,
    error_of_mean: f64,
    records: usize,
    held_out: usize,
    public: String,
    event: Event,
    seed: u64,
}

impl CodeDecoder {
    /// Learns public pairs with [`DecoderRecipe::default`], and fails as [`DecoderRecipe::fit`] does.
    ///
    /// # Errors
    /// As there.
    pub fn fit(encoder: &Encoder, public: &Dataset, lab: &Lab) -> Result<Self> {
        DecoderRecipe::default().fit(encoder, public, lab)
    }

    /// Root mean square error per pixel (0..1) on public records that it did not learn.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.error
    }

    /// The same of the mean public record, whatever the code.
    #[must_use]
    pub fn error_of_mean(&self) -> f64 {
        self.error_of_mean
    }

    pub(super) fn public_event(&self) -> &Event {
        &self.event
    }

    pub(super) fn fits(&self, code: usize, shape: [usize; 3]) -> Result<()> {
        if (self.code, self.shape) == (code, shape) {
            return Ok(());
        }
        let what = format!("a decoder from {} numbers to {:?} for an encoder from {shape:?} to {code}", self.code, self.shape);
        Err(Error::mismatch(what, "fit the decoder to this encoder: CodeDecoder::fit(&encoder, &public, &lab)"))
    }

    /// Pictures of a table of codes, such as what an attack found; labels stay. Their event is that of the codes and of the public records.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for codes of another length, [`Error::Device`] when the device fails.
    pub fn decode(&self, codes: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.fits(codes.features(), self.shape)?;
        let name = format!("{}, decoded", codes.name());
        let x = guarded(lab.device(), || self.images(codes.x(), lab))?;
        let images = Dataset::images(&name, x.clone(), self.shape, codes.labels().to_vec(), codes.class_names().to_vec())?;
        let event = codes.event().clone().and(self.event.clone());
        let origin = Origin { event, seed: lab.seed_value(), ..Origin::real("decoder of codes") };
        Ok(images.synthetic(x, codes.labels().to_vec(), origin)?.named(&name))
    }

    /// Pictures of codes, row-major, 0..1.
    pub(super) fn images(&self, codes: &[f32], lab: &Lab) -> Result<Vec<f32>> {
        let device = lab.open()?;
        let net = Net::with_weights(layers(self.recipe.hidden, self.code, self.shape), &self.weights, &device)?;
        let codes = self.codes.apply(codes, [self.code, 1, 1]);
        crate::train::model::forward_rows(&net, &codes, [self.code, 1, 1], lab.device())
    }
}

impl DecoderRecipe {
    fn check(&self) -> Result<()> {
        for (name, value) in [("hidden", self.hidden), ("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        if !(self.held_out > 0.0 && self.held_out < 1.0) {
            return Err(Error::config(format!("held_out is {}", self.held_out), "expected a share between 0 and 1"));
        }
        Optimizer::adam(self.rate).check()
    }

    /// Encodes the public records and learns the way back.
    ///
    /// # Errors
    /// [`Error::Config`] for a bad recipe, records that are no pictures or fewer than 10 of them, [`Error::Mismatch`] for records that the
    /// encoder does not take, [`Error::Diverged`] when training fails, [`Error::Device`] when the device does.
    pub fn fit(&self, encoder: &Encoder, public: &Dataset, lab: &Lab) -> Result<CodeDecoder> {
        self.check()?;
        if public.schema().is_some() || public.len() < 10 {
            let what = format!("a decoder of {} records of {}", public.len(), public.name());
            return Err(Error::config(what, "expected at least 10 pictures"));
        }
        let codes = encoder.encode(public)?;
        let mut order: Vec<usize> = (0..public.len()).collect();
        order.shuffle(&mut lab.rng("code decoder hold-out", 0));
        let held_out = ((public.len() as f64 * self.held_out).round() as usize).clamp(1, public.len() - 1);
        let (test, train) = order.split_at(held_out);
        guarded(lab.device(), || {
            let net = self.train(&codes, public, train, lab)?;
            let mut decoder = CodeDecoder {
                recipe: *self,
                code: encoder.code(),
                shape: public.shape(),
                codes: codes.normalization().clone(),
                weights: net.host_weights()?,
                error: 0.0,
                error_of_mean: 0.0,
                records: train.len(),
                held_out,
                public: public.name().to_string(),
                event: public.event().clone(),
                seed: lab.seed_value(),
            };
            let pick = |data: &Dataset, at: &[usize]| at.iter().flat_map(|&i| data.record(i)).copied().collect::<Vec<f32>>();
            let truth = pick(public, test);
            decoder.error = root_mean_square(&decoder.images(&pick(&codes, test), lab)?, &truth);
            let d = public.features();
            let mut mean = vec![0.0f64; d];
            for &i in train {
                mean.iter_mut().zip(public.record(i)).for_each(|(m, &v)| *m += f64::from(v) / train.len() as f64);
            }
            let guesses: Vec<f32> = test.iter().flat_map(|_| &mean).map(|&v| v as f32).collect();
            decoder.error_of_mean = root_mean_square(&guesses, &truth);
            Ok(decoder)
        })
    }

    fn train(&self, codes: &Dataset, public: &Dataset, positions: &[usize], lab: &Lab) -> Result<Net> {
        let device = lab.open()?;
        let (code, [c, h, w]) = (codes.features(), public.shape());
        let mut net = Net::new(layers(self.hidden, code, public.shape()), &mut lab.rng("code decoder weights", 0), &device);
        let mut optimizer = Optimizer::adam(self.rate).start();
        let x = codes.normalized();
        let mut progress = lab.progress("code decoder", self.epochs);
        let mut order = positions.to_vec();
        for epoch in 0..self.epochs {
            order.shuffle(&mut lab.rng("code decoder order", epoch as u64));
            let mut last = 0.0;
            for batch in order.chunks(self.batch) {
                let rows = rows_at(&x, code, batch);
                let truth: Vec<f32> = batch.iter().flat_map(|&i| public.record(i)).copied().collect();
                let count = truth.len() as f64;
                let (out, tape) = net.forward_saving(to_tensor(rows, [batch.len(), code, 1, 1], &device));
                let error = out - to_tensor(truth, [batch.len(), c, h, w], &device);
                last = f64::from(to_host((error.clone() * error.clone()).sum())?.first().copied().unwrap_or(0.0)) / count;
                let gradients = net.weight_gradients(&tape, error * (2.0 / count));
                optimizer.step(&mut net.weights, gradients, 1.0);
            }
            if !last.is_finite() {
                return Err(Error::Diverged { what: "the error of a code decoder".into(), step: epoch, value: last });
            }
            progress.step(epoch + 1, &format!("mean square error {last:.4}"));
            if lab.deadline().is_some_and(|deadline| Instant::now() > deadline) {
                break;
            }
        }
        Ok(net)
    }
}

fn layers(hidden: usize, code: usize, shape: [usize; 3]) -> Vec<Layer> {
    let pixels = shape.iter().product();
    vec![
        Layer::Flatten,
        Layer::Linear(Linear { inputs: code, outputs: hidden }),
        Layer::Relu,
        Layer::Linear(Linear { inputs: hidden, outputs: pixels }),
        Layer::Sigmoid,
        Layer::Unflatten { shape },
    ]
}

fn root_mean_square(a: &[f32], b: &[f32]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

impl Show for CodeDecoder {
    fn figure(&self) -> Figure {
        Table::new(["error per pixel on held-out public records", "root mean square"])
            .row(["this decoder".to_string(), format!("{:.4}", self.error)])
            .row(["the mean public record".to_string(), format!("{:.4}", self.error_of_mean)])
            .captioned(&format!(
                "codes of {} numbers to {:?}; {} records of {} learned, {} held out, seed {}",
                self.code, self.shape, self.records, self.public, self.held_out, self.seed
            ))
            .figure()
    }
}

show_inline!(CodeDecoder);

impl fmt::Debug for CodeDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CodeDecoder({} to {:?}, error {:.4})", self.code, self.shape, self.error)
    }
}
