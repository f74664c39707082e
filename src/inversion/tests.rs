use super::chain::log_softmax;
use super::descend::{Descent, Objective, Slope};
use super::regularizer::{Regularizer, total_variation};
use super::*;
use crate::data::Split;
use crate::display::Show;
use crate::generate::{Encoder, PrivateAutoencoder};
use crate::nn::Arch;
use crate::privacy::Event;
use crate::train::{Model, Train};
use crate::{Dataset, Device, Lab, Result};

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(3).quiet()
}

/// Every fourth record: enough to learn from, fast.
fn digits() -> Split {
    let all = Dataset::digits().unwrap();
    let part = |data: &Dataset, by: usize| data.subset(&(0..data.len()).step_by(by).collect::<Vec<_>>()).unwrap();
    Split { train: part(&all.train, 4), test: part(&all.test, 2) }
}

fn logistic(data: &Dataset) -> Model {
    Train::new(Arch::Logistic).fit(data, &lab()).unwrap()
}

fn mlp(data: &Dataset, hidden: usize, epochs: usize) -> Model {
    Train::new(Arch::Mlp { hidden: vec![hidden] }).with_epochs(epochs).fit(data, &lab()).unwrap()
}

fn encoder(private: &Dataset, code: usize) -> Encoder {
    PrivateAutoencoder::new(code, 0.5).with_epochs(20).with_batch(60).fit(private, &lab()).unwrap()
}

fn invert(attack: &ModelInversion, target: &InversionTarget) -> Inversion {
    attack.invert(target, &lab()).unwrap()
}

fn refusal(attack: &ModelInversion, target: &InversionTarget) -> String {
    attack.invert(target, &lab()).unwrap_err().to_string()
}

#[test]
fn an_inverted_network_is_sure_and_an_independent_one_recognises_the_digits() {
    let digits = digits();
    let evaluator = mlp(&digits.test, 64, 15);
    for model in [logistic(&digits.train), mlp(&digits.train, 64, 15)] {
        let inversion = invert(&ModelInversion::small(), &InversionTarget::model(&model));
        assert!(inversion.rows().iter().all(|row| row.confidence >= 0.9), "{:?}", inversion.rows());
        // Pixels stay valid, and what is kept is what the target is sure of.
        assert!(inversion.images().x().iter().all(|v| (0.0..=1.0).contains(v)));
        let logits = model.logits(inversion.images()).unwrap();
        for (row, z) in inversion.rows().iter().zip(logits.chunks_exact(10)) {
            assert!((log_softmax(z)[row.class].exp() - row.confidence).abs() < 1e-4);
        }
        let report = InversionQuality::new(&evaluator, &digits.train).with_control(&digits.test).judge(&inversion).unwrap();
        assert!(report.accuracy().unwrap().hits >= 8, "{report:?}");
        assert!(report.control_accuracy().unwrap().hits >= 9);
        assert!(report.rows().iter().all(|row| row.ssim_mean.is_none())); // 8×8 is no window
        assert_eq!(report.frame().unwrap().height(), 20);
    }
}

#[test]
fn gradients_through_encoder_and_model_are_those_of_central_differences() {
    let toy = Dataset::toy();
    let encoder = encoder(&toy, 6);
    let model = logistic(&encoder.encode(&toy).unwrap());
    for target in [InversionTarget::through(&encoder, &model), InversionTarget::naive(&encoder, &model)] {
        let mut chain = target.chain(&lab()).unwrap();
        let d: usize = chain.shape().iter().product();
        let x: Vec<f32> = (0..d).map(|i| 0.1 + 0.8 * ((i * 29) % 64) as f32 / 64.0).collect();
        for cost in [InversionCost::Confidence, InversionCost::CrossEntropy] {
            let mut at = |x: &[f32]| chain.slope(x, &[(0, 2)], cost, 0).unwrap();
            let slope = at(&x);
            let largest = slope.gradient.iter().fold(0.0f32, |most, g| most.max(g.abs()));
            for i in (0..d).step_by(5) {
                let (mut up, mut down) = (x.clone(), x.clone());
                (up[i], down[i]) = (x[i] + 0.01, x[i] - 0.01);
                let difference = (at(&up).costs[0] - at(&down).costs[0]) / f64::from(up[i] - down[i]);
                // Outputs are f32: 1e-6 over a step of 0.02, and the third derivative times 1e-4.
                assert!((difference - f64::from(slope.gradient[i])).abs() < 0.01 * f64::from(largest) + 2e-4, "{i} {cost:?}");
            }
        }
    }
}

