//! The experiment of `docs/results/free_lunch.md`: condensers, private generators and baselines under every attack, each pipeline rerun in every
//! shadow run, canaries counted.
//!
//! `cargo run --example free_lunch_table -- small` takes about a quarter of an hour on two cores (bundled digits, 16 runs), `fashion` some hours
//! (bundled Fashion-MNIST mini, 32 runs), `showcase` repeats an undergraduate project of 2022. Table and figures go to `docs/results/`.
//! Runs are kept in `$FREELUNCH_RUNS` (default: `freelunch-runs` in the temporary folder): start it again after a stop, and it goes on.

use freelunch::attack::{BayesianLikelihoodRatio, CalibratedLoss, OnRelease, RelativeLikelihood, Scores, ShadowClassifier, Slice};
use freelunch::generate::{Coder, PrivateAutoencoder, PrivateDistributionMatching, PrivateVae};
use freelunch::prelude::*;
use freelunch::privacy::{DpSgd, Noisy};
use freelunch::released::{DensityRatio, NearestNeighbour, ReconstructionError, SeedMembership};
use std::path::Path;

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/results");
const DELTA: f64 = 1e-5;

fn main() -> Result<()> {
    let runs = std::env::var("FREELUNCH_RUNS").map_or_else(|_| std::env::temp_dir().join("freelunch-runs"), Into::into);
    let lab = Lab::new()?.seed(1).keep(runs)?;
    for name in std::env::args().skip(1) {
        match name.as_str() {
            "small" => Experiment::small()?.run(&lab)?,
            "fashion" => Experiment::fashion()?.run(&lab)?,
            "showcase" => showcase(&lab)?,
            other => println!("{other}: not known, expected small, fashion or showcase"),
        }
    }
    Ok(())
}

/// Data, sizes and recipes of one table.
struct Experiment {
    name: &'static str,
    pool: Dataset,
    canaries: Vec<usize>,
    public: Dataset,
    test: Dataset,
    runs: usize,
    per_class: Vec<usize>,
    arch: Arch,
    epochs: usize,
    epochs_on_set: usize,
    steps: usize,
    outer: usize,
}

impl Experiment {
    /// The bundled 8×8 digits: 1,000 records, 100 of them mislabelled, 16 runs.
    fn small() -> Result<Self> {
        let lab = Lab::new()?.seed(7);
        let Split { train, test } = Dataset::digits()?;
        let (private, public) = apart(&train, 1_000, 1_000, &lab)?;
        let (pool, canaries) = private.with_mislabelled(100, &lab)?;
        Ok(Self {
            name: "digits",
            pool,
            canaries,
            public,
            test,
            runs: 16,
            per_class: vec![1, 10],
            arch: Arch::conv_net().with_width(16).with_depth(2),
            epochs: 30,
            epochs_on_set: 100,
            steps: 100,
            outer: 5,
        })
    }

    /// The bundled Fashion-MNIST mini: 3,000 records, 300 of them mislabelled, 32 runs.
    fn fashion() -> Result<Self> {
        let lab = Lab::new()?.seed(7);
        let Split { train, test } = Dataset::fashion_mini()?;
        let (private, public) = apart(&train, 3_000, 1_500, &lab)?;
        let (pool, canaries) = private.with_mislabelled(300, &lab)?;
        Ok(Self {
            name: "fashion",
            pool,
            canaries,
            public,
            test,
            runs: 32,
            per_class: vec![1, 10, 50],
            arch: Arch::conv_net().with_width(32),
            epochs: 20,
            epochs_on_set: 100,
            steps: 200,
            outer: 10,
        })
    }

