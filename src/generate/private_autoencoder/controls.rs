//! Whether private records helped: a classifier on codes of the private encoder beside classifiers that never saw a private record.
//!
//! 1. For every seed an encoder learns the private records, and a part of the public records is drawn for every size.
//! 2. A classifier learns the codes of that part, and is tested on the codes of the test set; the same with each [`Control`].
//! 3. Accuracies are means over the seeds with 95 % Student intervals.
//!
//! If raw public records, random codes, principal components or an encoder trained on public records do as well, the private records added
//! nothing, whatever ε they cost.
//!
//! # Privacy
//! Every seed trains an encoder of its own, so the report's event is that of all of them after each other. To publish one encoder
//! costs less than to publish this comparison.

pub(crate) mod principal;
mod report;

pub use report::{EncoderReport, EncoderRow};

use super::PrivateAutoencoder;
use super::encoder::Encoder;
use crate::data::Split;
use crate::privacy::Event;
use crate::stats::MeanInterval;
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use principal::Principal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a classifier learned instead of the codes of the private encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Control {
    /// Codes of the encoder that learned the private records: the method itself.
    Private,
    /// The public records as they are.
    Raw,
    /// Codes of the same encoder before it learned anything.
    Random,
    /// As many principal components of the public records as the code is long.
    Principal,
    /// Codes of an encoder that learned the public records, without noise and in as many steps.
    Public,
}

impl Control {
    /// All of them, the method first.
    pub const ALL: [Self; 5] = [Self::Private, Self::Raw, Self::Random, Self::Principal, Self::Public];
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private encoder",
            Self::Raw => "raw public records",
            Self::Random => "random encoder",
            Self::Principal => "principal components",
            Self::Public => "encoder of public records",
        })
    }
}

/// The comparison: an autoencoder, a classifier, numbers of public records, seeds.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// use freelunch::generate::{Control, EncoderControls, PrivateAutoencoder};
/// let public = Split { train: Dataset::toy().declared_public(), test: Dataset::toy() };
/// let autoencoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(30);
/// let controls = EncoderControls::new(autoencoder, Train::new(Arch::Logistic).with_epochs(3)).with_sizes(&[40]).with_seeds(2);
/// let report = controls.measure(&Dataset::toy(), &public, &Lab::new()?.quiet())?;
/// assert!(report.row(Control::Raw, 40).is_some_and(|row| row.accuracy.n == 2));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EncoderControls {
    /// What is under test.
    pub autoencoder: PrivateAutoencoder,
    /// How codes are learned; the architecture must fit a table of `code` columns.
    pub recipe: Train,
    /// How raw public records are learned; the same recipe unless another is named.
    pub raw: Train,
    /// Numbers of public records, each at least 2 and at most all.
    pub sizes: Vec<usize>,
    /// Repetitions, each with another encoder, part of the public records and classifier; at least 2.
    pub seeds: usize,
}

impl EncoderControls {
    /// With 100 and 1000 public records and three seeds.
    #[must_use]
    pub fn new(autoencoder: PrivateAutoencoder, recipe: Train) -> Self {
        Self { autoencoder, raw: recipe.clone(), recipe, sizes: vec![100, 1000], seeds: 3 }
    }

    /// The same with another recipe for raw public records (a convolutional network, say).
    #[must_use]
    pub fn with_raw(mut self, recipe: Train) -> Self {
        self.raw = recipe;
        self
    }

    /// The same with other numbers of public records.
    #[must_use]
    pub fn with_sizes(mut self, sizes: &[usize]) -> Self {
        self.sizes = sizes.to_vec();
        self
    }

    /// The same with another number of repetitions.
    #[must_use]
    pub fn with_seeds(mut self, seeds: usize) -> Self {
        self.seeds = seeds;
        self
    }

    fn check(&self, private: &Dataset, public: &Split) -> Result<()> {
        private.same_kind(&public.train)?;
        private.same_kind(&public.test)?;
        if *public.train.event() != Event::NoOp {
            let what = format!("{} was not declared public", public.train.name());
            return Err(Error::config(what, "the controls learn from it without noise: if it is public, call declared_public()"));
        }
        let most = public.train.len();
        if let Some(bad) = self.sizes.iter().find(|size| !(2..=most).contains(*size)) {
            return Err(Error::config(format!("{bad} public records"), format!("expected 2 to {most}")));
        }
        if self.sizes.is_empty() || self.seeds < 2 {
            let what = format!("{} sizes and {} seeds", self.sizes.len(), self.seeds);
            return Err(Error::config(what, "expected at least 1 size, and 2 seeds for an interval"));
        }
        if self.autoencoder.code > private.features() {
            let what = format!("a code of {} for records of {} values", self.autoencoder.code, private.features());
            return Err(Error::config(what, "expected no more: there are no further principal components"));
        }
        Ok(())
    }

    /// The same encoder for public records, without noise: as many steps as the private one makes, however few the records.
    fn on_public(&self, part: &Dataset, private: usize) -> PrivateAutoencoder {
        let steps = self.autoencoder.recipe().steps(private);
        let batch = self.autoencoder.batch.min(part.len());
        let once = self.autoencoder.clone().without_privacy().with_batch(batch).with_epochs(1);
        let per_epoch = once.recipe().steps(part.len());
        once.with_epochs(steps.div_ceil(per_epoch))
    }

