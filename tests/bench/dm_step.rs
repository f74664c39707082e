//! One iteration of distribution matching, timed as `peers/dm_step.py` times it: ten classes, 256 real and 10 synthetic images
//! each, a fresh random ConvNet; with siamese augmentation in the cases that end in `-dsa`.
//!
//! The numbers that show that both do the same work are checked by the unit test `one_iteration_does_the_work_of_the_reference`.

use super::common::{Options, conv_net, records};
use freelunch::augment::Augment;
use freelunch::condense::DistributionMatching;
use freelunch::prelude::*;
use std::time::Instant;

pub(crate) fn run(options: &Options) -> Result<()> {
    for (shape, channels, side, width) in
        [("small-28x28x1-w32", 1, 28, 32), ("paper-32x32x1-w128", 1, 32, 128), ("paper-32x32x3-w128", 3, 32, 128)]
    {
        for (case, augment) in [(shape.to_string(), None), (format!("{shape}-dsa"), Some(Augment::dsa()))] {
            if options.wants(&case) {
                let times = measure([channels, side, side], width, augment, options.repeats(6))?;
                options.report("dm_step", &case, "ms/iteration", times);
            }
        }
    }
    Ok(())
}

fn measure(shape: [usize; 3], width: usize, augment: Option<Augment>, repeats: usize) -> Result<Vec<f64>> {
    let data = records(shape)?;
    let mut one_step = DistributionMatching::new(10).with_arch(conv_net(shape, width)).with_steps(1);
    one_step.augment = augment;
    let lab = Lab::new()?.quiet();
    let mut times = vec![];
    for repeat in 0..=repeats {
        let lab = lab.clone().seed(repeat as u64);
        let start = Instant::now();
        one_step.synthesize(&data, &lab)?;
        if repeat > 0 {
            times.push(start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(times)
}
