//! DP-MERF: the features' closed form and length, the gradient, the release, the generator.

use super::features::add;
use super::*;
use crate::data::Normalization;
use crate::nn::to_host;
use burn::tensor::{Tensor, TensorData};

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().seed(4).quiet()
}

fn rows(values: &[f32], d: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / d, d]), &lab().open().unwrap())
}

fn quick(per_class: usize, noise: f64) -> MeanEmbedding {
    MeanEmbedding::small(per_class, noise).with_features(64).with_steps(20).with_hidden(16).with_batch(4)
}

fn table() -> Dataset {
    let table = Dataset::toy_table();
    let ranges = [(18.0, 90.0), (0.0, 20.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)];
    table.with_public_normalization(Normalization::of_ranges(&ranges).unwrap()).unwrap()
}

/// The toy set with record `at` replaced by a checkerboard, or left out.
fn toy_with(change: impl Fn(usize, &[f32]) -> Option<Vec<f32>>) -> Dataset {
    let toy = Dataset::toy();
    let kept: Vec<(Vec<f32>, u32)> = (0..toy.len()).filter_map(|i| Some((change(i, toy.record(i))?, toy.labels()[i]))).collect();
    let x = kept.iter().flat_map(|(x, _)| x.clone()).collect();
    Dataset::images("toy", x, toy.shape(), kept.iter().map(|(_, label)| *label).collect(), toy.class_names().to_vec()).unwrap()
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn the_sums_are_cosines_and_sines_of_the_phases_by_class() {
    // Two frequencies, w = (1, 0) and (2, −1), three records in two classes; by hand.
    let features = Features::with_frequencies(vec![1.0, 0.0, 2.0, -1.0], 2, &lab()).unwrap();
    let x = vec![0.5, 0.25, 0.0, 1.0, 1.0, 0.5];
    let schema = Dataset::toy_table().schema().cloned().unwrap();
    let schema = crate::data::Schema { columns: schema.columns[..2].to_vec(), ..schema };
    let data = Dataset::table("three", x.clone(), schema, vec![0, 1, 0], vec!["a".into(), "b".into()]).unwrap();
    let sums = features.sums(&x, &data, &lab()).unwrap();
    let phases: [[f64; 2]; 3] = [[0.5, 0.75], [0.0, -1.0], [1.0, 1.5]];
    let phi = |i: usize| [phases[i][0].cos(), phases[i][1].cos(), phases[i][0].sin(), phases[i][1].sin()].map(|v| v / 2f64.sqrt());
    let expected: Vec<f64> = (0..4).map(|at| phi(0)[at] + phi(2)[at]).chain(phi(1)).collect();
    assert!(apart(&sums, &expected) < 1e-7, "phases in float32: {sums:?} against {expected:?}");
}

#[test]
fn features_have_length_one_and_the_kernel_as_their_product() {
    let (d, half, length) = (6, 5000, 0.8);
    let features = Features::new(d, half, length, &lab()).unwrap();
    let embed = |x: &[f32]| {
        let data = toy_pair(x);
        features.sums(x, &data, &lab()).unwrap()
    };
    let (a, b) = ([0.1, 0.9, 0.4, 0.0, 0.3, 1.0], [0.6, 0.7, 0.2, 0.1, 0.9, 0.8]);
    let (phi_a, phi_b) = (embed(&a), embed(&b));
    for phi in [&phi_a, &phi_b] {
        assert!((phi.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12, "rounding in 64 bits");
    }
    let product: f64 = phi_a.iter().zip(&phi_b).map(|(a, b)| a * b).sum();
    let distance: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let kernel = (-distance / (2.0 * length * length)).exp();
    // A mean of 5,000 cosines has a deviation of at most 0.0142 / √2; five of them.
    assert!((product - kernel).abs() < 0.05, "{product} against {kernel}");
}

/// One record of one class.
fn toy_pair(x: &[f32]) -> Dataset {
    Dataset::images("one", x.to_vec(), [x.len(), 1, 1], vec![0], vec!["only".into()]).unwrap()
}

#[test]
fn a_phase_however_large_adds_length_one() {
    let mut sum = vec![0.0; 8];
    add(&mut sum, &[1e30, -7.3e8, 0.0, f32::MAX]);
    assert!((sum.iter().map(|v| v * v).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn one_record_more_or_less_changes_the_sums_by_one() {
    let embedding = quick(1, 1.0);
    let sums = |data: &Dataset| {
        let features = embedding.frequencies(data, &lab()).unwrap();
        features.sums(&seen(data), data, &lab()).unwrap()
    };
    let all = sums(&Dataset::toy());
    for at in [0, 17, 119] {
        let change = apart(&all, &sums(&toy_with(|i, x| (i != at).then(|| x.to_vec()))));
        // Phases in float32 may round differently in another chunk.
        assert!((change - 1.0).abs() < 1e-6, "{change}");
    }
}

#[test]
fn the_release_is_the_true_mean_plus_noise_of_sigma_over_the_class_size() {
    let embedding = MeanEmbedding::small(1, 3.0);
    let toy = Dataset::toy();
    let features = embedding.frequencies(&toy, &lab()).unwrap();
    let released = embedding.release(&toy, &features, &lab()).unwrap();
    let truth = features.sums(&seen(&toy), &toy, &lab()).unwrap();
    let target = Target::new(truth.iter().map(|v| (v / 30.0) as f32).collect(), 4, &lab()).unwrap();
    let noise: Vec<f32> = [(released.cos, target.cos), (released.sin, target.sin)]
        .into_iter()
        .flat_map(|(noisy, true_)| to_host(noisy - true_).unwrap())
        .collect();
    let variance = noise.iter().map(|&v| f64::from(v * 30.0).powi(2)).sum::<f64>() / noise.len() as f64;
    // 8,000 numbers: a deviation of 1.6 %; five of them.
    assert!((variance / 9.0 - 1.0).abs() < 0.08, "{variance}");
}

#[test]
fn the_distance_has_the_gradient_of_its_finite_differences() {
    let features = Features::new(3, 16, 0.7, &lab()).unwrap();
    let mut rng = lab().rng("test", 0);
    let mut draw = |count: usize, scale: f32| -> Vec<f32> {
        (0..count).map(|_| -> f32 { StandardNormal.sample(&mut rng) }).map(|v| scale * v).collect()
    };
    let target = Target::new(draw(2 * 32, 0.2), 2, &lab()).unwrap();
    let x = draw(6 * 3, 0.5);
    let (_, gradient) = features.distance(rows(&x, 3), &target).unwrap();
    let gradient = to_host(gradient).unwrap();
    for at in 0..x.len() {
        let shifted = |by: f32| {
            let mut x = x.clone();
            x[at] += by;
            features.distance(rows(&x, 3), &target).unwrap().0
        };
        let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        // Central differences in float32.
        assert!((slope - f64::from(gradient[at])).abs() < 2e-3, "{slope} against {}", gradient[at]);
    }
}

#[test]
fn the_distance_does_not_depend_on_the_batch_in_expectation() {
    // Half of the records at 0 and half at 1, target their true mean: 0 with endless batches. With two of each class, half of the batches
    // have both at one place, which a plain mean would count as distance.
    let features = Features::new(1, 8, 1.0, &lab()).unwrap();
    let data = Dataset::images("two", vec![0.0, 1.0], [1, 1, 1], vec![0, 0], vec!["only".into()]).unwrap();
    let sums = features.sums(&[0.0, 1.0], &data, &lab()).unwrap();
    let target = Target::new(sums.iter().map(|v| (v / 2.0) as f32).collect(), 1, &lab()).unwrap();
    let batches = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let mean = batches.iter().map(|batch| features.distance(rows(batch, 1), &target).unwrap().0).sum::<f64>() / 4.0;
    assert!(mean.abs() < 1e-6, "{mean}: float32");
}

#[test]
fn the_head_has_the_gradient_of_its_finite_differences() {
    let generator = MeanEmbeddingGenerator::untrained(&quick(1, 1.0), &table()).unwrap();
    let head = Head::new(&generator.kind);
    let device = lab().open().unwrap();
    let raw = vec![0.3, -1.2, 0.5, 0.1, -0.7, 1.0, 0.0, -0.2, 0.9, 0.4];
    let weights = vec![1.0, -2.0, 0.5, 1.5, -1.0, 0.3, 0.7, -0.4, 2.0, 1.1];
    let value = |raw: &[f32]| -> f64 {
        let made = to_host(head.forward(to_tensor(raw.to_vec(), [2, 5, 1, 1], &device))).unwrap();
        made.iter().zip(&weights).map(|(a, b)| f64::from(a * b)).sum()
    };
    let made = head.forward(to_tensor(raw.clone(), [2, 5, 1, 1], &device));
    let gradient = to_host(head.input_gradient(made, rows(&weights, 5))).unwrap();
    for at in 0..10 {
        let shifted = |by: f32| {
            let mut raw = raw.clone();
            raw[at] += by;
            value(&raw)
        };
        let slope = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        assert!((slope - f64::from(gradient[at])).abs() < 2e-3, "{slope} against {}: float32", gradient[at]);
    }
}

#[test]
fn training_brings_the_generator_to_the_released_means() {
    let embedding = MeanEmbedding::small(1, 0.1).with_features(200).with_steps(150).with_hidden(32);
    let generator = embedding.fit(&Dataset::toy(), &lab()).unwrap();
    let (first, last) = (generator.history()[0].1, generator.history().last().unwrap().1);
    assert!(last < 0.3 * first, "{first} to {last}");
    let made = generator.sample(30, &lab()).unwrap();
    let toy = Dataset::toy();
    let mean = |data: &Dataset, class: usize, pixel: usize| {
        let members = data.of_class(class);
        members.iter().map(|&i| data.record(i)[pixel]).sum::<f32>() / members.len() as f32
    };
    let distance = |a: usize, b: usize| -> f32 { (0..64).map(|p| (mean(&made, a, p) - mean(&toy, b, p)).powi(2)).sum() };
    for class in 0..4 {
        for other in (0..4).filter(|other| *other != class) {
            assert!(distance(class, class) < distance(class, other), "class {class} looks like {other}");
        }
    }
}

#[test]
fn tables_come_back_with_whole_categories_and_their_schema() {
    let generator = quick(1, 0.5).fit(&table(), &lab()).unwrap();
    let made = generator.sample(20, &lab()).unwrap();
    assert_eq!(made.schema(), table().schema());
    assert_eq!(made.per_class(), vec![20, 20]);
    for i in 0..made.len() {
        let levels: Vec<f32> = made.record(i)[2..].iter().map(|v| (v * 1e5).round() / 1e5).collect();
        assert_eq!((levels.iter().sum::<f32>(), levels.iter().filter(|&&v| v == 1.0).count()), (1.0, 1), "{levels:?}");
    }
    assert_eq!(made.normalization(), table().normalization());
}

#[test]
fn there_is_one_release_however_much_is_sampled_and_however_short_the_training() {
    let real = Dataset::toy();
    let once = Event::gaussian(2.0).unwrap();
    let generator = quick(1, 2.0).with_steps(1_000_000).fit(&real, &lab().budget_s(0.1).unwrap()).unwrap();
    assert_eq!(*generator.event(), once);
    assert!(generator.history().last().unwrap().0 < 100_000);
    assert_eq!(*generator.sample(100, &lab()).unwrap().event(), once);
    assert_eq!(Synthesize::event(&quick(1, 2.0), &real).unwrap(), once);
    assert_eq!(*quick(1, 2.0).synthesize(&real.declared_public(), &lab()).unwrap().event(), Event::NoOp);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_secure_noise_does_not() {
    let made = |embedding: MeanEmbedding| embedding.synthesize(&Dataset::toy(), &lab()).unwrap().digest();
    assert_eq!(made(quick(2, 1.0)), made(quick(2, 1.0)));
    let secure = || quick(2, 1.0).with_randomness(Randomness::Secure);
    assert_ne!(made(secure()), made(secure()));
}

#[test]
fn only_the_noisy_sums_carry_anything_of_the_records() {
    // So much noise that the sums are noise to float32: another record then changes no bit of the result.
    let embedding = quick(2, 1e12);
    let other = toy_with(|i, x| Some(if i == 5 { vec![1.0; 64] } else { x.to_vec() }));
    assert_eq!(embedding.synthesize(&Dataset::toy(), &lab()).unwrap().x(), embedding.synthesize(&other, &lab()).unwrap().x());
}

#[test]
fn a_saved_generator_is_the_same_and_a_damaged_file_is_named() {
    let path = std::env::temp_dir().join(format!("freelunch-merf-{}.safetensors", std::process::id()));
    let generator = quick(1, 1.0).fit(&table(), &lab()).unwrap();
    generator.save(&path).unwrap();
    let loaded = MeanEmbeddingGenerator::load(&path).unwrap();
    assert_eq!(loaded.sample(5, &lab()).unwrap().digest(), generator.sample(5, &lab()).unwrap().digest());
    assert_eq!((loaded.event(), loaded.config()), (generator.event(), generator.config()));
    assert_eq!(loaded.history().len(), generator.history().len());
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 5, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let message = MeanEmbeddingGenerator::load(&path).unwrap_err().to_string();
        assert!(message.contains("expected a file written by"), "{message}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn bad_settings_are_named() {
    let message = |embedding: MeanEmbedding| embedding.fit(&Dataset::toy(), &lab()).unwrap_err().to_string();
    assert!(message(quick(1, 0.0)).contains("noise is 0"));
    assert!(message(quick(1, 1.0).with_features(7)).contains("features is 7"));
    assert!(message(quick(1, 1.0).with_length(-1.0)).contains("length is -1"));
    assert!(message(quick(1, 1.0).with_batch(1)).contains("batch is 1"));
    assert!(message(quick(1, 1.0).with_code(0)).contains("code is 0"));
    assert!(message(quick(0, 1.0)).contains("per_class is 0"));
    assert!(quick(1, 1.0).fit(&Dataset::toy_table(), &lab()).unwrap_err().to_string().contains("with_public_normalization"));
    assert!(quick(1, 1.0).fit(&Dataset::toy(), &lab()).unwrap().sample(0, &lab()).unwrap_err().to_string().contains("per_class is 0"));
}
