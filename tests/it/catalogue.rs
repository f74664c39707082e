//! The catalogue is complete, and the README shows it.

use freelunch::prelude::*;
use std::process::Command;

#[test]
fn every_condenser_is_listed() {
    let listed: Vec<String> = catalogue().entries().iter().filter(|e| e.kind == "condenser").map(|e| e.name.clone()).collect();
    for condenser in freelunch::condense::condensers(1) {
        let debug = format!("{condenser:?}");
        let name = debug.split([' ', '{', '(']).next().unwrap_or_default();
        assert!(listed.iter().any(|entry| entry.split("::").next() == Some(name)), "{name} is not in the catalogue");
    }
}

#[test]
fn the_readme_shows_the_catalogue() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = catalogue().to_markdown();
    assert!(readme.contains(&table), "paste the output of `cargo run --example catalogue` into README.md:\n{table}");
}

#[test]
fn the_example_prints_the_catalogue_as_json() {
    // `cargo test` builds the examples beside the tests; asking cargo again from here would build the library once more.
    let example = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("catalogue");
    assert!(example.exists(), "{} is missing: run `cargo build --examples` first", example.display());
    let run = Command::new(example).arg("--json").output().unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(entries.len(), catalogue().entries().len());
    for key in ["kind", "name", "aliases", "reference", "defaults"] {
        assert!(entries.iter().all(|entry| entry.get(key).is_some()), "{key} is missing");
    }
}
