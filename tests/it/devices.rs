//! Another device against the processor: `cargo test --features wgpu --test it devices`, or `cuda`, `vulkan`. Not compiled without such a feature. For `wgpu` a software
//! driver of Vulkan will do (Mesa's llvmpipe). The device is FREELUNCH_DEVICE, else that of the feature.
//!
//! Random numbers come from the host, so differences are rounding. Tolerances are shares of the largest value: 1e-5 for what is computed once, 1e-4 after some steps of
//! training or condensation, which amplify it. On llvmpipe the largest differences were 6e-7 and 2e-6.

#![cfg(any(feature = "cuda", feature = "vulkan", feature = "wgpu"))]

use freelunch::nn::{Layer, Optimizer};
use freelunch::prelude::*;
use freelunch::privacy::DpSgd;

fn device() -> Device {
    let named = std::env::var("FREELUNCH_DEVICE").ok().map(|name| name.parse().unwrap());
    let compiled = [Device::Cuda(0), Device::Vulkan, Device::Wgpu].into_iter().find(|device| device.check().is_ok());
    named.or(compiled).expect("a feature with a device")
}

fn lab(device: Device) -> Lab {
    Lab::on(device).unwrap().seed(5).quiet()
}

fn pictures() -> Dataset {
    let train = Dataset::fashion_mini().unwrap().train;
    train.subset(&(0..200).collect::<Vec<_>>()).unwrap()
}

fn close(here: &[f32], there: &[f32], share: f32, what: &str) {
    assert_eq!(here.len(), there.len(), "{what}");
    let largest = here.iter().fold(0f32, |most, v| most.max(v.abs()));
    let difference = here.iter().zip(there).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(difference <= share * largest, "{what}: {difference:e} of {largest:e}");
    println!("{what}: {difference:.1e} of {largest:.1e}");
}

/// The same on both.
fn both(what: &str, share: f32, work: impl Fn(&Lab) -> Vec<f32>) {
    close(&work(&lab(Device::Cpu)), &work(&lab(device())), share, what);
}

#[test]
fn networks_agree() {
    let data = pictures();
    for arch in [Arch::mlp(), Arch::LeNet, Arch::conv_net().with_width(8)] {
        let model = Train::new(arch.clone()).with_epochs(1).fit(&data, &lab(Device::Cpu)).unwrap();
        let there = model.clone().on_device(&device()).unwrap();
        close(&model.logits(&data).unwrap(), &there.logits(&data).unwrap(), 1e-5, &format!("logits of {}", arch.name()));
        close(
            &model.gradient_norms(&data).unwrap(),
            &there.gradient_norms(&data).unwrap(),
            1e-5,
            &format!("gradient norms of {}", arch.name()),
        );
    }
}

#[test]
fn training_agrees() {
    let data = pictures();
    for arch in [Arch::mlp(), Arch::LeNet, Arch::conv_net().with_width(8)] {
        let recipe = Train::new(arch.clone()).with_epochs(1).with_optimizer(Optimizer::sgd(0.01));
        both(&format!("training {}", arch.name()), 1e-4, |lab| recipe.fit(&data, lab).unwrap().logits(&data).unwrap());
    }
    let layers = Arch::conv_net().with_width(8).layers(data.shape(), data.classes()).unwrap();
    let layers = layers.into_iter().map(|layer| if layer == Layer::Relu { Layer::LeakyRelu { slope: 0.1 } } else { layer }).collect();
    let recipe = Train::new(Arch::Custom { layers }).with_epochs(1).with_optimizer(Optimizer::adam(0.001));
    both("training with Adam", 1e-4, |lab| recipe.fit(&data, lab).unwrap().logits(&data).unwrap());
}

#[test]
fn mixed_precision_learns_or_says_that_the_device_has_none() {
    let data = pictures();
    let recipe = Train::new(Arch::mlp()).with_epochs(5).with_precision(Precision::Mixed);
    let accuracy = |device| recipe.fit(&data, &lab(device)).map(|model| model.accuracy(&data).unwrap().value());
    match accuracy(device()) {
        Ok(there) => assert!((there - accuracy(Device::Cpu).unwrap()).abs() < 0.1, "{there}"),
        Err(error) => assert!(error.to_string().contains("Precision::Single"), "{error}"),
    }
}

#[test]
fn private_training_agrees() {
    let data = pictures();
    for arch in [Arch::mlp(), Arch::conv_net().with_width(8)] {
        let recipe =
            Train::new(arch.clone()).with_epochs(1).with_batch(50).with_optimizer(Optimizer::sgd(0.01)).with_privacy(DpSgd::new(1.0));
        both(&format!("DP-SGD of {}", arch.name()), 1e-4, |lab| recipe.fit(&data, lab).unwrap().logits(&data).unwrap());
    }
}

#[test]
fn condensation_agrees() {
    let data = pictures();
    let distribution = DistributionMatching::small(1).with_steps(3);
    both("distribution matching", 1e-4, |lab| distribution.synthesize(&data, lab).unwrap().x().to_vec());
    let gradient = GradientMatching::siamese_small(1).with_steps(1);
    both("gradient matching", 1e-4, |lab| gradient.synthesize(&data, lab).unwrap().x().to_vec());
}

#[test]
fn generators_agree() {
    let data = pictures();
    let vae = PrivateVae::new(2, 1.0).with_epochs(1).with_batch(10);
    both("DP-VaeGM", 1e-4, |lab| vae.synthesize(&data, lab).unwrap().x().to_vec());
}

#[test]
fn games_agree() {
    let data = pictures();
    let pipeline = Pipeline::direct(Train::new(Arch::mlp()).with_epochs(3));
    both("φ of a game", 1e-4, |lab| {
        let signals = Game::new(4).play(&pipeline, &data, lab).unwrap();
        (0..4).flat_map(|model| signals.phi(model).unwrap()).map(|phi| phi as f32).collect()
    });
}
