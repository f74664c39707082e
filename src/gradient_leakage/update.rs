//! What a client of federated learning sends to the server.

use super::Defence;
use super::networks::opened;
use crate::data::rows_at;
use crate::device::guarded;
use crate::nn::{Loss, Net, Optimizer, PerSample, to_host, to_tensor};
use crate::privacy::mixing::refuse_mixing;
use crate::privacy::{DpSgd, Event, Mechanism, Reserved};
use crate::train::{Model, Rows};
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The vectors that a client sends, one per weight or bias of the model, and what the server knows beside them: how many records they are
/// of. Neither records nor labels are inside.
///
/// # Example
/// ```
/// use freelunch::gradient_leakage::{ClientUpdate, Defence, untrained};
/// use freelunch::{Dataset, Lab, nn::Arch};
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = untrained(Arch::Logistic, &Dataset::toy(), &lab)?;
/// let batch = Dataset::toy().sample(4, &lab)?;
/// let private = ClientUpdate::defended(&model, &batch, Defence::clipped(1.0).noised(1.0), &lab)?;
/// assert_eq!((private.records(), private.event().to_string()), (4, "Gaussian(σ = 1)".to_string()));
/// assert!(ClientUpdate::gradient(&model, &batch, &lab)?.event().is_non_private());
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ClientUpdate {
    parts: Vec<Vec<f32>>,
    records: usize,
    sent: Sent,
    defence: Defence,
    event: Event,
}

/// What the vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Sent {
    /// The mean gradient of the cross-entropy (FedSGD).
    Gradient,
    /// (weights before − weights after) / (rate · steps), which the server can compute from the weights that are sent (FedAvg): the mean
    /// of the gradients along the way.
    Steps {
        /// Local steps on the whole batch.
        steps: usize,
        /// Their learning rate.
        rate: f64,
    },
}

impl ClientUpdate {
    /// The gradient of the mean cross-entropy of `batch` in all weights. The records are normalised as the model's were; dropout is off.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the records do not fit the model, [`Error::Diverged`] for a gradient that is not finite, and what a lab's
    /// ledger says to a release without an ε.
    pub fn gradient(model: &Model, batch: &Dataset, lab: &Lab) -> Result<Self> {
        Self::defended(model, batch, Defence::None, lab)
    }

    /// As [`ClientUpdate::gradient`], clipped record by record and made noisy as `defence` says. The noise follows from the lab's seed
    /// ([`Randomness::Seeded`](crate::privacy::Randomness::Seeded)): for study. Two clients of one model need labs of different seeds
    /// ([`Lab::child`]), or they draw the same noise.
    ///
    /// # Errors
    /// As [`ClientUpdate::gradient`]; [`Error::Config`] for a clip or noise that is not positive.
    pub fn defended(model: &Model, batch: &Dataset, defence: Defence, lab: &Lab) -> Result<Self> {
        let event = match defence {
            Defence::None | Defence::Clipped { .. } => batch.event_after(Event::NonPrivate),
            Defence::Noised { noise, .. } => batch.event_after(Event::gaussian(noise)?),
        };
        let reserved = Reserved::new(lab, "gradient of a client", batch, &event)?;
        let parts = guarded(lab.device(), || {
            let (net, batch) = opened(model, batch, lab)?;
            match defence.mechanism() {
                None => mean_gradient(&net, &batch, lab),
                Some(config) => clipped(&net, &batch, &config, defence.noise() > 0.0, lab),
            }
        })?;
        reserved.settle(&event)?;
        Self::checked(parts, batch.len(), Sent::Gradient, defence, event)
    }

    /// What `steps` local steps of gradient descent on the whole batch change, as a mean gradient (FedAvg).
    ///
    /// # Errors
    /// As [`ClientUpdate::gradient`]; [`Error::Config`] for no step or a rate that is not positive.
    pub fn of_steps(model: &Model, batch: &Dataset, steps: usize, rate: f64, lab: &Lab) -> Result<Self> {
        if steps == 0 {
            return Err(Error::config("steps is 0", "expected at least 1"));
        }
        let plain = Optimizer::Sgd { rate, momentum: 0.0, weight_decay: 0.0 };
        plain.check()?;
        let event = batch.event_after(Event::NonPrivate);
        let reserved = Reserved::new(lab, "local steps of a client", batch, &event)?;
        let after = guarded(lab.device(), || {
            let (mut net, batch) = opened(model, batch, lab)?;
            let mut optimizer = plain.start();
            for _ in 0..steps {
                let gradients = gradients(&net, &batch, lab)?;
                optimizer.step(&mut net.weights, gradients, 1.0);
            }
            net.host_weights()
        })?;
        reserved.settle(&event)?;
        let scale = 1.0 / (rate * steps as f64);
        let difference = |(before, after): (&Vec<f32>, &Vec<f32>)| -> Vec<f32> {
            before.iter().zip(after).map(|(&b, &a)| ((f64::from(b) - f64::from(a)) * scale) as f32).collect()
        };
        let parts = model.weights().iter().zip(&after).map(difference).collect();
        Self::checked(parts, batch.len(), Sent::Steps { steps, rate }, Defence::None, event)
    }

