//! The norm of a block, after the convolution: moments of every group, and the way back.

use super::{BlockSaved, ConvBlock, transpose};

impl ConvBlock {
    /// The gradient in the convolution's output `[h, w, outputs]` from the one in the pooled output of image `i`; adds to the
    /// sums of the norm's parameters.
    #[inline(always)]
    pub(super) fn through_norm(
        &self,
        i: usize,
        [scale, shift]: [&[f32]; 2],
        saved: &BlockSaved,
        grad: &[f32],
        out: &mut [f32],
        sums: &mut NormSums,
    ) {
        let (h, w) = self.sides(saved);
        let o = self.outputs;
        let normal = &saved.normal[i * h * w * o..(i + 1) * h * w * o];
        let inverse = &saved.inverse[i * o..(i + 1) * o];
        sums.pooled.resize(grad.len(), 0.0);
        transpose(grad, o, (h / 2) * (w / 2), &mut sums.pooled);
        let pooled = &sums.pooled;
        sums.mean.fill(0.0);
        sums.slope.fill(0.0);
        for (y, (normal, out)) in normal.chunks_exact(w * o).zip(out.chunks_exact_mut(w * o)).enumerate() {
            for (x, (normal, out)) in normal.chunks_exact(o).zip(out.chunks_exact_mut(o)).enumerate() {
                if y / 2 >= h / 2 || x / 2 >= w / 2 {
                    out.fill(0.0);
                    continue;
                }
                let grad = &pooled[(y / 2 * (w / 2) + x / 2) * o..][..o];
                let (scale, shift) = (&scale[..o], &shift[..o]);
                let (mean, slope) = (&mut sums.mean[..o], &mut sums.slope[..o]);
                for c in 0..o {
                    let g = if scale[c] * normal[c] + shift[c] > 0.0 { 0.25 * grad[c] } else { 0.0 };
                    out[c] = g;
                    mean[c] += g;
                    slope[c] += g * normal[c];
                }
            }
        }
        for c in 0..o {
            sums.shift[c] += sums.mean[c];
            sums.scale[c] += sums.slope[c];
        }
        // The means of γg and γg·x̂ over the group.
        let share = 1.0 / (h * w) as f32;
        sums.group_mean.clear();
        sums.group_slope.clear();
        sums.group_mean.extend(sums.mean.iter().zip(scale).map(|(mean, scale)| share * scale * mean));
        sums.group_slope.extend(sums.slope.iter().zip(scale).map(|(slope, scale)| share * scale * slope));
        average(&mut sums.group_mean, self.group);
        average(&mut sums.group_slope, self.group);
        for (normal, out) in normal.chunks_exact(o).zip(out.chunks_exact_mut(o)) {
            let (mean, slope, scale) = (&sums.group_mean[..o], &sums.group_slope[..o], &scale[..o]);
            for c in 0..o {
                out[c] = inverse[c] * (scale[c] * out[c] - mean[c] - normal[c] * slope[c]);
            }
        }
    }
}

/// Sums of [`ConvBlock::through_norm`]: of the current image, and over all of them.
pub(super) struct NormSums {
    pooled: Vec<f32>,
    pub(super) mean: Vec<f32>,
    pub(super) slope: Vec<f32>,
    group_mean: Vec<f32>,
    group_slope: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
}

impl NormSums {
    pub(super) fn new(outputs: usize) -> Self {
        let zeros = || vec![0.0; outputs];
        let (group_mean, group_slope) = (vec![], vec![]);
        Self { pooled: vec![], mean: zeros(), slope: zeros(), group_mean, group_slope, scale: zeros(), shift: zeros() }
    }
}

/// Mean and 1 / √(σ² + ε) of every channel of `z` `[pixels, channels]`, over groups of `group` channels.
#[inline(always)]
pub(super) fn moments(z: &[f32], epsilon: f32, group: usize, mean: &mut [f32], inverse: &mut [f32]) {
    let o = mean.len();
    let share = 1.0 / (z.len() / o) as f32;
    mean.fill(0.0);
    inverse.fill(0.0);
    for z in z.chunks_exact(o) {
        mean.iter_mut().zip(z).for_each(|(sum, z)| *sum += z);
    }
    mean.iter_mut().for_each(|sum| *sum *= share);
    average(mean, group);
    for z in z.chunks_exact(o) {
        for ((sum, z), mean) in inverse.iter_mut().zip(z).zip(&*mean) {
            *sum += (z - mean) * (z - mean);
        }
    }
    average(inverse, group);
    inverse.iter_mut().for_each(|sum| *sum = 1.0 / (*sum * share + epsilon).sqrt());
}

/// Puts the mean of every group in the place of its members.
#[inline(always)]
pub(super) fn average(values: &mut [f32], group: usize) {
    if group > 1 {
        for members in values.chunks_exact_mut(group) {
            let mean = members.iter().sum::<f32>() / group as f32;
            members.fill(mean);
        }
    }
}
