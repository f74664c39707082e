use super::*;
use crate::attack::{Calibrated, Game, LossThreshold, Pipeline, Scores, Signals, Slice, Stability, Vulnerability};
use crate::audit::{ClopperPearson, EpsilonAxis, GaussianBound, Guesses, LowerBound, OneRun, Selection, distinguish};
use crate::condense::{Init, LinearMatching, RandomSubset};
use crate::generate::{MeanEmbedding, PrivateAutoencoder, PrivateVae};
use crate::nn::Arch;
use crate::privacy::museum::museum;
use crate::privacy::{DpSgd, EpsilonCurve, Kind, Ledger, PrivacyUtility};
use crate::released::Released;
use crate::report::Report;
use crate::roc::{Roc, RocSet};
use crate::stats::{Estimate, MeanInterval};
use crate::synthesize::Synthesize;
use crate::train::Train;
use crate::{Dataset, Device, Lab};

mod studies;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(1).quiet()
}

/// What a slide can hold, and what no slide may say.
fn check(result: &dyn Explain, number: &str) {
    let explanation = result.explain();
    let text = explanation.to_string();
    for (heading, part) in explanation.parts() {
        let length = part.chars().count();
        assert!((8..=280).contains(&length), "{heading} has {length} characters in\n{text}");
    }
    let whole = text.chars().count();
    assert!(whole <= 1000, "{whole} characters in\n{text}");
    for forbidden in ["NaN", "undefined", "classs", "  "] {
        assert!(!text.contains(forbidden), "{forbidden} in\n{text}");
    }
    assert!(text.split(|c: char| !c.is_alphanumeric()).all(|word| word != "inf"), "{text}");
    assert!(explanation.means().contains(number), "{number} is not in\n{text}");
    assert!(explanation.title().chars().count() <= 72 && !explanation.references().is_empty());
}

fn roc(lift: f64) -> Roc {
    let scores: Vec<f64> = (0..400).map(|i| f64::from(i * 7919 % 400) + if i % 2 == 0 { lift } else { 0.0 }).collect();
    let truth: Vec<bool> = (0..400).map(|i| i % 2 == 0).collect();
    Roc::new(&scores, &truth).unwrap().named("guess")
}

fn game(seed: u64) -> Signals {
    Game::new(4).play(&Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1)), &Dataset::toy(), &lab().seed(seed)).unwrap()
}

#[test]
fn curves_and_rates_are_explained_by_their_own_numbers() {
    check(&roc(100.0), &number(roc(100.0).auc().value));
    check(&Roc::compare([roc(0.0), roc(300.0)]), &number(roc(300.0).auc().value));
    check(&roc(9.0).tpr_at(0.01), "200");
    check(&crate::stats::Rate::new(25, 300).unwrap(), "25 of 300");
    check(&crate::stats::Rate::new(0, 300).unwrap(), "0 of 300");
    check(&Estimate { value: 0.625, low: 0.5, high: 0.75 }, "0.625");
    check(&MeanInterval::new(&[0.5, 0.6, 0.7]).unwrap(), "0.6");
    assert_ne!(roc(0.0).explain().means(), roc(50.0).explain().means());
}

#[test]
fn games_are_explained_by_their_own_numbers() {
    let signals = game(1);
    check(&signals, "120 records under 4 models");
    let attack = LossThreshold::new();
    check(&Scores::of(&attack, &signals).unwrap().sliced(Slice::Class), "4 slices");
    let calibrated = Calibrated::of(&attack, &signals, 0.1).unwrap();
    check(&calibrated, &format!("of {}", calibrated.true_positives().of));
    let (first, second) = (Vulnerability::of(&attack, &signals).unwrap(), Vulnerability::of(&attack, &game(2)).unwrap());
    check(&first, "120 records");
    check(&Stability::of(&[first, second]).unwrap(), "2 games");
    let mut report = Report::new("toy");
    check(&report, "0 rows");
    check(&report.by_method(), "0 methods");
    report.measure(&signals, &attack).unwrap();
    check(&report, &number(report.rows()[0].auc.value));
    check(&report.by_method(), "1 method");
}

