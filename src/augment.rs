//! Differentiable siamese augmentation: random changes of an image that keep its class, each affine in the image, so that the
//! gradient in the changed image goes back to the image exactly.
//!
//! y = A x + b with A and b from one random draw; a loss of y with gradient g in y has the gradient Aᵀ g in x. Images are
//! normalised, so what comes in from outside of the image is 0, the mean of the training set.
//!
//! | operation | output, with u uniform in [0, 1), new for each use, and s the strength |
//! |---|---|
//! | color, brightness | x + s (u − ½) |
//! | color, saturation | (x − m) max(0, 1 + s (2 u − 1)) + m, m the mean over channels at each pixel |
//! | color, contrast | (x − m) max(0, 1 + s (u − ½)) + m, m the mean of the image |
//! | crop | out\[i, j\] = in\[i + dy, j + dx\], dy and dx uniform in −k .. k, k = ⌊s · side / 8 + ½⌋ |
//! | cutout | a rectangle of ⌊min(s / 2, 1) · side + ½⌋ pixels a side becomes 0; its centre is uniform |
//! | flip | left and right change places if u < ½, whatever the strength |
//! | scale | coordinates from −1 to 1 times factors uniform in \[1 / r, r\], r = 1 + s / 5, one for each side; bilinear |
//! | rotate | coordinates turned by uniform −15 s .. 15 s degrees; bilinear |
//!
//! 1. Draw one operation (or take all of them, in the order of the table) and its parameters.
//! 2. Real and synthetic batch get the same draw ([`Pairing::Siamese`]), or every record its own.
//! 3. Carry the gradient in the changed synthetic records back with the transpose.
//!
//! # Privacy
//! None by itself: what was augmented can still be recognised. The draws do not depend on the data.
//!
//! # References
//! Zhao and Bilen, "Dataset Condensation with Differentiable Siamese Augmentation", arXiv 2102.08259; ranges as in the authors' code,
//! whose values at strength 1 these are.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, augment::{Augment, Operation}};
//! let augment = Augment::dsa().with_operations(&[Operation::Crop, Operation::Rotate]);
//! let changed = augment.augment(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(changed.labels(), Dataset::toy().labels());
//! # Ok::<(), freelunch::Error>(())
//! ```

mod draw;
mod parameters;
mod step;
#[cfg(test)]
mod tests;
mod warp;

pub(crate) use draw::{Draw, Draws};

use crate::data::whitening::with_values;
use crate::display::ImageGrid;
use crate::lab::Rng;
use crate::{Dataset, Error, Lab, Result};
use parameters::Parameters;
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

/// One of the six operations; the module's table defines them.
///
/// # Example
/// ```
/// use freelunch::augment::Operation;
/// assert_eq!(Operation::ALL.map(Operation::name), ["color", "crop", "cutout", "flip", "scale", "rotate"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Brightness, saturation and contrast, one after the other.
    Color,
    /// A shift by whole pixels.
    Crop,
    /// A rectangle set to the mean.
    Cutout,
    /// Left and right exchanged.
    Flip,
    /// Larger or smaller, each side on its own.
    Scale,
    /// Turned around the middle.
    Rotate,
}

impl Operation {
    /// All of them, in the order in which [`Choice::All`] applies them.
    pub const ALL: [Self; 6] = [Self::Color, Self::Crop, Self::Cutout, Self::Flip, Self::Scale, Self::Rotate];

    /// The name in tables and in the literature's strategies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Crop => "crop",
            Self::Cutout => "cutout",
            Self::Flip => "flip",
            Self::Scale => "scale",
            Self::Rotate => "rotate",
        }
    }
}

/// Which records share a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pairing {
    /// One draw for the whole batch, the same for real and synthetic records.
    Siamese,
    /// New parameters for every record; with [`Choice::One`] the operation is still drawn once a batch, as in the authors' code.
    Independent,
}

/// How many operations a draw applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Choice {
    /// One, drawn at random: the literature's choice for condensation.
    One,
    /// All, in the order of [`Operation::ALL`].
    All,
}

