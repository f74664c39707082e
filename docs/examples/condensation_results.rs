//! The measured tables of `docs/results/condensation.md` and its figures: how good condensed sets are on full data, and what their
//! pictures give away.
//!
//! `cargo run --example condensation_results -- mnist fashion cifar10 leakage`, or some of them, rewrites the files under
//! `docs/results/`. Full data sets come from `$FREELUNCH_DATA`, the cache, or a mirror. A run that was killed goes on where it was:
//! condensed sets are kept in the folder `condensed` of the system's temporary files.

use freelunch::condense::TrajectoryMatching;
use freelunch::prelude::*;
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results");

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        println!("name what to measure: mnist, fashion, cifar10, leakage");
    }
    let lab = Lab::new()?.seed(1).keep(std::env::temp_dir().join("freelunch-condensed"))?;
    for name in wanted {
        match name.as_str() {
            "mnist" => quality(&name, &Dataset::mnist()?, &Augment::digits(), &lab)?,
            "fashion" => quality(&name, &Dataset::fashion_mnist()?, &Augment::dsa(), &lab)?,
            "cifar10" => quality(&name, &Dataset::cifar10()?, &Augment::dsa(), &lab)?,
            "leakage" => leakage(&lab)?,
            other => println!("{other}: expected mnist, fashion, cifar10 or leakage"),
        }
    }
    Ok(())
}

/// Every method at its preset for a laptop's processor, one condensation each, five networks of width 32.
fn quality(name: &str, split: &Split, augment: &Augment, lab: &Lab) -> Result<()> {
    let arch = Arch::conv_net().with_width(32);
    let recipe = Train::on_condensed(arch.clone()).with_augment(augment.clone().with_pairing(Pairing::Independent));
    let mut all: Option<QualityReport> = None;
    for per_class in [1, 10] {
        let quality = Quality::new(std::slice::from_ref(&arch))
            .with_networks(5)
            .with_condensations(1)
            .with_recipe(recipe.clone())
            .of(Herding::new(per_class))
            .of(KMeans::new(per_class))
            .of(DistributionMatching::small(per_class).with_augment(augment.clone()))
            .of(GradientMatching::small(per_class))
            .of(GradientMatching::siamese_small(per_class).with_augment(augment.clone()))
            .of(TrajectoryMatching::small(per_class));
        let quality = if per_class == 1 { quality } else { quality.without_whole() };
        let report = quality.measure(split, lab)?;
        all = Some(match all {
            Some(before) => before.and(report)?,
            None => report,
        });
    }
    let Some(report) = all else { return Ok(()) };
    let folder = Path::new(RESULTS).join(format!("quality_{name}"));
    report.save(&folder)?;
    println!("{}\n", report.to_markdown());
    println!("KIP, by kernel regression with the same kernel (support sets are not meant for networks):");
    for per_class in [1, 10] {
        let support = KernelInducingPoints::small(per_class).synthesize(&split.train, lab)?;
        let accuracy = KernelRidge::new().fit(&support, lab)?.accuracy(&split.test)?;
        println!("{per_class} per class: {accuracy}, {:.0} s", support.origin().seconds);
    }
    Ok(())
}

/// Re-identification of the start and the accuracy that each initialisation costs, with distribution matching.
fn leakage(lab: &Lab) -> Result<()> {
    let Split { train, test } = Dataset::fashion_mini()?;
    let matching = DistributionMatching::small(10).with_steps(200);
    let recipe = Train::on_condensed(Arch::conv_net().with_width(32));
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
    println!("| start | re-identified % (L2) | re-identified % (SSIM) | accuracy % |\n|---|---|---|---|");
    for init in inits {
        let made = matching.clone().with_init(init.clone()).synthesize(&train, lab)?;
        let by_distance = Leakage::new(Metric::L2).with_holdout(&test).measure(&made, &train, lab)?;
        let by_structure = Leakage::new(Metric::Ssim).measure(&made, &train, lab)?;
        let mut accuracies = vec![];
        for network in 0..5 {
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
