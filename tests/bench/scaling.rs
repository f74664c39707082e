//! How time and memory grow: one step of distribution matching with images per class, classes, width and batch; a membership game with
//! records and runs. Not part of a run without a name: `-- scaling`.
//!
//! Memory is the most that the process held during the work (`VmHWM`, Linux only). The exponent is the slope of log time against log size
//! between the last two sizes: 1 is proportional.

use super::common::{Options, conv_net, uniform};
use freelunch::condense::DistributionMatching;
use freelunch::data::Normalization;
use freelunch::prelude::*;
use std::time::Instant;

/// What is varied around one middle point.
#[derive(Clone, Copy)]
struct Size {
    per_class: usize,
    classes: usize,
    width: usize,
    batch: usize,
}

const MIDDLE: Size = Size { per_class: 10, classes: 10, width: 32, batch: 128 };

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.asks_for("scaling") {
        return Ok(());
    }
    println!("| work | varied | size | s | exponent | peak MB |\n|---|---|---|---|---|---|");
    let step = |size: Size| condense(size, options.repeats(3));
    sweep("DM step", "images per class", &[1, 10, 50, 100], |per_class| step(Size { per_class, ..MIDDLE }))?;
    sweep("DM step", "classes", &[2, 5, 10, 20], |classes| step(Size { classes, ..MIDDLE }))?;
    sweep("DM step", "width", &[16, 32, 64, 128], |width| step(Size { width, ..MIDDLE }))?;
    sweep("DM step", "batch", &[32, 64, 128, 256], |batch| step(Size { batch, ..MIDDLE }))?;
    sweep("game, 4 MLPs", "records", &[500, 1000, 2000, 4000], |records| play(records, 4))?;
    sweep("game, 1000 records", "runs", &[2, 4, 8, 16], |runs| play(1000, runs))?;
    Ok(())
}

fn sweep(work: &str, varied: &str, sizes: &[usize], measure: impl Fn(usize) -> Result<f64>) -> Result<()> {
    let mut before: Option<(usize, f64)> = None;
    for &size in sizes {
        forget_peak();
        let seconds = measure(size)?;
        let exponent =
            before.map_or(String::new(), |(last, time)| format!("{:.2}", (seconds / time).ln() / (size as f64 / last as f64).ln()));
        let peak = peak_megabytes().map_or("not known".to_string(), |peak| format!("{peak:.0}"));
        println!("| {work} | {varied} | {size} | {seconds:.3} | {exponent} | {peak} |");
        before = Some((size, seconds));
    }
    Ok(())
}

/// The median time of a step, in seconds.
fn condense(Size { per_class, classes, width, batch }: Size, repeats: usize) -> Result<f64> {
    let data = made_up([1, 28, 28], classes, 2 * batch.max(per_class))?;
    let mut one_step = DistributionMatching::new(per_class).with_arch(conv_net_of(classes, width)).with_steps(1);
    one_step.batch = batch;
    let lab = Lab::new()?.quiet();
    let mut times = vec![];
    for repeat in 0..=repeats {
        let start = Instant::now();
        one_step.synthesize(&data, &lab.clone().seed(repeat as u64))?;
        if repeat > 0 {
            times.push(start.elapsed().as_secs_f64());
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn conv_net_of(classes: usize, width: usize) -> Arch {
    let Arch::Custom { mut layers } = conv_net([1, 28, 28], width) else { return Arch::conv_net() };
    if let Some(freelunch::nn::Layer::Linear(last)) = layers.last_mut() {
        last.outputs = classes;
    }
    Arch::Custom { layers }
}

/// Seconds of a game of MLPs, 10 epochs.
fn play(records: usize, runs: usize) -> Result<f64> {
    let data = made_up([1, 8, 8], 10, records / 10)?;
    let start = Instant::now();
    Game::new(runs).play(&Pipeline::direct(Train::new(Arch::mlp()).with_epochs(10)), &data, &Lab::new()?.quiet())?;
    Ok(start.elapsed().as_secs_f64())
}

fn made_up([c, h, w]: [usize; 3], classes: usize, per_class: usize) -> Result<Dataset> {
    let x = (0..classes * per_class * c * h * w).map(|i| (2.0 * uniform(1000, i as u64) - 1.0) as f32).collect();
    let labels = (0..classes as u32).flat_map(|class| std::iter::repeat_n(class, per_class)).collect();
    let names = (0..classes).map(|class| class.to_string()).collect();
    Ok(Dataset::images("uniform", x, [c, h, w], labels, names)?.with_normalization(Normalization::none(c)))
}

/// Starts the peak of memory anew, where the system can.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").ok();
}

fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
