//! One step of kernel inducing points, timed as `peers/kip_step.py` times it: 100 synthetic records, 2,000 targets drawn from
//! 10,000, 784 values each, f64.
//!
//! A run of the public method has a start and an end that the reference does not time (the pool is normalised, the result checked),
//! so a repeat is (run of 1 + 20 steps − run of 1 step) / 20: what one more step costs.
//!
//! The numbers that show that both do the same work are checked by the unit test `one_step_does_the_work_of_the_reference`.

use super::common::{Options, uniform};
use freelunch::condense::KernelInducingPoints;
use freelunch::data::Normalization;
use freelunch::prelude::*;
use std::time::Instant;

const CASE: &str = "fc-ntk-depth1";
const CLASSES: usize = 10;
const POOL: usize = 10_000;
const TARGETS: usize = 2_000;
const WIDTH: usize = 784;
const STEPS: usize = 20;

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.wants(CASE) {
        options.report("kip_step", CASE, "ms/step", measure(options.repeats(10))?);
    }
    Ok(())
}

fn measure(repeats: usize) -> Result<Vec<f64>> {
    let shifted = |i: usize| if i % WIDTH == (i / WIDTH) % CLASSES { 3.0 } else { 0.0 };
    let x = (0..POOL * WIDTH).map(|i| (2.0 * uniform(7000, i as u64) - 1.0 + shifted(i)) as f32).collect();
    let labels = (0..POOL).map(|i| (i % CLASSES) as u32).collect();
    let names = (0..CLASSES).map(|class| class.to_string()).collect();
    let data = Dataset::images("uniform", x, [WIDTH, 1, 1], labels, names)?.with_normalization(Normalization::none(WIDTH));
    let points = KernelInducingPoints::new(10).with_batch(TARGETS).with_init(Init::Noise);
    let lab = Lab::new()?.quiet();
    let seconds = |steps: usize, seed: usize| -> Result<f64> {
        let (points, lab) = (points.clone().with_steps(steps), lab.clone().seed(seed as u64));
        let start = Instant::now();
        points.synthesize(&data, &lab)?;
        Ok(start.elapsed().as_secs_f64())
    };
    seconds(STEPS, 0)?;
    (1..=repeats.max(1)).map(|repeat| Ok((seconds(1 + STEPS, repeat)? - seconds(1, repeat)?) * 1000.0 / STEPS as f64)).collect()
}
