//! One epoch of DP-SGD, timed as `peers/dpsgd_epoch.py` times it: Poisson samples of 256 of 5,120 records on average, clip 1, noise 1.
//!
//! `plain` is the same recipe without privacy, `ghost` and `flat` are the two ways to find lengths of gradients. The unit counts the expected number of
//! records. The norms that show that both do the same work are checked by the unit test `the_clipped_sum_does_the_work_of_the_reference`.

use super::common::{Options, uniform};
use freelunch::data::Normalization;
use freelunch::nn::{Arch, AvgPool, Conv2d, GroupNorm, Layer, Linear, Optimizer, PerSample};
use freelunch::prelude::*;
use freelunch::privacy::DpSgd;
use std::time::Instant;

const RECORDS: usize = 5120;

pub(crate) fn run(options: &Options) -> Result<()> {
    for (name, arch) in
        [("mlp", Arch::mlp()), ("convnet-w32-groupnorm", group_norm_net()), ("convnet-w32", Arch::conv_net().with_width(32))]
    {
        for (mode, how) in [("plain", None), ("ghost", Some(PerSample::Ghost)), ("flat", Some(PerSample::Flat))] {
            let case = format!("{name}/{mode}");
            if options.wants(&case) {
                let rates = measure(arch.clone(), how, options.repeats(3))?;
                options.report("dpsgd_epoch", &case, "samples/s", rates);
            }
        }
    }
    Ok(())
}

fn group_norm_net() -> Arch {
    let mut layers = vec![];
    let (mut inputs, mut side) = (1, 28);
    for _ in 0..3 {
        layers.push(Layer::Conv2d(Conv2d { inputs, outputs: 32, kernel: 3, stride: 1, padding: 1 }));
        layers.push(Layer::GroupNorm(GroupNorm { groups: 8, channels: 32, epsilon: 1e-5 }));
        layers.push(Layer::Relu);
        layers.push(Layer::AvgPool(AvgPool { size: 2 }));
        (inputs, side) = (32, side / 2);
    }
    layers.push(Layer::Flatten);
    layers.push(Layer::Linear(Linear { inputs: 32 * side * side, outputs: 10 }));
    Arch::Custom { layers }
}

fn measure(arch: Arch, how: Option<PerSample>, repeats: usize) -> Result<Vec<f64>> {
    let x = (0..RECORDS * 784).map(|i| (2.0 * uniform(5000, i as u64) - 1.0) as f32).collect();
    let labels = (0..RECORDS as u32).map(|i| i % 10).collect();
    let names = (0..10).map(|class| class.to_string()).collect();
    let data = Dataset::images("uniform", x, [1, 28, 28], labels, names)?.with_public_normalization(Normalization::none(1))?;
    let step = Optimizer::Sgd { rate: 0.1, momentum: 0.0, weight_decay: 0.0 };
    let mut recipe = Train::new(arch).with_epochs(1).with_batch(256).with_optimizer(step).with_schedule(Schedule::Constant);
    recipe.privacy = how.map(|how| DpSgd::new(1.0).with_per_sample(how));
    let lab = Lab::new()?.quiet();
    let mut rates = vec![];
    for repeat in 0..=repeats {
        let start = Instant::now();
        recipe.fit(&data, &lab.clone().seed(repeat as u64))?;
        if repeat > 0 {
            rates.push(RECORDS as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(rates)
}