#[test]
fn bounds_from_below_are_explained_by_their_own_numbers() {
    let lab = lab();
    let perfect = distinguish(&[1.0; 1000], &[0.0; 1000], 1e-5, Selection::Fixed(0.5), &lab).unwrap();
    check(&perfect, "5.4");
    let nothing = distinguish(&[0.0; 100], &[0.0; 100], 1e-5, Selection::Fixed(0.5), &lab).unwrap();
    assert_eq!(nothing.epsilon, 0.0);
    check(&nothing, "proved nothing");
    let signals = game(1);
    let rates = ClopperPearson::new(Selection::Fixed(0.0));
    check(&rates.pooled(&signals, &LossThreshold::new(), &lab).unwrap(), "trials");
    let gaussian = GaussianBound::new(rates).pooled(&signals, &LossThreshold::new(), &lab).unwrap();
    check(&gaussian, "trials");
    let gaussian = GaussianBound::new(ClopperPearson::new(Selection::Fixed(0.5))).audit_worlds(&[1.0; 200], &[0.0; 200], &lab).unwrap();
    check(&gaussian, "if the trade-off is Gaussian");
    let coins: Vec<bool> = (0..200).map(|i| i % 2 == 0).collect();
    let scores: Vec<f64> = coins.iter().map(|&coin| f64::from(u8::from(coin))).collect();
    let one_run = OneRun::new(Guesses::Fixed { members: 20, non_members: 20 }).audit(&scores, &coins, &lab).unwrap();
    check(&one_run, "one run");
    assert!(one_run.explain().references()[1].contains("2305.08846"));
    let mut axis = EpsilonAxis::new("an axis", 1e-5);
    check(&axis, "0 mechanisms");
    axis.upper("as claimed", Event::gaussian(1.0).unwrap().epsilon(1e-5).unwrap()).unwrap();
    axis.lower("as claimed", perfect).unwrap();
    check(&axis, "1 of 1 mechanism disproved");
    check(&museum(), "5 mechanisms");
    check(&museum().audit(400, 1e-5, &lab).unwrap(), "of 5 claims");
}

#[test]
fn bounds_from_above_are_explained_by_their_own_numbers() {
    let training = Event::gaussian(1.0).unwrap().poisson(0.05).unwrap().repeat(400);
    let epsilon = training.epsilon(1e-3).unwrap();
    check(&epsilon, "ε ≤ 4.664 (δ = 1e-3");
    check(&crate::privacy::Epsilon { kind: Kind::Approximation, ..epsilon }, "an approximation");
    check(&Event::NonPrivate.epsilon(1e-3).unwrap(), "ε = ∞");
    check(&Event::NoOp.epsilon(1e-3).unwrap(), "more than 1 times");
    check(&EpsilonCurve::over_steps(&[100, 200], 1.0, 0.01, 1e-5).unwrap(), "From 100 to 200");
    let mut ledger = Ledger::new(3.0, 1e-3).unwrap();
    check(&ledger, "0 runs");
    ledger.spend("one", &Event::gaussian(3.0).unwrap()).unwrap();
    check(&ledger, "a budget of ε = 3");
    let data = Dataset::toy();
    let mut utility = PrivacyUtility::new("toy", &data, &data, 1e-2).with_epsilons(&[2.0]).with_networks(2);
    check(&utility, "0 rows");
    utility.training(&Train::new(Arch::Logistic).with_epochs(2).with_batch(20).with_privacy(DpSgd::new(1.0)), &lab()).unwrap();
    check(&utility, "δ = 0.01");
}

#[test]
fn sets_and_models_are_explained_by_their_event() {
    let (lab, toy) = (lab(), Dataset::toy());
    check(&toy, "as they were read");
    check(&toy.clone().declared_public(), "ε = 0");
    check(&RandomSubset::new(2).synthesize(&toy, &lab).unwrap(), "8 of them began as real records");
    check(&LinearMatching::new(2).with_init(Init::Noise).synthesize(&toy, &lab).unwrap(), "None of them is known to have begun");
    let train = Train::new(Arch::Logistic).with_epochs(2);
    let model = train.clone().fit(&toy, &lab).unwrap();
    check(&model, "ε = ∞, no guarantee at all");
    check(&model.evaluate(&toy).unwrap(), "of 120");
    check(&train.with_batch(30).with_privacy(DpSgd::new(1.0)).fit(&toy, &lab).unwrap(), "ε ≤");
    let encoder = PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(30).fit(&toy, &lab).unwrap();
    check(&encoder, "4 numbers");
    let vae = PrivateVae::new(10, 1.0).with_epochs(1).with_batch(15).fit(&toy, &lab).unwrap();
    check(&vae, "4 classes");
    check(&vae.sample(3, &lab).unwrap(), "12 records made by");
    let embedding = MeanEmbedding::small(5, 1.0).with_steps(2).fit(&toy, &lab).unwrap();
    check(&embedding, "ε = ");
    check(&PrivateAutoencoder::new(4, 1.0).with_epochs(1).with_batch(30).fit_whole(&toy, &lab).unwrap(), "code of 4 numbers");
    assert_eq!(Released::from(encoder.clone()).explain(), encoder.explain());
}

