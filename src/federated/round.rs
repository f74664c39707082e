//! The rounds of a federation: who takes part, what they answer, how the server averages.

use super::client::{alike, union};
use super::client_privacy::Mechanism;
use super::run::{FederatedRun, Round, Seen, Summary};
use super::server::{self, Answer};
use super::{ClientData, Federation, Participant};
use crate::device::guarded;
use crate::nn::{Layer, Net};
use crate::privacy::{Event, Reserved};
use crate::train::model::Epoch;
use crate::train::{Model, Train};
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use std::time::Instant;

/// All rounds, with one more participant or without.
pub(super) fn run<'a>(
    federation: &'a Federation,
    clients: &[ClientData],
    participant: Option<&'a mut dyn Participant>,
    lab: &'a Lab,
) -> Result<FederatedRun> {
    let planned = federation.event(clients)?;
    let data = alike(federation, clients)?;
    // A ledger guards records that nothing protects yet.
    let unprotected = data.iter().find(|client| client.event().is_non_private()).or(data.first());
    let Some(unprotected) = unprotected else { return Err(Error::config("0 clients", "give at least one")) };
    let reserved = Reserved::new(lab, &label(federation, clients.len()), unprotected, &planned)?;
    guarded(lab.device(), || {
        let mut running = Running::new(federation, clients, data, participant, lab)?;
        let (deadline, mut progress) = (lab.deadline(), lab.progress("federated rounds", federation.rounds));
        for round in 0..federation.rounds {
            running.round(round)?;
            progress.step(round + 1, "");
            // What is left undone shows in the history.
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                break;
            }
        }
        reserved.settle(&running.event()?)?;
        running.finish(clients)
    })
}

fn label(federation: &Federation, clients: usize) -> String {
    let unit = if federation.client_privacy.is_some() { ", neighbours differ by one client" } else { "" };
    format!("federation of {clients} clients{unit}")
}

/// A federation at work.
struct Running<'a> {
    federation: &'a Federation,
    participant: Option<&'a mut dyn Participant>,
    data: Vec<Dataset>,
    /// All records in one set: what the model says it was trained on.
    all: Dataset,
    layers: Vec<Layer>,
    lab: &'a Lab,
    /// Begins the names of all streams of noise.
    stream: String,
    global: Vec<Vec<f32>>,
    mechanism: Option<Mechanism>,
    /// Private steps of each client so far.
    steps: Vec<usize>,
    rounds: Vec<Round>,
    seen: Option<Seen>,
}

impl<'a> Running<'a> {
    fn new(
        federation: &'a Federation,
        clients: &[ClientData],
        data: Vec<Dataset>,
        participant: Option<&'a mut dyn Participant>,
        lab: &'a Lab,
    ) -> Result<Self> {
        let all = union(&data, &label(federation, clients.len()))?;
        let layers = federation.train.arch.layers(all.shape(), all.classes())?;
        let net = Net::new(layers.clone(), &mut lab.rng("weights", 0), &lab.open()?);
        // Keeping models changes no result.
        let stream = format!("federation {}", serde_json::json!(Federation { trace: false, ..federation.clone() }));
        let mechanism = federation.client_privacy.map(|privacy| Mechanism::new(privacy, data.len(), federation.fraction, lab, &stream));
        let mut running = Self {
            federation,
            participant,
            steps: vec![0; data.len()],
            data,
            all,
            layers,
            lab,
            stream,
            global: net.host_weights()?,
            mechanism,
            rounds: vec![],
            seen: None,
        };
        if federation.trace {
            running.seen = Some(Seen { globals: vec![running.model()?], locals: vec![] });
        }
        Ok(running)
    }

    fn round(&mut self, round: usize) -> Result<()> {
        let (drawn, answering) = self.draw(round);
        let before = self.model()?;
        let mut answers = vec![];
        for &client in &answering {
            let data = &self.data[client];
            let (weights, loss, steps) = self.train(&self.federation.recipe(round, data.len()), data, client, round)?;
            self.steps[client] += steps;
            answers.push(Answer { client, records: data.len(), weights, loss });
        }
        if let Some(participant) = self.participant.as_mut() {
            let data = participant.local_data(round, &before, &self.lab.child("participant", round as u64))?;
            self.all.same_kind(&data)?;
            let data = data.with_normalization(self.all.normalization().clone());
            let recipe = Train { privacy: None, ..self.federation.recipe(round, data.len()) };
            let (weights, loss, _) = self.train(&recipe, &data, self.data.len(), round)?;
            answers.push(Answer { client: self.data.len(), records: data.len(), weights, loss });
        }
        let participants = usize::from(self.participant.is_some());
        server::average(self.federation, &mut self.global, &answers, self.mechanism.as_mut(), self.data.len(), participants);
        let finite = self.global.iter().flatten().copied().find(|value| !value.is_finite());
        if let Some(value) = finite {
            return Err(Error::Diverged { what: "a weight of the global model".into(), step: round, value: f64::from(value) });
        }
        self.record(round, &drawn, &answers)?;
        let after = self.model()?;
        if let Some(participant) = self.participant.as_mut() {
            participant.observe(round, &after, &self.lab.child("participant observes", round as u64))?;
        }
        if self.seen.is_some() {
            let mut locals = vec![];
            for answer in answers {
                locals.push((answer.client, self.model_of(&answer.weights)?));
            }
            if let Some(seen) = &mut self.seen {
                seen.globals.push(after);
                seen.locals.push(locals);
            }
        }
        Ok(())
    }

