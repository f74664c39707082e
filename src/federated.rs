//! Federated learning: clients train one network together and send weights, not records.
//!
//! With w the global weights, n_k the records of client k, and S the clients of a round, federated averaging is
//! w ← w + η_s Σ_{k ∈ S} (n_k / Σ_{j ∈ S} n_j) (w_k − w), where w_k is what client k makes of w.
//!
//! 1. A share of the clients is drawn; each of them may vanish before it answers.
//! 2. Every client of the round trains from w: one step on all its records ([`Federation::fed_sgd`]), or some epochs of mini-batches
//!    ([`Federation::fed_avg`]). Its optimiser starts anew every round; the recipe's schedule goes over the rounds.
//! 3. The server averages. A round without an answer is skipped: the model stays as it is.
//!
//! Everything happens in this process: it is a simulation of who sees what, without a network, encryption or secure aggregation.
//!
//! # Privacy
//! None by default: sending weights instead of records protects nothing by itself ([`FederatedMembership`] shows it).
//!
//! Record by record ([`Train::with_privacy`]): the local training of every client is DP-SGD, and its steps of all rounds compose. The
//! clients' records are taken to be disjoint, so the clients compose in parallel. It covers the updates, too: the server need not be
//! trusted. Sampling of clients is not counted on.
//!
//! Client by client ([`ClientPrivacy`]): the event is `rounds × Poisson(C, Gaussian(σ))` and neighbours differ by **one whole client**,
//! added or removed. It covers the global models; the server sees every update and is trusted.
//!
//! # References
//! arXiv 1602.05629 (FedSGD, FedAvg), 2003.00295 (the server's learning rate), 1710.06963 (privacy client by client).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, train::Train};
//! use freelunch::federated::{ClientData, Federation, Partition};
//! let lab = Lab::new()?.seed(1).quiet();
//! let data = Dataset::toy();
//! let clients = ClientData::each(&Partition::dirichlet(1.0).split(&data, 4, &lab)?);
//! let federation = Federation::new(Train::new(Arch::mlp()).with_batch(10), 3).fed_avg(2).with_test(&data);
//! let run = federation.run(&clients, &lab)?;
//! assert_eq!(run.rounds().len(), 3);
//! assert!(run.model().accuracy(&data)?.value() > 0.5);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod client;
mod client_privacy;
mod membership;
mod participant;
mod partition;
mod plan;
mod round;
mod run;
mod server;
mod shadows;
mod table;
#[cfg(test)]
mod tests;

pub use client::{ClientData, Held};
pub use client_privacy::ClientPrivacy;
pub use membership::{FederatedMembership, SeenBy, Statistic};
pub use participant::{Honest, Participant};
pub use partition::{Partition, Shares};
pub use run::{FederatedRun, Round};
pub use shadows::FederatedGame;
pub use table::{FederationRow, FederationTable};

use crate::train::{Model, Train};
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};

/// What a client does in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Local {
    /// One step on all its records (FedSGD).
    OneStep,
    /// So many epochs of the recipe's batches (FedAvg).
    Epochs(usize),
}

/// How much a client's answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Weighting {
    /// By its number of records, as in the paper.
    Records,
    /// All the same. Always so under [`ClientPrivacy`].
    Equal,
}

/// A federation: the local recipe, and how the rounds go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[doc(alias = "FedAvg")]
pub struct Federation {
    /// The network and the clients' recipe. Its epochs are those of [`Local`]; its schedule goes over the rounds.
    pub train: Train,
    /// Rounds, at least 1.
    pub rounds: usize,
    /// What a client does in a round.
    pub local: Local,
    /// C in (0, 1]: the share of clients that is drawn in a round, at least one of them; under [`ClientPrivacy`] the probability of each.
    pub fraction: f64,
    /// The probability that a drawn client vanishes before it answers, in [0, 1).
    pub dropout: f64,
    /// η_s, positive; 1 is plain averaging.
    pub server_rate: f64,
    /// How much a client's answer counts.
    pub weighting: Weighting,
    /// Privacy client by client; none by default.
    pub client_privacy: Option<ClientPrivacy>,
    /// Whether the models of all rounds and clients are kept, for attacks.
    pub trace: bool,
    #[serde(skip)]
    test: Option<Dataset>,
}

