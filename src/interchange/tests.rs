//! Against files that numpy and torch wrote, and files for `tests/python/interchange.py`.

use super::npy::{Array, Values};
use super::npz::Npz;
use crate::attack::Signals;
use crate::nn::{Arch, AvgPool, Conv2d, ConvTranspose2d, Dropout, GroupNorm, InstanceNorm, Layer, LayerNorm, Linear, MaxPool};
use crate::train::{Model, Train};
use crate::{Dataset, Lab};
use std::path::{Path, PathBuf};

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/interchange").join(file)
}

#[test]
fn arrays_of_numpy_are_read_stored_and_deflated_in_both_byte_and_memory_orders() {
    for file in ["arrays_stored.npz", "arrays_deflated.npz"] {
        let arrays = Npz::read(&golden(file)).unwrap();
        let get = |name: &str| arrays.get(name).unwrap();
        let grid: Vec<f32> = (0..24).map(|i| i as f32 / 8.0).collect();
        assert_eq!(*get("single"), Array::new(&[2, 3, 4], Values::F32(grid)));
        assert_eq!(get("columns"), get("single"));
        assert_eq!(*get("double_big"), Array::new(&[4], Values::F64((0..4).map(|i| f64::from(i) / 3.0).collect())));
        assert_eq!((&get("short_big").values, get("short_big").kind.as_str()), (&Values::Integers(vec![-300, 2, 7, 32000]), "i2"));
        assert_eq!(get("byte").values, Values::Integers(vec![0, 127, 255]));
        assert_eq!(*get("long"), Array::new(&[2], Values::Integers(vec![-(1 << 40), 1 << 62])));
        assert_eq!(*get("flag"), Array::new(&[2, 2], Values::Bool(vec![true, false, false, true])));
        assert_eq!(*get("word"), Array::new(&[3], Values::Text(["", "shoe", "Käse"].map(String::from).to_vec())));
        assert_eq!(*get("scalar"), Array::new(&[], Values::F64(vec![0.25])));
        assert_eq!((get("empty").shape.as_slice(), &get("empty").values), (&[0, 3][..], &Values::Integers(vec![])));
    }
}

#[test]
fn pixels_of_bytes_become_0_to_1() {
    let data = Dataset::from_npz(golden("pixels.npz")).unwrap();
    assert_eq!((data.shape(), data.labels(), data.record(0)), ([1, 2, 2], &[1, 0][..], &[0.0, 1.0, 0.2, 0.4][..]));
}

#[test]
fn signals_of_numpy_have_the_phi_that_numpy_computed() {
    let signals = Signals::from_npz(golden("signals.npz")).unwrap();
    assert_eq!((signals.models(), signals.len(), signals.queries(), signals.classes()), (3, 5, 2, 4));
    assert_eq!(signals.ids(), [9, 8, 7, 6, 5]);
    let arrays = Npz::read(&golden("signals.npz")).unwrap();
    let Values::F64(expected) = &arrays.get("phi").unwrap().values else { panic!("phi is float64") };
    let phi: Vec<f64> = (0..3).flat_map(|model| signals.phi(model).unwrap()).collect();
    assert!(phi.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12));
}

