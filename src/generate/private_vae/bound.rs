//! The evidence lower bound of every record by itself, differentiated by hand.

use super::PrivateVae;
use super::likelihood::Likelihood;
use crate::data::rows_at;
use crate::generate::pair::{Pair, lengths_of};
use crate::lab::Rng;
use crate::nn::{PerSample, SampleGradients, to_tensor};
use crate::{Dataset, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};

/// The records of a training, ready for the networks.
pub(super) struct Bound<'a> {
    likelihood: &'a Likelihood,
    /// Normalised, for the encoder.
    x: Vec<f32>,
    /// For the likelihood.
    targets: Vec<f32>,
    shape: [usize; 3],
    latent: usize,
    how: PerSample,
}

impl<'a> Bound<'a> {
    /// The largest |v|: variances between 0.0025 and 400.
    pub(super) const MOST: f64 = 6.0;

    pub(super) fn new(vae: &PrivateVae, data: &Dataset, likelihood: &'a Likelihood) -> Self {
        let (x, targets) = (data.normalized(), likelihood.targets(data));
        Self { likelihood, x, targets, shape: data.shape(), latent: vae.latent, how: lengths_of(vae.privacy.as_ref()) }
    }

    /// The gradient of L of each of the records at `positions`, in the weights of both networks. ε of a record follows from `rng` and its
    /// number in `streams`, so it does not depend on which other records were drawn.
    pub(super) fn gradients(&self, pair: &Pair, positions: &[usize], streams: &[usize], rng: &Rng, lab: &Lab) -> Result<SampleGradients> {
        let ([c, h, w], n, latent) = (self.shape, positions.len(), self.latent);
        let device = lab.open()?;
        let (x, targets) = (self.rows(&self.x, positions), self.rows(&self.targets, positions));
        let targets: Tensor<2> = Tensor::from_data(TensorData::new(targets, [n, c * h * w]), &device);
        let epsilon: Vec<f32> = streams.iter().flat_map(|&stream| normals(rng, stream, latent)).collect();
        let epsilon = to_tensor(epsilon, [n, latent, 1, 1], &device);

        let (out, below) = pair.encoder.forward_saving(to_tensor(x, [n, c, h, w], &device)); // [n, 2·latent, 1, 1]
        let mean = out.clone().slice([0..n, 0..latent]);
        let bent = (out.slice([0..n, latent..2 * latent]) / Self::MOST).tanh();
        let deviation = (bent.clone() * (Self::MOST / 2.0)).exp(); // e^{v/2}, v = MOST · tanh(out / MOST)
        let z = mean.clone() + deviation.clone() * epsilon.clone();
        let (outputs, above) = pair.decoder.forward_saving(z);
        let in_outputs = self.likelihood.gradient(outputs.reshape([n, c * h * w]), targets).reshape([n, c, h, w]);

        let (decoder, in_z) = pair.decoder.per_sample(&above, in_outputs, self.how, true);
        let Some(in_z) = in_z else { return Ok(decoder) }; // asked for, so it is there
        let in_mean = in_z.clone() + mean;
        let in_log_variance = (in_z * deviation.clone() * epsilon + deviation.clone() * deviation - 1.0) * 0.5;
        let in_out = Tensor::cat(vec![in_mean, in_log_variance * (-(bent.clone() * bent) + 1.0)], 1);
        Ok(pair.encoder.per_sample(&below, in_out, self.how, false).0.join(decoder))
    }

    fn rows(&self, values: &[f32], positions: &[usize]) -> Vec<f32> {
        let d: usize = self.shape.iter().product();
        rows_at(values, d, positions)
    }
}

/// ε of one record.
pub(super) fn normals(rng: &Rng, stream: usize, count: usize) -> Vec<f32> {
    let mut own = rng.clone();
    own.set_stream(stream as u64);
    (0..count).map(|_| StandardNormal.sample(&mut own)).collect()
}