    fn checked(parts: Vec<Vec<f32>>, records: usize, sent: Sent, defence: Defence, event: Event) -> Result<Self> {
        let update = Self { parts, records, sent, defence, event };
        update.check_finite()?;
        Ok(update)
    }

    pub(super) fn check_finite(&self) -> Result<()> {
        match self.parts.iter().flatten().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(step) => Err(Error::Diverged { what: "an entry of the client's update".into(), step, value: f64::NAN }),
        }
    }

    /// Refuses a model with other weights, and an update of no record (from a file).
    pub(super) fn check_model(&self, model: &Model) -> Result<()> {
        let lengths = |parts: &[Vec<f32>]| parts.iter().map(Vec::len).collect::<Vec<usize>>();
        let (own, expected) = (lengths(&self.parts), lengths(model.weights()));
        if own != expected || self.records == 0 {
            let what = format!("an update of lengths {own:?} from {} records for a model of {expected:?}", self.records);
            return Err(Error::mismatch(what, "give the model that the client was sent"));
        }
        Ok(())
    }

    /// Of the last layer, which is linear in every architecture.
    pub(super) fn last_bias(&self) -> &[f32] {
        self.parts.last().map_or(&[], Vec::as_slice)
    }

    /// The vectors, in the order of the model's weights.
    #[must_use]
    pub fn parts(&self) -> &[Vec<f32>] {
        &self.parts
    }

    /// Records in the client's batch, which the server is told (it weights clients by it).
    #[must_use]
    pub fn records(&self) -> usize {
        self.records
    }

    /// Gradient or local steps.
    #[must_use]
    pub fn sent(&self) -> Sent {
        self.sent
    }

    /// What the client did to it.
    #[must_use]
    pub fn defence(&self) -> Defence {
        self.defence
    }

    /// What this one release did to the privacy of the batch: a Gaussian mechanism when clipped and noised (add or remove one record; the
    /// number of records counts as public, and so does the model).
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }
}

impl fmt::Debug for ClientUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: usize = self.parts.iter().map(Vec::len).sum();
        write!(f, "ClientUpdate({values} values of {} records, defence: {})", self.records, self.defence)
    }
}

/// In one pass without dropout: an attacker who does not know its masks has another problem than the one measured here.
fn gradients(net: &Net, batch: &Dataset, lab: &Lab) -> Result<Vec<Tensor<1>>> {
    let x = batch.normalized();
    let rows = Rows { x: &x, labels: batch.labels(), soft: None, shape: batch.shape(), classes: batch.classes() };
    let (device, [c, h, w]) = (lab.open()?, batch.shape());
    let all: Vec<usize> = (0..batch.len()).collect();
    let (logits, tape) = net.forward_saving(to_tensor(x.clone(), [batch.len(), c, h, w], &device));
    let (_, grad) = Loss::CrossEntropy.of(logits, rows.targets(&all, &device));
    Ok(net.weight_gradients(&tape, grad))
}

fn mean_gradient(net: &Net, batch: &Dataset, lab: &Lab) -> Result<Vec<Vec<f32>>> {
    gradients(net, batch, lab)?.into_iter().map(to_host).collect()
}

/// Σ min(1, C / |g|) g, with noise if asked for, over the number of records.
fn clipped(net: &Net, batch: &Dataset, config: &DpSgd, noise: bool, lab: &Lab) -> Result<Vec<Vec<f32>>> {
    refuse_mixing(batch.shape(), lab, |x| net.forward(x))?;
    let (x, d, [c, h, w]) = (batch.normalized(), batch.features(), batch.shape());
    let rows = Rows { x: &x, labels: batch.labels(), soft: None, shape: batch.shape(), classes: batch.classes() };
    let device = lab.open()?;
    // The model is in the label, so that rounds do not share their noise.
    let label = format!("client update {} {}", serde_json::json!(config), digest(net)?);
    let mut mechanism = Mechanism::new(config, batch.len(), batch.len(), lab, &label)?;
    let positions = mechanism.sample(); // at rate 1: all of them
    let sum = mechanism.clipped_sum(&positions, &[net], lab.device(), |_, part| {
        let values = rows_at(&x, d, part);
        let (logits, tape) = net.forward_saving(to_tensor(values, [part.len(), c, h, w], &device));
        let (_, grad) = Loss::CrossEntropy.of(logits, rows.targets(part, &device));
        // The loss is a mean; each record's own is wanted.
        Ok(net.per_sample(&tape, grad * part.len() as f64, PerSample::Ghost, false).0)
    })?;
    let sent = if noise {
        mechanism.release(sum)?
    } else {
        let scale = 1.0 / batch.len() as f64;
        sum.into_iter().map(|part| part * scale).collect()
    };
    sent.into_iter().map(to_host).collect()
}

/// SHA-256 of the weights.
fn digest(net: &Net) -> Result<String> {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    net.host_weights()?.iter().flatten().for_each(|weight| hash.update(weight.to_le_bytes()));
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