    /// Trains and tests everything.
    ///
    /// # Errors
    /// [`Error::Config`] for a comparison that cannot be, such as public records that were not declared so; [`Error::Mismatch`] for private
    /// and public records of different kinds; and what training answers.
    pub fn measure(&self, private: &Dataset, public: &Split, lab: &Lab) -> Result<EncoderReport> {
        self.check(private, public)?;
        self.autoencoder.event(private)?;
        let mut progress = lab.progress("encoder controls", self.seeds);
        let mut accuracies = vec![vec![]; Control::ALL.len() * self.sizes.len()];
        let mut event = Event::NoOp;
        for seed in 0..self.seeds {
            let lab = lab.child("encoder controls", seed as u64).quiet();
            let encoder = self.autoencoder.fit(private, &lab)?;
            event = event.and(encoder.event().clone());
            let random = self.autoencoder.untrained(private, &lab)?;
            for (s, &size) in self.sizes.iter().enumerate() {
                // The same order for every size: a larger part holds the smaller one.
                let part = public.train.sample(size, &lab)?;
                for (c, control) in Control::ALL.into_iter().enumerate() {
                    let made = match control {
                        Control::Private => both(&encoder, &part, &public.test)?,
                        Control::Random => both(&random, &part, &public.test)?,
                        Control::Public => both(&self.on_public(&part, private.len()).fit(&part, &lab)?, &part, &public.test)?,
                        Control::Principal => {
                            let components = Principal::fit(&part, self.autoencoder.code, &lab)?;
                            (components.apply(&part)?, components.apply(&public.test)?)
                        }
                        Control::Raw => (part.clone(), public.test.clone()),
                    };
                    let recipe = if control == Control::Raw { &self.raw } else { &self.recipe };
                    accuracies[c * self.sizes.len() + s].push(recipe.fit(&made.0, &lab)?.accuracy(&made.1)?.value());
                }
            }
            progress.step(seed + 1, "");
        }
        let mut rows = vec![];
        for (at, values) in accuracies.iter().enumerate() {
            let (control, records) = (Control::ALL[at / self.sizes.len()], self.sizes[at % self.sizes.len()]);
            rows.push(EncoderRow { control, records, accuracy: MeanInterval::new(values)? });
        }
        Ok(EncoderReport::new(self.clone(), private, public, event, rows, lab.seed_value()))
    }
}

/// Training and test codes.
fn both(encoder: &Encoder, part: &Dataset, test: &Dataset) -> Result<(Dataset, Dataset)> {
    Ok((encoder.encode(part)?, encoder.encode(test)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;
    use crate::nn::Arch;

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().seed(2).quiet()
    }

    fn public() -> Split {
        let toy = Dataset::toy();
        let (train, test): (Vec<usize>, Vec<usize>) = (0..toy.len()).partition(|i| i % 8 < 4);
        Split { train: toy.subset(&train).unwrap().declared_public(), test: toy.subset(&test).unwrap() }
    }

    fn controls() -> EncoderControls {
        let autoencoder = PrivateAutoencoder::new(6, 1.0).with_epochs(2).with_batch(20);
        EncoderControls::new(autoencoder, Train::new(Arch::Logistic).with_epochs(10)).with_sizes(&[20, 60]).with_seeds(2)
    }

    #[test]
    fn every_control_stands_at_every_size_and_the_event_counts_every_encoder() {
        let report = controls().measure(&Dataset::toy(), &public(), &lab()).unwrap();
        assert_eq!(report.rows().len(), 10);
        assert!(report.rows().iter().all(|row| row.accuracy.n == 2));
        // Pixels of bars and blobs are easier than chance, which is 0.25.
        assert!(report.row(Control::Raw, 60).unwrap().accuracy.mean > 0.5);
        assert_eq!(report.event().releases(), 2 * 12);
        assert_eq!((report.frame().height(), report.figure().to_text().contains("random encoder")), (10, true));
        assert!(report.to_markdown().contains("| principal components |"));
        assert_eq!(report, controls().measure(&Dataset::toy(), &public(), &lab()).unwrap());
    }

    #[test]
    fn the_encoder_of_public_records_makes_as_many_steps_as_the_private_one() {
        let controls = controls(); // 2 epochs of 120 / 20 steps
        for (records, batch, epochs) in [(120, 20, 2), (60, 20, 4), (10, 10, 12), (25, 20, 12)] {
            let public = Dataset::toy().subset(&(0..records).collect::<Vec<_>>()).unwrap();
            let made = controls.on_public(&public, 120);
            assert_eq!((made.batch, made.epochs, made.privacy), (batch, epochs, None), "{records}");
        }
    }

    #[test]
    fn comparisons_that_cannot_be_are_refused() {
        let message =
            |controls: EncoderControls, public: Split| controls.measure(&Dataset::toy(), &public, &lab()).unwrap_err().to_string();
        assert!(message(controls(), Split { train: Dataset::toy(), ..public() }).contains("declared_public()"));
        assert!(message(controls().with_sizes(&[61]), public()).contains("61 public records"));
        assert!(message(controls().with_sizes(&[]), public()).contains("0 sizes"));
        assert!(message(controls().with_seeds(1), public()).contains("1 seeds"));
        let other = Split { train: Dataset::toy_table().declared_public(), test: Dataset::toy_table() };
        assert!(matches!(controls().measure(&Dataset::toy(), &other, &lab()), Err(Error::Mismatch { .. })));
        let long = EncoderControls { autoencoder: PrivateAutoencoder::new(65, 1.0).with_batch(20), ..controls() };
        assert!(message(long, public()).contains("a code of 65"));
    }
}
