//! Does another device give the same results, and how fast: `cargo run --features cuda --example device_check -- cuda:0 cpu [vulkan ...]`.
//!
//! The same work on each device named: logits of one network, training, distribution and gradient matching, DP-SGD.
//! Random numbers come from the host, so results differ by rounding only; training amplifies rounding, so accuracies are compared, not weights.

use freelunch::nn::Optimizer;
use freelunch::prelude::*;
use freelunch::privacy::DpSgd;
use std::time::Instant;

fn main() -> Result<()> {
    let devices: Vec<Device> = std::env::args().skip(1).map(|name| name.parse()).collect::<Result<_>>()?;
    let data = Dataset::fashion_mini()?;
    let model = Train::new(Arch::conv_net().with_width(32)).with_epochs(1).fit(&data.train, &Lab::on(Device::Cpu)?.quiet())?;
    let reference = model.logits(&data.test)?;
    let largest = reference.iter().fold(0f32, |most, z| most.max(z.abs()));
    for device in devices {
        println!("== {device}");
        let lab = Lab::on(device.clone())?.seed(1).quiet();
        let logits = model.clone().on_device(&device)?.logits(&data.test)?;
        let difference = logits.iter().zip(&reference).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
        println!("logits of the same ConvNet: largest difference {difference:.2e}, largest logit {largest:.1}");
        let sgd = Optimizer::sgd(0.05);
        let recipes = [
            ("MLP, 2 epochs", Train::new(Arch::mlp()).with_epochs(2)),
            ("ConvNet, 2 epochs", Train::new(Arch::conv_net().with_width(32)).with_epochs(2)),
            ("ConvNet, 2 epochs of batches of 512", Train::new(Arch::conv_net().with_width(128)).with_epochs(2).with_batch(512)),
            (
                "ConvNet, 2 epochs, mixed precision",
                Train::new(Arch::conv_net().with_width(32)).with_epochs(2).with_precision(Precision::Mixed),
            ),
            (
                "ConvNet, DP-SGD, 2 epochs",
                Train::new(Arch::conv_net().with_width(16))
                    .with_epochs(2)
                    .with_batch(250)
                    .with_optimizer(sgd)
                    .with_privacy(DpSgd::new(0.5)),
            ),
        ];
        for (name, recipe) in recipes {
            timed(name, || {
                let model = recipe.fit(&data.train, &lab)?;
                Ok(format!("test accuracy {}", model.accuracy(&data.test)?))
            });
        }
        let evaluate = Train::on_condensed(Arch::conv_net().with_width(32)).with_epochs(100);
        let methods: [(&str, Box<dyn Synthesize>); 3] = [
            ("DM, 10 per class, 100 steps", Box::new(DistributionMatching::small(10).with_steps(100))),
            ("DSA, 1 per class, 5 steps", Box::new(GradientMatching::siamese_small(1).with_steps(5))),
            ("KIP, 10 per class, 50 steps (always on the processor)", Box::new(KernelInducingPoints::small(10).with_steps(50))),
        ];
        for (name, method) in methods {
            timed(name, || {
                let set = method.synthesize(&data.train, &lab)?;
                let model = evaluate.fit(&set, &Lab::on(Device::Cpu)?.quiet())?;
                Ok(format!("accuracy of a network on the processor trained on the set {}", model.accuracy(&data.test)?))
            });
        }
        timed("game of 4 shadow models, 500 records", || {
            let pool = data.train.subset(&(0..500).collect::<Vec<_>>())?;
            let signals = Game::new(4).play(&Pipeline::direct(Train::new(Arch::mlp()).with_epochs(20)), &pool, &lab)?;
            Ok(format!("AUC of the loss {}", LossThreshold::new().roc(&signals)?.auc()))
        });
    }
    Ok(())
}

/// Runs it twice, as a device compiles its kernels the first time.
fn timed(name: &str, work: impl Fn() -> Result<String>) {
    let start = Instant::now();
    let first = work();
    let cold = start.elapsed().as_secs_f64();
    let start = Instant::now();
    match first.and_then(|_| work()) {
        Ok(result) => println!("{name}: {:.2} s (first time {cold:.2} s), {result}", start.elapsed().as_secs_f64()),
        Err(error) => println!("{name}: FAILED, {error}"),
    }
}
