//! Structural similarity (SSIM): how alike two images look in brightness, contrast and structure, window by window.
//!
//! SSIM(a, b) = mean over windows of (2 m_a m_b + C₁)(2 c + C₂) / ((m_a² + m_b² + C₁)(v_a + v_b + C₂)), with means m, variances v
//! and the covariance c under 11×11 Gaussian weights (σ = 1.5) that sum to 1, C₁ = 0.01² and C₂ = 0.03² for pixels 0..1; colour:
//! the mean over the channels. Windows lie wherever they fit. Means and variances belong to one image and are computed once; the
//! covariance is the only filter of a pair, and the weights are a product, so it takes 2 × 11 instead of 121 steps a pixel.
//!
//! # References
//! Wang, Bovik, Sheikh, Simoncelli, *IEEE Transactions on Image Processing* 13 (2004).

use super::nearest::Shortlist;
use crate::simd::{Loops, vectorized};
use crate::{Dataset, Error, Result};
use rayon::prelude::*;

/// Side of a window.
const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Queries that are compared at once: they fill vector registers, and results do not depend on the machine.
const LANES: usize = 8;

/// `L` images side by side, number by number: pixels, and means and variances of the windows, channel after channel.
struct Seen<const L: usize> {
    pixels: Vec<[f64; L]>,
    means: Vec<[f64; L]>,
    variances: Vec<[f64; L]>,
}

/// The filter for images of one shape.
struct Windows {
    weights: [f64; WINDOW],
    shape: [usize; 3],
}

/// For every query the `most` nearest of `rows` by 1 − SSIM, images clipped to 0..1.
pub(crate) fn nearest_images(queries: &Dataset, rows: &Dataset, most: usize) -> Result<Vec<Shortlist>> {
    let windows = Windows::new(rows.shape())?;
    let pixels = |image: &[f32]| -> Vec<f64> { image.iter().map(|&v| f64::from(v.clamp(0.0, 1.0))).collect() };
    let images: Vec<Vec<f64>> = queries.x().chunks_exact(queries.features()).map(pixels).collect();
    let groups: Vec<Seen<LANES>> = images.chunks(LANES).map(|group| windows.see(group)).collect();
    let empty = || vec![Shortlist::new(most); images.len()];
    let offered = |mut lists: Vec<Shortlist>, (i, row): (usize, &[f32])| {
        vectorized(Offer { windows: &windows, groups: &groups, lists: &mut lists, record: i, pixels: pixels(row) });
        lists
    };
    Ok(rows.x().par_chunks_exact(rows.features()).enumerate().fold(empty, offered).reduce(empty, Shortlist::merge_all))
}

/// Offers one record to the shortlists of all queries.
struct Offer<'a> {
    windows: &'a Windows,
    groups: &'a [Seen<LANES>],
    lists: &'a mut [Shortlist],
    record: usize,
    pixels: Vec<f64>,
}

impl Loops for Offer<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let row = self.windows.see::<1>(&[self.pixels]);
        for (group, lists) in self.groups.iter().zip(self.lists.chunks_mut(LANES)) {
            // Rounding can put the similarity of equal images a hair off 1; they are at distance 0.
            let distances = self.windows.similarities(group, &row).map(|similarity| 1.0 - similarity);
            let distances = distances.map(|distance| if distance < 1e-14 { 0.0 } else { distance });
            lists.iter_mut().zip(distances).for_each(|(list, distance)| list.offer(self.record, distance));
        }
    }
}

impl Windows {
    fn new(shape: [usize; 3]) -> Result<Self> {
        let [_, h, w] = shape;
        if h < WINDOW || w < WINDOW {
            let what = format!("structural similarity of {h}x{w} images");
            return Err(Error::config(what, format!("expected at least {WINDOW}x{WINDOW} pixels, one window; use Metric::L2")));
        }
        let mut weights = [0.0; WINDOW];
        for (i, weight) in weights.iter_mut().enumerate() {
            let x = i as f64 - (WINDOW / 2) as f64;
            *weight = libm::exp(-x * x / (2.0 * SIGMA * SIGMA));
        }
        let sum: f64 = weights.iter().sum();
        Ok(Self { weights: weights.map(|weight| weight / sum), shape })
    }

    /// At most `L` images; lanes without one are black.
    #[inline(always)]
    fn see<const L: usize>(&self, images: &[Vec<f64>]) -> Seen<L> {
        let [c, h, w] = self.shape;
        let mut pixels = vec![[0.0; L]; c * h * w];
        for (lane, image) in images.iter().enumerate() {
            pixels.iter_mut().zip(image).for_each(|(lanes, pixel)| lanes[lane] = *pixel);
        }
        let (mut means, mut variances) = (vec![], vec![]);
        for plane in pixels.chunks_exact(h * w) {
            means.extend(self.smooth(plane));
            let squares: Vec<[f64; L]> = plane.iter().map(|lanes| lanes.map(|v| v * v)).collect();
            variances.extend(self.smooth(&squares));
        }
        variances.iter_mut().zip(&means).for_each(|(v, m)| (0..L).for_each(|lane| v[lane] -= m[lane] * m[lane]));
        Seen { pixels, means, variances }
    }

