//! What saved signals were made from, so that a later run can tell whether they are still its own.
//!
//! # Example
//! ```
//! use freelunch::attack::Manifest;
//! let saved = Manifest::new(serde_json::json!({"train": {"epochs": 20}}), 7, "digest");
//! let now = Manifest::new(serde_json::json!({"train": {"epochs": 30}}), 7, "digest");
//! let error = saved.matches(&now).unwrap_err().to_string();
//! assert!(error.starts_with("pipeline.train.epochs is 20 in the file, 30 now"));
//! ```

use crate::privacy::Event;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What signals were made from: two games with equal settings give the same signals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this library.
    pub library: String,
    /// The pipeline in a few words.
    pub name: String,
    /// The randomised algorithm under test, with all its parameters.
    pub pipeline: Value,
    /// The parameters of the game; null if there was none.
    pub game: Value,
    /// The seed of the lab.
    pub seed: u64,
    /// The digest of the pool of records.
    pub data: String,
    /// What the pipeline did to the privacy of the pool.
    pub event: Event,
    /// Runs that the game planned; it played fewer when its time budget ended it. 0 if there was no game.
    #[serde(default)]
    pub planned: usize,
    /// One for each model, or none.
    pub runs: Vec<Run>,
    /// Seconds of the whole game.
    pub seconds: f64,
}

/// One run of the pipeline in a game.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The seed of the run's lab.
    pub seed: u64,
    /// Share of a test set that its model got right, if there was one.
    pub test_accuracy: Option<f64>,
    /// Seconds of the run.
    pub seconds: f64,
}

impl Manifest {
    /// The manifest of signals made by this version of the library; no game, no runs, no privacy.
    #[must_use]
    pub fn new(pipeline: Value, seed: u64, data: &str) -> Self {
        Self {
            library: env!("CARGO_PKG_VERSION").to_string(),
            name: String::new(),
            pipeline,
            game: Value::Null,
            seed,
            data: data.to_string(),
            event: Event::NonPrivate,
            planned: 0,
            runs: vec![],
            seconds: 0.0,
        }
    }

    /// The settings: all that decides what the signals are, and nothing that merely happened.
    pub(super) fn settings(&self) -> Value {
        let Self { library, name, pipeline, game, seed, data, event, .. } = self;
        json!({ "library": library, "name": name, "pipeline": pipeline, "game": game, "seed": seed, "data": data, "event": event })
    }

    /// Whether every record was put in or out by a coin of its own in each run.
    pub(crate) fn independent_coins(&self) -> bool {
        self.game["coins"] == json!(super::Coins::Independent)
    }

    /// Whether work saved under this manifest can be used under `wanted`. Runs and seconds may differ.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names every setting that differs, with both values.
    pub fn matches(&self, wanted: &Self) -> Result<()> {
        let mut differences = vec![];
        compare("", &self.settings(), &wanted.settings(), &mut differences);
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::mismatch(differences.join(", "), "delete the saved file, save to another one, or go back to its settings"))
    }
}

/// Adds "pipeline.epochs is 20 in the file, 30 now" for every leaf that differs.
pub(crate) fn compare(field: &str, saved: &Value, now: &Value, differences: &mut Vec<String>) {
    let (Value::Object(a), Value::Object(b)) = (saved, now) else {
        if saved != now {
            differences.push(format!("{field} is {saved} in the file, {now} now"));
        }
        return;
    };
    for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
        let inner = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
        compare(&inner, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), differences);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mismatch_names_every_field_that_differs_with_both_values() {
        let saved = Manifest::new(json!({"train": {"epochs": 20, "rate": 0.1}}), 7, "aa");
        let wanted = Manifest::new(json!({"train": {"epochs": 30, "rate": 0.1}, "extra": 1}), 8, "bb");
        let later = Manifest { seconds: 3.0, runs: vec![Run { seed: 1, test_accuracy: None, seconds: 3.0 }], ..saved.clone() };
        assert!(saved.matches(&later).is_ok());
        let text = saved.matches(&wanted).unwrap_err().to_string();
        for part in ["pipeline.train.epochs is 20 in the file, 30 now", "pipeline.extra is null", "seed is 7", "data is \"aa\""] {
            assert!(text.contains(part), "{text} lacks {part}");
        }
        assert!(!text.contains("rate") && !text.contains("library"));
    }
}
