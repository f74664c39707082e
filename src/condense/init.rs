//! Where a condenser starts from. Real initialisation is the one clear source of leakage (arXiv 2502.12976), so every condensed
//! set remembers the real records it started from.
//!
//! With x_1, x_2, ... random real records of the class and all values normalised, the first synthetic record is
//!
//! | [`Init`] | formula | real records in it |
//! |---|---|---|
//! | `Noise` | z, standard normal | none |
//! | `Real` | x_1 | 1 |
//! | `RealPlusNoise` | x_1 + σ z | 1 |
//! | `ClassMean` | mean of the class | all of the class |
//! | `Mixture` | (x_1 + .. + x_k) / k | k |
//! | `Other` | a record of another set | none |
//! | `Kaleidoscope` | (A_1 x_1 + .. + A_n x_1) / n, A_i random augmentations | 1 |
//!
//! For the same lab `Real`, `RealPlusNoise` and `Kaleidoscope` draw the same x_1, so that what comes out can be compared record by
//! record.
//!
//! # Privacy
//! None, whatever the start: the condenser that follows reads the real records.
//!
//! # References
//! Noise and real: arXiv 2006.05929, 2110.04181. Kaleidoscope: "Privacy as a Free Lunch: Crafting Initial Distilled Datasets
//! through the Kaleidoscope" (submitted to ICLR 2025, openreview ckabXglfiT).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::{DistributionMatching, Init}, nn::Arch, synthesize::Synthesize};
//! let matching = DistributionMatching::new(1).with_arch(Arch::mlp()).with_steps(3).with_init(Init::kaleidoscope(3));
//! let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert!(small.origin().started_from.iter().all(|from| from.len() == 1));
//! # Ok::<(), freelunch::Error>(())
//! ```

mod other_data;
#[cfg(test)]
mod tests;

pub use other_data::OtherData;

use crate::augment::{Augment, Choice, Pairing};
use crate::{Dataset, Error, Lab, Result};
use rand::seq::index;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The first synthetic records; the module's table has the formulas.
///
/// # Example
/// ```
/// use freelunch::condense::{DistributionMatching, Init};
/// let matching = DistributionMatching::new(10).with_init(Init::RealPlusNoise { sigma: 0.3 });
/// assert_eq!(matching.init.name(), "real + noise 0.3");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Init {
    /// Independent standard normal values in the normalised space: nothing real.
    Noise,
    /// Random real records of the class: the default of the literature, and what attacks find.
    Real,
    /// The mean of the class, the same for every record of it.
    ClassMean,
    /// Random real records of the class with normal noise: a control for [`Init::Kaleidoscope`].
    RealPlusNoise {
        /// The noise's deviation σ in the normalised space, at least 0.
        sigma: f64,
    },
    /// Means of random real records of the class, new ones for every mean.
    Mixture {
        /// Records k in one mean, 1 up to the size of the class.
        records: usize,
    },
    /// Random records of another, public set of the same shape, under the real set's normalisation: those of the same label when
    /// there are equally many classes, any otherwise.
    Other {
        /// The set; see [`Init::other`].
        data: OtherData,
    },
    /// Kaleidoscopic transformation: the mean of several strong random augmentations of one real image.
    ///
    /// An empirical, visual defence, **not a proof of anything**: each record still comes from one real image, and more draws blur
    /// it more but never hide that it was used. The claim of (0, |S|/|T|)-differential privacy published with it is void: such a δ
    /// allows publishing some records as they are. The method's authors do not list their augmentations; these are ours.
    #[doc(alias = "KT")]
    Kaleidoscope {
        /// Augmentations n in one mean, at least 1; 3 in the paper.
        draws: usize,
        /// What is drawn; [`Init::kaleidoscope`] has the default.
        augment: Augment,
    },
}

/// First synthetic records in the normalised space, class by class, and the real records they are made of.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) x: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    pub(crate) started_from: Vec<Vec<usize>>,
}

impl Init {
    /// With 2, cutout may take a whole image away, and of many records hardly anything remains.
    const KALEIDOSCOPE_STRENGTH: f64 = 1.5;

    /// The mean of `draws` strong augmentations of one real image: all six operations in turn, at one and a half times
    /// their usual ranges, each draw independent. For digits, leave flip out with an [`Augment`] of your own.
    ///
    /// # Example
    /// ```
    /// use freelunch::condense::Init;
    /// assert_eq!(Init::kaleidoscope(3).name(), "KT(3)");
    /// ```
    #[must_use]
    pub fn kaleidoscope(draws: usize) -> Self {
        let augment = Augment::dsa().with_choice(Choice::All).with_pairing(Pairing::Independent);
        Self::Kaleidoscope { draws, augment: augment.with_strength(Self::KALEIDOSCOPE_STRENGTH) }
    }

    /// Records of another, public set.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, condense::Init};
    /// let public = Dataset::toy();
    /// assert_eq!(Init::other(&public), Init::other(&public.clone()));
    /// ```
    #[must_use]
    pub fn other(data: &Dataset) -> Self {
        Self::Other { data: OtherData::new(data) }
    }

