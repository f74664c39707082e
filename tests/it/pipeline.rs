//! The main job on small data: condense, train, play the game, attack, report.

use freelunch::attack::game::Queries;
use freelunch::prelude::*;

fn lab(seed: u64) -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(seed).quiet()
}

#[test]
fn a_model_learns_the_digits() {
    let Split { train, test } = Dataset::digits().unwrap();
    let model = Train::new(Arch::Mlp { hidden: vec![64] }).with_epochs(8).fit_watching(&train, &test, &lab(1)).unwrap();
    let accuracy = model.accuracy(&test).unwrap();
    assert!(accuracy.value() > 0.9, "{accuracy}");
    assert_eq!(model.history().len(), 8);
    let evaluation = model.evaluate(&test).unwrap();
    assert_eq!(evaluation.confusion.iter().flatten().sum::<usize>(), test.len());
    assert_eq!(evaluation.accuracy, accuracy);
}

#[test]
fn models_survive_a_file_and_refuse_other_data() {
    let data = Dataset::toy();
    let model = Train::new(Arch::conv_net().with_width(4).with_depth(2)).with_epochs(2).fit(&data, &lab(3)).unwrap();
    let path = std::env::temp_dir().join(format!("freelunch-model-{}.safetensors", std::process::id()));
    model.save(&path).unwrap();
    let back = Model::load(&path).unwrap();
    assert_eq!(back.logits(&data).unwrap(), model.logits(&data).unwrap());
    std::fs::write(&path, b"not a model").unwrap();
    assert!(Model::load(&path).unwrap_err().to_string().contains("Model::save"));
    std::fs::remove_file(&path).unwrap();
    assert!(model.logits(&Dataset::toy_table()).is_err());
}

#[test]
fn training_is_reproducible_on_any_number_of_threads() {
    let data = Dataset::toy();
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Train::new(Arch::conv_net().with_width(8).with_depth(2)).with_epochs(2).fit(&data, &lab(3)).unwrap())
    };
    assert_eq!(fit(1).weights(), fit(2).weights());
}

#[test]
fn a_diverging_run_says_where() {
    let wild = Train::new(Arch::mlp()).with_optimizer(Optimizer::sgd(1e30)).with_epochs(5);
    let error = wild.fit(&Dataset::toy(), &lab(1)).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
}

#[test]
fn memorised_mislabelled_records_are_found_and_noise_initialised_condensation_hides_most() {
    let Split { train, test } = Dataset::digits().unwrap();
    let (pool, canaries) = train.sample(300, &lab(1)).unwrap().with_mislabelled(40, &lab(1)).unwrap();
    let learn = Train::new(Arch::Mlp { hidden: vec![64] }).with_epochs(60).with_optimizer(Optimizer::sgd(0.1));
    let signals = Game::new(8).with_test(&test).play(&Pipeline::direct(learn.clone()), &pool, &lab(2)).unwrap();
    let online = LikelihoodRatio::default();
    let roc = online.roc_of(&signals, &canaries).unwrap();
    assert!(roc.auc().value > 0.9, "memorised canaries must be found: {:?}", roc.auc());

    let subset = Pipeline::through(RandomSubset::new(2), learn);
    let hidden = Game::new(8).play(&subset, &pool, &lab(2)).unwrap();
    let hidden = online.roc_of(&hidden, &canaries).unwrap();
    assert!(hidden.auc().value < roc.auc().value - 0.2, "few canaries reach a small subset: {:?}", hidden.auc());
}

#[test]
fn queries_and_odd_games_are_checked() {
    let data = Dataset::toy();
    let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
    let shifted = Game::new(2).with_queries(Queries::Shifted).play(&pipeline, &data, &lab(1)).unwrap();
    assert_eq!(shifted.queries(), 5);
    assert!(Game::new(3).play(&pipeline, &data, &lab(1)).is_err());
    assert!(Game::new(2).with_queries(Queries::Mirrored).play(&pipeline, &Dataset::toy_table(), &lab(1)).is_err());
}

#[test]
fn the_report_is_a_table_a_figure_and_a_frame() {
    let data = Dataset::toy();
    let pipeline = Pipeline::direct(Train::new(Arch::mlp()).with_epochs(3));
    let signals = Game::new(4).with_test(&data).play(&pipeline, &data, &lab(1)).unwrap();
    let mut report = Report::new("toy");
    report.measure(&signals, &LossThreshold::default()).unwrap();
    report.measure(&signals, &LikelihoodRatio::default()).unwrap();
    let frame = report.frame();
    assert_eq!(frame.height(), 2);
    let bundle = report.bundle();
    assert!(bundle.html.contains("<table") && bundle.html.contains("image/svg+xml") && bundle.png.starts_with(b"\x89PNG"));
    let folder = std::env::temp_dir().join(format!("freelunch-report-{}", std::process::id()));
    report.save(&folder).unwrap();
    for file in ["report.csv", "report.svg", "report.png", "manifest.json"] {
        assert!(folder.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn on_noise_few_runs_tilt_the_leave_one_out_attack_below_guessing() {
    use freelunch::attack::Manifest;
    use rand::{RngExt, seq::SliceRandom};
    let auc = |models: usize| {
        let n = 2_000;
        let mut rng = lab(9).rng("noise", models as u64);
        let logits: Vec<f32> = (0..models * n * 2).map(|_| rng.random_range(-1.0..1.0)).collect();
        let mut member = vec![false; models * n];
        let mut order: Vec<usize> = (0..models).collect();
        for i in 0..n {
            order.shuffle(&mut rng);
            order[..models / 2].iter().for_each(|&m| member[m * n + i] = true);
        }
        let signals =
            Signals::new(logits, [models, n, 1, 2], member, vec![0; n], Manifest::new(serde_json::Value::Null, 9, "noise")).unwrap();
        LikelihoodRatio::online().roc(&signals).unwrap().auc().value
    };
    let (four, sixteen) = (auc(4), auc(16));
    assert!((four - 0.41).abs() < 0.02, "4 runs: {four}");
    assert!((sixteen - 0.49).abs() < 0.015, "16 runs: {sixteen}");
}
