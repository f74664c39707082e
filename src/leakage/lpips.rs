//! Learned perceptual image patch similarity (LPIPS) v0.1 with AlexNet: how different two images look to a network that was
//! fitted to human judgements.
//!
//! LPIPS(a, b) = Σ_l mean_{h,w} Σ_c w_lc (f̂_lchw(a) − f̂_lchw(b))², with f̂_l the output of the l-th of five ReLU stages, scaled
//! to length 1 over the channels at every place, and w_l ≥ 0 the fitted weights of the channels. So LPIPS is the squared
//! Euclidean distance of φ_lchw = f̂_lchw · √(w_lc / (H_l W_l)): each image goes through the network once, not each pair.
//!
//! 1. Pixels 0..1 (others clipped) become −1..1; grey is repeated to three channels; images whose shorter side is below
//!    [`Lpips::side`] are enlarged to it, bilinearly with half-pixel centres.
//! 2. Every channel is shifted by (−.030, −.088, −.188) and divided by (.458, .448, .450).
//! 3. Convolutions 64 × 11² (stride 4), 192 × 5², 384 × 3², 256 × 3², 256 × 3² with ReLU; maximum pooling 3² (stride 2) before
//!    the second and the third.
//!
//! # References
//! Zhang, Isola, Efros, Shechtman, Wang, arXiv 1801.03924.

mod weights;

use super::nearest::{Shortlist, nearest_rows};
use crate::device::guarded;
use crate::nn::{to_host, to_tensor};
use crate::train::chunk_of;
use crate::{Dataset, Error, Lab, Result};
use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The weights of LPIPS, which you supply: none come with this library.
///
/// The file is a safetensors file of f32 tensors with the names of torchvision's AlexNet (`features.0.weight`,
/// `features.0.bias`, and so on for 3, 6, 8 and 10) and of the package `lpips` (`lin0.model.1.weight` to
/// `lin4.model.1.weight`). In Python:
///
/// ```python
/// import lpips, torchvision, safetensors.torch
/// weights = torchvision.models.alexnet(weights="IMAGENET1K_V1").state_dict() | lpips.LPIPS(net="alex").state_dict()
/// kept = {k: v.contiguous() for k, v in weights.items() if k.startswith(("features.", "lin")) and not k.startswith("lins.")}
/// safetensors.torch.save_file(kept, "lpips_alex.safetensors")
/// ```
///
/// # Example
/// ```no_run
/// use freelunch::leakage::{Leakage, Lpips, Metric};
/// let leakage = Leakage::new(Metric::Lpips { weights: Lpips::load("lpips_alex.safetensors")? });
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct Lpips {
    stages: Arc<Vec<Weights>>,
    side: usize,
}

/// One convolution of the backbone.
struct Stage {
    name: &'static str,
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    /// Whether maximum pooling comes before it.
    pooled: bool,
}

/// The parameters of one stage, and the roots of its channels' fitted weights.
struct Weights {
    kernel: Vec<f32>,
    bias: Vec<f32>,
    roots: Vec<f32>,
}

const STAGES: [Stage; 5] = [
    stage("features.0", [3, 64], [11, 4, 2], false),
    stage("features.3", [64, 192], [5, 1, 2], true),
    stage("features.6", [192, 384], [3, 1, 1], true),
    stage("features.8", [384, 256], [3, 1, 1], false),
    stage("features.10", [256, 256], [3, 1, 1], false),
];

const fn stage(name: &'static str, [inputs, outputs]: [usize; 2], [kernel, stride, padding]: [usize; 3], pooled: bool) -> Stage {
    Stage { name, inputs, outputs, kernel, stride, padding, pooled }
}

impl Lpips {
    const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
    const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
    /// Kept from dividing by zero where all channels are 0.
    const EPSILON: f64 = 1e-10;
    /// The least side on which all strides fit.
    const LEAST_SIDE: usize = 31;
    /// Real images whose features are held at once: 32,000 numbers each at side 64.
    const BLOCK: usize = 512;

