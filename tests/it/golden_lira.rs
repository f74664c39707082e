//! LiRA, Yeom's attack and the ROC metrics against values computed by an independent program; see `tests/golden/lira/README.md`.
#![allow(clippy::unwrap_used, clippy::panic)]

use flate2::read::GzDecoder;
use freelunch::attack::{Attack, Convention, LikelihoodRatio, LossThreshold, Manifest, Signals, Statistic, Variance};
use freelunch::roc::Roc;
use freelunch::stats::{clopper_pearson, normal_cdf};
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

const TARGET: usize = 16;
const SHAPE: [usize; 4] = [17, 600, 1, 10];

fn golden(path: &str) -> PathBuf {
    let folder = std::env::var_os("FREELUNCH_GOLDEN").map(PathBuf::from);
    folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")).join(path)
}

/// The header and the rows of a CSV file, unpacked if its name ends in `.gz`.
fn csv(path: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let bytes = fs::read(golden(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut text = String::new();
    if path.ends_with(".gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let mut rows = text.lines().map(|line| line.split(',').map(str::to_string).collect::<Vec<_>>());
    let header = rows.next().unwrap();
    (header, rows.collect())
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The columns of a file by name.
fn columns(path: &str) -> HashMap<String, Vec<f64>> {
    let (header, rows) = csv(path);
    let column = |at: usize| rows.iter().map(|row| number(&row[at])).collect();
    header.iter().enumerate().map(|(at, name)| (name.clone(), column(at))).collect()
}

fn signals() -> Signals {
    let (_, logits) = csv("lira/logits.csv.gz");
    let logits: Vec<f64> = logits.iter().flatten().map(|value| number(value)).collect();
    let (_, records) = csv("lira/records.csv");
    let labels = records.iter().map(|record| record[0].parse().unwrap()).collect();
    let mut membership = vec![];
    for model in 0..TARGET {
        membership.extend(records.iter().map(|record| record[2].as_bytes()[model] == b'1'));
    }
    membership.extend(records.iter().map(|record| record[1] == "1"));
    Signals::new(logits, SHAPE, membership, labels, Manifest::new(serde_json::Value::Null, 0, "golden")).unwrap()
}

/// Every column of the expected scores that this library computes (offline scores as z, see `golden_offline_probabilities`).
fn variants() -> Vec<(&'static str, Box<dyn Attack>)> {
    let (online, offline) = (LikelihoodRatio::online(), LikelihoodRatio::offline());
    let script = |attack: LikelihoodRatio| attack.with_convention(Convention::Script);
    let attacks = [
        ("online", online.with_variance(Variance::PerRecord)),
        ("online_fixed", online.with_variance(Variance::Global)),
        ("online_fixed_pooled", online.with_variance(Variance::PooledWithinRecord)),
        ("offline_z", offline.with_variance(Variance::PerRecord)),
        ("offline_fixed_z", offline.with_variance(Variance::Global)),
        ("script_online", script(online).with_variance(Variance::PerRecord)),
        ("script_online_fixed", script(online).with_variance(Variance::Global)),
        ("script_offline", script(offline).with_variance(Variance::PerRecord)),
        ("script_offline_fixed", script(offline).with_variance(Variance::Global)),
        ("hinge_online", online.with_variance(Variance::PerRecord).with_statistic(Statistic::Hinge)),
    ];
    let mut variants: Vec<(&str, Box<dyn Attack>)> = vec![("yeom", Box::new(LossThreshold::new()))];
    variants.extend(attacks.map(|(name, attack)| (name, Box::new(attack) as Box<dyn Attack>)));
    variants
}

/// The scores of every column, as the reference defines them.
fn scores(signals: &Signals) -> Vec<(&'static str, Vec<f64>)> {
    let mut all: Vec<(&str, Vec<f64>)> = vec![("phi", signals.phi(TARGET).unwrap())];
    for (name, attack) in variants() {
        all.push((name, attack.score(signals, TARGET).unwrap()));
    }
    for (name, z) in [("offline", "offline_z"), ("offline_fixed", "offline_fixed_z")] {
        let z = &all.iter().find(|entry| entry.0 == z).unwrap().1;
        all.push((name, z.iter().map(|&z| normal_cdf(z)).collect()));
    }
    all
}

#[test]
fn golden_scores_agree_to_nine_digits() {
    let expected = columns("lira/expected_scores.csv.gz");
    let scores = scores(&signals());
    let not_here = expected.keys().filter(|name| !name.starts_with("rmia") && !scores.iter().any(|entry| entry.0 == *name)).count();
    assert_eq!(not_here, 0, "a column of the file is not computed");
    for (name, scores) in scores {
        for (record, (got, want)) in scores.iter().zip(&expected[name]).enumerate() {
            // Scores are differences of logarithms: near 0 the last bits of those, about 1e-15, are all there is.
            assert!((got - want).abs() <= 1e-9 * want.abs() + 1e-13, "{name}, record {record}: {got} is not {want}");
        }
    }
}

#[test]
fn golden_metrics_of_every_score_agree() {
    let signals = signals();
    let (header, rows) = csv("lira/expected_metrics.csv");
    let scores = scores(&signals);
    for (name, scores) in &scores {
        let row = rows.iter().find(|row| row[0] == *name).unwrap();
        let want = |column: &str| number(&row[header.iter().position(|title| title == column).unwrap()]);
        let roc = Roc::new(scores, signals.members_of(TARGET).unwrap()).unwrap();
        let (at_1, at_01) = (roc.tpr_at(0.01), roc.tpr_at(0.001));
        let got = [
            ("auc", roc.auc().value),
            ("tpr_at_1pc", at_1.rate.value()),
            ("tpr_at_1pc_strict", roc.tpr_at_strict(0.01).rate.value()),
            ("false_positives_at_1pc", at_1.false_positives as f64),
            ("tpr_at_0.1pc", at_01.rate.value()),
            ("tpr_at_0.1pc_strict", roc.tpr_at_strict(0.001).rate.value()),
            ("false_positives_at_0.1pc", at_01.false_positives as f64),
            ("balanced_accuracy", roc.balanced_accuracy()),
            ("members", roc.members() as f64),
            ("non_members", roc.non_members() as f64),
        ];
        for (column, value) in got {
            assert!((value - want(column)).abs() < 1e-9, "{name}, {column}: {value} is not {}", want(column));
        }
        assert!(roc.auc().low < roc.auc().value && at_01.warning.is_some());
    }
}

#[test]
fn golden_metrics_hold_for_scores_with_many_ties() {
    let (scores, signals) = (columns("lira/expected_scores.csv.gz"), signals());
    let (_, rows) = csv("lira/expected_metrics.csv");
    for name in ["rmia", "rmia_ratio"] {
        let row = rows.iter().find(|row| row[0] == name).unwrap();
        let roc = Roc::new(&scores[name], signals.members_of(TARGET).unwrap()).unwrap();
        let got = [roc.auc().value, roc.tpr_at(0.01).rate.value(), roc.tpr_at_strict(0.01).rate.value()];
        for (at, value) in got.into_iter().enumerate() {
            assert!((value - number(&row[at + 1])).abs() < 1e-9, "{name}, column {at}: {value} is not {}", row[at + 1]);
        }
        assert_eq!(roc.tpr_at(0.01).false_positives as f64, number(&row[4]), "{name}");
        assert!((roc.balanced_accuracy() - number(&row[8])).abs() < 1e-9, "{name}");
    }
}

#[test]
fn golden_yeom_rule_at_the_mean_member_loss() {
    let expected = columns("lira/expected_yeom.csv");
    let rule = LossThreshold::new().rule(&signals(), TARGET).unwrap();
    let got = [
        ("mean_member_loss", rule.threshold),
        ("tpr", rule.true_positives.value()),
        ("fpr", rule.false_positives.value()),
        ("advantage", rule.advantage()),
        ("balanced_accuracy", rule.balanced_accuracy()),
    ];
    for (column, value) in got {
        assert!((value - expected[column][0]).abs() < 1e-9, "{column}: {value} is not {}", expected[column][0]);
    }
}

#[test]
fn golden_leave_one_out_attacks_every_model_with_the_others() {
    let (expected, signals) = (columns("lira/expected_leave_one_out.csv"), signals());
    let attacks = [
        ("online", LikelihoodRatio::online().with_variance(Variance::PerRecord)),
        ("online_fixed", LikelihoodRatio::online()), // 16 shadows: global
        ("offline", LikelihoodRatio::offline().with_variance(Variance::PerRecord)),
    ];
    for (name, attack) in attacks {
        let all = attack.score_all(&signals).unwrap();
        for (model, scores) in all.iter().enumerate() {
            let roc = Roc::new(scores, signals.members_of(model).unwrap()).unwrap();
            let (auc, tpr) = (expected[&format!("{name}_auc")][model], expected[&format!("{name}_tpr_at_1pc")][model]);
            assert!((roc.auc().value - auc).abs() < 1e-9, "{name}, model {model}: {} is not {auc}", roc.auc().value);
            assert!((roc.tpr_at(0.01).rate.value() - tpr).abs() < 1e-9, "{name}, model {model}: {roc:?}");
            assert_eq!(roc.auc(), attack.roc_of_model(&signals, model).unwrap().auc());
        }
        let pooled = attack.roc(&signals).unwrap();
        assert_eq!(pooled.members() + pooled.non_members(), 17 * 600);
    }
}

#[test]
fn golden_clopper_pearson_bounds() {
    let expected = columns("clopper_pearson.csv");
    for (row, alpha) in expected["alpha_each_side"].iter().enumerate() {
        let value = |column: &str| expected[column][row];
        let bound = |hits: &str, of: &str| clopper_pearson(value(hits) as usize, value(of) as usize, 1.0 - 2.0 * alpha).unwrap();
        assert!((bound("tp", "n_in").low - value("tpr_lower")).abs() < 6e-9); // the file has 8 digits
        assert!((bound("fp", "n_out").high - value("fpr_upper")).abs() < 6e-9);
    }
}
