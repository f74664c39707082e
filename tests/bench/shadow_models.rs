//! 16 shadow models with the logits of all records under each, as `peers/shadow_models.py` times them; `-64` plays 64.

use super::common::{Options, conv_net};
use freelunch::attack::LossThreshold;
use freelunch::nn::Optimizer;
use freelunch::prelude::*;
use freelunch::stats::MeanInterval;
use std::time::Instant;

pub(crate) fn run(options: &Options) -> Result<()> {
    let step = Optimizer::Sgd { rate: 0.1, momentum: 0.9, weight_decay: 5e-4 };
    let recipe = |arch: Arch, epochs: usize| Train::new(arch).with_epochs(epochs).with_batch(64).with_optimizer(step);
    let mlp = || recipe(Arch::Mlp { hidden: vec![128] }, 30);
    let net = || recipe(conv_net([1, 28, 28], 32), 8);
    for (case, models, data, recipe) in [
        ("optdigits-mlp", 16, Dataset::digits()?, mlp()),
        ("fashion-mini-convnet", 16, Dataset::fashion_mini()?, net()),
        ("optdigits-mlp-64", 64, Dataset::digits()?, mlp()),
        ("fashion-mini-convnet-64", 64, Dataset::fashion_mini()?, net()),
    ] {
        if !options.wants(case) || (models > 16 && !options.named(case)) {
            continue;
        }
        let mut times = vec![];
        for repeat in 0..options.repeats(1) {
            let lab = Lab::new()?.seed(100 + repeat as u64).quiet();
            let start = Instant::now();
            let signals = Game::new(models).play(&Pipeline::direct(recipe.clone()), &data.train, &lab)?;
            times.push(start.elapsed().as_secs_f64());
            let auc = LossThreshold::new().roc(&signals)?.auc();
            println!("  AUC of the loss {auc}");
        }
        // The same work, once more on few models, with its accuracy.
        let check = Game::new(4).with_test(&data.test).play(&Pipeline::direct(recipe), &data.train, &Lab::new()?.seed(100).quiet())?;
        let accuracies: Vec<f64> = check.manifest().runs.iter().filter_map(|run| run.test_accuracy).collect();
        println!("  test accuracy {}", MeanInterval::new(&accuracies)?);
        options.report("shadow_models", case, &format!("s/{models} models"), times);
    }
    Ok(())
}
