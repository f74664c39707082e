//! DP-SGD against an independent program, its distribution, and what it refuses.

use super::*;
use crate::data::rows_at;
use crate::nn::{Arch, AvgPool, Conv2d, GroupNorm, Layer, Linear, Loss, Net, Optimizer, to_tensor};
use crate::train::Train;
use crate::{Dataset, augment::Augment};
use serde_json::Value;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(3).quiet()
}

fn numbers(value: &Value) -> Vec<f32> {
    value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

#[test]
fn the_clipped_sum_agrees_with_an_independent_program() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/per_sample_gradients/conv_group_norm.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let layers = vec![
        Layer::Conv2d(Conv2d { inputs: 2, outputs: 4, kernel: 3, stride: 1, padding: 1 }),
        Layer::GroupNorm(GroupNorm { groups: 2, channels: 4, epsilon: 1e-5 }),
        Layer::Relu,
        Layer::AvgPool(AvgPool { size: 2 }),
        Layer::Flatten,
        Layer::Linear(Linear { inputs: 36, outputs: 3 }),
    ];
    let device = lab().open().unwrap();
    let weights: Vec<Vec<f32>> = golden["parameters"].as_array().unwrap().iter().map(numbers).collect();
    let net = Net::with_weights(layers, &weights, &device).unwrap();
    let labels: Vec<usize> = golden["labels"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
    let [n, c, h, w]: [usize; 4] = std::array::from_fn(|i| golden["images"]["shape"][i].as_u64().unwrap() as usize);
    let (images, d) = (numbers(&golden["images"]), c * h * w);
    for physical in [1, 3, 1024] {
        for how in [PerSample::Flat, PerSample::Ghost] {
            let clip = golden["clip"].as_f64().unwrap();
            let config = DpSgd::new(1.0).with_clip(clip).with_per_sample(how).with_physical_batch(physical);
            let mechanism = Mechanism::new(&config, n, n, &lab(), "test").unwrap();
            let positions: Vec<usize> = (0..n).collect();
            let sum = mechanism
                .clipped_sum(&positions, &[&net], &Device::Cpu, |_, part| {
                    let x = rows_at(&images, d, part);
                    let (logits, tape) = net.forward_saving(to_tensor(x, [part.len(), c, h, w], &device));
                    let one_hot: Vec<f32> = part
                        .iter()
                        .flat_map(|&i| (0..3).map(|class| f32::from(u8::from(class == labels[i]))).collect::<Vec<_>>())
                        .collect();
                    let (_, grad) = Loss::CrossEntropy.of(logits, Tensor::from_data(TensorData::new(one_hot, [part.len(), 3]), &device));
                    Ok(net.per_sample(&tape, grad * part.len() as f64, how, false).0)
                })
                .unwrap();
            for (ours, expected) in sum.into_iter().zip(golden["clipped_sum"].as_array().unwrap()) {
                let expected = numbers(expected);
                let scale = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                for (a, b) in to_host(ours).unwrap().iter().zip(&expected) {
                    // f32, and the margin of 1e-5 under the clipping norm.
                    assert!((a - b).abs() < 5e-5 * scale, "{physical} {how:?}: {a} against {b}");
                }
            }
        }
    }
}

#[test]
fn no_record_adds_more_than_the_clipping_norm() {
    let mechanism = Mechanism::new(&DpSgd::new(1.0).with_clip(0.3), 10, 5, &lab(), "test").unwrap();
    for squared in [1e-12f32, 0.0899, 0.09, 0.090_001, 7.0, 1e20] {
        let length = f64::from(squared).sqrt() * f64::from(mechanism.factor(squared));
        assert!(length <= 0.3, "{squared}: {length}");
        assert!(squared < 0.0899 || length > 0.2998, "{squared}: {length}");
    }
}

#[test]
fn noise_is_sigma_times_clip_over_the_expected_batch_also_for_an_empty_sample() {
    let mut mechanism = Mechanism::new(&DpSgd::new(2.0).with_clip(0.5), 100, 20, &lab(), "test").unwrap();
    let nothing = |_: usize, _: &[usize]| -> Result<SampleGradients> { Err(Error::config("called", "an empty sample has no gradients")) };
    let layers = vec![Layer::Linear(Linear { inputs: 199, outputs: 100 })];
    let net = Net::new(layers, &mut lab().rng("weights", 0), &lab().open().unwrap());
    let sum = mechanism.clipped_sum(&[], &[&net], &Device::Cpu, nothing).unwrap();
    let noise = to_host(Tensor::cat(mechanism.release(sum).unwrap(), 0)).unwrap();
    let variance = noise.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 20_000.0;
    let expected = (2.0 * 0.5 / 20.0f64).powi(2);
    // The deviation of a variance from 20,000 numbers is 1 %; five of them.
    assert!((variance / expected - 1.0).abs() < 0.05, "{variance} against {expected}");
    assert_eq!(mechanism.event().unwrap().releases(), 1, "an empty sample is a release like any other");
}

#[test]
fn without_noise_and_clipping_a_step_is_one_of_plain_descent() {
    // A rate of 1 takes every record; next to no noise, and a clipping norm that nothing reaches.
    let data = Dataset::toy().publicly_normalized().unwrap();
    let step = Optimizer::Sgd { rate: 0.1, momentum: 0.0, weight_decay: 0.0 };
    let plain = Train::new(Arch::mlp()).with_epochs(3).with_batch(data.len()).with_optimizer(step);
    let private = plain.clone().with_privacy(DpSgd::new(1e-9).with_clip(1e3));
    let (plain, private) = (plain.fit(&data, &lab()).unwrap(), private.fit(&data, &lab()).unwrap());
    for (a, b) in plain.weights().iter().flatten().zip(private.weights().iter().flatten()) {
        // Three steps in f32, summed in another order.
        assert!((a - b).abs() < 1e-4, "{a} against {b}");
    }
}

#[test]
fn the_event_counts_the_steps_that_were_made() {
    let data = Dataset::toy();
    let recipe = Train::new(Arch::Logistic).with_epochs(500).with_batch(12).with_privacy(DpSgd::new(1.5));
    let planned = recipe.event(&data).unwrap();
    assert_eq!(planned.releases(), 5000);
    let stopped = recipe.fit(&data, &lab().budget_s(0.05).unwrap()).unwrap();
    let epochs = stopped.history().len() as u64;
    assert!(epochs < 500);
    let step = Event::gaussian(1.5).unwrap().poisson(0.1).unwrap();
    assert_eq!(*stopped.event(), step.repeat(10 * epochs));
}

#[test]
fn a_private_model_keeps_no_loss_and_no_statistics_of_its_records() {
    let data = Dataset::toy();
    let model = Train::new(Arch::Logistic).with_epochs(1).with_batch(12).with_privacy(DpSgd::new(1.0)).fit(&data, &lab()).unwrap();
    assert!(model.history().iter().all(|epoch| epoch.loss.is_none()));
    let json = serde_json::to_value(&model).unwrap();
    assert_eq!(json["normalization"]["mean"], serde_json::json!([0.5]), "the range of pixels, not the mean of the records");
}

#[test]
fn bad_settings_are_named() {
    let data = Dataset::toy();
    let message = |privacy: DpSgd, batch: usize| {
        let train = Train::new(Arch::Logistic).with_epochs(1).with_batch(batch).with_privacy(privacy);
        train.fit(&data, &lab()).unwrap_err().to_string()
    };
    assert!(message(DpSgd::new(0.0), 10).contains("noise is 0"));
    assert!(message(DpSgd::new(f64::NAN), 10).contains("noise is NaN"));
    assert!(message(DpSgd::new(1.0).with_clip(-1.0), 10).contains("clip is -1"));
    assert!(message(DpSgd::new(1.0).with_physical_batch(0), 10).contains("physical_batch is 0"));
    assert!(message(DpSgd::new(1.0), 1000).contains("a batch of 1000 from 120 records"));
    assert!(message(DpSgd::new(1.0).with_augmentations(4), 10).contains("4 augmentations"));
}

#[test]
fn gradients_that_are_no_numbers_stop_the_run() {
    let data = Dataset::toy();
    // A rate this large sends the weights to infinity within a few steps.
    let step = Optimizer::Sgd { rate: 1e38, momentum: 0.9, weight_decay: 0.0 };
    let train = Train::new(Arch::mlp()).with_epochs(5).with_batch(30).with_optimizer(step).with_privacy(DpSgd::new(1.0));
    assert!(matches!(train.fit(&data, &lab()), Err(Error::Diverged { .. })));
}

#[test]
fn augmentation_multiplicity_averages_before_clipping_and_costs_no_privacy() {
    let data = Dataset::toy();
    let recipe = Train::new(Arch::conv_net().with_width(4).with_depth(2)).with_epochs(1).with_batch(30).with_augment(Augment::dsa());
    let one = recipe.clone().with_privacy(DpSgd::new(1.0)).fit(&data, &lab()).unwrap();
    let four = recipe.with_privacy(DpSgd::new(1.0).with_augmentations(4)).fit(&data, &lab()).unwrap();
    assert_eq!(one.event(), four.event());
    assert_ne!(one.weights(), four.weights());
}
