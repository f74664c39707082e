//! What the generator made, round by round.

use super::rounds::State;
use super::{GanAttack, GanAttackReport, Injection};
use crate::display::{Figure, ImageGrid, Plot, Show, show_inline};
use crate::stats::{Rate, log_sum_exp};
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// The images of the target class after the last round, and how the attack went.
///
/// # Example
/// ```
/// use freelunch::gan_attack::GanAttack;
/// use freelunch::prelude::*;
/// let (lab, toy) = (Lab::new()?.quiet(), Dataset::toy());
/// let model = Train::new(Arch::mlp()).with_epochs(5).fit(&toy, &lab)?;
/// let own = toy.subset(&toy.of_class(0))?;
/// let result = GanAttack::small(3).with_own(&own).invert(&model, 3, &lab)?;
/// assert_eq!(result.frame()?.height(), 3);
/// assert!(result.images().labels().iter().all(|&label| label == 3));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct GanAttackResult {
    attack: GanAttack,
    images: Dataset,
    /// The same images before the first step, in natural units.
    untrained: Vec<f32>,
    /// `[c, h, w]` of what the generator makes.
    shape: [usize; 3],
    owned: usize,
    decoded: bool,
    rounds: Vec<GanRound>,
    film: Vec<Vec<f32>>,
}

/// One round of the generator, seen by the shared model that it learned from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GanRound {
    /// The federation's number of the round.
    pub round: usize,
    /// The generator's loss at its last step: −log of the target's probability, mean over the batch.
    pub loss: f64,
    /// The shared model's probability of the target class, mean over the images that are kept, 0..1.
    pub confidence: f64,
    /// How many of these it takes for the target class.
    pub taken: Rate,
}

impl GanRound {
    pub(super) fn new(round: usize, loss: f64, logits: &[f32], images: &Dataset) -> Self {
        let (mut confidence, mut hits) = (0.0, 0);
        for (row, &label) in logits.chunks_exact(images.classes()).zip(images.labels()) {
            let row: Vec<f64> = row.iter().map(|&z| f64::from(z)).collect();
            let own = row[label as usize];
            confidence += libm::exp(own - log_sum_exp(&row));
            hits += usize::from(row.iter().all(|&z| z <= own));
        }
        Self { round, loss, confidence: confidence / images.len() as f64, taken: Rate::counted(hits, images.len()) }
    }
}

impl GanAttackResult {
    /// Frames of one film; more are thinned evenly.
    const MOST_FRAMES: usize = 12;

    pub(super) fn new(attack: &GanAttack, images: Dataset, owned: usize) -> Self {
        let State { untrained, rounds, film, .. } = attack.state.clone();
        Self { attack: attack.bare(), shape: images.shape(), images, untrained, owned, decoded: false, rounds, film }
    }

    /// The attack's parameters.
    #[must_use]
    pub fn attack(&self) -> &GanAttack {
        &self.attack
    }

    /// What the generator makes in the end, labelled as the target class.
    #[must_use]
    pub fn images(&self) -> &Dataset {
        &self.images
    }

    /// How it went, round by round.
    #[must_use]
    pub fn rounds(&self) -> &[GanRound] {
        &self.rounds
    }

    /// The images before the first step, unless others took their place.
    pub(super) fn untrained(&self) -> Option<&[f32]> {
        (!self.decoded).then_some(self.untrained.as_slice())
    }