    /// The name used in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Noise => "noise".into(),
            Self::Real => "real".into(),
            Self::ClassMean => "class mean".into(),
            Self::RealPlusNoise { sigma } => format!("real + noise {sigma}"),
            Self::Mixture { records } => format!("mixture of {records}"),
            Self::Other { .. } => "other data".into(),
            Self::Kaleidoscope { draws, .. } => format!("KT({draws})"),
        }
    }

    fn check(&self, real: &Dataset) -> Result<()> {
        match self {
            Self::RealPlusNoise { sigma } if !(sigma.is_finite() && *sigma >= 0.0) => {
                Err(Error::config(format!("sigma is {sigma}"), "expected 0 or a positive number"))
            }
            Self::Mixture { records: 0 } => Err(Error::config("mixture of 0 records", "expected at least 1")),
            Self::Mixture { records } => real.require_per_class(*records),
            Self::Kaleidoscope { draws: 0, .. } => Err(Error::config("kaleidoscope of 0 draws", "expected at least 1; 3 is usual")),
            Self::Kaleidoscope { augment, .. } => augment.check(real.shape()),
            _ => Ok(()),
        }
    }

    pub(crate) fn start(&self, real: &Dataset, per_class: usize, lab: &Lab) -> Result<Start> {
        real.require_per_class(per_class)?;
        self.check(real)?;
        let labels = (0..real.classes() as u32).flat_map(|class| std::iter::repeat_n(class, per_class)).collect();
        let (x, started_from) = match self {
            Self::Noise => {
                let count = per_class * real.classes();
                (normal(count * real.features(), 1.0, "init noise", lab), vec![vec![]; count])
            }
            Self::Real => drawn(real, per_class, lab)?,
            Self::RealPlusNoise { sigma } => {
                let (mut x, from) = drawn(real, per_class, lab)?;
                let noise = normal(x.len(), *sigma, "init real noise", lab);
                x.iter_mut().zip(noise).for_each(|(x, z)| *x += z);
                (x, from)
            }
            Self::ClassMean => class_means(real, per_class),
            Self::Mixture { records } => mixtures(real, per_class, *records, lab),
            Self::Other { data } => data.records_for(real, per_class, lab)?,
            Self::Kaleidoscope { draws, augment } => {
                let (x, from) = drawn(real, per_class, lab)?;
                let images = x.chunks_exact(real.features()).enumerate();
                (images.flat_map(|(i, image)| kaleidoscope(image, *draws, augment, real.shape(), i, lab)).collect(), from)
            }
        };
        Ok(Start { x, labels, started_from })
    }
}

/// Normalised records, row-major, and the positions of the real records in each.
type Records = (Vec<f32>, Vec<Vec<usize>>);

fn normal(count: usize, sigma: f64, label: &str, lab: &Lab) -> Vec<f32> {
    let mut rng = lab.rng(label, 0);
    let standard = (0..count).map(|_| -> f32 { StandardNormal.sample(&mut rng) });
    standard.map(|z| sigma as f32 * z).collect()
}

fn drawn(real: &Dataset, per_class: usize, lab: &Lab) -> Result<Records> {
    let positions = real.draw_per_class(per_class, lab)?;
    let x = real.subset(&positions)?.normalized();
    Ok((x, positions.into_iter().map(|i| vec![i]).collect()))
}

fn class_means(real: &Dataset, per_class: usize) -> Records {
    let values = real.normalized();
    let (mut x, mut from) = (vec![], vec![]);
    for class in 0..real.classes() {
        let members = real.of_class(class);
        let mean = mean_of(members.iter().map(|&i| row(&values, i, real.features())), real.features());
        for _ in 0..per_class {
            x.extend_from_slice(&mean);
            from.push(members.clone());
        }
    }
    (x, from)
}

fn mixtures(real: &Dataset, per_class: usize, records: usize, lab: &Lab) -> Records {
    let values = real.normalized();
    let mut rng = lab.rng("init mixture", 0);
    let (mut x, mut from) = (vec![], vec![]);
    for class in 0..real.classes() {
        let members = real.of_class(class);
        for _ in 0..per_class {
            let chosen: Vec<usize> = index::sample(&mut rng, members.len(), records).iter().map(|at| members[at]).collect();
            x.extend(mean_of(chosen.iter().map(|&i| row(&values, i, real.features())), real.features()));
            from.push(chosen);
        }
    }
    (x, from)
}

/// KT(x) = (A_1 x + .. + A_n x) / n for the image at place `i`; the first draws are the same for every n.
fn kaleidoscope(image: &[f32], draws: usize, augment: &Augment, shape: [usize; 3], i: usize, lab: &Lab) -> Vec<f32> {
    let mut rng = lab.rng("init kaleidoscope", i as u64);
    let views: Vec<Vec<f32>> = (0..draws).map(|_| augment.draw(shape, &mut rng).apply(image)).collect();
    mean_of(views.iter().map(Vec::as_slice), image.len())
}

fn row(values: &[f32], i: usize, features: usize) -> &[f32] {
    &values[i * features..(i + 1) * features]
}

fn mean_of<'a>(rows: impl Iterator<Item = &'a [f32]>, features: usize) -> Vec<f32> {
    let mut sum = vec![0.0; features];
    let mut count = 0.0;
    for row in rows {
        sum.iter_mut().zip(row).for_each(|(s, &v)| *s += f64::from(v));
        count += 1.0;
    }
    sum.into_iter().map(|s: f64| (s / count) as f32).collect()
}
