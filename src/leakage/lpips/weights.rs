//! Reading the weights of LPIPS: all that is wrong with a file is said at once.

use super::{STAGES, Weights};
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// The five stages of a safetensors file.
pub(super) fn read(path: &Path) -> Result<Vec<Weights>> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e, "check the path; no weights come with this library"))?;
    let file = path.display().to_string();
    let remedy = "the documentation of Lpips shows how to write the file";
    let tensors = SafeTensors::deserialize(&bytes).map_err(|e| Error::data(&file, "header", e.to_string(), remedy))?;
    let mut faults = vec![];
    let mut stages = vec![];
    for (i, stage) in STAGES.iter().enumerate() {
        let mut take = |name: String, shape: &[usize]| match values(&tensors, &name, shape) {
            Ok(values) => values,
            Err(fault) => {
                faults.push(fault);
                vec![]
            }
        };
        let kernel = take(format!("{}.weight", stage.name), &[stage.outputs, stage.inputs, stage.kernel, stage.kernel]);
        let bias = take(format!("{}.bias", stage.name), &[stage.outputs]);
        let name = format!("lin{i}.model.1.weight");
        let lin = take(name.clone(), &[1, stage.outputs, 1, 1]);
        if let Some(negative) = lin.iter().find(|&&w| w < 0.0) {
            faults.push(format!("{name} holds {negative}, LPIPS is fitted with weights of at least 0"));
        }
        stages.push(Weights { kernel, bias, roots: lin.iter().map(|w| w.sqrt()).collect() });
    }
    if faults.is_empty() {
        return Ok(stages);
    }
    Err(Error::data(file, "tensors", faults.join("; "), remedy))
}

/// The values of one tensor, or what is wrong with it.
fn values(tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> std::result::Result<Vec<f32>, String> {
    let tensor = tensors.tensor(name).map_err(|_| format!("{name} is missing"))?;
    if tensor.shape() != shape || tensor.dtype() != Dtype::F32 {
        return Err(format!("{name} is {:?} {:?}, expected F32 {shape:?}", tensor.dtype(), tensor.shape()));
    }
    let values: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    match values.iter().find(|v| !v.is_finite()) {
        Some(bad) => Err(format!("{name} holds {bad}")),
        None => Ok(values),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Lpips;
    use super::*;
    use safetensors::tensor::TensorView;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    /// `count` numbers of the SplitMix64 stream of `seed`, between `low` and `high`.
    pub(in crate::leakage) fn stream(seed: u64, count: usize, low: f64, high: f64) -> Vec<f32> {
        let uniform = |i: u64| {
            let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-53)
        };
        (0..count as u64).map(|i| (low + (high - low) * uniform(i)) as f32).collect()
    }

    /// The weights that `tests/golden/generate/lpips.py` makes, too.
    pub(in crate::leakage) fn random() -> Lpips {
        let stages = STAGES.iter().enumerate().map(|(i, stage)| {
            let fan_in = stage.inputs * stage.kernel * stage.kernel;
            let bound = (6.0 / fan_in as f64).sqrt();
            let seed = 4_000 + 3 * i as u64;
            Weights {
                kernel: stream(seed, stage.outputs * fan_in, -bound, bound),
                bias: stream(seed + 1, stage.outputs, -0.1, 0.1),
                roots: stream(seed + 2, stage.outputs, 0.0, 1.0).iter().map(|w| w.sqrt()).collect(),
            }
        });
        Lpips { stages: Arc::new(stages.collect()), side: 64 }
    }

    fn file(name: &str, change: impl Fn(&mut BTreeMap<String, (Vec<usize>, Vec<f32>)>)) -> Result<Lpips> {
        let mut tensors = BTreeMap::new();
        for (i, (stage, weights)) in STAGES.iter().zip(random().stages.iter()).enumerate() {
            let shape = vec![stage.outputs, stage.inputs, stage.kernel, stage.kernel];
            tensors.insert(format!("{}.weight", stage.name), (shape, weights.kernel.clone()));
            tensors.insert(format!("{}.bias", stage.name), (vec![stage.outputs], weights.bias.clone()));
            let lin = weights.roots.iter().map(|root| root * root).collect();
            tensors.insert(format!("lin{i}.model.1.weight"), (vec![1, stage.outputs, 1, 1], lin));
        }
        change(&mut tensors);
        let bytes: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> =
            tensors.iter().map(|(name, (shape, v))| (name, (shape, v.iter().flat_map(|v| v.to_le_bytes()).collect()))).collect();
        let views = bytes.iter().map(|(name, (shape, data))| (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
        let path = std::env::temp_dir().join(format!("freelunch-lpips-{name}-{}.safetensors", std::process::id()));
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        let read = Lpips::load(&path);
        std::fs::remove_file(path).unwrap();
        read
    }

    #[test]
    fn what_was_written_is_read() {
        let read = file("whole", |_| {}).unwrap();
        for (read, written) in read.stages.iter().zip(random().stages.iter()) {
            assert_eq!((&read.kernel, &read.bias), (&written.kernel, &written.bias));
            // A root, squared and drawn again.
            assert!(read.roots.iter().zip(&written.roots).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn every_fault_of_a_file_is_named() {
        let message = file("broken", |tensors| {
            tensors.remove("features.3.bias");
            tensors.remove("lin4.model.1.weight");
            tensors.insert("features.10.bias".into(), (vec![2], vec![0.0; 2]));
            tensors.get_mut("lin0.model.1.weight").unwrap().1[7] = -0.5;
        });
        let message = message.unwrap_err().to_string();
        for fault in [
            "features.3.bias is missing",
            "lin4.model.1.weight is missing",
            "features.10.bias is F32 [2], expected F32 [256]",
            "holds -0.5",
        ] {
            assert!(message.contains(fault), "{message} lacks {fault}");
        }
    }
}
