//! Training with differential privacy: the epochs of [`DpSgd`], on Poisson samples instead of shuffled batches.

use super::{Precision, Rows, Train};
use crate::data::rows_at;
use crate::lab::Rng;
use crate::nn::{Net, PerSample, SampleGradients, to_tensor};
use crate::privacy::mixing::refuse_mixing;
use crate::privacy::{DpSgd, Event, Mechanism, Noisy};
use crate::{Dataset, Error, Lab, Result};
use rand::Rng as _;

impl Train {
    /// The same recipe with differential privacy: `batch` is then the expected size of a Poisson sample, an epoch is n / `batch` steps.
    #[must_use]
    pub fn with_privacy(mut self, privacy: DpSgd) -> Self {
        self.privacy = Some(privacy);
        self
    }

    /// Steps in an epoch over `records` records.
    pub(crate) fn steps_per_epoch(&self, records: usize) -> usize {
        match self.privacy {
            // Samples are random, so that n / B of them see every record once on average.
            Some(_) => (records as f64 / self.batch as f64).round().max(1.0) as usize,
            None => records.div_ceil(self.batch),
        }
    }

    /// What [`Train::fit`] on `data` would do to its records: with privacy, the releases of all epochs; without, the event of the data.
    ///
    /// # Errors
    /// [`Error::Config`] for a recipe that cannot work.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, nn::Arch, privacy::DpSgd, train::Train};
    /// let recipe = Train::new(Arch::mlp()).with_epochs(10).with_batch(30).with_privacy(DpSgd::new(2.0));
    /// assert_eq!(recipe.event(&Dataset::toy())?.releases(), 40);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn event(&self, data: &Dataset) -> Result<Event> {
        self.check()?;
        match &self.privacy {
            None => Ok(data.event().clone()),
            Some(privacy) => Ok(data.event_after(privacy.event(data.len(), self.batch, self.epochs * self.steps_per_epoch(data.len()))?)),
        }
    }

    pub(super) fn check_privacy(&self) -> Result<()> {
        let Some(privacy) = &self.privacy else { return Ok(()) };
        privacy.check()?;
        if self.precision == Precision::Mixed {
            return Err(Error::config("privacy in mixed precision", "clipping needs exact lengths: use Precision::Single"));
        }
        if privacy.augmentations > 1 && self.augment.is_none() {
            let what = format!("{} augmentations of each record without an augmentation", privacy.augmentations);
            return Err(Error::config(what, "name one with_augment, or leave augmentations at 1"));
        }
        Ok(())
    }

    /// The epochs themselves; answers with the event of the steps that were made. `after` each epoch says whether to go on.
    pub(crate) fn private_epochs(
        &self,
        privacy: &DpSgd,
        net: &mut Net,
        data: &Dataset,
        lab: &Lab,
        mut after: impl FnMut(usize, &Net) -> Result<bool>,
    ) -> Result<Event> {
        refuse_mixing(data.shape(), lab, |x| net.forward(x))?;
        let x = data.as_seen();
        let rows = Rows { x: &x, labels: data.labels(), soft: self.soft(data), shape: data.shape(), classes: data.classes() };
        let mut mechanism = Mechanism::new(privacy, data.len(), self.batch, lab, &format!("train {}", serde_json::json!(self)))?;
        let mut steps = self.optimizer.start();
        let per_epoch = self.steps_per_epoch(data.len());
        for epoch in 0..self.epochs {
            for i in 0..per_epoch {
                let positions = mechanism.sample();
                let rng = mechanism.augmentation_rng();
                let sum = mechanism.clipped_sum(&positions, &[&*net], lab.device(), |chunk, part| {
                    let mut rng = rng.clone();
                    rng.set_stream(chunk as u64);
                    rows.sample_gradients(self, net, part, privacy, rng, lab)
                })?;
                let gradients = mechanism.release(sum)?;
                steps.step(&mut net.weights, gradients, self.schedule.factor(epoch * per_epoch + i, self.epochs * per_epoch));
            }
            if !after(epoch + 1, net)? {
                break;
            }
        }
        mechanism.event()
    }
}

impl Noisy for Train {
    /// Without privacy so far, [`DpSgd`] with clipping norm 1.
    fn with_noise(mut self, noise: f64) -> Self {
        let privacy = self.privacy.take().unwrap_or_else(|| DpSgd::new(noise));
        self.with_privacy(DpSgd { noise, ..privacy })
    }

    fn planned(&self, real: &Dataset) -> Result<Event> {
        self.event(real)
    }
}

impl Rows<'_> {
    /// The gradient of each of the records at `positions` by itself; with multiplicity K, of K random variants of each.
    fn sample_gradients(
        &self,
        train: &Train,
        net: &Net,
        positions: &[usize],
        privacy: &DpSgd,
        mut rng: Rng,
        lab: &Lab,
    ) -> Result<SampleGradients> {
        let device = lab.open()?;
        let d: usize = self.shape.iter().product();
        let [c, h, w] = self.shape;
        let positions: Vec<usize> = positions.iter().flat_map(|&i| std::iter::repeat_n(i, privacy.augmentations)).collect();
        let mut values = rows_at(self.x, d, &positions);
        if let Some(augment) = &train.augment {
            values = augment.draws(self.shape, positions.len(), &mut rng).apply(&values);
        }
        let (logits, tape) = net.forward_training(to_tensor(values, [positions.len(), c, h, w], &device), Some(rng.next_u64()));
        let (_, grad) = train.loss.of(logits, self.targets(&positions, &device));
        // The loss is a mean; each record's own is wanted.
        Ok(net.per_sample(&tape, grad * positions.len() as f64, privacy.lengths(), false).0)
    }

    /// The length of each record's own gradient in all weights.
    pub(super) fn gradient_norms(&self, train: &Train, net: &Net, positions: &[usize], lab: &Lab) -> Result<Vec<f32>> {
        let plain = DpSgd::new(1.0).with_per_sample(PerSample::Ghost);
        let recipe = Train { augment: None, ..train.clone() };
        let gradients = self.sample_gradients(&recipe, net, positions, &plain, lab.rng("norms", 0), lab)?;
        crate::nn::to_host(gradients.squared_lengths(&lab.open()?).sqrt())
    }
}
