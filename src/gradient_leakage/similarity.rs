//! MSE, PSNR and SSIM of two images.

use crate::leakage::structural_similarity::nearest_images;
use crate::{Dataset, Error, Result};
use serde::{Deserialize, Serialize};

/// How alike two images are, clipped to 0..1.
///
/// # Example
/// ```
/// use freelunch::{Dataset, gradient_leakage::Similarity};
/// let toy = Dataset::toy();
/// let same = Similarity::of(&toy.subset(&[0])?, &toy.subset(&[0])?)?;
/// assert_eq!((same.mse, same.psnr, same.ssim), (0.0, 120.0, None)); // 8x8 pixels are less than one window of SSIM
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Similarity {
    /// Mean squared error per value.
    pub mse: f64,
    /// Peak signal-to-noise ratio in dB; 120 at most. 20 dB is an error of a tenth of the way from black to white.
    pub psnr: f64,
    /// Structural similarity, 1 for equal images; none below 11×11 pixels.
    pub ssim: Option<f64>,
}

impl Similarity {
    /// Of the first records of two sets.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for sets of different kinds, [`Error::Config`] for tables.
    pub fn of(a: &Dataset, b: &Dataset) -> Result<Self> {
        refuse_tables(a)?;
        a.same_kind(b)?;
        let (a, b) = (a.subset(&[0])?, b.subset(&[0])?);
        let [_, h, w] = a.shape();
        let ssim = if h.min(w) < 11 {
            None
        } else {
            nearest_images(&a, &b, 1)?.first().and_then(|list| list.found.first().map(|n| 1.0 - n.distance))
        };
        let mse = squared_error(a.x(), b.x());
        Ok(Self { mse, psnr: psnr(mse), ssim })
    }
}

/// −10 log₁₀ of the mean squared error, in dB; equal images have 120, not infinity.
pub(super) fn psnr(mse: f64) -> f64 {
    -10.0 * libm::log10(mse.max(1e-12))
}

/// The mean over the values, clipped to 0..1.
pub(super) fn squared_error(a: &[f32], b: &[f32]) -> f64 {
    let clipped = |v: &f32| f64::from(v.clamp(0.0, 1.0));
    a.iter().zip(b).map(|(a, b)| (clipped(a) - clipped(b)).powi(2)).sum::<f64>() / a.len().max(1) as f64
}

pub(super) fn refuse_tables(data: &Dataset) -> Result<()> {
    let [_, h, w] = data.shape();
    if data.schema().is_some() || h * w == 1 {
        let what = format!("PSNR and SSIM of the table {}", data.name());
        return Err(Error::config(what, "they are for images, whose values share one range; compare `recovered.data()` column by column"));
    }
    Ok(())
}