    /// Reads the weights from a safetensors file.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Data`] that names every tensor that is missing, has another shape or
    /// type, or a negative weight in `lin`.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { stages: Arc::new(weights::read(path.as_ref())?), side: 64 })
    }

    /// The same enlarging images whose shorter side is less than `side` pixels (64 unless told). 32 leaves CIFAR-10 as it is.
    ///
    /// # Errors
    /// [`Error::Config`] below 31 pixels, where AlexNet's strides no longer fit.
    pub fn with_side(mut self, side: usize) -> Result<Self> {
        if side < Self::LEAST_SIDE {
            return Err(Error::config(format!("LPIPS at side {side}"), format!("expected at least {} pixels", Self::LEAST_SIDE)));
        }
        self.side = side;
        Ok(self)
    }

    /// The shorter side to which smaller images are enlarged.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// For every query the `most` nearest of `rows` by LPIPS.
    pub(super) fn nearest(&self, queries: &Dataset, rows: &Dataset, most: usize, lab: &Lab) -> Result<Vec<Shortlist>> {
        guarded(lab.device(), || {
            let eye = self.on(lab)?;
            let (queries, width) = eye.embed(queries.x(), queries.shape())?;
            let mut lists = vec![Shortlist::new(most); queries.len() / width];
            let mut progress = lab.progress("LPIPS", rows.len());
            for (block, images) in rows.x().chunks(Self::BLOCK * rows.features()).enumerate() {
                let (embedded, width) = eye.embed(images, rows.shape())?;
                lists = Shortlist::merge_all(lists, nearest_rows(&queries, &embedded, width, most, block * Self::BLOCK));
                progress.step(((block + 1) * Self::BLOCK).min(rows.len()), "");
            }
            Ok(lists)
        })
    }

    fn on(&self, lab: &Lab) -> Result<Eye> {
        let device = lab.open()?;
        let vector = |values: &[f32]| Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device);
        let stages = STAGES.iter().zip(self.stages.iter()).map(|(stage, weights)| {
            let kernel = vector(&weights.kernel).reshape([stage.outputs, stage.inputs, stage.kernel, stage.kernel]);
            [kernel, vector(&weights.bias).reshape([1, -1, 1, 1]), vector(&weights.roots).reshape([1, -1, 1, 1])]
        });
        Ok(Eye { stages: stages.collect(), side: self.side, chunk: chunk_of(lab.device()).min(Self::BLOCK), device })
    }
}

/// The network on a device: kernel, bias and roots of every stage.
struct Eye {
    stages: Vec<[Tensor<4>; 3]>,
    side: usize,
    chunk: usize,
    device: Device,
}

impl Eye {
    /// φ of images with pixels 0..1, row-major, with its width.
    fn embed(&self, x: &[f32], shape: [usize; 3]) -> Result<(Vec<f32>, usize)> {
        let d: usize = shape.iter().product();
        let parts: Result<Vec<Vec<f32>>> = x.par_chunks(self.chunk * d).map(|part| self.embed_chunk(part, shape)).collect();
        let rows = parts?.concat();
        let width = rows.len() / (x.len() / d);
        Ok((rows, width))
    }

    fn embed_chunk(&self, x: &[f32], shape: [usize; 3]) -> Result<Vec<f32>> {
        let [c, h, w] = shape;
        let n = x.len() / (c * h * w);
        let [high, wide] = enlarged([h, w], self.side);
        let planes: Vec<f32> = x.chunks_exact(c * h * w).flat_map(|image| seen(image, shape, [high, wide])).collect();
        let mut activation = to_tensor(planes, [n, 3, high, wide], &self.device);
        let mut parts = vec![];
        for (stage, [kernel, bias, roots]) in STAGES.iter().zip(&self.stages) {
            if stage.pooled {
                activation = max_pool2d(activation, MaxPoolOptions::new([3, 3]).with_stride([2, 2]));
            }
            let options = ConvOptions::new([stage.stride; 2], [stage.padding; 2], [1, 1], 1);
            activation = relu(conv2d(activation, kernel.clone(), None, options) + bias.clone());
            let [_, channels, h, w] = activation.dims();
            let length = (activation.clone() * activation.clone()).sum_dim(1).sqrt() + Lpips::EPSILON; // [n, 1, h, w]
            let weighted = activation.clone() / length * roots.clone() * ((h * w) as f64).powf(-0.5);
            parts.push(weighted.reshape([n, channels * h * w]));
        }
        to_host::<2>(Tensor::cat(parts, 1))
    }
}

