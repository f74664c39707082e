//! Every differentially private mechanism of the library under audit: what is proven from below stays below what the accountant proves from
//! above, and the same audit disproves the same claim once the noise is left out.
//!
//! The attacker is the strongest that differential privacy allows: the seed, so the start of every network, is known and the same in all runs; only
//! noise and samples are drawn anew, by the operating system. The bounds hold at 99.9 %, so that right code fails once in a thousand runs at most.
#![allow(clippy::unwrap_used, clippy::panic)]

use freelunch::audit::Side;
use freelunch::generate::{Coder, MeanEmbedding, NoisyGroupMeans, PrivateGradientMatching};
use freelunch::prelude::*;
use rayon::prelude::*;

const DELTA: f64 = 1e-5;
const RUNS: u64 = 120;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(5).quiet()
}

/// The toy images with one more: white, and of class 0, whose images are dark where it is bright.
fn worlds() -> (Dataset, Dataset) {
    let without = Dataset::toy();
    let mut x = without.x().to_vec();
    x.extend(vec![1.0; without.features()]);
    let labels = without.labels().iter().copied().chain([0]).collect();
    let with = Dataset::images("toy and one", x, without.shape(), labels, without.class_names().to_vec()).unwrap();
    (with, without)
}

fn target() -> Dataset {
    let (with, _) = worlds();
    with.subset(&[with.len() - 1]).unwrap()
}

/// How much brighter class 0 of a released set is than the others.
fn brightness(set: &Dataset) -> f64 {
    let d = set.features();
    let mean_of = |class: bool| {
        let chosen: Vec<f64> = (0..set.len())
            .filter(|&i| (set.labels()[i] == 0) == class)
            .map(|i| set.record(i).iter().map(|&v| f64::from(v)).sum::<f64>() / d as f64)
            .collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    mean_of(true) - mean_of(false)
}

/// The bound from `RUNS` runs with and without the target, on a number computed from each release.
fn proven(release: impl Fn(&Dataset, &Lab) -> f64 + Sync) -> f64 {
    let (with, without) = worlds();
    let outputs = |data: &Dataset| -> Vec<f64> { (0..RUNS).into_par_iter().map(|_| release(data, &lab())).collect() };
    let audit = ClopperPearson::new(Selection::Bonferroni { candidates: 10 }).with_side(Side::Either).with_confidence(0.999);
    audit.audit_worlds(&outputs(&with), &outputs(&without), &lab()).unwrap().epsilon
}

/// The mechanism stays below its ε; the same without noise does not.
fn audit<M: Noisy + Sync>(name: &str, mechanism: &M, release: impl Fn(&M, &Dataset, &Lab) -> f64 + Sync) {
    let (with, without) = worlds();
    let stated = |data: &Dataset| mechanism.planned(data).unwrap().epsilon(DELTA).unwrap().value;
    let claimed = stated(&with).max(stated(&without));
    let (bound, silent) = (proven(|data, lab| release(mechanism, data, lab)), mechanism.clone().with_noise(1e-3));
    let without_noise = proven(|data, lab| release(&silent, data, lab));
    println!("{name}: ε ≤ {claimed:.2}, ε ≥ {bound:.2}; without noise ε ≥ {without_noise:.2}");
    assert!(claimed > 0.1 && claimed < 2.5, "{name}: ε = {claimed} is out of the reach of {RUNS} runs");
    assert!(bound < claimed, "{name}: the audit proves {bound}, stated is {claimed}");
    assert!(without_noise > claimed, "{name}: the audit is blind: {without_noise} without noise, {claimed} stated");
}

/// Next to no sampling, so that the target is nearly always in: 120 of 120 or 121 records.
const ALL: usize = 120;

fn secure(sigma: f64) -> DpSgd {
    DpSgd::new(sigma).with_randomness(Randomness::Secure)
}

fn step() -> Optimizer {
    Optimizer::Sgd { rate: 0.5, momentum: 0.0, weight_decay: 0.0 }
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn dp_sgd_stays_below_its_epsilon() {
    let train = Train::new(Arch::Logistic).with_epochs(2).with_batch(ALL).with_optimizer(step()).with_privacy(secure(4.0));
    let target = target();
    audit("DP-SGD", &train, |train, data, lab| {
        let logits = train.fit(data, lab).unwrap().logits(&target).unwrap();
        f64::from(logits[0]) - logits[1..].iter().map(|&z| f64::from(z)).sum::<f64>() / 3.0
    });
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn the_private_autoencoder_stays_below_its_epsilon() {
    let autoencoder = PrivateAutoencoder::new(2, 4.0)
        .with_network(Coder::Dense { hidden: vec![] })
        .with_epochs(2)
        .with_batch(ALL)
        .with_optimizer(step())
        .with_privacy(secure(4.0));
    let target = target();
    audit("DP-AuGM", &autoencoder, |autoencoder, data, lab| {
        let back = autoencoder.fit_whole(data, lab).unwrap().reconstruct(&target).unwrap();
        back.x().iter().map(|&v| f64::from(v)).sum()
    });
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn the_private_vae_stays_below_its_epsilon() {
    let vae = PrivateVae::new(4, 4.0)
        .with_latent(2)
        .with_network(Coder::Dense { hidden: vec![8] })
        .with_epochs(2)
        .with_batch(ALL / 4)
        .with_optimizer(step())
        .with_privacy(secure(4.0));
    audit("DP-VaeGM", &vae, |vae, data, lab| brightness(&vae.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn noisy_group_means_stay_below_their_epsilon() {
    let means = NoisyGroupMeans::new(1, 3.0).with_batch(ALL / 4).with_randomness(Randomness::Secure);
    audit("LDPDC", &means, |means, data, lab| brightness(&means.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn private_distribution_matching_stays_below_its_epsilon() {
    let arch = Arch::conv_net().with_width(4).with_depth(1);
    let matching = PrivateDistributionMatching::small(1, 4.0).with_arch(arch).with_batch(ALL / 4).with_steps(2);
    audit("NDPDC", &matching.with_randomness(Randomness::Secure), |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn private_gradient_matching_stays_below_its_epsilon() {
    let matching = PrivateGradientMatching::small(1, 4.0).with_arch(Arch::Logistic).with_batch(ALL).with_batches(1).with_steps(2);
    audit("PSG", &matching.with_randomness(Randomness::Secure), |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs"]
fn the_mean_embedding_stays_below_its_epsilon() {
    let embedding = MeanEmbedding::small(4, 3.0).with_features(200).with_steps(30).with_randomness(Randomness::Secure);
    audit("DP-MERF", &embedding, |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}