/// A random augmentation.
///
/// # Example
/// ```
/// use freelunch::augment::{Augment, Choice};
/// let strong = Augment::dsa().with_choice(Choice::All).with_strength(2.0);
/// assert_eq!(strong.operations.len(), 6);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "DSA")]
pub struct Augment {
    /// What may be drawn, each operation once; all six in the paper, without flip for digits.
    pub operations: Vec<Operation>,
    /// One operation at a time (the paper) or all in turn.
    pub choice: Choice,
    /// One draw for the batch (the paper) or one per record.
    pub pairing: Pairing,
    /// The factor s of every range but flip's, 0 to 10; 1 in the paper.
    pub strength: f64,
}

impl Augment {
    const GALLERY: usize = 8;

    /// The paper's: one of six operations at a time, the same for the whole batch.
    #[must_use]
    pub fn dsa() -> Self {
        Self { operations: Operation::ALL.to_vec(), choice: Choice::One, pairing: Pairing::Siamese, strength: 1.0 }
    }

    /// The paper's for MNIST and SVHN: without flip, because a mirrored digit is none.
    #[must_use]
    pub fn digits() -> Self {
        Self { operations: Operation::ALL.into_iter().filter(|&operation| operation != Operation::Flip).collect(), ..Self::dsa() }
    }

    /// The same with other operations.
    #[must_use]
    pub fn with_operations(mut self, operations: &[Operation]) -> Self {
        self.operations = operations.to_vec();
        self
    }

    /// The same with one or with all operations in a draw.
    #[must_use]
    pub fn with_choice(mut self, choice: Choice) -> Self {
        self.choice = choice;
        self
    }

    /// The same with one draw for all records, or one for each.
    #[must_use]
    pub fn with_pairing(mut self, pairing: Pairing) -> Self {
        self.pairing = pairing;
        self
    }

    /// The same with another strength.
    #[must_use]
    pub fn with_strength(mut self, strength: f64) -> Self {
        self.strength = strength;
        self
    }

    /// Whether records of `shape` can be augmented so.
    ///
    /// # Errors
    /// [`Error::Config`] for a table, for no operation or one named twice, and for a strength that is not within 0 to 10.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, augment::Augment};
    /// assert!(Augment::dsa().check(Dataset::toy().shape()).is_ok());
    /// assert!(Augment::dsa().check(Dataset::toy_table().shape()).is_err());
    /// ```
    pub fn check(&self, shape: [usize; 3]) -> Result<()> {
        if self.operations.is_empty() {
            return Err(Error::config("augmentation of 0 operations", "name at least one operation, or leave the augmentation out"));
        }
        if let Some((_, twice)) = self.operations.iter().enumerate().find(|(i, operation)| self.operations[..*i].contains(operation)) {
            return Err(Error::config(format!("operation {} named twice", twice.name()), "name each operation once"));
        }
        if !(0.0..=10.0).contains(&self.strength) {
            return Err(Error::config(format!("strength is {}", self.strength), "expected 0 to 10; 1 is the paper's"));
        }
        if shape[1] * shape[2] <= 1 {
            let what = format!("augmentation of a table (records of shape {shape:?})");
            return Err(Error::config(what, "its operations are for images: leave the augmentation out"));
        }
        Ok(())
    }

    /// An augmented copy of a set, to look at or to train on: same labels, normalisation and origin.
    ///
    /// # Errors
    /// As [`Augment::check`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, augment::{Augment, Pairing}};
    /// let toy = Dataset::toy();
    /// let changed = Augment::dsa().with_pairing(Pairing::Independent).augment(&toy, &Lab::new()?)?;
    /// assert_ne!(changed.x(), toy.x());
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn augment(&self, data: &Dataset, lab: &Lab) -> Result<Dataset> {
        self.check(data.shape())?;
        let draws = self.draws(data.shape(), data.len(), &mut lab.rng("augment", 0));
        let x = data.normalization().undo(&draws.apply(&data.normalized()), data.shape());
        Ok(with_values(data, x)?.named(&format!("{}, augmented", data.name())))
    }

