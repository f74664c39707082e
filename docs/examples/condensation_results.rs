//! The measured tables of `docs/results/condensation.md` and its figures: how good condensed sets are on full data, and what their
//! pictures give away.
//!
//! `cargo run --example condensation_results -- mnist fashion cifar10 leakage`, or some of them, prints the tables and rewrites the
//! figures under `docs/results/`. Full data sets come from `$FREELUNCH_DATA`, the cache, or a mirror. What stops by time depends on
//! the machine, so accuracies vary a little from run to run.

use freelunch::prelude::*;
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results");

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        println!("name what to measure: mnist, fashion, cifar10, leakage; mnist-kernel, fashion-kernel for KIP alone");
    }
    let lab = Lab::new()?.seed(1).quiet();
    for name in wanted {
        match name.as_str() {
            "mnist" => quality(&name, &Dataset::mnist()?, &Augment::digits(), &lab)?,
            "fashion" => quality(&name, &Dataset::fashion_mnist()?, &Augment::dsa(), &lab)?,
            "cifar10" => quality(&name, &Dataset::cifar10()?, &Augment::dsa(), &lab)?,
            "leakage" => leakage(&lab)?,
            "mnist-kernel" => kernel_points(&Dataset::mnist()?, &lab)?,
            "fashion-kernel" => kernel_points(&Dataset::fashion_mnist()?, &lab)?,
            other => println!("{other}: expected mnist, fashion, cifar10 or leakage"),
        }
    }
    Ok(())
}

/// Methods at their presets for a laptop's processor, one condensation each, stopped after 90 seconds; three networks of width 32 learn
/// each set for 400 epochs under augmentation.
fn quality(name: &str, split: &Split, augment: &Augment, lab: &Lab) -> Result<()> {
    let arch = Arch::conv_net().with_width(32);
    let recipe = Train::on_condensed(arch.clone()).with_epochs(400).with_augment(augment.clone().with_pairing(Pairing::Independent));
    let protocol = Quality::new(std::slice::from_ref(&arch)).with_networks(3).with_condensations(1).with_recipe(recipe);
    let one = protocol
        .clone()
        .with_whole(Train::new(arch).with_epochs(2))
        .of(KMeans::new(1))
        .of(DistributionMatching::small(1).with_augment(augment.clone()))
        .of(GradientMatching::small(1))
        .of(GradientMatching::siamese_small(1).with_augment(augment.clone()))
        .of(TrajectoryMatching::small(1));
    let ten = protocol
        .without_whole()
        .of(KMeans::new(10))
        .of(DistributionMatching::small(10).with_augment(augment.clone()))
        .of(GradientMatching::siamese_small(10).with_augment(augment.clone()));
    let lab = lab.clone().budget_s(90.0)?;
    kernel_points(split, &lab)?;
    let report = one.measure(split, &lab)?.and(ten.measure(split, &lab)?)?;
    report.save(Path::new(RESULTS).join(format!("quality_{name}")))?;
    println!("\n{}\n", report.to_markdown());
    Ok(())
}

/// KIP sets, learned by the regression they are made for.
fn kernel_points(split: &Split, lab: &Lab) -> Result<()> {
    println!("## {}\n", split.train.name());
    println!(
        "KIP, by kernel regression with its own kernel, for which its sets are made, beside as many random images and k-means\ncentres:\n"
    );
    println!("| per class | random subset | k-means | KIP | minutes |\n|---|---|---|---|---|");
    for per_class in [1, 10] {
        let points = KernelInducingPoints::small(per_class);
        let support = points.synthesize(&split.train, lab)?;
        let random = RandomSubset::new(per_class).synthesize(&split.train, lab)?;
        let centres = KMeans::new(per_class).synthesize(&split.train, lab)?;
        let score = |set: &Dataset| -> Result<String> {
            let rate = points.regression().fit(set, lab)?.accuracy(&split.test)?;
            Ok(format!("{:.1} [{:.1}, {:.1}]", 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high))
        };
        println!(
            "| {per_class} | {} | {} | {} | {:.1} |",
            score(&random)?,
            score(&centres)?,
            score(&support)?,
            support.origin().seconds / 60.0
        );
    }
    Ok(())
}

/// Re-identification of the start and the accuracy that each initialisation costs, with distribution matching.
fn leakage(lab: &Lab) -> Result<()> {
    let Split { train, test } = Dataset::fashion_mini()?;
    let matching = DistributionMatching::small(10).with_steps(100);
    let recipe = Train::on_condensed(Arch::conv_net().with_width(32)).with_epochs(150);
    let inits = [
        Init::Real,
        Init::RealPlusNoise { sigma: 1.0 },
        Init::kaleidoscope(1),
        Init::kaleidoscope(3),
        Init::kaleidoscope(10),
        Init::ClassMean,
        Init::Noise,
    ];
    let mut summary = LeakageSummary::new("What the start gives away: DM, Fashion-MNIST mini, 10 per class");
    println!("## What the start gives away\n");
    println!("| start | re-identified % (L2) | re-identified % (SSIM) | accuracy % |\n|---|---|---|---|");
    for init in inits {
        let made = matching.clone().with_init(init.clone()).synthesize(&train, lab)?;
        let by_distance = Leakage::new(Metric::L2).with_holdout(&test).measure(&made, &train, lab)?;
        let by_structure = Leakage::new(Metric::Ssim).measure(&made, &train, lab)?;
        let mut accuracies = vec![];
        for network in 0..3 {
            accuracies.push(recipe.fit(&made, &lab.child("network", network))?.accuracy(&test)?.value());
        }
        let accuracy = MeanInterval::new(&accuracies)?;
        let percent = |rate: Option<Rate>| {
            rate.map_or("-".into(), |r| format!("{:.0} [{:.0}, {:.0}]", 100.0 * r.value(), 100.0 * r.low, 100.0 * r.high))
        };
        println!(
            "| {} | {} | {} | {:.1} [{:.1}, {:.1}] |",
            init.name(),
            percent(by_distance.reidentified()),
            percent(by_structure.reidentified()),
            100.0 * accuracy.mean,
            100.0 * accuracy.low,
            100.0 * accuracy.high
        );
        summary.add(&init.name(), &by_distance);
    }
    summary.save(Path::new(RESULTS).join("leakage"))
}
