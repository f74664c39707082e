//! The game at scale: runs that are kept, budgets, copies, what is released.
#![allow(clippy::unwrap_used, clippy::panic)]

use freelunch::generate::Coder;
use freelunch::prelude::*;
use std::fs;
use std::path::PathBuf;

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("freelunch-game-{}-{name}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    folder
}

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(3).quiet()
}

fn learn() -> Train {
    Train::new(Arch::Logistic).with_epochs(2)
}

fn run_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("signals"))
        .unwrap()
        .flat_map(|setting| fs::read_dir(setting.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "safetensors"))
        .collect();
    files.sort();
    files
}

#[test]
fn kept_runs_are_read_and_only_what_is_missing_or_broken_is_played_again() {
    let (folder, data) = (scratch("kept"), Dataset::toy());
    let game = Game::new(4).with_test(&data).with_release_attack(NearestNeighbour::pixels());
    let pipeline = Pipeline::through(RandomSubset::new(2), learn());
    let fresh = game.play(&pipeline, &data, &lab()).unwrap();
    let keeping = lab().keep(&folder).unwrap();
    let first = game.play(&pipeline, &data, &keeping).unwrap();
    let files = run_files(&folder);
    assert_eq!(files.len(), 4);
    let written: Vec<_> = files.iter().map(|file| fs::metadata(file).unwrap().modified().unwrap()).collect();
    fs::remove_file(&files[1]).unwrap();
    fs::write(&files[2], b"cut short").unwrap();
    let again = game.play(&pipeline, &data, &keeping).unwrap();
    assert_eq!(fs::metadata(&files[0]).unwrap().modified().unwrap(), written[0]);
    assert!(fs::read(&files[2]).unwrap().len() > 100);
    // Everything but the times is the same, kept or not.
    for signals in [&fresh, &again] {
        assert_eq!(signals.logits(), first.logits());
        assert_eq!((signals.membership(), signals.started(), signals.released()), (first.membership(), first.started(), first.released()));
        assert_eq!(signals.population().unwrap().logits(), first.population().unwrap().logits());
        signals.manifest().matches(first.manifest()).unwrap();
    }
    // Another setting has a folder of its own.
    game.play(&Pipeline::through(RandomSubset::new(3), learn()), &data, &keeping).unwrap();
    assert_eq!(run_files(&folder).len(), 8);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn after_the_budget_the_runs_that_are_there_are_used_and_the_plan_is_told() {
    let (folder, data) = (scratch("budget"), Dataset::toy());
    let pipeline = Pipeline::direct(learn());
    let keeping = lab().keep(&folder).unwrap();
    Game::new(6).play(&pipeline, &data, &keeping).unwrap();
    for file in &run_files(&folder)[3..] {
        fs::remove_file(file).unwrap();
    }
    let hurried = keeping.budget_s(1e-9).unwrap();
    let signals = Game::new(6).play(&pipeline, &data, &hurried).unwrap();
    assert_eq!((signals.models(), signals.manifest().planned), (3, 6));
    assert!(signals.figure().to_html().contains("3 of 6 planned"));
    let error = Game::new(6).play(&pipeline, &data, &lab().budget_s(1e-9).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("0 of 6 runs were played"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn copies_are_members_together() {
    let data = Dataset::toy();
    let signals = Game::new(4).with_copies(&[[7, 3], [8, 3]]).play(&Pipeline::direct(learn()), &data, &lab()).unwrap();
    for model in 0..4 {
        let members = signals.members_of(model).unwrap();
        assert!(members[7] == members[3] && members[8] == members[3]);
    }
    assert!(Game::new(4).with_copies(&[[3, 3]]).play(&Pipeline::direct(learn()), &data, &lab()).is_err());
}

#[test]
fn a_random_subset_is_found_in_what_was_released_and_the_other_members_are_not() {
    let data = Dataset::toy();
    let game = Game::new(8).with_release_attack(NearestNeighbour::pixels());
    let signals = game.play(&Pipeline::through(RandomSubset::new(5), learn()), &data, &lab()).unwrap();
    let scores = Scores::of(&OnRelease::new(&NearestNeighbour::pixels().name()), &signals).unwrap();
    let slices = scores.sliced(Slice::Started);
    let auc = |at: usize| slices.slices()[at].roc.as_ref().unwrap().auc();
    assert_eq!(auc(0).value, 1.0); // copies are at distance 0
    assert!(auc(1).value < 0.6, "{}", auc(1));
    // A model is no set.
    let error = game.play(&Pipeline::direct(learn()), &data, &lab()).unwrap_err().to_string();
    assert!(error.contains("does not apply"), "{error}");
}

#[test]
fn a_published_encoder_is_a_pipeline_whose_model_sees_codes() {
    let data = Dataset::toy();
    let (private, public) = (data.subset(&(0..80).collect::<Vec<_>>()).unwrap(), data.subset(&(80..120).collect::<Vec<_>>()).unwrap());
    let autoencoder = PrivateAutoencoder::new(4, 2.0).with_network(Coder::Dense { hidden: vec![8] }).with_epochs(2).with_batch(20);
    let pipeline = Pipeline::encoded(autoencoder, &public.declared_public(), learn());
    assert_eq!(pipeline.name(), "DP-AuGM");
    let signals = Game::new(4).with_test(&data).play(&pipeline, &private, &lab()).unwrap();
    let epsilon = signals.manifest().event.epsilon(1e-5).unwrap().value;
    assert!(epsilon > 0.1 && epsilon < 20.0, "{epsilon}");
    assert!(LikelihoodRatio::online().roc(&signals).unwrap().auc().value < 0.7);
}
