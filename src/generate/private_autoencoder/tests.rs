//! What leaves the function, what it costs, and what must not enter.

use super::*;
use crate::data::Normalization;
use crate::nn::to_host;
use crate::privacy::{Mechanism, Randomness};
use crate::{Device, display::Show};
use burn::tensor::Tensor;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(4).quiet()
}

fn recipe() -> PrivateAutoencoder {
    PrivateAutoencoder::new(3, 1.0).with_network(Coder::Dense { hidden: vec![6] }).with_epochs(2).with_batch(12)
}

fn public() -> Dataset {
    Dataset::toy().declared_public()
}

/// ½ |x − d(e(x))|² in double precision, all layers linear or tanh.
fn loss(encoder: &[Vec<f64>], decoder: &[Vec<f64>], x: &[f64]) -> f64 {
    let linear = |w: &[Vec<f64>], x: &[f64]| -> Vec<f64> {
        w[0].chunks(x.len()).zip(&w[1]).map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b).collect()
    };
    let tanh = |x: Vec<f64>| -> Vec<f64> { x.into_iter().map(f64::tanh).collect() };
    let hidden = tanh(linear(&encoder[..2], x));
    let code = tanh(linear(&encoder[2..], &hidden));
    let hidden = tanh(linear(&decoder[..2], &code));
    linear(&decoder[2..], &hidden).iter().zip(x).map(|(y, x)| (y - x) * (y - x) / 2.0).sum()
}

#[test]
fn the_gradient_is_the_difference_quotient_of_the_loss_in_both_networks() {
    let (recipe, data, lab) = (recipe(), Dataset::toy().publicly_normalized().unwrap(), lab());
    let pair = recipe.pair(&data, &recipe.run(&lab)).unwrap();
    let x = data.normalized();
    let ours = recipe.gradients(&pair, &x, data.shape(), &[5, 17], &lab).unwrap();
    let second = Tensor::from_floats([0.0, 1.0], &lab.open().unwrap());
    let ours: Vec<Vec<f32>> = ours.weighted_sum(second).into_iter().map(|g| to_host(g).unwrap()).collect();
    let double = |w: Vec<Vec<f32>>| -> Vec<Vec<f64>> { w.iter().map(|w| w.iter().map(|&v| f64::from(v)).collect()).collect() };
    let mut weights = [double(pair.encoder.host_weights().unwrap()), double(pair.decoder.host_weights().unwrap())].concat();
    let record: Vec<f64> = x[17 * 64..18 * 64].iter().map(|&v| f64::from(v)).collect();
    const STEP: f64 = 1e-4;
    for p in 0..8 {
        for i in 0..weights[p].len() {
            let mut at = |change: f64| {
                let kept = weights[p][i];
                weights[p][i] += change;
                let value = loss(&weights[..4], &weights[4..], &record);
                weights[p][i] = kept;
                value
            };
            let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            // The quotient's error is below 1e-7; f32 sums of 64 products of size 1 round to 1e-5.
            assert!((f64::from(ours[p][i]) - expected).abs() < 3e-5 * expected.abs().max(1.0), "{p} {i}: {} {expected}", ours[p][i]);
        }
    }
}

#[test]
fn one_more_record_moves_the_sum_of_both_networks_by_at_most_the_clipping_norm() {
    for network in [Coder::Dense { hidden: vec![6] }, Coder::Convolutional { width: 3 }] {
        let (recipe, data, lab) = (recipe().with_network(network), Dataset::toy().publicly_normalized().unwrap(), lab());
        let pair = recipe.pair(&data, &recipe.run(&lab)).unwrap();
        let mut x = data.normalized();
        x[50 * 64..51 * 64].fill(1e4); // an outlier
        let sum = |clip: f64, positions: &[usize]| -> Vec<f32> {
            let mechanism = Mechanism::new(&DpSgd::new(1.0).with_clip(clip), data.len(), 12, &lab, "test").unwrap();
            let each = |_: usize, part: &[usize]| recipe.gradients(&pair, &x, data.shape(), part, &lab);
            let sum = mechanism.clipped_sum(positions, &pair.nets(), lab.device(), each).unwrap();
            sum.into_iter().flat_map(|part| to_host(part).unwrap()).collect()
        };
        for clip in [0.1, 2.0] {
            for extra in [7, 50] {
                let apart = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
                let moved = sum(clip, &[3, 4, extra]).iter().zip(&sum(clip, &[3, 4])).map(apart).sum::<f64>().sqrt();
                // The gradients are longer than C, so that it is reached; the two sums round in 32 bits.
                assert!(moved <= clip * (1.0 + 1e-5) && moved > 0.99 * clip, "{moved} at C = {clip}");
            }
        }
    }
}