impl Federation {
    /// `rounds` rounds in which every client takes part and makes one epoch with `train`; plain averaging by number of records.
    #[must_use]
    pub fn new(train: Train, rounds: usize) -> Self {
        Self {
            train,
            rounds,
            local: Local::Epochs(1),
            fraction: 1.0,
            dropout: 0.0,
            server_rate: 1.0,
            weighting: Weighting::Records,
            client_privacy: None,
            trace: false,
            test: None,
        }
    }

    /// The same with one step on all records of a client in a round.
    #[must_use]
    pub fn fed_sgd(mut self) -> Self {
        self.local = Local::OneStep;
        self
    }

    /// The same with so many local epochs in a round.
    #[must_use]
    pub fn fed_avg(mut self, local_epochs: usize) -> Self {
        self.local = Local::Epochs(local_epochs);
        self
    }

    /// The same with a share of the clients in every round.
    #[must_use]
    pub fn with_fraction(mut self, fraction: f64) -> Self {
        self.fraction = fraction;
        self
    }

    /// The same with clients that vanish with this probability.
    #[must_use]
    pub fn with_dropout(mut self, rate: f64) -> Self {
        self.dropout = rate;
        self
    }

    /// The same with another learning rate of the server.
    #[must_use]
    pub fn with_server_rate(mut self, rate: f64) -> Self {
        self.server_rate = rate;
        self
    }

    /// The same with another weighting.
    #[must_use]
    pub fn with_weighting(mut self, weighting: Weighting) -> Self {
        self.weighting = weighting;
        self
    }

    /// The same with privacy client by client.
    #[must_use]
    pub fn with_client_privacy(mut self, privacy: ClientPrivacy) -> Self {
        self.client_privacy = Some(privacy);
        self
    }

    /// The same, testing the global model after every round. The test set is taken to be public.
    #[must_use]
    pub fn with_test(mut self, test: &Dataset) -> Self {
        self.test = Some(test.clone());
        self
    }

    /// The same, keeping the models of all rounds and all clients: what participants and the server see. No privacy event covers the
    /// clients' models under [`ClientPrivacy`].
    #[must_use]
    pub fn with_trace(mut self) -> Self {
        self.trace = true;
        self
    }

    /// Runs all rounds with these clients.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for parameters that cannot work, no client, or a client with fewer records than a private
    /// batch; [`Error::Mismatch`](crate::Error::Mismatch) when clients or the test set differ in shape or classes;
    /// [`Error::Diverged`](crate::Error::Diverged) when a loss or a weight is not finite; [`Error::Device`](crate::Error::Device) when the
    /// device fails.
    pub fn run(&self, clients: &[ClientData], lab: &Lab) -> Result<FederatedRun> {
        round::run(self, clients, None, lab)
    }

    /// The same with one more participant, which chooses its records anew every round, takes part in all of them and never vanishes. It
    /// trains without noise whatever the others do; the run's event is about the records of the others.
    ///
    /// # Errors
    /// As [`Federation::run`], and what the participant answers.
    pub fn run_with(&self, clients: &[ClientData], participant: &mut dyn Participant, lab: &Lab) -> Result<FederatedRun> {
        round::run(self, clients, Some(participant), lab)
    }

    /// The reference: the same recipe on all records in one place, with as many passes over them as the clients make together. The
    /// history of the model has one entry for each pass. Record-level privacy stays, client-level privacy has no meaning there.
    ///
    /// # Errors
    /// As [`Train::fit`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, federated::Federation, nn::Arch, train::Train};
    /// let federation = Federation::new(Train::new(Arch::Logistic), 4).fed_avg(3).with_fraction(0.5);
    /// assert_eq!(federation.centralised(&Dataset::toy(), &Lab::new()?.quiet())?.history().len(), 6);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn centralised(&self, data: &Dataset, lab: &Lab) -> Result<Model> {
        self.check()?;
        let passes = (self.rounds * self.local_epochs()) as f64 * self.fraction * (1.0 - self.dropout);
        let batch = if self.local == Local::OneStep { data.len() } else { self.train.batch };
        let recipe = self.train.clone().with_epochs((passes.round() as usize).max(1)).with_batch(batch);
        match &self.test {
            Some(test) => recipe.fit_watching(data, test, lab),
            None => recipe.fit(data, lab),
        }
    }
}
