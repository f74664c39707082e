use super::*;
use crate::attack::Manifest;
use crate::attack::signals::tests::made_up;
use crate::roc::Roc;

fn attacks() -> [ShadowClassifier; 2] {
    [ShadowClassifier::logistic(), ShadowClassifier::mlp()]
}

fn signals(logits: Vec<f64>, shape: [usize; 4], membership: Vec<bool>, labels: Vec<u32>) -> Signals {
    Signals::new(logits, shape, membership, labels, Manifest::new(serde_json::Value::Null, 0, "")).unwrap()
}

/// Four models on `n` records of two classes; members of class 0 get a *higher* label probability, members of class 1 a *lower* one.
fn opposite(n: usize) -> Signals {
    let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
    let membership: Vec<bool> = (0..4 * n).map(|at| (at / n + at % n / 2).is_multiple_of(2)).collect();
    let mut logits = vec![];
    for (at, &member) in membership.iter().enumerate() {
        let spread = 0.4 * ((at * 37 % 101) as f64 / 101.0);
        let margin = if member == (labels[at % n] == 0) { 2.0 } else { 0.5 } + spread;
        logits.extend(if labels[at % n] == 0 { [margin, 0.0] } else { [0.0, margin] });
    }
    signals(logits, [4, n, 1, 2], membership, labels)
}

#[test]
fn members_are_found_under_every_model() {
    let signals = made_up(60);
    for attack in attacks() {
        let auc = attack.roc(&signals).unwrap().auc().value;
        assert!(auc > 0.75, "{attack:?} {auc}");
    }
}

#[test]
fn each_class_has_its_own_classifier() {
    let signals = opposite(80);
    for attack in attacks() {
        // One classifier for both would be right about one class only.
        assert!(attack.roc(&signals).unwrap().auc().value > 0.99, "{attack:?}");
    }
}

#[test]
fn the_score_is_the_log_odds_of_a_fit_to_the_rows_of_the_shadows() {
    let signals = made_up(12);
    let attack = ShadowClassifier::logistic();
    let scores = attack.score(&signals, 2).unwrap();
    let p = |model: usize, record: usize| -> Vec<f64> {
        signals.log_probabilities(model).unwrap()[record * 3..(record + 1) * 3].iter().map(|v| v.exp()).collect()
    };
    for class in 0..3 {
        // Every model has two members and two others of each class, so that all rows are taken.
        let places = || [0, 1, 3, 4, 5].into_iter().flat_map(|model| (class..12).step_by(3).map(move |record| (model, record)));
        let rows: Vec<f64> = places().flat_map(|(model, record)| p(model, record)).collect();
        let members: Vec<bool> = places().map(|(model, record)| signals.members_of(model).unwrap()[record]).collect();
        let by_hand = Logistic::fit(&rows, 3, &members, 1e-4).unwrap();
        for record in (class..12).step_by(3) {
            // The same rows in another order.
            assert!((scores[record] - by_hand.log_odds(&p(2, record))).abs() < 1e-6);
        }
    }
}