#[test]
fn one_step_on_logistic_regression_follows_the_difference_of_two_weight_rows() {
    // With two classes ∇(1 − p) = −p (1 − p) (w_c − w_o)/s, s the deviation of the normalisation.
    let two = Dataset::toy().only(&[0, 3]).unwrap();
    let model = logistic(&two);
    let rate = 0.3;
    let attack = ModelInversion::new().with_rate(rate).with_steps(1).with_stop(1, 1.0).with_start(Start::Middle);
    let inversion = invert(&attack, &InversionTarget::model(&model));
    let grey = two.synthetic(vec![0.5; 64], vec![0], two.origin().clone()).unwrap();
    let p: Vec<f64> = log_softmax(&model.logits(&grey).unwrap()).iter().map(|v| v.exp()).collect();
    let (w, std) = (&model.weights()[0], model.normalization().std[0]);
    for class in 0..2 {
        for i in 0..64 {
            let apart = f64::from(w[class * 64 + i] - w[(1 - class) * 64 + i]) / f64::from(std);
            let expected = (0.5 + rate * p[0] * p[1] * apart).clamp(0.0, 1.0);
            assert!((f64::from(inversion.images().record(class)[i]) - expected).abs() < 1e-4, "{class} {i}");
        }
    }
}

/// A cost that depends on the step alone, and a slope of −1 everywhere.
#[derive(Debug)]
struct Played(fn(usize) -> (f64, f64));

impl Objective for Played {
    fn slope(&mut self, x: &[f32], rows: &[(usize, usize)], _: InversionCost, step: usize) -> Result<Slope> {
        let (cost, confidence) = (self.0)(step);
        let n = rows.len();
        Ok(Slope { costs: vec![cost; n], confidences: vec![confidence; n], gradient: vec![-1.0; x.len()], queries: 1 })
    }
}

#[test]
fn a_search_stops_as_miface_does_and_keeps_the_best() {
    let attack = ModelInversion::new().with_steps(40).with_stop(5, 0.99).with_rate(0.01);
    let lab = lab();
    let played = |cost: fn(usize) -> (f64, f64)| {
        let regularizer = Regularizer::of_pixels(&attack, [1, 2, 2], &lab).unwrap();
        let descent = Descent { attack: &attack, shape: [1, 2, 2], range: [0.0, 1.0], regularizer, lab: &lab };
        descent.run(&[0], &mut Played(cost)).unwrap().remove(0)
    };
    // Falling to step 7, then rising: step 10 is the first that is no better than any of the five before it.
    let row = played(|step| ((step as f64 - 7.0).abs(), 0.5));
    assert_eq!((row.stopped, row.steps, row.cost), (Stopped::Window, 10, 0.0));
    assert!(row.x.iter().all(|v| (v - 0.07).abs() < 1e-6), "{:?}", row.x);
    // A flat cost has no progress after a window.
    assert_eq!((played(|_| (0.5, 0.5)).stopped, played(|_| (0.5, 0.5)).steps), (Stopped::Window, 5));
    // A falling one goes on to the end, or until the target is sure.
    let row = played(|step| (-(step as f64), 0.5));
    assert_eq!((row.stopped, row.steps, row.queries), (Stopped::Limit, 40, 41));
    let row = played(|step| (-(step as f64), step as f64 / 30.0));
    assert_eq!((row.stopped, row.steps), (Stopped::Threshold, 30));
}

