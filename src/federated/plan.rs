//! What a federation asks of its clients in a round, what a whole run costs, and what cannot work.

use super::{ClientData, Federation, Local};
use crate::nn::Optimizer;
use crate::privacy::{DpSgd, Event};
use crate::train::{Schedule, Train};
use crate::{Dataset, Error, Result};

impl Federation {
    /// What a whole run would do to the privacy of the clients' records.
    ///
    /// # Errors
    /// As [`Federation::run`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, nn::Arch, train::Train};
    /// use freelunch::federated::{ClientData, ClientPrivacy, Federation, Partition};
    /// let clients = ClientData::each(&Partition::iid().split(&Dataset::toy(), 6, &Lab::new()?.quiet())?);
    /// let federation = Federation::new(Train::new(Arch::Logistic), 5).with_fraction(0.5);
    /// let federation = federation.with_client_privacy(ClientPrivacy::new(1.0, 2.0));
    /// assert_eq!(federation.event(&clients)?.to_string(), "5 × Poisson(0.5, Gaussian(σ = 2))");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn event(&self, clients: &[ClientData]) -> Result<Event> {
        self.check_with(clients)?;
        let data: Vec<&Dataset> = clients.iter().map(ClientData::data).collect();
        let all = |client: &&Dataset| self.rounds * self.local_epochs() * self.steps_per_epoch(client.len());
        self.event_of(&data, &data.iter().map(all).collect::<Vec<_>>(), self.rounds)
    }

    /// The event of clients that made so many private steps each, in so many rounds.
    pub(super) fn event_of(&self, clients: &[&Dataset], steps: &[usize], rounds: usize) -> Result<Event> {
        if let Some(privacy) = &self.client_privacy {
            return privacy.event(self.fraction, rounds);
        }
        let of_client = |(data, &steps): (&&Dataset, &usize)| match &self.train.privacy {
            None => Ok(data.event().clone()),
            Some(privacy) => Ok(data.event_after(privacy.event(data.len(), self.batch(data.len()), steps)?)),
        };
        let parts: Vec<Event> = clients.iter().zip(steps).map(of_client).collect::<Result<_>>()?;
        // Equal parts side by side are one of them.
        let alike = parts.windows(2).all(|pair| pair[0] == pair[1]);
        Ok(Event::parallel(if alike { parts.into_iter().take(1).collect() } else { parts }))
    }

    pub(super) fn local_epochs(&self) -> usize {
        match self.local {
            Local::OneStep => 1,
            Local::Epochs(epochs) => epochs,
        }
    }

    fn batch(&self, records: usize) -> usize {
        if self.local == Local::OneStep { records } else { self.train.batch }
    }

    fn steps_per_epoch(&self, records: usize) -> usize {
        self.train.clone().with_batch(self.batch(records)).steps_per_epoch(records)
    }

    /// What a client with so many records does in `round`.
    pub(super) fn recipe(&self, round: usize, records: usize) -> Train {
        let factor = factor(self.train.schedule, round, self.rounds);
        let optimizer = match self.train.optimizer {
            Optimizer::Sgd { rate, momentum, weight_decay } => Optimizer::Sgd { rate: rate * factor, momentum, weight_decay },
            Optimizer::Adam { rate, beta1, beta2 } => Optimizer::Adam { rate: rate * factor, beta1, beta2 },
        };
        let recipe = self.train.clone().with_epochs(self.local_epochs()).with_batch(self.batch(records));
        recipe.with_schedule(Schedule::Constant).with_optimizer(optimizer)
    }

    pub(super) fn check(&self) -> Result<()> {
        self.train.check()?;
        for (name, value) in [("rounds", self.rounds), ("local epochs", self.local_epochs())] {
            if value == 0 {
                return Err(Error::config(format!("{name} is 0"), "expected at least 1"));
            }
        }
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            return Err(Error::config(format!("fraction is {}", self.fraction), "expected a share above 0 and at most 1"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::config(format!("dropout is {}", self.dropout), "expected a probability from 0 up to, not including, 1"));
        }
        if !(self.server_rate > 0.0 && self.server_rate.is_finite()) {
            return Err(Error::config(format!("server_rate is {}", self.server_rate), "expected a positive number"));
        }
        let Some(privacy) = &self.client_privacy else { return Ok(()) };
        if self.train.privacy.is_some() {
            let what = "privacy of records and of clients at once";
            return Err(Error::config(what, "choose one: their neighbours differ, and one event cannot state both"));
        }
        privacy.check()
    }

    fn check_with(&self, clients: &[ClientData]) -> Result<()> {
        self.check()?;
        let Some(first) = clients.first() else {
            return Err(Error::config("0 clients", "give at least one: Partition::iid().split(&data, 10, &lab)"));
        };
        for client in clients {
            first.data().same_kind(client.data())?;
            let too_few = |privacy: &DpSgd| privacy.event(client.data().len(), self.batch(client.data().len()), 1).is_err();
            if self.train.privacy.as_ref().is_some_and(too_few) {
                let what = format!("client {} has {} records for a batch of {}", client.name(), client.data().len(), self.train.batch);
                return Err(Error::config(what, "use a smaller batch, or fewer clients"));
            }
        }
        self.train.augment.as_ref().map_or(Ok(()), |augment| augment.check(first.data().shape()))?;
        self.test.as_ref().map_or(Ok(()), |test| first.data().same_kind(test))
    }
}

/// The factor of the learning rate in `round`.
fn factor(schedule: Schedule, round: usize, rounds: usize) -> f64 {
    match schedule {
        Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * round as f64 / rounds as f64).cos()),
        Schedule::Step if 2 * round > rounds => 0.1,
        Schedule::Constant | Schedule::Step => 1.0,
    }
}
