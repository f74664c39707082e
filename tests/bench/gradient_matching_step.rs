//! One gradient matching step for one class, timed as `peers/gradient_matching_step.py` times it: 256 real and 1 or 10 synthetic
//! images, fixed network. The library matches all ten classes of one step on all cores, so its time is divided by ten.
//!
//! The numbers that show that both do the same work are checked by the unit test `one_step_does_the_work_of_the_reference`.

use super::common::{CLASSES, Options, conv_net, records};
use freelunch::condense::GradientMatching;
use freelunch::condense::gradient_matching::Loops;
use freelunch::prelude::*;
use std::time::Instant;

pub(crate) fn run(options: &Options) -> Result<()> {
    for (shape, channels, side, width) in
        [("small-28x28x1-w32", 1, 28, 32), ("paper-32x32x1-w128", 1, 32, 128), ("paper-32x32x3-w128", 3, 32, 128)]
    {
        for per_class in [1, 10] {
            let case = format!("{shape}-ipc{per_class}");
            if options.wants(&case) {
                let times = measure([channels, side, side], width, per_class, options.repeats(5))?;
                options.report("gradient_matching_step", &case, "ms/class", times);
            }
        }
    }
    Ok(())
}

fn measure(shape: [usize; 3], width: usize, per_class: usize, repeats: usize) -> Result<Vec<f64>> {
    let data = records(shape)?;
    let one_step =
        GradientMatching::new(per_class).with_arch(conv_net(shape, width)).with_steps(1).with_loops(Loops { outer: 1, inner: 0 });
    let lab = Lab::new()?.quiet();
    let mut times = vec![];
    for repeat in 0..=repeats {
        let lab = lab.clone().seed(repeat as u64);
        let start = Instant::now();
        one_step.synthesize(&data, &lab)?;
        if repeat > 0 {
            times.push(start.elapsed().as_secs_f64() * 1000.0 / CLASSES as f64);
        }
    }
    Ok(times)
}