    fn pipelines(&self) -> Result<Vec<Pipeline>> {
        let (arch, half) = (self.arch.clone(), self.pool.subset(&(0..self.pool.len() / 2).collect::<Vec<_>>())?);
        let learn = Train::new(arch.clone()).with_epochs(self.epochs);
        let learn_set = Train::on_condensed(arch.clone()).with_epochs(self.epochs_on_set);
        let mut all = vec![Pipeline::direct(learn.clone()).named("all members")];
        for &per_class in &self.per_class {
            let of = |name: &str| format!("{name}, {per_class} per class");
            all.push(Pipeline::through(RandomSubset::new(per_class), learn_set.clone()).named(&of("random subset")));
            for (start, init) in [("noise", Init::Noise), ("real", Init::Real), ("KT", Init::kaleidoscope(3))] {
                let named = |method: &str| of(&format!("{method}, {start}"));
                let loops = |method: GradientMatching| method.with_arch(arch.clone()).with_init(init.clone()).with_steps(self.outer);
                let dm = DistributionMatching::small(per_class).with_arch(arch.clone()).with_init(init.clone()).with_steps(self.steps);
                let kip = KernelInducingPoints::small(per_class).with_init(init.clone()).with_steps(self.steps);
                all.push(Pipeline::through(dm.with_batch(32), learn_set.clone()).named(&named("DM")));
                all.push(Pipeline::through(loops(GradientMatching::small(per_class)), learn_set.clone()).named(&named("DC")));
                all.push(Pipeline::through(loops(GradientMatching::siamese_small(per_class)), learn_set.clone()).named(&named("DSA")));
                all.push(Pipeline::through(kip, learn_set.clone()).named(&named("KIP")));
            }
        }
        let most = *self.per_class.last().unwrap_or(&10);
        let step = Optimizer::Sgd { rate: 0.5, momentum: 0.9, weight_decay: 0.0 };
        let private = learn.with_batch(half.len() / 4).with_optimizer(step).with_privacy(DpSgd::new(0.2)).with_epochs(2 * self.epochs);
        all.push(Pipeline::direct(private.clone()).named("DP-SGD, σ = 0.2"));
        for epsilon in [8.0, 1.0] {
            all.push(Pipeline::direct(private.to_epsilon(epsilon, DELTA, &half)?).named(&format!("DP-SGD, ε = {epsilon}")));
        }
        let coder = Coder::Dense { hidden: vec![64] };
        let epsilon = 8.0;
        let encoder = PrivateAutoencoder::new(16, 1.0).with_network(coder.clone()).with_batch(half.len() / 4).with_epochs(20);
        let encoder = encoder.to_epsilon(epsilon, DELTA, &half)?;
        all.push(Pipeline::encoded(encoder, &self.public, Train::new(Arch::mlp()).with_epochs(self.epochs)).named("DP-AuGM, ε = 8"));
        let smallest = half.per_class().into_iter().min().unwrap_or(1);
        let vae =
            PrivateVae::new(50, 1.0).with_network(coder).with_batch(smallest / 3).with_epochs(20).to_epsilon(epsilon, DELTA, &half)?;
        all.push(Pipeline::through(vae, learn_set.clone()).named("DP-VaeGM, ε = 8"));
        let matching = PrivateDistributionMatching::small(most, 1.0).with_arch(arch).with_batch(smallest / 3).with_steps(100);
        all.push(Pipeline::through(matching.to_epsilon(epsilon, DELTA, &half)?, learn_set).named("NDPDC, ε = 8"));
        Ok(all)
    }

    fn game(&self, pipeline: &Pipeline) -> Game {
        let game = Game::new(self.runs).with_test(&self.test).with_canaries(&self.canaries);
        let name = pipeline.name();
        match name.as_str() {
            model if model == "all members" || model.starts_with("DP-SGD") => game,
            encoder if encoder.starts_with("DP-AuGM") => game.with_release_attack(ReconstructionError::new().with_reference(&self.public)),
            _ => game
                .with_release_attack(NearestNeighbour::pixels())
                .with_release_attack(DensityRatio::new().with_reference(&self.public))
                .with_release_attack(SeedMembership::new()),
        }
    }

