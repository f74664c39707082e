//! The measured tables of `docs/results/`: how good condensed sets are on full data, and what their pictures give away.
//!
//! `cargo run --example condensation_results -- mnist fashion cifar10 leakage`, or some of them; `docs/results/` holds what comes
//! out. Full data sets come from `$FREELUNCH_DATA`, the cache, or a mirror. A run that is killed goes on where it was: condensed
//! sets are kept under `target/condensed/`.

use freelunch::condense::{KernelInducingPoints, TrajectoryMatching};
use freelunch::leakage::{Leakage, LeakageSummary, Metric};
use freelunch::prelude::*;
use freelunch::train::KernelRidge;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        println!("name what to measure: mnist, fashion, cifar10, leakage");
    }
    let lab = Lab::new()?.seed(1).keep("target/condensed")?;
    for name in wanted {
        match name.as_str() {
            "mnist" => quality(&name, Dataset::mnist()?, Augment::digits(), &lab)?,
            "fashion" => quality(&name, Dataset::fashion_mnist()?, Augment::dsa(), &lab)?,
            "cifar10" => quality(&name, Dataset::cifar10()?, Augment::dsa(), &lab)?,
            "leakage" => leakage(&lab)?,
            other => println!("{other}: expected mnist, fashion, cifar10 or leakage"),
        }
    }
    Ok(())
}

fn quality(name: &str, split: Split, augment: Augment, lab: &Lab) -> Result<()> {
    Ok(())
}

fn leakage(lab: &Lab) -> Result<()> {
    Ok(())
}