#[test]
fn an_explanation_is_one_slide_in_every_form() {
    let explanation = roc(100.0).explain();
    let bundle = explanation.bundle();
    for heading in ["It means", "It does not mean", "What would change it", "Formula", "References"] {
        assert!(bundle.text.contains(heading) && bundle.html.contains(heading), "{heading}");
    }
    let again: Explanation = serde_json::from_str(&serde_json::to_string(&explanation).unwrap()).unwrap();
    assert_eq!(again, explanation);
    assert!(format!("{explanation:?}").lines().count() == 1);
    let picture = image::load_from_memory(&bundle.png).unwrap();
    assert!(picture.height() < 2 * picture.width(), "{} x {}", picture.width(), picture.height());
}

#[test]
fn nothing_to_explain_is_explained_without_a_panic() {
    let empty = RocSet::new(vec![]);
    check(&empty, "0 curves");
    let one = Roc::new(&[1.0, 0.0], &[true, false]).unwrap().named("one of each, under a very long name indeed");
    check(&one, "1 of 1");
    let nothing = crate::stats::Rate { hits: 0, of: 0, low: 0.0, high: 1.0 };
    check(&nothing, "0 of 0 trials");
    check(&MeanInterval { mean: 0.5, low: f64::NEG_INFINITY, high: f64::INFINITY, n: 1 }, "-∞");
    let bound = LowerBound {
        epsilon: 1.5,
        delta: 0.0,
        confidence: 0.95,
        method: "Clopper-Pearson".into(),
        evidence: String::new(),
        trials: 0,
        threshold: None,
        direction: None,
        premise: None,
    };
    check(&bound, "ε is at least 1.5");
}

/// The items of every `impl NAME for ..` in a folder of sources.
fn implementing(name: &str, folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            implementing(name, &path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let of = text.lines().filter_map(|line| line.strip_prefix(&format!("impl {name} for "))?.strip_suffix(" {"));
            found.extend(of.map(String::from));
        }
    }
}

#[test]
fn what_shows_itself_also_explains_itself() {
    // Parts of figures, inputs, handles and lists: there is no result in them.
    const NO_RESULT: [&str; 16] = [
        "Figure",
        "ImageGrid",
        "Film",
        "Plot",
        "Table",
        "DataFrame",
        "Explanation",
        "Split",
        "Membership",
        "Lab",
        "Catalogue",
        "JobSnapshot",
        "Runs",
        "CodeDecoder",
        "Server",
        "Service",
    ];
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut shown, mut explained) = (vec![], vec![]);
    implementing("Show", &sources, &mut shown);
    implementing("Explain", &sources, &mut explained);
    let silent: Vec<&String> = shown.iter().filter(|&kind| !explained.contains(kind) && !NO_RESULT.contains(&kind.as_str())).collect();
    assert!(silent.is_empty(), "without explain(): {silent:?}");
    assert!(explained.len() > 40, "{explained:?}");
}

#[test]
fn members_and_non_members_are_not_confused() {
    let manifest = crate::attack::Manifest::new(serde_json::Value::Null, 7, "no data");
    let logits = vec![2.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0];
    let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 1], manifest).unwrap();
    // ln(1 + e⁻²) and ln(1 + e⁻³) against ln(1 + e⁻¹) and ln 2.
    check(&signals, "members 0.0878, non-members 0.503");
    assert!(roc(300.0).explain().means().contains("76 % (152 of 200) of the members"));
}
