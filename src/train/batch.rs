//! A batch on its way through a network: split into parts that do not depend on the machine, gathered, augmented, differentiated.

use crate::augment::Augment;
use crate::data::rows_at;
use crate::lab::Rng;
use crate::nn::{Layer, Loss, Net, added, to_tensor};
use crate::{Device, Result};
use burn::tensor::{Tensor, TensorData};
use rand::Rng as _;
use rayon::prelude::*;

/// Images that are handled together: few enough for the processor's cache, all of them on a GPU. Fixed, so that results do not
/// depend on the number of threads.
pub(crate) fn chunk_of(device: &Device) -> usize {
    #[cfg(test)]
    if crate::device::elsewhere::pretended() {
        return usize::MAX;
    }
    match device {
        Device::Cpu => 32,
        _ => usize::MAX,
    }
}

/// The most records of a batch that go through these networks together. Each part makes gradients as large as the weights, and packs the
/// weights for its products: without convolutions that is most of the work, so that parts are larger.
pub(crate) fn part_of(nets: &[&Net], device: &Device) -> usize {
    let convolves = nets.iter().any(|net| net.layers().iter().any(Layer::convolves));
    if convolves { chunk_of(device) } else { chunk_of(device).saturating_mul(4) }
}

/// The size of the parts that `count` records are handled in, at most `most` each: all of nearly one size, and from three parts on a multiple of
/// four, so that no core waits for one that has a part more. Depends on the numbers alone, as the results do.
pub(crate) fn even_part(count: usize, most: usize) -> usize {
    let parts = count.div_ceil(most.max(1)).max(1);
    let parts = if parts > 2 { parts.next_multiple_of(4) } else { parts };
    count.div_ceil(parts).max(1)
}

/// Labelled records as a network sees them (normalised), row-major.
pub(crate) struct Rows<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) labels: &'a [u32],
    /// Learned targets `[n, classes]`, used instead of the labels.
    pub(crate) soft: Option<&'a [f32]>,
    pub(crate) shape: [usize; 3],
    pub(crate) classes: usize,
}

/// What happens to a batch.
pub(crate) struct Pass<'a> {
    pub(crate) loss: Loss,
    pub(crate) augment: Option<&'a Augment>,
    /// Makes the random numbers of the pass: augmentations and dropout.
    pub(crate) rng: Rng,
}

impl Rows<'_> {
    /// Mean loss and gradients of the records at `positions`, computed in chunks on all cores and added in a fixed order.
    pub(crate) fn gradients(&self, net: &Net, positions: &[usize], pass: Pass, kind: &Device) -> Result<(Tensor<1>, Vec<Tensor<1>>)> {
        let device = kind.open()?;
        let Pass { loss, augment, mut rng } = pass;
        let d: usize = self.shape.iter().product();
        let augmented = augment.map(|augment| {
            let draws = augment.draws(self.shape, positions.len(), &mut rng);
            draws.apply(&rows_at(self.x, d, positions))
        });
        let seed = rng.next_u64();
        let chunk = even_part(positions.len(), part_of(&[net], kind));
        let parts: Vec<(Tensor<1>, Vec<Tensor<1>>)> = positions
            .par_chunks(chunk)
            .enumerate()
            .map(|(i, part)| {
                let share = part.len() as f64 / positions.len() as f64;
                let [c, h, w] = self.shape;
                let rows = match &augmented {
                    Some(rows) => rows[i * chunk * d..][..part.len() * d].to_vec(),
                    None => rows_at(self.x, d, part),
                };
                let x = to_tensor(rows, [part.len(), c, h, w], &device);
                let (logits, tape) = net.forward_training(x, Some(seed.wrapping_add(i as u64)));
                let (loss, grad) = loss.of(logits, self.targets(part, &device));
                (loss * share, net.weight_gradients(&tape, grad * share))
            })
            .collect();
        let mut parts = parts.into_iter();
        let Some((mut loss, mut sum)) = parts.next() else { return Ok((Tensor::zeros([1], &device), vec![])) };
        for (part_loss, gradients) in parts {
            loss = loss + part_loss;
            sum = added(sum, gradients);
        }
        Ok((loss, sum))
    }

    /// One-hot labels or soft labels, `[n, classes]`.
    pub(crate) fn targets(&self, positions: &[usize], device: &burn::tensor::Device) -> Tensor<2> {
        let k = self.classes;
        let mut targets = vec![0.0; positions.len() * k];
        for (row, &i) in positions.iter().enumerate() {
            match self.soft {
                Some(soft) => targets[row * k..(row + 1) * k].copy_from_slice(&soft[i * k..(i + 1) * k]),
                None => targets[row * k + self.labels[i] as usize] = 1.0,
            }
        }
        Tensor::from_data(TensorData::new(targets, [positions.len(), k]), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lab;
    use crate::nn::Arch;

    #[test]
    fn networks_without_convolutions_take_more_records_at_once() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(3).quiet();
        let net = |arch: Arch| Net::new(arch.layers([1, 8, 8], 10).unwrap(), &mut lab.rng("weights", 0), &lab.open().unwrap());
        let (dense, convolving) = (net(Arch::mlp()), net(Arch::conv_net()));
        let sizes =
            [part_of(&[&dense], &Device::Cpu), part_of(&[&convolving], &Device::Cpu), part_of(&[&dense, &convolving], &Device::Cpu)];
        assert_eq!(sizes, [128, 32, 32]);
        assert_eq!(part_of(&[&dense], &Device::Cuda(0)), usize::MAX);
    }

    #[test]
    fn parts_have_nearly_one_size_and_many_are_a_multiple_of_four() {
        for (count, most, parts) in [
            (0, 32, 1),
            (20, 32, 1),
            (64, 32, 2),
            (90, 32, 4),
            (100, 32, 4),
            (130, 32, 8),
            (256, 32, 8),
            (260, 32, 12),
            (500, usize::MAX, 1),
            (7, 0, 8),
        ] {
            let size = even_part(count, most);
            assert!(size <= most.max(1) && size * parts >= count, "{count} in parts of {size}");
            assert!(count == 0 || (count - 1) / size < parts, "{count} in parts of {size}");
        }
    }
}
