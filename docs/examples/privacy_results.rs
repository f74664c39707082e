//! The measured tables of `docs/results/privacy.md` and its figures: what accuracy differentially private methods keep at each ε, and what noise costs.
//!
//! `cargo run --example privacy_results -- mnist fashion encoder-mnist noise curves`, or some of them, prints the tables and rewrites the figures under
//! `docs/results/`. Full data sets come from `$FREELUNCH_DATA`, the cache, or a mirror.

use freelunch::generate::{Coder, MeanEmbedding, PrivateAutoencoder, PrivateDistributionMatching, PrivateGradientMatching, PrivateVae};
use freelunch::prelude::*;
use freelunch::privacy::{Calibrate, DpSgd, EpsilonCurve, Noisy, PrivacyUtility};
use std::path::Path;
use std::time::Instant;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results");
const DELTA: f64 = 1e-5;

fn main() -> Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if wanted.is_empty() {
        println!(
            "name what to measure: mnist, fashion, sgd-mnist, sgd-fashion, encoder-mnist, encoder-fashion, steps-mnist, noise, curves"
        );
    }
    let lab = Lab::new()?.seed(1).quiet();
    for name in wanted {
        match name.as_str() {
            "mnist" => utility("mnist", &Dataset::mnist()?, &Augment::digits(), &lab)?,
            "fashion" => utility("fashion", &Dataset::fashion_mnist()?, &Augment::dsa(), &lab)?,
            "sgd-mnist" => training("mnist", &Dataset::mnist()?, &lab)?,
            "sgd-fashion" => training("fashion", &Dataset::fashion_mnist()?, &lab)?,
            "encoder-mnist" => controls("mnist", &Dataset::mnist()?, &lab)?,
            "encoder-fashion" => controls("fashion", &Dataset::fashion_mnist()?, &lab)?,
            "steps-mnist" => steps(&Dataset::mnist()?, &lab)?,
            "noise" => noise()?,
            "curves" => curves()?,
            other => println!("{other}: not known"),
        }
    }
    Ok(())
}

/// What learns DP-SGD straight from the records: the small ConvNet of the condensation literature, large samples, a high rate.
fn private_training() -> Train {
    let step = Optimizer::Sgd { rate: 1.0, momentum: 0.9, weight_decay: 0.0 };
    Train::new(Arch::conv_net().with_width(16).with_depth(2))
        .with_epochs(10)
        .with_batch(1024)
        .with_optimizer(step)
        .with_privacy(DpSgd::new(1.0))
}

/// DP-SGD at the ε of the tutorials, and with next to no noise, where ε says nothing.
fn training(name: &str, split: &Split, lab: &Lab) -> Result<()> {
    let mut table = PrivacyUtility::new(&format!("DP-SGD on {name}"), &split.train, &split.test, DELTA)
        .with_epsilons(&[1.0, 1.2, 3.0, 10.0])
        .with_networks(1);
    table.training(&private_training(), lab)?;
    let start = Instant::now();
    let vacuous = private_training().with_noise(0.2).fit(&split.train, lab)?;
    let accuracy = vacuous.accuracy(&split.test)?.value();
    table.add("DP-SGD, σ = 0.2 (ε says nothing)", vacuous.event(), vec![accuracy], start.elapsed().as_secs_f64())?;
    let start = Instant::now();
    let plain = Train { privacy: None, ..private_training() };
    let plain = plain.with_optimizer(Optimizer::sgd(0.05)).with_batch(64).with_epochs(3).fit(&split.train, lab)?;
    table.add("SGD without privacy", plain.event(), vec![plain.accuracy(&split.test)?.value()], start.elapsed().as_secs_f64())?;
    table.save(Path::new(RESULTS).join(format!("private_training_{name}")))?;
    println!("\n{}\n", table.to_markdown());
    Ok(())
}

/// Every generator and private condenser at ε = 1 and 10.
fn utility(name: &str, split: &Split, augment: &Augment, lab: &Lab) -> Result<()> {
    let recipe = Train::on_condensed(Arch::conv_net().with_width(32))
        .with_epochs(200)
        .with_augment(augment.clone().with_pairing(Pairing::Independent));
    let large = Train::new(Arch::conv_net().with_width(32)).with_epochs(3);
    let mut table = PrivacyUtility::new(&format!("What is left at each ε: {name}"), &split.train, &split.test, DELTA).with_recipe(recipe);
    table.synthesis(&PrivateDistributionMatching::small(10, 1.0).with_augment(augment.clone()), lab)?;
    println!("{}\n", table.to_markdown());
    table.synthesis(&PrivateGradientMatching::small(10, 1.0), lab)?;
    println!("{}\n", table.to_markdown());
    let mut table = table.with_recipe(large).with_networks(1);
    table.synthesis(&MeanEmbedding::small(500, 1.0), lab)?;
    println!("{}\n", table.to_markdown());
    let vae = PrivateVae::new(500, 1.0).with_latent(6).with_network(Coder::Dense { hidden: vec![128] });
    table.synthesis(&vae.with_batch(1000).with_optimizer(Optimizer::adam(0.01)), lab)?;
    println!("{}\n", table.to_markdown());
    encoder(&mut table, split, lab)?;
    table.save(Path::new(RESULTS).join(format!("private_utility_{name}")))?;
    println!("\n{}\n", table.to_markdown());
    Ok(())
}

