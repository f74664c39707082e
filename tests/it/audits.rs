//! Every differentially private mechanism of the library under audit: what is proven from below stays below what the accountant proves from
//! above, and the same audit disproves the same claim once the noise is left out.
#![allow(clippy::unwrap_used, clippy::panic)]

use freelunch::audit::distinguish;
use freelunch::generate::{Coder, MeanEmbedding, NoisyGroupMeans, PrivateGradientMatching};
use freelunch::prelude::*;
use rayon::prelude::*;

const DELTA: f64 = 1e-5;
const RUNS: u64 = 120;

fn lab(run: u64) -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(run).quiet()
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
    let outputs =
        |data: &Dataset, first: u64| -> Vec<f64> { (0..RUNS).into_par_iter().map(|run| release(data, &lab(first + run))).collect() };
    // Other seeds in the two worlds: an attacker does not know the noise.
    let (a, b) = (outputs(&with, 0), outputs(&without, RUNS));
    distinguish(&a, &b, DELTA, Selection::Bonferroni { candidates: 10 }, &lab(0)).unwrap().epsilon
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

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn dp_sgd_stays_below_its_epsilon() {
    let step = Optimizer::Sgd { rate: 0.5, momentum: 0.0, weight_decay: 0.0 };
    let train = Train::new(Arch::Logistic).with_epochs(2).with_batch(60).with_optimizer(step).with_privacy(DpSgd::new(4.0));
    let target = target();
    audit("DP-SGD", &train, |train, data, lab| {
        let logits = train.fit(data, lab).unwrap().logits(&target).unwrap();
        f64::from(logits[0]) - logits[1..].iter().map(|&z| f64::from(z)).sum::<f64>() / 3.0
    });
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn the_private_autoencoder_stays_below_its_epsilon() {
    let step = Optimizer::Sgd { rate: 0.5, momentum: 0.0, weight_decay: 0.0 };
    let autoencoder =
        PrivateAutoencoder::new(2, 4.0).with_network(Coder::Dense { hidden: vec![] }).with_epochs(2).with_batch(60).with_optimizer(step);
    let target = target();
    audit("DP-AuGM", &autoencoder, |autoencoder, data, lab| {
        let back = autoencoder.fit_whole(data, lab).unwrap().reconstruct(&target).unwrap();
        back.x().iter().map(|&v| f64::from(v)).sum()
    });
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn the_private_vae_stays_below_its_epsilon() {
    let step = Optimizer::Sgd { rate: 0.5, momentum: 0.0, weight_decay: 0.0 };
    let vae = PrivateVae::new(4, 4.0)
        .with_latent(2)
        .with_network(Coder::Dense { hidden: vec![8] })
        .with_epochs(2)
        .with_batch(15)
        .with_optimizer(step);
    audit("DP-VaeGM", &vae, |vae, data, lab| brightness(&vae.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn noisy_group_means_stay_below_their_epsilon() {
    // One group of half of the class: the target is in every second one.
    let means = NoisyGroupMeans::new(1, 2.0).with_batch(29);
    audit("LDPDC", &means, |means, data, lab| brightness(&means.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn private_matching_stays_below_its_epsilon() {
    let arch = Arch::conv_net().with_width(4).with_depth(1);
    let distribution = PrivateDistributionMatching::small(1, 4.0).with_arch(arch.clone()).with_batch(15).with_steps(4);
    audit("NDPDC", &distribution, |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn private_gradient_matching_stays_below_its_epsilon() {
    let gradient = PrivateGradientMatching::small(1, 4.0).with_arch(Arch::Logistic).with_batch(60).with_batches(1).with_steps(4);
    audit("PSG", &gradient, |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}

#[test]
#[ignore = "slow: hundreds of runs of every mechanism"]
fn the_mean_embedding_stays_below_its_epsilon() {
    let embedding = MeanEmbedding::small(4, 2.0).with_features(200).with_steps(30);
    audit("DP-MERF", &embedding, |method, data, lab| brightness(&method.synthesize(data, lab).unwrap()));
}