#[test]
fn behind_an_encoder_the_naive_attack_shows_no_picture_and_the_adaptive_ones_do() {
    let digits = digits();
    let encoder = encoder(&digits.train, 16);
    let public = digits.test.clone().declared_public();
    let model = mlp(&encoder.encode(&public).unwrap(), 32, 15);
    let evaluator = mlp(&digits.test, 64, 15);
    let decoder = CodeDecoder::fit(&encoder, &public, &lab()).unwrap();
    assert!(decoder.error() < 0.8 * decoder.error_of_mean(), "{decoder:?}, mean {}", decoder.error_of_mean());
    let mut table = InversionTable::new("digits");
    for (name, target, least) in [
        ("naive", InversionTarget::naive(&encoder, &model), None),
        // Chance is 1 of 10; five or more happen once in 600.
        ("decoded", InversionTarget::decoded(&encoder, &model, &decoder), Some(5)),
        ("through", InversionTarget::through(&encoder, &model), Some(5)),
    ] {
        let inversion = invert(&ModelInversion::small().with_cost(InversionCost::CrossEntropy), &target);
        let report = InversionQuality::new(&evaluator, &digits.train).with_control(&public).judge(&inversion).unwrap();
        assert_eq!(report.accuracy().map(|rate| rate.hits >= least.unwrap_or(0)), least.map(|_| true), "{name} {report:?}");
        // By post-processing: the encoder's noise is all that was spent, and more for no attack.
        assert_eq!(inversion.images().event(), encoder.event(), "{name}");
        assert_eq!(inversion.rows()[0].shown.is_some(), name == "decoded");
        assert!(inversion.figure().to_html().contains("Inversion of"));
        println!("{name}: {report:?}, confidence {:.3}", report.confidence());
        table.add(name, &report);
    }
    let codes = invert(&ModelInversion::small(), &InversionTarget::naive(&encoder, &model));
    assert!(codes.images().x().iter().all(|v| (-1.0..=1.0).contains(v)) && !codes.has_images());
    let text = table.figure().to_text();
    for part in ["no picture", "public class means (no attack)", "proves nothing", "seed 3", "11 x 11"] {
        assert!(text.contains(part), "{text}\nlacks {part}");
    }
    assert_eq!(table.frame().unwrap().height(), 4);
}

#[test]
fn results_follow_from_the_seed_and_not_from_the_number_of_threads() {
    let toy = Dataset::toy();
    let target = InversionTarget::model(&mlp(&toy, 16, 5));
    let attack = ModelInversion::small().with_starts(3).with_steps(30);
    let x = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| attack.invert(&target, &lab().seed(seed)).unwrap().images().x().to_vec())
    };
    assert_eq!(x(1, 3), x(3, 3));
    // Two of three starts are noise of the seed.
    assert_ne!(x(1, 3), x(1, 4));
}

#[test]
fn total_variation_makes_pictures_smoother_and_a_prior_brings_them_nearer_to_their_class() {
    let digits = digits();
    let model = mlp(&digits.train, 64, 15);
    let target = InversionTarget::model(&model);
    let roughness = |inversion: &Inversion| total_variation(inversion.images().x(), [1, 8, 8]).0;
    let plain = ModelInversion::small().with_cost(InversionCost::CrossEntropy).with_steps(200);
    let (bare, smooth) = (invert(&plain, &target), invert(&plain.clone().with_total_variation(0.05), &target));
    assert!(roughness(&smooth) < 0.9 * roughness(&bare), "{} {}", roughness(&smooth), roughness(&bare));
    let near = invert(&plain.clone().with_prior(&digits.test), &target);
    let apart = |inversion: &Inversion| {
        let report = inversion.judge(&model, &digits.train).unwrap();
        InversionReport::mean(report.rows(), |row| Some(row.l2_mean)).unwrap().mean
    };
    println!("L2 to the class mean: bare {:.3}, smooth {:.3}, prior {:.3}", apart(&bare), apart(&smooth), apart(&near));
    assert!(apart(&near) < 0.8 * apart(&bare), "{} {}", apart(&near), apart(&bare));
    assert_eq!(near.config()["prior"]["public"], format!("{}, 899 records", digits.test.name()));
}

#[test]
fn cross_entropy_moves_where_the_confidence_is_flat() {
    // A black picture is a blob to this model: p of a leaning bar is 2e-5, and so is the slope of 1 − p.
    let target = InversionTarget::model(&logistic(&Dataset::toy()));
    let leaning = ModelInversion::small().with_classes(&[2]);
    assert!(invert(&leaning, &target).rows()[0].confidence < 0.01);
    assert!(invert(&leaning.with_cost(InversionCost::CrossEntropy), &target).rows()[0].confidence > 0.9);
}

