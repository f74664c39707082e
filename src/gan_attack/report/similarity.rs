//! Structural similarity of the images with records of the class.

use crate::data::Origin;
use crate::leakage::Metric;
use crate::stats::mean;
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};

/// Structural similarity, 1 for equal images; means over the images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// With the mean of the victim's records.
    pub to_class_mean: f64,
    /// With the most similar of the victim's records.
    pub to_victim: f64,
    /// With the most similar held-out record.
    pub to_held_out: f64,
    /// The control: of a held-out record with the most similar of the victim's.
    pub held_out_to_victim: f64,
}

impl Similarity {
    pub(super) fn of(images: &Dataset, theirs: &Dataset, others: &Dataset, lab: &Lab) -> Result<Self> {
        Metric::Ssim.check(theirs)?;
        let d = theirs.features();
        let mut centre = vec![0.0; d];
        for record in theirs.x().chunks_exact(d) {
            centre.iter_mut().zip(record).for_each(|(sum, &value)| *sum += f64::from(value) / theirs.len() as f64);
        }
        let centre = theirs.synthetic(centre.iter().map(|&v| v as f32).collect(), vec![theirs.labels()[0]], Origin::real("class mean"))?;
        let with = |from: &Dataset, to: &Dataset| -> Result<f64> {
            let nearest = Metric::Ssim.nearest(from, to, 1, lab)?;
            Ok(mean(&nearest.iter().flatten().map(|neighbour| 1.0 - neighbour.distance).collect::<Vec<f64>>()))
        };
        Ok(Self {
            to_class_mean: with(images, &centre)?,
            to_victim: with(images, theirs)?,
            to_held_out: with(images, others)?,
            held_out_to_victim: with(others, theirs)?,
        })
    }
}
