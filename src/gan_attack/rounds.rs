//! The rounds of the attack: what the attacker sees, learns and sends.

use super::generator::{Discriminator, Units, layers, noise, records, train};
use super::{GanAttack, GanAttackResult, GanRound, Injection};
use crate::data::Origin;
use crate::device::guarded;
use crate::federated::Participant;
use crate::nn::Net;
use crate::privacy::Event;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use std::time::Instant;

/// What the attacker has after some rounds.
#[derive(Clone, Default)]
pub(super) struct State {
    /// Of the generator.
    weights: Vec<Vec<f32>>,
    /// z of the images that are kept.
    z: Vec<f32>,
    /// Their values before the first step, in natural units.
    pub(super) untrained: Vec<f32>,
    /// The same after the last round.
    x: Vec<f32>,
    pub(super) rounds: Vec<GanRound>,
    /// The first images after each round, between 0 and 1.
    pub(super) film: Vec<Vec<f32>>,
    event: Option<Event>,
    seed: u64,
    seconds: f64,
}

impl GanAttack {
    /// Images of one frame of the film.
    const FRAME: usize = 8;

    /// One round of the generator against `global`. Nothing changes when it fails.
    fn advance(&mut self, round: usize, global: &Model, lab: &Lab) -> Result<()> {
        let start = Instant::now();
        let own = self.check()?;
        let (units, device) = (Units::of(own), lab.device());
        let mut state = self.state.clone();
        let x = guarded(device, || {
            let discriminator = Discriminator::new(global, own, &units, self.target, round, device)?;
            if state.weights.is_empty() {
                let fresh = Net::new(layers(self, own.shape()), &mut lab.rng("gan attack weights", 0), &device.open()?);
                state.weights = fresh.host_weights()?;
                state.z = noise(self, self.samples, &mut lab.rng("gan attack kept", 0));
                state.untrained = records(self, &state.weights, &state.z, own, &units, device)?;
                state.seed = lab.seed_value();
            }
            let (weights, loss) = train(self, &state.weights, own.shape(), &discriminator, round, lab)?;
            let x = records(self, &weights, &state.z, own, &units, device)?;
            let images = own.synthetic(x.clone(), vec![self.target as u32; self.samples], Origin::real("GAN attack"))?;
            state.rounds.push(GanRound::new(round, loss, &global.logits(&images)?, &images));
            state.weights = weights;
            Ok(x)
        })?;
        state.film.push(units.shares(&x[..x.len().min(Self::FRAME * own.features())]));
        state.x = x;
        state.event = Some(global.event().clone());
        state.seconds += start.elapsed().as_secs_f64();
        self.state = state;
        Ok(())
    }

    /// The attacker's own records and, under the wrong label, fresh images of the generator.
    fn poisoned(&self, round: usize, lab: &Lab) -> Result<Dataset> {
        let own = self.check()?;
        let label = match self.injection {
            Injection::None => return Ok(own.clone()),
            Injection::FakeClass => own.classes() - 1,
            Injection::Label(class) => class,
        };
        let z = noise(self, self.injected, &mut lab.rng("gan attack injected", round as u64));
        let made = records(self, &self.state.weights, &z, own, &Units::of(own), lab.device())?;
        let labels = [own.labels(), &vec![label as u32; self.injected]].concat();
        let seen = self.state.event.clone().unwrap_or(Event::NoOp);
        let origin = self.origin(own.event().clone().and(seen));
        Ok(own.synthetic([own.x(), &made].concat(), labels, origin)?.named(&format!("{} and injected images", own.name())))
    }

    /// The parameters alone.
    pub(super) fn bare(&self) -> Self {
        Self { own: None, state: State::default(), ..self.clone() }
    }

    fn origin(&self, event: Event) -> Origin {
        let trace = self.state.rounds.iter().map(|round| (round.round, round.loss)).collect();
        let (seed, seconds) = (self.state.seed, self.state.seconds);
        Origin { config: serde_json::json!(self), seed, event, trace, seconds, ..Origin::real("GAN attack") }
    }

    /// What the generator makes after the rounds so far.
    ///
    /// # Errors
    /// [`Error::Config`] before the first round.
    pub fn result(&self) -> Result<GanAttackResult> {
        let own = self.check()?;
        let Some(event) = &self.state.event else {
            return Err(Error::config("a GAN attack of 0 rounds", "hand it to a federation, or call invert(&model, rounds, &lab)"));
        };
        let labels = vec![self.target as u32; self.samples];
        let images = own.synthetic(self.state.x.clone(), labels, self.origin(event.clone()))?.named("images of the GAN attack");
        let owned = own.of_class(self.target).len();
        Ok(GanAttackResult::new(self, images, owned))
    }

    /// The control: the same generator against one finished model for some rounds, nothing injected, beginning anew. What it finds needed
    /// no participant in the training (model inversion with a generator).
    ///
    /// # Errors
    /// As [`Participant::local_data`]; [`Error::Config`] when `rounds` is 0.
    pub fn invert(&self, model: &Model, rounds: usize, lab: &Lab) -> Result<GanAttackResult> {
        let mut alone = Self { own: self.own.clone(), ..self.bare() }.with_injection(Injection::None);
        let (deadline, mut progress) = (lab.deadline(), lab.progress("invert", rounds));
        for round in 0..rounds {
            alone.advance(round, model, lab)?;
            progress.step(round + 1, "");
            if deadline.is_some_and(|deadline| Instant::now() > deadline) {
                break;
            }
        }
        alone.result()
    }
}

impl Participant for GanAttack {
    fn name(&self) -> String {
        match self.injection {
            Injection::None => "GAN attack, passive".into(),
            _ => "GAN attack".into(),
        }
    }

    /// # Errors
    /// [`Error::Config`] for an attack that cannot be, such as a target that does not exist; [`Error::Mismatch`] for a model of other records
    /// than the attacker's own; [`Error::Diverged`] for a model with weights that are not finite, or a generator that gets such.
    fn local_data(&mut self, round: usize, global: &Model, lab: &Lab) -> Result<Dataset> {
        let before = self.state.clone();
        self.advance(round, global, lab)?;
        self.poisoned(round, lab).inspect_err(|_| self.state = before)
    }
}
