//! An encoder and a decoder that are trained together: one step's gradients of both are clipped as one.

use crate::lab::{Deadline, Rng};
use crate::nn::{Layer, Net, Optimizer, PerSample, SampleGradients, added, to_host};
use crate::privacy::{DpSgd, Event, Mechanism};
use crate::train::{even_part, part_of};
use crate::{Error, Lab, Result};
use burn::tensor::{Tensor, TensorData};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::time::Instant;

/// Two networks at work.
pub(super) struct Pair {
    pub(super) encoder: Net,
    pub(super) decoder: Net,
}

/// How a pair learns: the part that all methods here share.
pub(super) struct Recipe<'a> {
    pub(super) epochs: usize,
    pub(super) batch: usize,
    pub(super) optimizer: Optimizer,
    pub(super) privacy: Option<&'a DpSgd>,
}

/// One training: the randomness follows from the lab and the label.
pub(super) struct Run<'a> {
    pub(super) lab: &'a Lab,
    pub(super) label: String,
    /// The method's parameters: runs that differ in any draw their own noise.
    pub(super) config: String,
    pub(super) deadline: Option<Deadline<'a>>,
}

impl Run<'_> {
    pub(super) fn stream(&self) -> String {
        format!("{} {}", self.label, self.config)
    }
}

impl Recipe<'_> {
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        self.optimizer.check()?;
        let Some(privacy) = self.privacy else { return Ok(()) };
        privacy.check()?;
        if privacy.augmentations > 1 {
            let what = format!("augmentations is {}", privacy.augmentations);
            return Err(Error::config(what, "expected 1: records are not augmented here"));
        }
        Ok(())
    }

    /// Samples are random, so that n / B steps see every record once on average.
    pub(super) fn steps(&self, records: usize) -> usize {
        self.epochs * (records as f64 / self.batch as f64).round().max(1.0) as usize
    }

    /// The releases that a whole training makes; none without privacy.
    pub(super) fn event(&self, records: usize) -> Result<Option<Event>> {
        self.check()?;
        self.privacy.map(|privacy| privacy.event(records, self.batch, self.steps(records))).transpose()
    }
}

impl Pair {
    pub(super) fn new(encoder: Vec<Layer>, decoder: Vec<Layer>, run: &Run) -> Result<Self> {
        let device = run.lab.open()?;
        let fresh = |layers, part| Net::new(layers, &mut run.lab.rng(&format!("{} weights", run.label), part), &device);
        Ok(Self { encoder: fresh(encoder, 0), decoder: fresh(decoder, 1) })
    }

    /// Trains both. `gradients` gives those of the records at some positions in the weights of the encoder and then the decoder;
    /// what is random in it must follow from its generator and the record's position. Answers with the event of the releases that were
    /// made, or `None` without privacy. A deadline ends it after at least one step.
    pub(super) fn train(
        &mut self,
        recipe: &Recipe,
        records: usize,
        run: &Run,
        gradients: impl Fn(&Self, &[usize], &Rng) -> Result<SampleGradients> + Sync,
    ) -> Result<Option<Event>> {
        let kind = run.lab.device();
        let mut source = match recipe.privacy {
            Some(privacy) => Source::Private(Box::new(Mechanism::new(privacy, records, recipe.batch, run.lab, &run.stream())?)),
            None => Source::plain(records, recipe.batch, run),
        };
        let mut optimizer = recipe.optimizer.start();
        let steps = recipe.steps(records);
        let mut progress = run.lab.progress(&run.label, steps);
        for step in 0..steps {
            let (positions, rng) = source.next();
            let each = |part: &[usize]| gradients(self, part, &rng);
            let update = match &mut source {
                Source::Private(mechanism) => {
                    let sum = mechanism.clipped_sum(&positions, &self.nets(), kind, |_, part| each(part))?;
                    mechanism.release(sum)?
                }
                Source::Plain { .. } => self.mean(&positions, run.lab, each)?,
            };
            let mut weights = [self.encoder.weights.as_slice(), &self.decoder.weights].concat();
            optimizer.step(&mut weights, update, 1.0);
            self.decoder.weights = weights.split_off(self.encoder.weights.len());
            self.encoder.weights = weights;
            progress.step(step + 1, "");
            if run.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                break;
            }
        }
        self.finite(&run.label, steps)?;
        match source {
            Source::Private(mechanism) => mechanism.event().map(Some),
            Source::Plain { .. } => Ok(None),
        }
    }

    pub(super) fn nets(&self) -> [&Net; 2] {
        [&self.encoder, &self.decoder]
    }

    /// The mean gradient over the records at `positions`.
    fn mean(&self, positions: &[usize], lab: &Lab, each: impl Fn(&[usize]) -> Result<SampleGradients> + Sync) -> Result<Vec<Tensor<1>>> {
        let device = lab.open()?;
        let share = 1.0 / positions.len() as f32;
        let parts: Result<Vec<Vec<Tensor<1>>>> = positions
            .par_chunks(even_part(positions.len(), part_of(&self.nets(), lab.device())))
            .map(|part| {
                let factors = Tensor::from_data(TensorData::new(vec![share; part.len()], [part.len()]), &device);
                Ok(each(part)?.weighted_sum(factors))
            })
            .collect();
        Ok(parts?.into_iter().reduce(added).unwrap_or_default())
    }

    fn finite(&self, label: &str, step: usize) -> Result<()> {
        for w in self.encoder.weights.iter().chain(&self.decoder.weights) {
            if let Some(bad) = to_host(w.clone())?.into_iter().find(|v| !v.is_finite()) {
                return Err(Error::Diverged { what: format!("a weight of {label}"), step, value: f64::from(bad) });
            }
        }
        Ok(())
    }
}

/// Where batches come from.
enum Source {
    Private(Box<Mechanism>),
    /// The order of the records, shuffled anew when it is used up.
    Plain {
        order: Vec<usize>,
        at: usize,
        batch: usize,
        rng: Box<Rng>,
    },
}

impl Source {
    fn plain(records: usize, batch: usize, run: &Run) -> Self {
        let rng = Box::new(run.lab.rng(&format!("{} order", run.label), 0));
        Self::Plain { order: (0..records).collect(), at: records, batch: batch.min(records), rng }
    }

    /// The positions of the next batch, and a stream for what else is random in its step.
    fn next(&mut self) -> (Vec<usize>, Rng) {
        match self {
            Self::Private(mechanism) => (mechanism.sample(), mechanism.augmentation_rng()),
            Self::Plain { order, at, batch, rng } => {
                if *at + *batch > order.len() {
                    order.shuffle(rng.as_mut());
                    *at = 0;
                }
                *at += *batch;
                (order[*at - *batch..*at].to_vec(), rand::SeedableRng::from_rng(rng.as_mut()))
            }
        }
    }
}

/// How lengths of gradients are found.
pub(super) fn lengths_of(privacy: Option<&DpSgd>) -> PerSample {
    privacy.map_or(PerSample::Ghost, |privacy| privacy.per_sample)
}