    /// What weakens the attack as evidence: the attacker had records of the target class itself.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let class = self.images.class_names().get(self.attack.target).map_or("", String::as_str);
        (self.owned > 0).then(|| format!("the attacker owned {} records of the target class {class}: they may be what is seen", self.owned))
    }

    /// The same result with `images` in place of what was made, one for one: where participants share codes, what a decoder makes of
    /// them. The film still shows the codes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when there are more or fewer of them.
    pub fn decoded(&self, images: &Dataset) -> Result<Self> {
        if images.len() != self.images.len() {
            let what = format!("{} decoded images of {} codes", images.len(), self.images.len());
            return Err(Error::mismatch(what, "decode result.images()"));
        }
        Ok(Self { images: images.clone(), decoded: true, ..self.clone() })
    }

    /// Asks `evaluator`, a model that took no part (trained on other records), and compares with the `victim`'s records of the class and
    /// with `held_out` ones from the same population that no participant has.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for records of another shape than the images (of codes: decode them first), [`Error::Config`] for a class that the
    /// sets do not know, [`Error::Data`] for sets without a record of the class.
    pub fn judge(&self, evaluator: &Model, victim: &Dataset, held_out: &Dataset, lab: &Lab) -> Result<GanAttackReport> {
        GanAttackReport::measure(self, evaluator, victim, held_out, lab)
    }

    /// The first images after each round, at most 12 rounds; what is no image is one line of values, in shares of its range.
    #[must_use]
    pub fn film(&self) -> ImageGrid {
        let features = self.shape.iter().product();
        let [c, h, w] = self.shape;
        let shape = if matches!(c, 1 | 3) && h * w > 1 { self.shape } else { [1, 1, features] };
        let last = self.film.len().saturating_sub(1);
        let stride = self.film.len().div_ceil(Self::MOST_FRAMES).max(1);
        let shown = self.rounds.iter().zip(&self.film).enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
        let row = |(_, (round, frame)): (usize, (&GanRound, &Vec<f32>))| {
            (format!("round {}", round.round), frame.chunks_exact(features).map(<[f32]>::to_vec).collect())
        };
        ImageGrid::new(shown.map(row).collect(), shape)
    }

    /// The rounds as a polars table.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let numbers = |name: &str, value: &dyn Fn(&GanRound) -> f64| -> Column {
            Column::new(name.into(), self.rounds.iter().map(value).collect::<Vec<f64>>())
        };
        let columns = vec![
            numbers("round", &|round| round.round as f64),
            numbers("loss", &|round| round.loss),
            numbers("confidence", &|round| round.confidence),
            numbers("taken_for_target", &|round| round.taken.value()),
            numbers("taken_for_target_low", &|round| round.taken.low),
            numbers("taken_for_target_high", &|round| round.taken.high),
        ];
        DataFrame::new(self.rounds.len(), columns).map_err(|e| Error::table("GAN attack", e))
    }

    /// Writes `gan_attack.csv`, `gan_attack.svg`, `gan_attack.png`, `gan_attack.html` and `gan_attack.json` into a folder, which is made if
    /// needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "gan_attack", "gan_attack.json", self.frame()?, self, &self.figure())
    }

    fn caption(&self) -> String {
        let sent = match self.attack.injection {
            Injection::None => "nothing injected".to_string(),
            Injection::FakeClass => format!("{} images injected a round as an artificial class", self.attack.injected),
            Injection::Label(class) => format!("{} images injected a round as class {class}", self.attack.injected),
        };
        let warning = self.warning().map_or_else(String::new, |text| format!(" Warning: {text}."));
        let seed = self.images.origin().seed;
        format!(
            "{} images of {} rounds, {sent}; seed {seed}. What the shared model takes for the class need not look like it.{warning}",
            self.images.len(),
            self.rounds.len()
        )
    }
}

impl Show for GanAttackResult {
    fn figure(&self) -> Figure {
        let points =
            |value: &dyn Fn(&GanRound) -> f64| -> Vec<(f64, f64)> { self.rounds.iter().map(|r| (r.round as f64, value(r))).collect() };
        let band: Vec<(f64, f64, f64)> = self.rounds.iter().map(|r| (r.round as f64, 100.0 * r.taken.low, 100.0 * r.taken.high)).collect();
        let name = "taken for the class";
        let plot = Plot::new("What the shared model says")
            .x_label("round")
            .y_label("%")
            .y_range(0.0, 100.0)
            .band(name, &band)
            .line(name, &points(&|r| 100.0 * r.taken.value()))
            .line("probability of the class", &points(&|r| 100.0 * r.confidence))
            .caption("Shaded: 95 % Clopper-Pearson over images of one generator, which resemble each other.");
        let film = if self.decoded { self.film().titled("The codes") } else { self.film() };
        let class = self.images.class_names().get(self.attack.target).map_or("", String::as_str);
        Figure::column([film.figure(), plot.figure()]).titled(&format!("GAN attack on class {class}")).captioned(&self.caption())
    }
}

show_inline!(GanAttackResult);

impl fmt::Debug for GanAttackResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GanAttackResult({} images after {} rounds, {:?})", self.images.len(), self.rounds.len(), self.attack.injection)
    }
}