    /// What the operations do: a row of records as they are, then a row for each operation with a draw of its own for every
    /// record, and with [`Choice::All`] a row of all in turn.
    ///
    /// # Errors
    /// As [`Augment::check`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, augment::Augment, display::Show};
    /// let gallery = Augment::digits().gallery(&Dataset::toy(), &Lab::new()?)?;
    /// assert!(gallery.figure().to_html().contains("rotate"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn gallery(&self, data: &Dataset, lab: &Lab) -> Result<ImageGrid> {
        self.check(data.shape())?;
        let shape = data.shape();
        let records = data.subset(&one_class_after_the_other(data, Self::GALLERY))?;
        let x = records.normalized();
        let images =
            |x: &[f32]| -> Vec<Vec<f32>> { data.normalization().undo(x, shape).chunks(data.features()).map(<[f32]>::to_vec).collect() };
        let mut shown: Vec<(String, Vec<Operation>)> = self.in_order().into_iter().map(|o| (o.name().to_string(), vec![o])).collect();
        if self.choice == Choice::All && shown.len() > 1 {
            shown.push(("all in turn".to_string(), self.in_order()));
        }
        let mut rows = vec![("as it is".to_string(), images(&x))];
        let mut rng = lab.rng("gallery", 0);
        for (name, operations) in shown {
            let draws = Draws::new((0..records.len()).map(|_| self.draw_of(&operations, shape, &mut rng)).collect());
            rows.push((name, images(&draws.apply(&x))));
        }
        let caption = format!("A new draw for every image, strength {}. Outside of an image is the mean of the set.", self.strength);
        Ok(ImageGrid::new(rows, shape).titled("Augmentation").captioned(&caption))
    }

    /// One draw.
    pub(crate) fn draw(&self, shape: [usize; 3], rng: &mut Rng) -> Draw {
        let operations = self.chosen(rng);
        self.draw_of(&operations, shape, rng)
    }

    /// What one step does to a batch of `records`: one draw for all or one for each, as [`Augment::pairing`] says.
    pub(crate) fn draws(&self, shape: [usize; 3], records: usize, rng: &mut Rng) -> Draws {
        let operations = self.chosen(rng);
        self.draws_of(&operations, shape, records, rng)
    }

    /// What one step does to two batches that are compared, of `records[0]` and `records[1]`: siamese draws are the same for both.
    pub(crate) fn pair(&self, shape: [usize; 3], records: [usize; 2], rng: &mut Rng) -> [Draws; 2] {
        let operations = self.chosen(rng);
        let first = self.draws_of(&operations, shape, records[0], rng);
        let second = match self.pairing {
            Pairing::Siamese => first.clone(),
            Pairing::Independent => self.draws_of(&operations, shape, records[1], rng),
        };
        [first, second]
    }

    fn draws_of(&self, operations: &[Operation], shape: [usize; 3], records: usize, rng: &mut Rng) -> Draws {
        let count = match self.pairing {
            Pairing::Siamese => 1,
            Pairing::Independent => records,
        };
        Draws::new((0..count).map(|_| self.draw_of(operations, shape, rng)).collect())
    }

    fn draw_of(&self, operations: &[Operation], shape: [usize; 3], rng: &mut Rng) -> Draw {
        Draw::new(operations.iter().map(|&operation| Parameters::draw(operation, self.strength, shape, rng)).collect(), shape)
    }

    /// The operations of one draw.
    fn chosen(&self, rng: &mut Rng) -> Vec<Operation> {
        let mut operations = self.in_order();
        if self.choice == Choice::One && operations.len() > 1 {
            operations = vec![operations[rng.random_range(0..operations.len())]];
        }
        operations
    }

    fn in_order(&self) -> Vec<Operation> {
        let mut operations = self.operations.clone();
        operations.sort_unstable();
        operations
    }
}

/// Up to `most` positions: the first record of each class, then the second, ...
fn one_class_after_the_other(data: &Dataset, most: usize) -> Vec<usize> {
    let mut seen = vec![0usize; data.classes()];
    let mut places: Vec<(usize, usize)> = vec![];
    for (i, &label) in data.labels().iter().enumerate() {
        let rank = &mut seen[label as usize];
        *rank += 1;
        places.push((*rank, i));
    }
    places.sort_by_key(|&(rank, i)| (rank, data.labels()[i]));
    places.into_iter().take(most).map(|(_, i)| i).collect()
}