    /// The similarity of each of `group` with one image.
    #[inline(always)]
    fn similarities<const L: usize>(&self, group: &Seen<L>, image: &Seen<1>) -> [f64; L] {
        let [_, h, w] = self.shape;
        let mut sums = [0.0; L];
        let windows = group.means.len() / self.shape[0];
        let planes = group.pixels.chunks_exact(h * w).zip(image.pixels.chunks_exact(h * w));
        for (channel, (pixels, others)) in planes.enumerate() {
            let products: Vec<[f64; L]> = pixels.iter().zip(others).map(|(lanes, [pixel])| lanes.map(|v| v * pixel)).collect();
            for (at, product) in (channel * windows..).zip(self.smooth(&products)) {
                let ([mb], [vb]) = (image.means[at], image.variances[at]);
                let (means, variances) = (group.means[at], group.variances[at]);
                for lane in 0..L {
                    let (ma, va) = (means[lane], variances[lane]);
                    let both = ma * mb;
                    let covariance = product[lane] - both;
                    sums[lane] += (2.0 * both + C1) * (2.0 * covariance + C2) / ((ma * ma + mb * mb + C1) * (va + vb + C2));
                }
            }
        }
        sums.map(|sum| sum / group.means.len() as f64)
    }

    /// Weighted means of one plane in every window: along the rows, then down the columns.
    #[inline(always)]
    fn smooth<const L: usize>(&self, plane: &[[f64; L]]) -> Vec<[f64; L]> {
        let [_, _, w] = self.shape;
        let columns = w + 1 - WINDOW;
        let mut across = Vec::with_capacity(plane.len()); // [h, columns]
        for row in plane.chunks_exact(w) {
            across.extend(row.windows(WINDOW).map(|window| self.weigh(window.iter())));
        }
        let starts = 0..across.len() - (WINDOW - 1) * columns; // [h + 1 - WINDOW, columns]
        starts.map(|at| self.weigh(across[at..].iter().step_by(columns))).collect()
    }

    #[inline(always)]
    fn weigh<'a, const L: usize>(&self, values: impl Iterator<Item = &'a [f64; L]>) -> [f64; L] {
        let mut sum = [0.0; L];
        for (weight, value) in self.weights.iter().zip(values) {
            for lane in 0..L {
                sum[lane] += weight * value[lane];
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        pairs: Vec<Pair>,
    }

    #[derive(Deserialize)]
    struct Pair {
        name: String,
        a: Image,
        b: Image,
        ssim: f64,
    }

    #[derive(Deserialize)]
    struct Image {
        shape: [usize; 3],
        data: Vec<f64>,
    }

    #[test]
    fn similarities_agree_with_scikit_image() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/ssim/pairs.json");
        let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(golden.pairs.len(), 10);
        for Pair { name, a, b, ssim } in golden.pairs {
            let windows = Windows::new(a.shape).unwrap();
            let [a, b] = [a, b].map(|image| image.data.iter().map(|v| v / 255.0).collect::<Vec<f64>>());
            let found: [f64; 3] = windows.similarities(&windows.see(&[b.clone(), a.clone()]), &windows.see(std::slice::from_ref(&b)));
            // The tolerance that the golden file states for float64.
            assert!((found[0] - 1.0).abs() < 1e-10 && (found[1] - ssim).abs() < 1e-10, "{name}: {found:?}");
            let turned: [f64; 1] = windows.similarities(&windows.see(&[b]), &windows.see(&[a]));
            assert!((turned[0] - ssim).abs() < 1e-10, "{name}: {turned:?}");
        }
    }

    #[test]
    fn images_smaller_than_one_window_are_refused() {
        let message = nearest_images(&Dataset::toy(), &Dataset::toy(), 1).unwrap_err().to_string();
        assert!(message.contains("8x8") && message.contains("11x11") && message.contains("Metric::L2"), "{message}");
    }

    #[test]
    fn an_image_is_nearest_to_itself_at_distance_zero() {
        let x: Vec<f32> = (0..5 * 12 * 13).map(|i| (i * i % 97) as f32 / 60.0 - 0.2).collect();
        let images = Dataset::images("test", x, [1, 12, 13], vec![0; 5], vec!["a".into()]).unwrap();
        for (i, list) in nearest_images(&images, &images, 2).unwrap().iter().enumerate() {
            assert_eq!((list.found[0].record, list.found[0].distance), (i, 0.0));
            assert!(list.found[1].distance > 0.01);
        }
    }
}