/// DP-AuGM: an encoder from all but the last 5,000 records; those, declared public, are encoded and learned.
fn encoder(table: &mut PrivacyUtility, split: &Split, lab: &Lab) -> Result<()> {
    let n = split.train.len();
    let private = split.train.subset(&(0..n - 5_000).collect::<Vec<_>>())?;
    let public = split.train.subset(&(n - 5_000..n).collect::<Vec<_>>())?.declared_public();
    let test = split.test.clone().declared_public();
    for epsilon in [1.0, 10.0] {
        let start = Instant::now();
        let encoder = coder().to_epsilon(epsilon, DELTA, &private)?.fit(&private, lab)?;
        let codes = encoder.encode(&public)?;
        let model = Train::new(Arch::mlp()).with_epochs(30).fit(&codes, lab)?;
        let accuracy = model.accuracy(&encoder.encode(&test)?)?.value();
        table.add("DP-AuGM, 5,000 public records", encoder.event(), vec![accuracy], start.elapsed().as_secs_f64())?;
    }
    Ok(())
}

/// DP-AuGM beside its controls, for several amounts of public data (two seeds).
fn controls(name: &str, split: &Split, lab: &Lab) -> Result<()> {
    let n = split.train.len();
    let private = split.train.subset(&(0..n - 5_000).collect::<Vec<_>>())?;
    let public = split.train.subset(&(n - 5_000..n).collect::<Vec<_>>())?.declared_public();
    let public = Split { train: public, test: split.test.clone().declared_public() };
    let report = EncoderControls::new(coder().to_epsilon(10.0, DELTA, &private)?, Train::new(Arch::mlp()).with_epochs(30))
        .with_sizes(&[100, 500, 1_000, 5_000])
        .with_seeds(2)
        .measure(&private, &public, lab)?;
    report.save(Path::new(RESULTS).join(format!("private_encoder_{name}")))?;
    println!("\n{}\n", report.to_markdown());
    Ok(())
}

/// NDPDC with three times as many steps, each with more noise.
fn steps(split: &Split, lab: &Lab) -> Result<()> {
    let independent = Augment::digits().with_pairing(Pairing::Independent);
    let recipe = Train::on_condensed(Arch::conv_net().with_width(32)).with_epochs(200).with_augment(independent);
    let mut table = PrivacyUtility::new("NDPDC, 300 steps", &split.train, &split.test, DELTA).with_recipe(recipe);
    table.synthesis(&PrivateDistributionMatching::small(10, 1.0).with_steps(300).with_augment(Augment::digits()), lab)?;
    println!("\n{}\n", table.to_markdown());
    Ok(())
}

/// The autoencoder of the tables.
fn coder() -> PrivateAutoencoder {
    let network = Coder::Dense { hidden: vec![256] };
    PrivateAutoencoder::new(64, 1.0).with_network(network).with_batch(1024).with_epochs(10).with_optimizer(Optimizer::adam(0.005))
}

/// The noise that ε = 1 asks for, as a function of the records per class.
fn noise() -> Result<()> {
    println!("| records per class | NDPDC: releases | σ | PSG: releases | σ |\n|---|---|---|---|---|");
    let records = Dataset::mnist()?.train;
    for per_class in [1, 10, 20, 50] {
        let ndpdc = PrivateDistributionMatching::new(per_class, 1.0).to_epsilon(1.0, DELTA, &records)?;
        let psg = PrivateGradientMatching::new(per_class, 1.0).to_epsilon(1.0, DELTA, &records)?;
        let (by_ndpdc, by_psg) = (ndpdc.planned(&records)?.releases(), psg.planned(&records)?.releases());
        println!("| {per_class} | {by_ndpdc} | {:.3} | {by_psg} | {:.3} |", ndpdc.noise, psg.noise);
    }
    Ok(())
}

/// ε of DP-SGD over steps, noise and δ.
fn curves() -> Result<()> {
    let steps: Vec<u64> = (1..=20).map(|i| 250 * i).collect();
    let sigmas: Vec<f64> = (3..=20).map(|i| 0.2 * f64::from(i)).collect();
    let rate = 256.0 / 60_000.0;
    let sigma = Calibrate::new(3.0, DELTA).sigma(rate, 5_000)?;
    let event = Event::gaussian(sigma)?.poisson(rate)?.repeat(5_000);
    let deltas: Vec<f64> = (2..=9).map(|i| 10f64.powi(-i)).collect();
    let figure = Figure::row_of(&[
        &EpsilonCurve::over_steps(&steps, 1.0, rate, DELTA)?,
        &EpsilonCurve::over_sigma(&sigmas, rate, 5_000, DELTA)?,
        &EpsilonCurve::over_delta(&event, &deltas)?,
    ]);
    let folder = Path::new(RESULTS).join("privacy_curves");
    std::fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e, "check the path"))?;
    figure.save(folder.join("curves.svg"))?;
    figure.save(folder.join("curves.png"))?;
    println!("DP-SGD with samples of 256 of 60,000: ε = 3 after 5,000 steps needs σ = {sigma:.4}");
    Ok(())
}
