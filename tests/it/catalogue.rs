//! The catalogue is complete, and the README shows it.

use freelunch::prelude::*;
use std::process::Command;

#[test]
fn every_condenser_is_listed() {
    let listed: Vec<String> = catalogue().entries().iter().filter(|e| e.kind == "condenser").map(|e| e.name.clone()).collect();
    for condenser in freelunch::condense::condensers(1) {
        let debug = format!("{condenser:?}");
        let name = debug.split([' ', '{', '(']).next().unwrap_or_default();
        assert!(listed.contains(&name.to_string()), "{name} is not in the catalogue");
    }
}

#[test]
fn the_readme_shows_the_catalogue() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let table = catalogue().to_markdown();
    assert!(readme.contains(&table), "paste the output of `cargo run --example catalogue` into README.md:\n{table}");
}

#[test]
fn the_example_prints_json() {
    let run = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--example", "catalogue", "--", "--json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(entries.len(), catalogue().entries().len());
    for key in ["kind", "name", "aliases", "reference", "defaults"] {
        assert!(entries.iter().all(|entry| entry.get(key).is_some()), "{key} is missing");
    }
}
