//! The measured table of `docs/results/first_results.md`: `cargo run --example first_results > docs/results/first_results.md`.
//!
//! Test accuracy of distribution matching on Fashion-MNIST mini beside a random subset, over five networks; and LiRA against
//! models of 1,000 real records with mislabelled canaries, and against the same records condensed.

use freelunch::prelude::*;

const NETWORKS: u64 = 5;

fn main() -> Result<()> {
    let lab = Lab::new()?.seed(1).quiet();
    let Split { train, test } = Dataset::fashion_mini()?;
    println!("# First results\n");
    println!(
        "Made by `cargo run --example first_results` on {} with seed 1; Fashion-MNIST mini, 5,000 training and 1,000 test images.\n",
        lab.device()
    );
    accuracies(&train, &test, &lab)?;
    leakage(&train, &test, &lab)
}

fn accuracies(train: &Dataset, test: &Dataset, lab: &Lab) -> Result<()> {
    println!("## Test accuracy\n");
    println!(
        "ConvNet of width 32, depth 3; mean over {NETWORKS} networks (one condensed set each method) with a 95 % Student interval, in percent."
    );
    println!("Distribution matching: 200 iterations of 64 real images per class (the paper: 20,000 of 256).\n");
    println!("| images per class | random subset | DM, real init | DM, noise init |\n|---|---|---|---|");
    let learn = Train::new(Arch::conv_net().with_width(32)).with_epochs(150).with_optimizer(Optimizer::sgd(0.03));
    for per_class in [1, 10] {
        let matching = DistributionMatching::small(per_class).with_steps(200);
        let methods: [Box<dyn Synthesize>; 3] = [
            Box::new(RandomSubset::new(per_class)),
            Box::new(matching.clone().with_init(Init::Real)),
            Box::new(matching.with_init(Init::Noise)),
        ];
        let mut cells = vec![per_class.to_string()];
        for method in methods {
            let small = method.synthesize(train, lab)?;
            let mut values = vec![];
            for network in 0..NETWORKS {
                values.push(100.0 * learn.fit(&small, &lab.child("network", network))?.accuracy(test)?.value());
            }
            let MeanInterval { mean, low, high, .. } = MeanInterval::new(&values)?;
            cells.push(format!("{mean:.1} [{low:.1}, {high:.1}]"));
        }
        println!("| {} |", cells.join(" | "));
    }
    Ok(())
}

fn leakage(train: &Dataset, test: &Dataset, lab: &Lab) -> Result<()> {
    println!("\n## Membership inference\n");
    println!("A pool of 2,000 records, 200 of them under a wrong label; every one of 16 runs trains on (or condenses) a random half,");
    println!(
        "about 1,000 records. LiRA online with one global variance, every run attacked with the other 15, counting the 200 canaries only."
    );
    println!("ConvNet of width 16; DM with 20 iterations of 32 images per class, 10 images per class.\n");
    let (pool, canaries) = train.sample(2_000, lab)?.with_mislabelled(200, lab)?;
    let arch = Arch::conv_net().with_width(16);
    let learn = Train::new(arch.clone()).with_epochs(15);
    let learn_small = Train::new(arch.clone()).with_epochs(60);
    let matching = DistributionMatching::small(10).with_arch(arch).with_steps(20).with_batch(32);
    let pipelines = [
        Pipeline::direct(learn),
        Pipeline::through(RandomSubset::new(10), learn_small.clone()),
        Pipeline::through(matching.clone().with_init(Init::Real), learn_small.clone()),
        Pipeline::through(matching.with_init(Init::Noise), learn_small),
    ];
    let game = Game::new(16).with_test(test).with_canaries(&canaries);
    let mut report = Report::new("LiRA");
    for pipeline in &pipelines {
        report.measure(&game.play(pipeline, &pool, lab)?, &LikelihoodRatio::online())?;
    }
    println!("| trained on | accuracy % | AUC | TPR % at FPR ≤ 1 % | TPR % at FPR ≤ 0.1 % | seconds |\n|---|---|---|---|---|---|");
    for row in report.rows() {
        let accuracy =
            row.accuracy.map_or(String::new(), |a| format!("{:.1} [{:.1}, {:.1}]", 100.0 * a.mean, 100.0 * a.low, 100.0 * a.high));
        let percent = |rate: Rate| format!("{:.1} [{:.1}, {:.1}]", 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high);
        let (one, tenth) = (percent(row.tpr_at_1_percent.rate), percent(row.tpr_at_01_percent.rate));
        println!("| {} | {accuracy} | {} | {one} | {tenth} | {:.0} |", row.method, row.auc, row.seconds);
    }
    println!("\nGuessing: AUC 0.5, TPR = FPR. No row has a proven ε. Intervals: 95 %; trials are taken as independent.");
    Ok(())
}