#[test]
fn questions_alone_invert_logistic_regression_and_are_counted() {
    let toy = Dataset::toy();
    let model = logistic(&toy);
    let attack = BlackBoxInversion::new(ModelInversion::small().with_cost(InversionCost::CrossEntropy).with_steps(300));
    let inversion = attack.invert(&model, &lab()).unwrap();
    assert!(inversion.rows().iter().all(|row| row.confidence > 0.9), "{:?}", inversion.rows());
    let expected: u64 = inversion.rows().iter().map(|row| 33 * (row.steps as u64 + 1)).sum();
    assert_eq!(inversion.queries(), expected);
    assert_eq!(*inversion.images().event(), Event::NonPrivate);
    let all = model.probabilities(&toy).unwrap();
    assert!(all.chunks_exact(4).all(|p| (p.iter().sum::<f32>() - 1.0).abs() < 1e-5));
}

#[test]
fn what_cannot_be_inverted_or_judged_is_refused() {
    let toy = Dataset::toy();
    let model = logistic(&toy);
    let target = InversionTarget::model(&model);
    let small = ModelInversion::small();
    assert!(refusal(&small.clone().with_classes(&[1, 4]), &target).contains("class 4 of a model of 4 classes"));
    assert!(refusal(&small.clone().with_classes(&[]), &target).contains("no class"));
    assert!(refusal(&small.clone().with_rate(f64::NAN), &target).contains("rate is NaN"));
    assert!(refusal(&small.clone().with_total_variation(-1.0), &target).contains("total_variation is -1"));
    assert!(refusal(&small.clone().with_start(Start::PublicMean), &target).contains("with_prior"));
    assert!(refusal(&small.clone().with_stop(10, 1.5), &target).contains("threshold is 1.5"));
    let table = Dataset::toy_table();
    let of_table = InversionTarget::model(&logistic(&table));
    assert!(refusal(&small, &of_table).contains("makes pictures"));
    assert!(refusal(&small.clone().with_prior(&table), &target).contains("a prior of records"));
    let encoder = encoder(&toy, 6);
    assert!(refusal(&small, &InversionTarget::naive(&encoder, &model)).contains("encoder.encode"));
    let on_codes = logistic(&encoder.encode(&toy).unwrap());
    let naive = InversionTarget::naive(&encoder, &on_codes);
    assert!(refusal(&small.clone().with_total_variation(0.1), &naive).contains("codes have no neighbours"));
    let inversion = invert(&small.clone().with_classes(&[3]), &target);
    assert!(inversion.judge(&on_codes, &toy).is_err()); // an evaluator of codes
    assert!(inversion.judge(&model, &table).unwrap_err().to_string().contains("expected pictures"));
    let without = toy.subset(&toy.of_class(0)).unwrap();
    assert!(inversion.judge(&model, &without).unwrap_err().to_string().contains("no record of class 3"));
    assert!(CodeDecoder::fit(&encoder, &table, &lab()).is_err());
}

#[test]
fn everything_is_shown_and_saved() {
    let toy = Dataset::toy();
    let model = logistic(&toy);
    let inversion = invert(&ModelInversion::small(), &InversionTarget::model(&model));
    let report = inversion.judge(&model, &toy).unwrap();
    let mut table = InversionTable::new("toy");
    assert!(table.figure().to_text().contains("table.add"));
    table.add("raw", &report);
    let folder = std::env::temp_dir().join(format!("freelunch-inversion-{}", std::process::id()));
    inversion.save(&folder).unwrap();
    report.save(&folder).unwrap();
    table.save(&folder).unwrap();
    for stem in ["inversion", "inversion-quality", "inversions"] {
        for ending in ["csv", "svg", "png", "html", "json"] {
            assert!(folder.join(format!("{stem}.{ending}")).exists(), "{stem}.{ending}");
        }
    }
    let back: Inversion = serde_json::from_slice(&std::fs::read(folder.join("inversion.json")).unwrap()).unwrap();
    let whole = |inversion: &Inversion| inversion.rows().iter().map(|row| (row.steps, row.stopped, row.queries)).collect::<Vec<_>>();
    assert_eq!(whole(&back), whole(&inversion)); // JSON may lose the last bit of a number
    std::fs::remove_dir_all(folder).unwrap();
}
