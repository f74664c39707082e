//! The attacker's generator at work against a frozen model.

use super::GanAttack;
use crate::device::guarded;
use crate::lab::Rng;
use crate::nn::{Layer, Loss, Net, to_host, to_tensor};
use crate::train::Model;
use crate::train::model::forward_rows;
use crate::{Dataset, Device, Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand_distr::{Distribution, StandardNormal};
use std::time::Instant;

/// From the generator's outputs in 0..1 to natural units: low + span · s, value by value.
pub(super) struct Units {
    low: Vec<f32>,
    span: Vec<f32>,
}

impl Units {
    /// The range of pixels, or of each value of `own` where those are no pixels.
    pub(super) fn of(own: &Dataset) -> Self {
        let d = own.features();
        if own.schema().is_none() && own.x().iter().all(|value| (0.0..=1.0).contains(value)) {
            return Self { low: vec![0.0; d], span: vec![1.0; d] };
        }
        let (mut low, mut high) = (own.record(0).to_vec(), own.record(0).to_vec());
        for record in own.x().chunks_exact(d) {
            for (i, &value) in record.iter().enumerate() {
                low[i] = low[i].min(value);
                high[i] = high[i].max(value);
            }
        }
        let span = low.iter().zip(&high).map(|(low, high)| high - low).collect();
        Self { low, span }
    }

    /// Row-major outputs in natural units.
    pub(super) fn natural(&self, outputs: &[f32]) -> Vec<f32> {
        let record =
            |part: &[f32]| -> Vec<f32> { part.iter().zip(&self.low).zip(&self.span).map(|((s, low), span)| low + span * s).collect() };
        outputs.chunks_exact(self.low.len()).flat_map(record).collect()
    }

    /// Values in natural units between 0 and 1, for displays.
    pub(super) fn shares(&self, x: &[f32]) -> Vec<f32> {
        let share = |((x, low), span): ((&f32, &f32), &f32)| if *span > 0.0 { (x - low) / span } else { 0.0 };
        x.chunks_exact(self.low.len()).flat_map(|part| part.iter().zip(&self.low).zip(&self.span).map(share)).collect()
    }
}

/// The shared model in the part of a discriminator: its weights do not change.
pub(super) struct Discriminator {
    net: Net,
    /// Normalised = offset + gain · s, `[1, c, h, w]`.
    offset: Tensor<4>,
    gain: Tensor<4>,
    target: usize,
    classes: usize,
}

impl Discriminator {
    /// `own` says what the records look like.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the model was made for other records, [`Error::Diverged`] for a weight that is not finite.
    pub(super) fn new(global: &Model, own: &Dataset, units: &Units, target: usize, round: usize, device: &Device) -> Result<Self> {
        if let Some(bad) = global.weights().iter().flatten().find(|v| !v.is_finite()) {
            return Err(Error::Diverged { what: "a weight of the global model".into(), step: round, value: f64::from(*bad) });
        }
        global.logits(&own.subset(&[0])?)?; // says what does not fit
        let ([c, h, w], classes) = (own.shape(), own.classes());
        let normalization = global.normalization();
        let opened = device.open()?;
        let net = Net::with_weights(global.train().arch.layers(own.shape(), classes)?, global.weights(), &opened)?;
        let at_zero = normalization.apply(&units.low, own.shape());
        let at_one = normalization.apply(&units.natural(&vec![1.0; own.features()]), own.shape());
        let gain: Vec<f32> = at_one.iter().zip(&at_zero).map(|(one, zero)| one - zero).collect();
        let tensor = |values| to_tensor(values, [1, c, h, w], &opened);
        Ok(Self { net, offset: tensor(at_zero), gain: tensor(gain), target, classes })
    }

    /// The mean cross-entropy to the target class of the generator's outputs `[n, c, h, w]`, and its gradient in them.
    pub(super) fn loss(&self, outputs: Tensor<4>) -> (Tensor<1>, Tensor<4>) {
        let [n, ..] = outputs.dims();
        let (logits, tape) = self.net.forward_saving(outputs * self.gain.clone() + self.offset.clone());
        let mut targets = vec![0.0; n * self.classes];
        targets.iter_mut().skip(self.target).step_by(self.classes).for_each(|t| *t = 1.0);
        let targets = Tensor::<2>::from_data(TensorData::new(targets, [n, self.classes]), &logits.device());
        let (loss, grad) = Loss::CrossEntropy.of(logits, targets);
        (loss, self.net.input_gradient(&tape, grad) * self.gain.clone())
    }
}

/// The layers from noise `[n, noise, 1, 1]` to outputs `[n, c, h, w]` in 0..1.
pub(super) fn layers(attack: &GanAttack, shape: [usize; 3]) -> Vec<Layer> {
    let mut layers = attack.generator.decoder(attack.noise, shape);
    layers.push(Layer::Sigmoid);
    layers
}

/// `count` draws from N(0, I).
pub(super) fn noise(attack: &GanAttack, count: usize, rng: &mut Rng) -> Vec<f32> {
    (0..count * attack.noise).map(|_| StandardNormal.sample(rng)).collect()
}

/// Loss and gradients of the generator's weights at given noise.
pub(super) fn gradients(generator: &Net, z: Tensor<4>, discriminator: &Discriminator) -> (Tensor<1>, Vec<Tensor<1>>) {
    let (outputs, tape) = generator.forward_saving(z);
    let (loss, grad) = discriminator.loss(outputs);
    (loss, generator.weight_gradients(&tape, grad))
}

/// The steps of one round; answers with the new weights and the last step's loss. A time budget ends it after at least one step.
pub(super) fn train(
    attack: &GanAttack,
    weights: &[Vec<f32>],
    shape: [usize; 3],
    discriminator: &Discriminator,
    round: usize,
    lab: &Lab,
) -> Result<(Vec<Vec<f32>>, f64)> {
    let device = lab.open()?;
    let mut net = Net::with_weights(layers(attack, shape), weights, &device)?;
    let mut steps = attack.optimizer.start();
    let mut rng = lab.rng("gan attack noise", round as u64);
    let deadline = lab.deadline();
    let mut last = f64::NAN;
    for step in 0..attack.generator_steps {
        let z = to_tensor(noise(attack, attack.batch, &mut rng), [attack.batch, attack.noise, 1, 1], &device);
        let (loss, update) = gradients(&net, z, discriminator);
        last = to_host(loss)?.first().map_or(f64::NAN, |&loss| f64::from(loss));
        if !last.is_finite() {
            return Err(Error::Diverged { what: format!("the generator's loss in round {round}"), step, value: last });
        }
        steps.step(&mut net.weights, update, 1.0);
        if deadline.is_some_and(|deadline| Instant::now() > deadline) {
            break;
        }
    }
    let weights = net.host_weights()?;
    match weights.iter().flatten().find(|v| !v.is_finite()) {
        Some(bad) => Err(Error::Diverged { what: "a weight of the generator".into(), step: round, value: f64::from(*bad) }),
        None => Ok((weights, last)),
    }
}

/// The generator's records for some noise, row-major, in natural units.
pub(super) fn records(
    attack: &GanAttack,
    weights: &[Vec<f32>],
    z: &[f32],
    own: &Dataset,
    units: &Units,
    device: &Device,
) -> Result<Vec<f32>> {
    let outputs = guarded(device, || {
        let net = Net::with_weights(layers(attack, own.shape()), weights, &device.open()?)?;
        forward_rows(&net, z, [attack.noise, 1, 1], device)
    })?;
    Ok(units.natural(&outputs))
}
