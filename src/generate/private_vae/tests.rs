//! The bound against difference quotients of its formula, its sensitivity, its event, and what it makes.

use super::*;
use crate::data::Normalization;
use crate::lab::Rng;
use crate::nn::to_host;
use crate::privacy::{Mechanism, Randomness};
use crate::{Device, display::Show};
use burn::tensor::Tensor;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(6).quiet()
}

fn recipe() -> PrivateVae {
    PrivateVae::new(3, 1.0).with_latent(2).with_network(Coder::Dense { hidden: vec![5] }).with_epochs(3).with_batch(10)
}

fn table() -> Dataset {
    let normalization = Normalization::of_ranges(&[(0.0, 100.0), (0.0, 20.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]).unwrap();
    Dataset::toy_table().with_public_normalization(normalization).unwrap()
}

/// What gradients are computed with.
struct Bench {
    data: Dataset,
    likelihood: Likelihood,
    vae: PrivateVae,
    pair: Pair,
    rng: Rng,
    lab: Lab,
}

impl Bench {
    fn of(data: &Dataset, vae: PrivateVae) -> Self {
        let (data, lab) = (data.publicly_normalized().unwrap(), lab());
        let run = Run { lab: &lab, label: "test".into(), config: String::new(), deadline: None };
        let pair = Pair::new(vae.network.encoder(data.shape(), 2 * vae.latent), vae.network.decoder(vae.latent, data.shape()), &run);
        let likelihood = Likelihood::of(&data, vae.deviation).unwrap();
        Self { pair: pair.unwrap(), rng: lab.rng("epsilon", 0), likelihood, data, vae, lab }
    }

    /// Σ factor · gradient, encoder and then decoder.
    fn sum(&self, positions: &[usize], factors: &[f32]) -> Vec<Vec<f32>> {
        let bound = Bound::new(&self.vae, &self.data, &self.likelihood);
        let each = bound.gradients(&self.pair, positions, positions, &self.rng, &self.lab).unwrap();
        let factors = Tensor::from_floats(factors, &self.lab.open().unwrap());
        each.weighted_sum(factors).into_iter().map(|g| to_host(g).unwrap()).collect()
    }

    fn weights(&self) -> Vec<Vec<f64>> {
        let both = [self.pair.encoder.host_weights().unwrap(), self.pair.decoder.host_weights().unwrap()].concat();
        both.iter().map(|w| w.iter().map(|&v| f64::from(v)).collect()).collect()
    }

    /// L of one record by the formula of the module, in double precision; `minus_log_p` reads outputs and the record's position.
    fn loss(&self, weights: &[Vec<f64>], i: usize, minus_log_p: &dyn Fn(&[f64], usize) -> f64) -> f64 {
        let linear = |w: &[Vec<f64>], x: &[f64]| -> Vec<f64> {
            w[0].chunks(x.len()).zip(&w[1]).map(|(row, b)| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + b).collect()
        };
        let mlp = |w: &[Vec<f64>], x: &[f64]| linear(&w[2..], &linear(&w[..2], x).into_iter().map(f64::tanh).collect::<Vec<_>>());
        let d = self.data.features();
        let x: Vec<f64> = self.data.normalized()[i * d..(i + 1) * d].iter().map(|&v| f64::from(v)).collect();
        let out = mlp(&weights[..4], &x);
        let (mean, v): (&[f64], Vec<f64>) = (&out[..2], out[2..].iter().map(|v| 6.0 * (v / 6.0).tanh()).collect());
        let epsilon = super::bound::normals(&self.rng, i, 2);
        let z: Vec<f64> = (0..2).map(|k| mean[k] + (v[k] / 2.0).exp() * f64::from(epsilon[k])).collect();
        let divergence: f64 = (0..2).map(|k| (mean[k] * mean[k] + v[k].exp() - 1.0 - v[k]) / 2.0).sum();
        minus_log_p(&mlp(&weights[4..], &z), i) + divergence
    }

    fn compare(&self, i: usize, minus_log_p: &dyn Fn(&[f64], usize) -> f64) {
        const STEP: f64 = 1e-4;
        let (ours, mut weights) = (self.sum(&[i], &[1.0]), self.weights());
        for p in 0..weights.len() {
            for k in 0..weights[p].len() {
                let kept = weights[p][k];
                let mut at = |change: f64| {
                    weights[p][k] = kept + change;
                    self.loss(&weights, i, minus_log_p)
                };
                let expected = (at(STEP) - at(-STEP)) / (2.0 * STEP);
                weights[p][k] = kept;
                // The quotient's error is below 1e-6; f32 sums of 64 products of size 1 round to 1e-5.
                let error = (f64::from(ours[p][k]) - expected).abs();
                assert!(error < 5e-5 * expected.abs().max(1.0), "parameter {p}, {k}: {} against {expected}", ours[p][k]);
            }
        }
    }
}

#[test]
fn the_gradient_of_the_bound_is_its_difference_quotient_for_pixels() {
    let bench = Bench::of(&Dataset::toy(), recipe());
    let cross_entropy = |outputs: &[f64], i: usize| -> f64 {
        let pixel = |(o, &x): (&f64, &f32)| (1.0 + o.exp()).ln() - f64::from(x) * o;
        outputs.iter().zip(bench.data.record(i)).map(pixel).sum()
    };
    bench.compare(9, &cross_entropy);
}

#[test]
fn the_gradient_of_the_bound_is_its_difference_quotient_for_mixed_columns() {
    let bench = Bench::of(&table(), recipe().with_deviation(0.7));
    let mixed = |outputs: &[f64], i: usize| -> f64 {
        let (x, z) = (bench.data.record(i), &bench.data.normalized()[i * 5..]);
        let numbers: f64 = (0..2).map(|k| (outputs[k] - f64::from(z[k])).powi(2) / (2.0 * 0.7 * 0.7)).sum();
        let total: f64 = outputs[2..].iter().map(|o| o.exp()).sum();
        numbers + (2..5).map(|k| f64::from(x[k]) * (total.ln() - outputs[k])).sum::<f64>()
    };
    bench.compare(31, &mixed);
}

#[test]
fn the_gradient_of_a_record_does_not_depend_on_the_others_of_its_batch() {
    for network in [Coder::Dense { hidden: vec![5] }, Coder::Convolutional { width: 3 }] {
        let bench = Bench::of(&Dataset::toy(), recipe().with_network(network));
        let alone = bench.sum(&[40], &[1.0]);
        let among = bench.sum(&[3, 40, 77, 100], &[0.0, 1.0, 0.0, 0.0]);
        for (a, b) in alone.iter().flatten().zip(among.iter().flatten()) {
            assert!((a - b).abs() < 1e-4 * a.abs().max(1.0), "{a} against {b}"); // other orders of f32 sums
        }
    }
}

#[test]
fn one_more_record_moves_the_sum_of_both_networks_by_at_most_the_clipping_norm() {
    for network in [Coder::Dense { hidden: vec![5] }, Coder::Convolutional { width: 3 }] {
        let bench = Bench::of(&Dataset::toy(), recipe().with_network(network));
        let bound = Bound::new(&bench.vae, &bench.data, &bench.likelihood);
        for clip in [0.1, 2.0] {
            let mechanism = Mechanism::new(&DpSgd::new(1.0).with_clip(clip), 120, 12, &bench.lab, "test").unwrap();
            let sum = |positions: &[usize]| -> Vec<f32> {
                let each = |_: usize, part: &[usize]| bound.gradients(&bench.pair, part, part, &bench.rng, &bench.lab);
                let sum = mechanism.clipped_sum(positions, &bench.pair.nets(), &Device::Cpu, each).unwrap();
                sum.into_iter().flat_map(|part| to_host(part).unwrap()).collect()
            };
            // Most positions move to another place of the chunk: ε must stay with its record.
            let moved: f64 = sum(&[2, 3, 4]).iter().zip(&sum(&[3, 4])).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            // The gradients are longer than C, so that it is reached; the two sums round in 32 bits.
            assert!(moved.sqrt() <= clip * (1.0 + 1e-5) && moved.sqrt() > 0.99 * clip, "{} at C = {clip}", moved.sqrt());
        }
    }
}

#[test]
fn classes_compose_in_parallel_and_every_release_is_counted() {
    let toy = Dataset::toy();
    let uneven = toy.subset(&(0..100).filter(|i| i % 4 != 1 || *i < 50).collect::<Vec<_>>()).unwrap();
    assert_eq!(uneven.per_class(), vec![25, 13, 25, 25]);
    let generator = recipe().fit(&uneven, &lab()).unwrap();
    let expected = |size: f64, steps| Event::gaussian(1.0).unwrap().poisson(10.0 / size).unwrap().repeat(steps);
    // 3 epochs of round(25 / 10) and of round(13 / 10) steps.
    let expected = Event::parallel(vec![expected(25.0, 9), expected(13.0, 3), expected(25.0, 9), expected(25.0, 9)]);
    assert_eq!(*generator.event(), expected);
    assert_eq!(Synthesize::event(&recipe(), &uneven).unwrap(), expected);
    assert_eq!(*generator.sample(2, &lab()).unwrap().event(), expected);
    let short = recipe().with_epochs(500).fit(&toy, &lab().budget_s(1e-6).unwrap()).unwrap();
    assert_eq!(short.event().releases(), 1);
    assert_eq!(*recipe().without_privacy().fit(&toy, &lab()).unwrap().event(), Event::NonPrivate);
    assert_eq!(*recipe().fit(&toy.declared_public(), &lab()).unwrap().event(), Event::NoOp);
}

#[test]
fn samples_have_the_kind_of_the_records_and_follow_the_seed() {
    let toy = Dataset::toy();
    let method: Box<dyn Synthesize> = Box::new(recipe());
    let made = method.synthesize(&toy, &lab()).unwrap();
    made.same_kind(&toy).unwrap();
    assert_eq!((made.per_class(), made.name()), (vec![3; 4], "toy by DP-VaeGM"));
    assert!(made.x().iter().all(|v| (0.0..=1.0).contains(v)));
    assert_eq!((made.normalization().mean.clone(), made.origin().method.as_str()), (vec![0.5], "DP-VaeGM"));
    assert_eq!(made.digest(), method.synthesize(&toy, &lab()).unwrap().digest());
    let generator = recipe().fit(&toy, &lab()).unwrap();
    assert_eq!(generator.sample(3, &lab()).unwrap().digest(), made.digest());
    assert_ne!(generator.sample(3, &lab().seed(1)).unwrap().digest(), made.digest());
    let secure = recipe().with_privacy(DpSgd::new(1.0).with_randomness(Randomness::Secure));
    assert_ne!(
        secure.fit(&toy, &lab()).unwrap().sample(1, &lab()).unwrap().x(),
        secure.fit(&toy, &lab()).unwrap().sample(1, &lab()).unwrap().x()
    );
}

#[test]
fn a_record_that_is_never_sampled_changes_nothing() {
    let (recipe, toy) = (recipe().with_epochs(1).with_batch(2), Dataset::toy());
    let mut mechanism =
        Mechanism::new(recipe.privacy.as_ref().unwrap(), 30, 2, &lab(), &format!("vae of class 2 {}", recipe.config())).unwrap();
    let mut seen = vec![];
    for _ in 0..15 {
        seen.extend(mechanism.sample());
        mechanism.augmentation_rng();
    }
    let members = toy.of_class(2);
    let changed = |wanted: bool| {
        let member = (0..30).find(|i| seen.contains(i) == wanted).unwrap();
        let mut x = toy.x().to_vec();
        x[members[member] * 64..(members[member] + 1) * 64].fill(1.0);
        Dataset::images("toy", x, toy.shape(), toy.labels().to_vec(), toy.class_names().to_vec()).unwrap()
    };
    let fitted = |data: &Dataset| recipe.fit(data, &lab()).unwrap();
    assert_eq!(fitted(&toy), fitted(&changed(false)));
    assert_ne!(fitted(&toy), fitted(&changed(true)));
}

#[test]
fn no_z_of_the_prior_gives_the_negative_of_a_record() {
    let one = Dataset::toy().only(&[3]).unwrap();
    let recipe = recipe().with_latent(4).with_network(Coder::Dense { hidden: vec![24] }).with_epochs(30).with_batch(30);
    let made = recipe.with_optimizer(Optimizer::adam(0.01)).fit(&one, &lab()).unwrap().sample(200, &lab()).unwrap();
    let mean: Vec<f32> = (0..64).map(|j| one.x().iter().skip(j).step_by(64).sum::<f32>() / 30.0).collect();
    let along = |row: &[f32]| {
        let [own, other] = [row, &mean].map(|v| v.iter().sum::<f32>() / 64.0);
        row.iter().zip(&mean).map(|(a, b)| (a - own) * (b - other)).sum::<f32>()
    };
    let negative = made.x().chunks(64).filter(|row| along(row) < 0.0).count();
    assert!(negative <= 4, "{negative} of 200");
}

#[test]
fn tables_come_out_with_whole_levels_in_their_own_units() {
    let recipe = recipe().without_privacy().with_epochs(300).with_optimizer(Optimizer::adam(0.01));
    let made = recipe.fit(&table(), &lab()).unwrap().sample(200, &lab()).unwrap();
    assert!(made.x().chunks(5).all(|row| row[2..].iter().all(|v| *v == 0.0 || *v == 1.0) && row[2..].iter().sum::<f32>() == 1.0));
    // Those who relapse are older and have smaller doses, in the real table (about 60 to 48 years, 8 to 12 mg) as in the made one.
    let mean = |data: &Dataset, class: usize, column: usize| {
        let members = data.of_class(class);
        members.iter().map(|&i| data.record(i)[column]).sum::<f32>() / members.len() as f32
    };
    for class in 0..2 {
        for (column, near) in [(0, 8.0), (1, 2.5)] {
            let (ours, real) = (mean(&made, class, column), mean(&table(), class, column));
            assert!((ours - real).abs() < near, "class {class}, column {column}: {ours} against {real}");
        }
    }
    assert_eq!(made.frame().unwrap().width(), 4);
}

#[test]
fn a_saved_generator_makes_the_same_records_and_a_damaged_file_is_named() {
    let file = std::env::temp_dir().join(format!("freelunch-vae-{}.safetensors", std::process::id()));
    let generator = recipe().with_network(Coder::Convolutional { width: 2 }).fit(&Dataset::toy(), &lab()).unwrap();
    generator.save(&file).unwrap();
    let again = VaeGenerator::load(&file).unwrap();
    assert_eq!(again.sample(4, &lab()).unwrap().digest(), generator.sample(4, &lab()).unwrap().digest());
    let whole = std::fs::read(&file).unwrap();
    for cut in [0, 9, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let message = VaeGenerator::load(&file).unwrap_err().to_string();
        assert!(message.contains("written by `save`"), "{message}");
    }
    recipe().fit(&Dataset::toy().only(&[0]).unwrap(), &lab()).unwrap();
    crate::generate::Encoder::load(&file).unwrap_err();
    std::fs::remove_file(file).unwrap();
}

#[test]
fn what_cannot_work_is_refused_with_its_value() {
    let message = |recipe: PrivateVae| recipe.fit(&Dataset::toy(), &lab()).unwrap_err().to_string();
    let small = message(recipe().with_batch(31));
    assert!(small.contains("class 0 (lying bar)") && small.contains("30 records") && small.contains("31"), "{small}");
    assert!(message(PrivateVae { per_class: 0, ..recipe() }).contains("per_class is 0"));
    assert!(message(recipe().with_latent(0)).contains("latent is 0"));
    assert!(message(recipe().with_epochs(0)).contains("epochs is 0"));
    assert!(message(recipe().with_deviation(0.0)).contains("deviation is 0"));
    assert!(message(recipe().with_privacy(DpSgd::new(-1.0))).contains("noise is -1"));
    assert!(message(recipe().with_privacy(DpSgd::new(1.0).with_clip(0.0))).contains("clip is 0"));
    assert!(recipe().fit(&Dataset::toy_table(), &lab()).unwrap_err().to_string().contains("with_public_normalization"));
    let whitened = crate::data::Whitening::fit(&Dataset::toy()).unwrap().apply(&Dataset::toy()).unwrap().declared_public();
    assert!(recipe().fit(&whitened, &lab()).unwrap_err().to_string().contains("a pixel of"));
    assert!(recipe().fit(&Dataset::toy(), &lab()).unwrap().sample(0, &lab()).is_err());
}

#[test]
fn a_generator_shows_the_middle_of_every_class_and_its_event() {
    let generator = recipe().fit(&Dataset::toy(), &lab()).unwrap();
    let html = generator.figure().to_html();
    assert!(html.contains("z = 0") && html.contains("parallel"), "{}", &html[..200]);
    assert!(format!("{generator:?}").starts_with("VaeGenerator(4 classes of [1, 8, 8], DP-VaeGM, parallel("));
    assert_eq!(serde_json::from_str::<PrivateVae>(&serde_json::to_string(&recipe()).unwrap()).unwrap(), recipe());
}