    /// The clients that are drawn, and those of them that answer.
    fn draw(&mut self, round: usize) -> (Vec<usize>, Vec<usize>) {
        let clients = self.data.len();
        let drawn = match &mut self.mechanism {
            Some(mechanism) => mechanism.sample(),
            None => {
                let mut order: Vec<usize> = (0..clients).collect();
                order.shuffle(&mut self.lab.rng("clients of the round", round as u64));
                order.truncate(((self.federation.fraction * clients as f64).round() as usize).max(1));
                order.sort_unstable();
                order
            }
        };
        let mut rng = self.lab.rng("clients that vanish", round as u64);
        // One number for every client, so that who vanishes does not depend on who was drawn.
        let stays: Vec<bool> = (0..clients).map(|_| rng.random::<f64>() >= self.federation.dropout).collect();
        let answering = drawn.iter().copied().filter(|&client| stays[client]).collect();
        (drawn, answering)
    }

    /// The weights after local training, its mean loss in the last epoch, and the private steps that were made.
    fn train(&self, recipe: &Train, data: &Dataset, client: usize, round: usize) -> Result<(Vec<Vec<f32>>, Option<f64>, usize)> {
        let mut net = Net::with_weights(self.layers.clone(), &self.global, &self.lab.open()?)?;
        let (mut loss, mut steps) = (None, 0);
        match &recipe.privacy {
            None => {
                let lab = self.lab.child(&format!("client {client}"), round as u64);
                recipe.epochs(&mut net, data, &lab, |_, of_epoch, _| {
                    loss = Some(of_epoch);
                    Ok(true)
                })?;
            }
            Some(privacy) => {
                let lab = self.lab.child(&format!("{} client {client}", self.stream), round as u64);
                steps = recipe.private_epochs(privacy, &mut net, data, &lab, |_, _| Ok(true))?.releases() as usize;
            }
        }
        Ok((net.host_weights()?, loss, steps))
    }

    fn record(&mut self, round: usize, drawn: &[usize], answers: &[Answer]) -> Result<()> {
        let secret = self.mechanism.is_some();
        let (mut test_accuracy, mut test_loss) = (None, None);
        if let Some(test) = &self.federation.test {
            let model = self.model()?;
            test_accuracy = Some(model.accuracy(test)?);
            test_loss = Some(super::membership::losses(&model, test)?.iter().sum::<f64>() / test.len() as f64);
        }
        let total: usize = answers.iter().map(|answer| answer.records).sum();
        let losses: Option<Vec<f64>> = answers.iter().map(|answer| answer.loss.map(|loss| loss * answer.records as f64)).collect();
        let training_loss = losses.filter(|_| !secret && total > 0).map(|losses| losses.iter().sum::<f64>() / total as f64);
        let answered: Vec<usize> = answers.iter().map(|answer| answer.client).collect();
        let vanished = drawn.iter().copied().filter(|client| !answered.contains(client)).collect();
        let (answered, vanished) = if secret { (vec![], vec![]) } else { (answered, vanished) };
        self.rounds.push(Round { round: round + 1, test_accuracy, test_loss, training_loss, answered, vanished });
        Ok(())
    }

    fn event(&self) -> Result<Event> {
        let released = self.mechanism.as_ref().map_or(0, |mechanism| mechanism.released);
        self.federation.event_of(&self.data.iter().collect::<Vec<_>>(), &self.steps, released)
    }

    fn model(&self) -> Result<Model> {
        self.model_of(&self.global)
    }

    fn model_of(&self, weights: &[Vec<f32>]) -> Result<Model> {
        let epoch = |r: &Round| Epoch { epoch: r.round, loss: r.training_loss, test_accuracy: r.test_accuracy.map(|rate| rate.value()) };
        let history = self.rounds.iter().map(epoch).collect();
        let net = Net::with_weights(self.layers.clone(), weights, &self.lab.open()?)?;
        Model::new(self.federation.train.clone(), &self.all, self.event()?, &net, history, self.lab)
    }

    fn finish(self, clients: &[ClientData]) -> Result<FederatedRun> {
        let summary = Summary {
            federation: self.federation.clone(),
            clients: clients.iter().map(|client| client.name().to_string()).collect(),
            held: clients.iter().map(|client| client.held().clone()).collect(),
            records: self.data.iter().map(Dataset::len).collect(),
            participant: self.participant.as_ref().map(|participant| participant.name()),
            rounds: self.rounds.clone(),
            event: self.event()?,
            seed: self.lab.seed_value(),
        };
        Ok(FederatedRun { model: self.model()?, summary, seen: self.seen })
    }
}
