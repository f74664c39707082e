//! The membership game for federations: the whole federation is rerun for every shadow, so that all attacks on signals apply.
//!
//! 1. For every record draw the half of the runs in which it is a member.
//! 2. In every run the members are spread over the clients anew, the federation runs, and the logits of all records under the last global
//!    model are kept.
//!
//! The attacker sees the last global model and knows which records to ask about, but not whose they are.
//!
//! # Privacy
//! None: this is an attack's experiment. Its runs are no releases.
//!
//! # References
//! arXiv 2112.03570 (balanced membership, LiRA).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, train::Train};
//! use freelunch::attack::{Attack, LikelihoodRatio};
//! use freelunch::federated::{FederatedGame, Federation, Partition};
//! let lab = Lab::new()?.seed(1).quiet();
//! let federation = Federation::new(Train::new(Arch::Logistic).with_batch(10), 2);
//! let signals = FederatedGame::new(4, 3).play(&federation, &Partition::iid(), &Dataset::toy(), &lab)?;
//! assert_eq!(LikelihoodRatio::online().roc(&signals)?.members(), 2 * 120);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{ClientData, Federation, Partition};
use crate::attack::{Manifest, Signals, manifest::Run};
use crate::privacy::{Event, worse};
use crate::{Dataset, Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// How many shadow federations to run, and with how many clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederatedGame {
    /// Runs, an even number of at least 2.
    pub shadows: usize,
    /// Clients of each, at least 1.
    pub clients: usize,
}

impl FederatedGame {
    /// A game of `shadows` federations of `clients` clients.
    #[must_use]
    pub fn new(shadows: usize, clients: usize) -> Self {
        Self { shadows, clients }
    }

    /// Plays the game on a pool of records. A time budget ends it after the run under way.
    ///
    /// # Errors
    /// [`Error::Config`] for an odd or zero number of runs, or a budget that leaves fewer than two; and what [`Partition::split`] and
    /// [`Federation::run`] answer.
    pub fn play(&self, federation: &Federation, partition: &Partition, pool: &Dataset, lab: &Lab) -> Result<Signals> {
        if self.shadows < 2 || !self.shadows.is_multiple_of(2) {
            return Err(Error::config(format!("shadows is {}", self.shadows), "expected an even number of at least 2"));
        }
        let (start, deadline, n) = (Instant::now(), lab.deadline(), pool.len());
        let member = self.membership(n, lab);
        let federation = Federation { trace: false, ..federation.clone() };
        let (mut logits, mut membership, mut runs, mut event) = (vec![], vec![], vec![], Event::NoOp);
        let mut progress = lab.progress("shadow federations", self.shadows);
        for (m, member) in member.chunks(n).enumerate() {
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                break;
            }
            let (began, lab) = (Instant::now(), lab.simulation("shadow federation", m as u64).quiet().unlimited());
            let members: Vec<usize> = (0..n).filter(|&i| member[i]).collect();
            let parts = partition.split(&pool.subset(&members)?, self.clients, &lab)?;
            let run = federation.run(&ClientData::each(&parts), &lab);
            if lab.is_cancelled() {
                break; // it may have been cut short
            }
            let run = run?;
            logits.extend(run.model().logits(pool)?);
            membership.extend_from_slice(member);
            event = worse(event, run.event().clone())?;
            let test_accuracy = run.rounds().last().and_then(|round| round.test_accuracy).map(|rate| rate.value());
            runs.push(Run { seed: lab.seed_value(), test_accuracy, seconds: began.elapsed().as_secs_f64() });
            progress.step(m + 1, "");
        }
        if runs.len() < 2 {
            let what = format!("{} of {} runs were played before the time budget was spent", runs.len(), self.shadows);
            return Err(Error::config(what, "give the lab more time"));
        }
        let config = serde_json::json!({ "federation": federation, "partition": partition });
        let manifest = Manifest {
            name: format!("federation of {}, {}", self.clients, partition.name()),
            game: serde_json::json!(self),
            planned: self.shadows,
            event,
            seconds: start.elapsed().as_secs_f64(),
            ..Manifest::new(config, lab.seed_value(), &pool.digest())
        };
        let shape = [runs.len(), n, 1, pool.classes()];
        Signals::new(logits, shape, membership, pool.labels().to_vec(), Manifest { runs, ..manifest })
    }

    /// `[shadows, n]`: a record is a member of the half of the runs that come first in its own random order.
    fn membership(&self, n: usize, lab: &Lab) -> Vec<bool> {
        let mut member = vec![false; self.shadows * n];
        let mut rng = lab.rng("membership", 0);
        let mut order: Vec<usize> = (0..self.shadows).collect();
        for i in 0..n {
            order.shuffle(&mut rng);
            order.iter().take(self.shadows / 2).for_each(|&m| member[m * n + i] = true);
        }
        member
    }
}
