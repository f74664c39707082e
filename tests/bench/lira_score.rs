//! Membership scores of 64 models × 50,000 records × 10 classes, as `peers/lira_score.py` times them.
//!
//! An attack of this library starts from logits, so every case includes φ of all models, which the script times apart (`phi`); compare with the sum.
//! `online-loo` is the online attack on each of the 64 models. `rmia` starts from the logits in both.

use super::common::{Options, uniform};
use freelunch::attack::{Manifest, RelativeLikelihood, Scores, Variance};
use freelunch::prelude::*;
use std::time::Instant;

const MODELS: usize = 64;
const RECORDS: usize = 50_000;
const POPULATION: usize = 10_000;
const CLASSES: usize = 10;
const TARGET: usize = MODELS - 1;

pub(crate) fn run(options: &Options) -> Result<()> {
    if !["phi", "online", "online-fixed", "offline", "offline-fixed", "online-loo", "rmia", "roc"].iter().any(|case| options.wants(case)) {
        return Ok(());
    }
    let signals = signals()?;
    let repeats = options.repeats(3);
    if options.wants("phi") {
        time(options, "phi", repeats, || {
            let sums: Vec<f64> = (0..MODELS).map(|model| signals.phi(model).map(|phi| phi.iter().sum())).collect::<Result<_>>()?;
            Ok(sums.iter().sum::<f64>() / (MODELS * RECORDS) as f64)
        })?;
    }
    let per_record = |attack: LikelihoodRatio| attack.with_variance(Variance::PerRecord);
    let fixed = |attack: LikelihoodRatio| attack.with_variance(Variance::Global);
    for (case, attack) in [
        ("online", per_record(LikelihoodRatio::online())),
        ("online-fixed", fixed(LikelihoodRatio::online())),
        ("offline", per_record(LikelihoodRatio::offline())),
        ("offline-fixed", fixed(LikelihoodRatio::offline())),
    ] {
        attack_on_one(options, case, repeats, &attack, &signals)?;
    }
    attack_on_one(options, "rmia", repeats, &RelativeLikelihood::offline(), &signals)?;
    if options.wants("online-loo") {
        let attack = per_record(LikelihoodRatio::online());
        time(options, "online-loo", 1, || {
            let scores = Scores::of(&attack, &signals)?;
            Ok(scores.values()[0])
        })?;
    }
    if options.wants("roc") {
        let scores = per_record(LikelihoodRatio::online()).score(&signals, TARGET)?;
        let members = signals.members_of(TARGET)?;
        time(options, "roc", repeats, || {
            let roc = Roc::new(&scores, members)?;
            Ok(roc.auc().value + roc.tpr_at(0.01).rate.value() + roc.tpr_at(0.001).rate.value() + roc.balanced_accuracy())
        })?;
    }
    Ok(())
}

fn attack_on_one(options: &Options, case: &str, repeats: usize, attack: &dyn Attack, signals: &Signals) -> Result<()> {
    if !options.wants(case) {
        return Ok(());
    }
    time(options, case, repeats, || Ok(attack.score(signals, TARGET)?[0]))?;
    let roc = attack.roc_of_model(signals, TARGET)?;
    println!("  AUC {:.7}, TPR at 1 % {:.8}", roc.auc().value, roc.tpr_at(0.01).rate.value());
    Ok(())
}

fn time(options: &Options, case: &str, repeats: usize, work: impl Fn() -> Result<f64>) -> Result<()> {
    let mut times = vec![];
    for repeat in 0..=repeats {
        let start = Instant::now();
        let check = work()?;
        if repeat > 0 || repeats == 1 {
            times.push(1e3 * start.elapsed().as_secs_f64());
        }
        if repeat == repeats && case == "phi" {
            println!("  mean {check:.8}");
        }
        if repeats == 1 {
            break;
        }
    }
    options.report("lira_score", case, "ms", times);
    Ok(())
}

/// Record i of a model: its numbers in [−4, 4), 3 more at the label, and 2 more there if it is a member.
fn signals() -> Result<Signals> {
    let numbers: Vec<Vec<f64>> = (0..MODELS as u64).map(|m| (0..RECORDS as u64).map(|i| uniform(6200 + m, i)).collect()).collect();
    let mut membership = vec![false; MODELS * RECORDS];
    for record in 0..RECORDS {
        let mut order: Vec<usize> = (0..MODELS).collect();
        order.sort_by(|&a, &b| numbers[a][record].total_cmp(&numbers[b][record]));
        order[..MODELS / 2].iter().for_each(|&model| membership[model * RECORDS + record] = true);
    }
    let logits = |seed: u64, n: usize, member: &dyn Fn(usize, usize) -> bool| {
        let mut all = Vec::with_capacity(MODELS * n * CLASSES);
        for model in 0..MODELS {
            for record in 0..n {
                for class in 0..CLASSES {
                    let z = (8.0 * uniform(seed + model as u64, (record * CLASSES + class) as u64) - 4.0) as f32;
                    let extra = if class == record % CLASSES { 3.0 + 2.0 * f32::from(u8::from(member(model, record))) } else { 0.0 };
                    all.push(z + extra);
                }
            }
        }
        all
    };
    let labels = |n: usize| (0..n as u32).map(|i| i % CLASSES as u32).collect::<Vec<u32>>();
    let manifest = || Manifest::new(serde_json::Value::Null, 0, "uniform");
    let all = logits(6000, RECORDS, &|model, record| membership[model * RECORDS + record]);
    let population = logits(6100, POPULATION, &|_, _| false);
    let shape = [MODELS, POPULATION, 1, CLASSES];
    let population = Signals::new(population, shape, vec![false; MODELS * POPULATION], labels(POPULATION), manifest())?;
    Signals::new(all, [MODELS, RECORDS, 1, CLASSES], membership, labels(RECORDS), manifest())?.with_population(population)
}
