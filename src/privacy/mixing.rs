//! A network in which samples influence each other cannot be clipped sample by sample; here it is found out.

use crate::nn::{to_host, to_tensor};
use crate::{Error, Lab, Result};
use burn::tensor::Tensor;
use rand::RngExt;

/// Refuses a network whose output for one record changes with the other records of its batch (batch normalisation, say): clipping the
/// gradient of each record then bounds nothing, because one record moves the gradients of all. Tried on random inputs of shape `[c, h, w]`,
/// not on records.
pub(crate) fn refuse_mixing([c, h, w]: [usize; 3], lab: &Lab, forward: impl Fn(Tensor<4>) -> Tensor<4>) -> Result<()> {
    let d = c * h * w;
    let device = lab.open()?;
    let mut rng = lab.rng("mixing", 0);
    let two: Vec<f32> = (0..2 * d).map(|_| rng.random_range(-1.0..1.0)).collect();
    let alone = to_host(forward(to_tensor(two[..d].to_vec(), [1, c, h, w], &device)))?;
    let together = to_host(forward(to_tensor(two, [2, c, h, w], &device)))?;
    let scale = alone.iter().fold(1.0f32, |most, v| most.max(v.abs()));
    // Sums of thousands of numbers in another order differ by far less.
    let apart = alone.iter().zip(&together).fold(0.0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
    if apart > 1e-3 {
        let what = format!("the network's output for one record changes by {apart} with the other records of its batch");
        return Err(Error::config(what, "use a layer that looks at each record by itself: GroupNorm or LayerNorm instead of batch norm"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::nn::{Arch, Net};

    #[test]
    fn batch_norm_is_refused_and_the_own_layers_are_not() {
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let batch_norm = |x: Tensor<4>| {
            let centred = x.clone() - x.mean_dim(0);
            centred.clone() / ((centred.clone() * centred).mean_dim(0) + 1e-5).sqrt()
        };
        let message = refuse_mixing([1, 4, 4], &lab, batch_norm).unwrap_err().to_string();
        assert!(message.contains("GroupNorm"), "{message}");
        for arch in [Arch::conv_net().with_width(8), Arch::mlp(), Arch::LeNet] {
            let net = Net::new(arch.layers([1, 28, 28], 10).unwrap(), &mut lab.rng("w", 0), &lab.open().unwrap());
            refuse_mixing([1, 28, 28], &lab, |x| net.forward(x)).unwrap();
        }
    }
}