/// The largest difference to the logits beside the records of a golden file.
fn distance(model: &Model, file: &str) -> f32 {
    let (data, expected) = (Dataset::from_npz(golden(file)).unwrap(), Npz::read(&golden(file)).unwrap().floats("logits").unwrap());
    let logits = model.logits(&data).unwrap();
    assert_eq!(logits.len(), expected.len());
    logits.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_reference_conv_net_gives_the_logits_of_torch() {
    let like = Dataset::from_npz(golden("reference_conv_net.npz")).unwrap();
    let model = Model::from_reference_conv_net(golden("reference_conv_net.safetensors"), &like).unwrap();
    assert_eq!(model.train().arch, Arch::ConvNet { width: 4, depth: 2 });
    assert!(model.event().is_non_private());
    // Logits of order 1 in f32: the two programs add in another order.
    assert!(distance(&model, "reference_conv_net.npz") < 1e-5);
    let wrong = Model::from_reference_conv_net(golden("sequential.safetensors"), &like).unwrap_err().to_string();
    assert!(wrong.contains("no convolution features.0.weight; the file has 0.bias, 0.weight"), "{wrong}");
}

/// The network of `sequential.safetensors`.
fn every_layer() -> Arch {
    let layers = vec![
        Layer::Conv2d(Conv2d { inputs: 2, outputs: 4, kernel: 3, stride: 2, padding: 1 }),
        Layer::LeakyRelu { slope: 0.2 },
        Layer::GroupNorm(GroupNorm { groups: 2, channels: 4, epsilon: 1e-5 }),
        Layer::MaxPool(MaxPool { size: 2 }),
        Layer::LayerNorm(LayerNorm { values: 16, epsilon: 1e-5 }),
        Layer::Tanh,
        Layer::Flatten,
        Layer::Linear(Linear { inputs: 16, outputs: 6 }),
        Layer::Sigmoid,
        Layer::LayerNorm(LayerNorm { values: 6, epsilon: 1e-5 }),
        Layer::ConvTranspose2d(ConvTranspose2d { inputs: 6, outputs: 3, kernel: 4, stride: 2, padding: 1 }),
        Layer::Dropout(Dropout { rate: 0.3 }),
        Layer::Flatten,
        Layer::Linear(Linear { inputs: 12, outputs: 3 }),
    ];
    Arch::Custom { layers }
}

#[test]
fn a_sequential_with_every_module_gives_the_logits_of_torch() {
    let like = Dataset::from_npz(golden("sequential.npz")).unwrap();
    let path = golden("sequential.safetensors");
    let model = Model::from_pytorch_safetensors(&path, every_layer(), &like).unwrap();
    assert!(distance(&model, "sequential.npz") < 1e-5);
    let wrong = Model::from_pytorch_safetensors(&path, Arch::Logistic, &like).unwrap_err().to_string();
    assert!(wrong.contains("parameter 1.weight: missing; the file has 0.bias, 0.weight"), "{wrong}");
    let Arch::Custom { mut layers } = every_layer() else { panic!("own layers") };
    layers[0] = Layer::Conv2d(Conv2d { inputs: 2, outputs: 4, kernel: 5, stride: 2, padding: 2 });
    let wrong = Model::from_pytorch_safetensors(&path, Arch::Custom { layers }, &like).unwrap_err().to_string();
    assert!(wrong.contains("parameter 0.weight: shape [4, 2, 3, 3], dtype F32; expected float32 of shape [4, 2, 5, 5]"), "{wrong}");
}

#[test]
fn a_state_dict_with_more_parameters_than_the_architecture_is_refused() {
    let like = Dataset::from_npz(golden("sequential.npz")).unwrap();
    let Arch::Custom { layers } = every_layer() else { panic!("own layers") };
    let shorter: Vec<Layer> =
        layers.into_iter().map(|layer| if matches!(layer, Layer::GroupNorm(_)) { Layer::Relu } else { layer }).collect();
    let path = golden("sequential.safetensors");
    let wrong = Model::from_pytorch_safetensors(path, Arch::Custom { layers: shorter }, &like).unwrap_err().to_string();
    assert!(wrong.contains("parameter 2.bias: too many"), "{wrong}");
}

#[test]
fn a_saved_state_dict_comes_back_with_its_event() {
    let folder = super::provenance::tests::scratch("state");
    let (data, lab) = (super::provenance::tests::released(), Lab::new().unwrap().quiet());
    let arch = Arch::ConvNet { width: 3, depth: 2 };
    let model = Train::new(arch.clone()).with_epochs(1).fit(&data, &lab).unwrap();
    let path = folder.join("net.safetensors");
    model.save_pytorch_safetensors(&path).unwrap();
    let back = Model::from_pytorch_safetensors(&path, arch, &data).unwrap();
    assert_eq!((back.weights(), back.event()), (model.weights(), data.event()));
    assert_eq!(back.logits(&data).unwrap(), model.logits(&data).unwrap());
    std::fs::remove_dir_all(folder).unwrap();
}

/// Writes what `tests/python/interchange.py` checks, into `freelunch-interchange` in the folder for temporary files.
#[test]
#[ignore = "for tests/python/interchange.py"]
fn files_for_python() {
    let folder = std::env::temp_dir().join("freelunch-interchange");
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).unwrap();
    let lab = Lab::new().unwrap().quiet();
    let digits = Dataset::digits().unwrap().test.sample_per_class(3, &lab).unwrap();
    digits.save_npz(folder.join("digits.npz")).unwrap();
    digits.save_safetensors(folder.join("digits.safetensors")).unwrap();
    digits.save_idx(&folder, "digits").unwrap();
    digits.save_images(folder.join("digits")).unwrap();
    digits.save_parquet(folder.join("digits.parquet")).unwrap();
    Signals::from_npz(golden("signals.npz")).unwrap().save_npz(folder.join("signals.npz")).unwrap();
    let pooled = Arch::Custom {
        layers: vec![
            Layer::Conv2d(Conv2d { inputs: 1, outputs: 3, kernel: 3, stride: 1, padding: 1 }),
            Layer::InstanceNorm(InstanceNorm { channels: 3, epsilon: 1e-5 }),
            Layer::Relu,
            Layer::AvgPool(AvgPool { size: 3 }),
            Layer::Linear(Linear { inputs: 12, outputs: 10 }), // no Flatten before it
        ],
    };
    for (name, arch) in [("conv_net", Arch::ConvNet { width: 8, depth: 3 }), ("mlp", Arch::mlp()), ("pooled", pooled)] {
        let model = Train::new(arch).with_epochs(3).fit(&digits, &lab).unwrap();
        let place = |end: &str| folder.join(format!("{name}{end}"));
        model.save_pytorch_safetensors(place(".safetensors")).unwrap();
        std::fs::write(place(".py"), model.pytorch_code().unwrap()).unwrap();
        let logits = Array::new(&[digits.len(), 10], Values::F32(model.logits(&digits).unwrap()));
        super::npz::write(&place("_logits.npz"), &[("logits".into(), logits)]).unwrap();
    }
}