#[test]
fn several_queries_count_as_their_mean_softmax_vector() {
    let n = 12usize;
    let logits: Vec<f64> = (0..4 * n * 2 * 2).map(|at| (at * 29 % 31) as f64 / 10.0).collect();
    let softmax = |z: &[f64]| 1.0 / (1.0 + (z[1] - z[0]).exp());
    let means = logits.chunks(4).flat_map(|pair| {
        let p = 0.5 * (softmax(&pair[..2]) + softmax(&pair[2..]));
        [p.ln(), (1.0 - p).ln()]
    });
    let membership: Vec<bool> = (0..4 * n).map(|at| (at / n + at % n / 2).is_multiple_of(2)).collect();
    let labels: Vec<u32> = (0..n).map(|i| (i % 2) as u32).collect();
    let one = signals(means.collect(), [4, n, 1, 2], membership.clone(), labels.clone());
    let two = signals(logits.clone(), [4, n, 2, 2], membership, labels);
    let attack = ShadowClassifier::logistic();
    for (a, b) in attack.score(&one, 1).unwrap().iter().zip(attack.score(&two, 1).unwrap()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn the_members_of_the_target_are_not_read() {
    let signals = made_up(12);
    let mut lied = signals.membership().to_vec();
    lied[2 * 12..3 * 12].iter_mut().for_each(|member| *member = !*member);
    let other = Signals::new(signals.logits().clone(), [6, 12, 1, 3], lied, signals.labels().to_vec(), signals.manifest().clone()).unwrap();
    for attack in attacks() {
        assert_eq!(attack.score(&signals, 2).unwrap(), attack.score(&other, 2).unwrap(), "{attack:?}");
        assert_ne!(attack.score(&signals, 1).unwrap(), attack.score(&other, 1).unwrap(), "model 2 is a shadow of model 1");
    }
}

#[test]
fn scores_do_not_depend_on_the_number_of_threads() {
    let signals = made_up(60);
    for attack in attacks() {
        let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| attack.score(&signals, 3));
        let (one, many) = (with(1).unwrap(), with(5).unwrap());
        assert!(one.iter().map(|v| v.to_bits()).eq(many.iter().map(|v| v.to_bits())), "{attack:?}");
    }
}

#[test]
fn rows_are_balanced_limited_and_follow_the_seed() {
    let signals = made_up(60);
    let lab = |seed| Lab::on(Device::Cpu).unwrap().seed(seed);
    let records: Vec<usize> = (0..60).step_by(3).collect();
    let draw = |rows, seed| ShadowClassifier::logistic().with_rows(rows).draw(&signals, 4, 0, &records, &lab(seed)).unwrap();
    for (limit, expected) in [(2, 2), (31, 30), (4_000, 100)] {
        let rows = draw(limit, 0);
        assert_eq!((rows.len(), rows.iter().filter(|row| row.member).count()), (expected, expected / 2));
        assert!(rows.iter().all(|row| row.model != 4 && signals.members_of(row.model).unwrap()[row.record] == row.member));
        let mut places: Vec<(usize, usize)> = rows.iter().map(|row| (row.model, row.record)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), expected, "no row twice");
    }
    assert_eq!(draw(30, 7), draw(30, 7));
    assert_ne!(draw(30, 7), draw(30, 8));
    let score = |seed| ShadowClassifier::logistic().with_rows(30).with_seed(seed).score(&signals, 0).unwrap();
    assert_eq!(score(1), score(1));
    assert_ne!(score(1), score(2));
}

#[test]
fn separated_and_saturated_outputs_give_finite_scores() {
    let membership: Vec<bool> = (0..4 * 6usize).map(|at| (at / 6 + at % 6).is_multiple_of(2)).collect();
    let logits: Vec<f64> = membership.iter().flat_map(|&member| if member { [1e300, -1e300] } else { [0.3, 0.0] }).collect();
    let signals = signals(logits, [4, 6, 1, 2], membership.clone(), vec![0; 6]);
    for attack in attacks() {
        let scores = attack.score(&signals, 1).unwrap();
        assert!(scores.iter().all(|score| score.is_finite()));
        assert_eq!(Roc::new(&scores, &membership[6..12]).unwrap().auc().value, 1.0, "{attack:?} {scores:?}");
    }
    // All outputs alike: nothing to learn, even odds.
    let alike = self::signals(vec![1.0; 4 * 6 * 2], [4, 6, 1, 2], membership, vec![0; 6]);
    assert!(ShadowClassifier::logistic().score(&alike, 1).unwrap().iter().all(|score| score.abs() < 1e-12));
}

#[test]
fn what_cannot_be_learned_is_refused_with_its_class() {
    // The record of class 1 is a member of every model.
    let membership = [true, true, false, true].repeat(3);
    let one_sided = signals(vec![0.0; 3 * 4 * 2], [3, 4, 1, 2], membership, vec![0, 0, 0, 1]);
    let text = ShadowClassifier::logistic().score(&one_sided, 0).unwrap_err().to_string();
    assert!(text.starts_with("class 1 has 2 rows of members and 0 of non-members"), "{text}");
    let alone = signals(vec![0.0; 4], [1, 2, 1, 2], vec![true, false], vec![0, 1]);
    assert!(ShadowClassifier::logistic().score(&alone, 0).unwrap_err().to_string().starts_with("0 shadow models"));
    let signals = made_up(12);
    assert!(ShadowClassifier::logistic().score(&signals, 6).is_err());
    for (classifier, text) in [
        (Classifier::Logistic { ridge: 0.0 }, "ridge is 0"),
        (Classifier::Logistic { ridge: f64::NAN }, "ridge is NaN"),
        (Classifier::Mlp { hidden: 0, epochs: 1 }, "hidden is 0"),
        (Classifier::Mlp { hidden: 1, epochs: 0 }, "epochs is 0"),
    ] {
        let error = ShadowClassifier::mlp().with_classifier(classifier).score(&signals, 0).unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
    assert!(ShadowClassifier::mlp().with_rows(1).score(&signals, 0).unwrap_err().to_string().starts_with("rows is 1"));
}