    fn run(&self, lab: &Lab) -> Result<()> {
        let mut report = Report::new(&format!("Is privacy a free lunch? {}", self.name));
        let mut starts = vec![];
        for pipeline in self.pipelines()? {
            let signals = self.game(&pipeline).play(&pipeline, &self.pool, lab)?;
            for attack in attacks(&signals) {
                report.measure(&signals, &*attack)?;
            }
            if signals.started().contains(&true) {
                let nearest = OnRelease::new(&NearestNeighbour::pixels().name());
                starts.push((pipeline.name(), Scores::of(&nearest, &signals)?.sliced(Slice::Started)));
            }
        }
        let summary = report.by_method();
        println!("{}", summary.to_markdown());
        println!("\n| released | seeds found: AUC, TPR at FPR ≤ 1 % | other members |\n|---|---|---|");
        for (name, sliced) in &starts {
            let cell = |at: usize| {
                let roc = sliced.slices().get(at).and_then(|slice| slice.roc.as_ref());
                roc.map_or(String::new(), |roc| format!("{}; {}", roc.auc(), roc.tpr_at(0.01).rate))
            };
            println!("| {name} | {} | {} |", cell(0), cell(1));
        }
        summary.save(Path::new(RESULTS).join(format!("free_lunch_{}", self.name)))
    }
}

/// Every attack that these signals can meet.
fn attacks(signals: &Signals) -> Vec<Box<dyn Attack>> {
    let mut all: Vec<Box<dyn Attack>> = vec![
        Box::new(LossThreshold::new()),
        Box::new(CalibratedLoss::new()),
        Box::new(ShadowClassifier::logistic()),
        Box::new(LikelihoodRatio::online()),
        Box::new(BayesianLikelihoodRatio::online()),
        Box::new(RelativeLikelihood::online()),
    ];
    for name in signals.released().keys() {
        all.push(Box::new(OnRelease::new(name)));
        all.push(Box::new(OnRelease::new(name).calibrated(LikelihoodRatio::online())));
    }
    all
}

/// `first` and `second` random records that have none in common.
fn apart(data: &Dataset, first: usize, second: usize, lab: &Lab) -> Result<(Dataset, Dataset)> {
    let both = data.sample(first + second, lab)?;
    let public = both.subset(&(first..first + second).collect::<Vec<_>>())?;
    Ok((both.subset(&(0..first).collect::<Vec<_>>())?, public.declared_public()))
}

/// The undergraduate project (IIT Gandhinagar, 2022) in its own terms: a classifier per class on softmax vectors, threshold one half, accuracy of
/// "member or not" with the original records and with condensed sets of 10 and 50 per class.
fn showcase(lab: &Lab) -> Result<()> {
    let Split { train, test } = Dataset::mnist()?;
    let pool = train.sample(4_000, lab)?;
    let arch = Arch::conv_net().with_width(16);
    let learn = Train::new(arch.clone()).with_epochs(20);
    let learn_set = Train::on_condensed(arch.clone()).with_epochs(100);
    let mut pipelines = vec![Pipeline::direct(learn).named("original")];
    for per_class in [10, 50] {
        let method = DistributionMatching::small(per_class).with_arch(arch.clone()).with_steps(100).with_batch(32);
        pipelines.push(Pipeline::through(method, learn_set.clone()).named(&format!("condensed, {per_class} per class")));
    }
    println!(
        "| trained on | test accuracy % | attack accuracy % | precision % | recall % | AUC | TPR at FPR ≤ 1 % |\n|---|---|---|---|---|---|---|"
    );
    for pipeline in pipelines {
        let signals = Game::new(10).with_test(&test).play(&pipeline, &pool, lab)?;
        let scores = Scores::of(&ShadowClassifier::mlp(), &signals)?;
        let rule = scores.rule(0.0)?;
        let accuracies: Vec<f64> = signals.manifest().runs.iter().filter_map(|run| run.test_accuracy.map(|rate| 100.0 * rate)).collect();
        let (roc, percent) =
            (scores.roc()?, |rate: Rate| format!("{:.1} [{:.1}, {:.1}]", 100.0 * rate.value(), 100.0 * rate.low, 100.0 * rate.high));
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            pipeline.name(),
            MeanInterval::new(&accuracies)?,
            percent(rule.accuracy()),
            rule.precision().map_or("none accused".into(), percent),
            percent(rule.true_positives),
            roc.auc(),
            percent(roc.tpr_at(0.01).rate)
        );
    }
    println!(
        "\nA rate below one half is no protection: an attacker who is right in 41 % of the cases says the opposite and is right in 59 %. And"
    );
    println!(
        "recall falls with the threshold; where the attack on the original records is no better than guessing, nothing can be concluded."
    );
    Ok(())
}