/// Height and width after enlarging the shorter side to `side`, if it is shorter.
fn enlarged([h, w]: [usize; 2], side: usize) -> [usize; 2] {
    let shorter = h.min(w);
    if shorter >= side {
        return [h, w];
    }
    let larger = |length: usize| (length as f64 * side as f64 / shorter as f64).round() as usize;
    [larger(h), larger(w)]
}

/// The three planes that the first convolution sees.
fn seen(image: &[f32], [channels, h, w]: [usize; 3], size: [usize; 2]) -> Vec<f32> {
    let planes: Vec<Vec<f32>> = image.chunks_exact(h * w).map(|plane| resized(plane, [h, w], size)).collect();
    let planes = (0..3).filter_map(|k| planes.get(if channels == 1 { 0 } else { k }));
    let scaled = |(k, plane): (usize, &Vec<f32>)| -> Vec<f32> {
        plane.iter().map(|v| ((2.0 * v.clamp(0.0, 1.0) - 1.0) - Lpips::SHIFT[k]) / Lpips::SCALE[k]).collect()
    };
    planes.enumerate().flat_map(scaled).collect()
}

/// Bilinear interpolation with half-pixel centres, clamped at the border.
fn resized(plane: &[f32], [h, w]: [usize; 2], [high, wide]: [usize; 2]) -> Vec<f32> {
    if [h, w] == [high, wide] {
        return plane.to_vec();
    }
    let along = |i: usize, old: usize, new: usize| {
        let at = ((i as f64 + 0.5) * old as f64 / new as f64 - 0.5).clamp(0.0, (old - 1) as f64);
        (at as usize, (at as usize + 1).min(old - 1), at.fract())
    };
    let mut out = Vec::with_capacity(high * wide);
    for y in 0..high {
        let (top, bottom, down) = along(y, h, high);
        for x in 0..wide {
            let (left, right, across) = along(x, w, wide);
            let row = |y: usize| f64::from(plane[y * w + left]) * (1.0 - across) + f64::from(plane[y * w + right]) * across;
            out.push((row(top) * (1.0 - down) + row(bottom) * down) as f32);
        }
    }
    out
}

impl fmt::Debug for Lpips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lpips(AlexNet, side {})", self.side)
    }
}

#[cfg(test)]
mod tests {
    use super::weights::tests::{random, stream};
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        shape: [usize; 3],
        seed: u64,
        near: bool,
        lpips: f64,
    }

    fn one(shape: [usize; 3], x: Vec<f32>) -> Dataset {
        Dataset::images("one", x, shape, vec![0], vec!["a".into()]).unwrap()
    }

    #[test]
    fn distances_agree_with_pytorch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/lpips/random.json");
        let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let (lpips, lab) = (random(), Lab::on(crate::Device::Cpu).unwrap());
        assert_eq!(golden.cases.len(), 4);
        for case in golden.cases {
            let count = case.shape.iter().product();
            let (a, mut b) = (stream(case.seed, count, 0.0, 1.0), stream(case.seed + 1, count, 0.0, 1.0));
            if case.near {
                b.iter_mut().zip(&a).for_each(|(b, a)| *b = (0.9375 * f64::from(*a) + 0.0625 * f64::from(*b)) as f32);
            }
            let found = lpips.nearest(&one(case.shape, a), &one(case.shape, b), 1, &lab).unwrap();
            let distance = found[0].found[0].distance;
            // Float32 here, float64 there.
            assert!((distance / case.lpips - 1.0).abs() < 1e-5, "{}: {distance} against {}", case.name, case.lpips);
        }
    }

    #[test]
    fn enlarging_keeps_a_slope_and_the_shape() {
        assert_eq!((enlarged([28, 28], 64), enlarged([20, 33], 64), enlarged([90, 70], 64)), ([64, 64], [64, 106], [90, 70]));
        let slope: Vec<f32> = (0..12).map(|i| (i % 4) as f32).collect();
        let large = resized(&slope, [3, 4], [6, 8]);
        assert_eq!(large[8..16], [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]);
    }

    #[test]
    fn a_side_below_alexnets_strides_is_refused() {
        let message = random().with_side(30).unwrap_err().to_string();
        assert!(message.contains("side 30") && message.contains("31"), "{message}");
        let lab = Lab::on(crate::Device::Cpu).unwrap();
        let image = one([1, 31, 31], vec![0.5; 961]);
        assert_eq!(random().with_side(31).unwrap().nearest(&image, &image, 1, &lab).unwrap()[0].found[0].distance, 0.0);
    }
}