#[test]
fn the_event_counts_the_releases_and_codes_of_public_records_carry_it() {
    let encoder = recipe().fit(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(encoder.event().to_string(), "20 × Poisson(0.1, Gaussian(σ = 1))");
    assert_eq!(recipe().event(&Dataset::toy()).unwrap(), *encoder.event());
    let codes = encoder.encode(&public()).unwrap();
    assert_eq!((codes.event(), codes.features(), codes.labels()), (encoder.event(), 3, Dataset::toy().labels()));
    assert!(codes.x().iter().all(|v| v.abs() <= 1.0) && !codes.origin().is_real());
    assert_eq!(codes.frame().unwrap().get_column_names(), ["code 1", "code 2", "code 3", "class"]);
    assert_eq!(codes.publicly_normalized().unwrap().normalization(), codes.normalization());
    assert_eq!(*encoder.encode(&Dataset::toy()).unwrap().event(), Event::NonPrivate);
    let open = recipe().without_privacy().fit(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(*open.event(), Event::NonPrivate);
    assert_eq!(*recipe().without_privacy().fit(&public(), &lab()).unwrap().encode(&public()).unwrap().event(), Event::NoOp);
}

#[test]
fn a_time_budget_stops_early_and_the_event_says_so() {
    let lab = lab().budget_s(1e-6).unwrap();
    let encoder = recipe().with_epochs(500).fit(&Dataset::toy(), &lab).unwrap();
    assert_eq!(encoder.event().releases(), 1);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_secure_randomness_does_not() {
    let weights = |recipe: &PrivateAutoencoder| recipe.fit(&Dataset::toy(), &lab()).unwrap().weights().to_vec();
    assert_eq!(weights(&recipe()), weights(&recipe()));
    let secure = recipe().with_privacy(DpSgd::new(1.0).with_randomness(Randomness::Secure));
    assert_ne!(weights(&secure), weights(&secure));
}

#[test]
fn a_record_that_is_never_sampled_changes_nothing() {
    let (recipe, data) = (recipe().with_epochs(1).with_batch(3), Dataset::toy());
    let mut mechanism =
        Mechanism::new(recipe.privacy.as_ref().unwrap(), data.len(), 3, &lab(), &format!("autoencoder {}", serde_json::json!(recipe)))
            .unwrap();
    let mut seen = vec![];
    for _ in 0..40 {
        seen.extend(mechanism.sample());
        mechanism.augmentation_rng();
    }
    let [unseen, sampled] = [false, true].map(|wanted| (0..data.len()).find(|i| seen.contains(i) == wanted).unwrap());
    let changed = |record: usize| {
        let mut x = data.x().to_vec();
        x[record * 64..(record + 1) * 64].fill(1.0);
        Dataset::images("toy", x, data.shape(), data.labels().to_vec(), data.class_names().to_vec()).unwrap()
    };
    let fitted = |data: &Dataset| recipe.fit(data, &lab()).unwrap();
    assert_eq!(fitted(&data), fitted(&changed(unseen)));
    assert_ne!(fitted(&data), fitted(&changed(sampled)));
}

#[test]
fn a_saved_encoder_gives_the_same_codes_and_a_damaged_file_is_named() {
    let file = std::env::temp_dir().join(format!("freelunch-encoder-{}.safetensors", std::process::id()));
    let encoder = recipe().with_network(Coder::Convolutional { width: 2 }).fit(&Dataset::toy(), &lab()).unwrap();
    encoder.save(&file).unwrap();
    let again = Encoder::load(&file).unwrap();
    assert_eq!(again.encode(&public()).unwrap().x(), encoder.encode(&public()).unwrap().x());
    assert_eq!((again.event(), again.recipe()), (encoder.event(), encoder.recipe()));
    let whole = std::fs::read(&file).unwrap();
    for cut in [0, 9, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let message = Encoder::load(&file).unwrap_err().to_string();
        assert!(message.contains("written by `save`"), "{message}");
    }
    let mut json = serde_json::to_value(&encoder).unwrap();
    json["recipe"] = serde_json::json!(recipe()); // other networks than the weights are of
    serde_json::from_value::<Encoder>(json).unwrap().save(&file).unwrap();
    assert!(Encoder::load(&file).unwrap_err().to_string().contains("are needed"));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn public_records_of_another_kind_are_refused() {
    let encoder = recipe().fit(&Dataset::toy(), &lab()).unwrap();
    let error = encoder.encode(&Dataset::toy_table()).unwrap_err();
    assert!(matches!(&error, Error::Mismatch { what, .. } if what.contains("[5, 1, 1]") && what.contains("[1, 8, 8]")), "{error}");
    let numbers = |name: &str| crate::data::Column::Numeric { name: name.into() };
    let schema = |name: &str| crate::data::Schema { columns: vec![numbers(name)], label: "y".into() };
    let table = |name: &str| {
        let table = Dataset::table("t", vec![0.0, 1.0], schema(name), vec![0, 0], vec!["a".into()]).unwrap();
        table.with_public_normalization(Normalization::none(1)).unwrap()
    };
    let small = PrivateAutoencoder::new(1, 1.0).with_batch(1).with_epochs(1);
    let error = small.fit(&table("age"), &lab()).unwrap().encode(&table("dose")).unwrap_err();
    assert!(matches!(&error, Error::Mismatch { what, .. } if what.contains("columns")), "{error}");
}

#[test]
fn what_cannot_work_is_refused_with_its_value() {
    let message = |recipe: PrivateAutoencoder| recipe.fit(&Dataset::toy(), &lab()).unwrap_err().to_string();
    assert!(message(PrivateAutoencoder { code: 0, ..recipe() }).contains("code is 0"));
    assert!(message(recipe().with_batch(121)).contains("121 from 120"));
    assert!(message(recipe().with_epochs(0)).contains("epochs is 0"));
    assert!(message(recipe().with_privacy(DpSgd::new(0.0))).contains("noise is 0"));
    assert!(message(recipe().with_privacy(DpSgd::new(1.0).with_clip(-1.0))).contains("clip is -1"));
    assert!(message(recipe().with_privacy(DpSgd::new(1.0).with_augmentations(2))).contains("augmentations is 2"));
    assert!(message(recipe().with_optimizer(Optimizer::adam(0.0))).contains("rate is 0"));
    assert!(message(recipe().with_privacy(DpSgd::new(1.0)).with_optimizer(Optimizer::sgd(1e38))).contains("lower the learning rate"));
    let table = recipe().fit(&Dataset::toy_table(), &lab()).unwrap_err().to_string();
    assert!(table.contains("with_public_normalization"), "{table}");
}

#[test]
fn without_noise_records_come_back_nearer_than_their_mean() {
    let public = public();
    let recipe = PrivateAutoencoder::new(8, 1.0).without_privacy().with_epochs(60).with_batch(20).with_optimizer(Optimizer::adam(0.005));
    let whole = recipe.fit_whole(&public, &lab()).unwrap();
    let back = whole.reconstruct(&public).unwrap();
    let mean: Vec<f32> = (0..64).map(|j| public.x().iter().skip(j).step_by(64).sum::<f32>() / 120.0).collect();
    let error = |other: &dyn Fn(usize) -> f32| public.x().iter().enumerate().map(|(i, v)| (v - other(i)).powi(2)).sum::<f32>();
    let (ours, naive) = (error(&|i| back.x()[i]), error(&|i| mean[i % 64]));
    // Noise of the pixels, uniform in ±0.25 and half cut off at 0, cannot be coded: about 40 % of the variance.
    assert!(ours < 0.6 * naive, "{ours} against {naive}");
    assert_eq!((back.labels(), back.event()), (public.labels(), &Event::NoOp));
    assert!(whole.decode(&public).unwrap_err().to_string().contains("[1, 8, 8]"));
}

#[test]
fn an_encoder_shows_its_layers_code_and_event() {
    let encoder = recipe().fit(&Dataset::toy(), &lab()).unwrap();
    let text = encoder.figure().to_text();
    assert!(text.contains("Linear") && text.contains("codes of 3") && text.contains("Poisson(0.1"), "{text}");
    assert_eq!(format!("{encoder:?}"), "Encoder([1, 8, 8] to 3, DP-AuGM, 20 × Poisson(0.1, Gaussian(σ = 1)))");
    assert_eq!(serde_json::from_str::<PrivateAutoencoder>(&serde_json::to_string(&recipe()).unwrap()).unwrap(), recipe());
}
