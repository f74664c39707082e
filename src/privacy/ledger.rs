//! A privacy budget for a set of records, kept on disk: what was released from them so far, and a refusal of what would be too much.
//!
//! The events of all runs compose one after the other; before a run its planned releases must fit into what is left of ε, and they are written down
//! before the run begins, so that a crash cannot lose them. A run that made fewer releases than planned gives the rest back.
//!
//! # Privacy
//! The ledger bounds what the runs it knows of released together. It does not know of others, nor of decisions that were taken by
//! looking at private results.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, privacy::{DpSgd, Ledger}, train::Train};
//! let path = std::env::temp_dir().join("freelunch-doc-ledger.json");
//! # std::fs::remove_file(&path).ok();
//! Ledger::open(&path, 3.0, 1e-3)?;
//! let lab = Lab::new()?.quiet().with_ledger(&path)?;
//! let recipe = Train::new(Arch::Logistic).with_epochs(1).with_batch(30).with_privacy(DpSgd::new(3.0));
//! recipe.fit(&Dataset::toy(), &lab)?;
//! let ledger = Ledger::read(&path)?;
//! assert_eq!(ledger.entries().len(), 1);
//! assert!(ledger.epsilon()?.value < 3.0);
//! // Without noise there is no ε that any budget could cover.
//! assert!(Train::new(Arch::Logistic).fit(&Dataset::toy(), &lab).is_err());
//! # std::fs::remove_file(&path).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Accountant, Epsilon, Event, Recommended, check_delta};
use crate::display::number::significant;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::file::write_whole;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A budget (ε, δ) and what was spent of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    budget: f64,
    delta: f64,
    entries: Vec<Entry>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What ran, and on which data.
    pub what: String,
    /// Tells entries apart.
    pub id: u64,
    /// Its releases: those planned until it ended, then those made.
    pub event: Event,
    /// Whether it ended.
    pub finished: bool,
}

impl Ledger {
    /// An empty ledger in memory.
    ///
    /// # Errors
    /// [`Error::Config`] unless ε is positive and δ in (0, 1).
    pub fn new(budget: f64, delta: f64) -> Result<Self> {
        if !(budget > 0.0 && budget.is_finite()) {
            return Err(Error::config(format!("a budget of epsilon {budget}"), "expected a positive number"));
        }
        check_delta(delta)?;
        Ok(Self { budget, delta, entries: vec![] })
    }

    /// The ε that all runs together may cost.
    #[must_use]
    pub fn budget(&self) -> f64 {
        self.budget
    }

    /// The ledger at `path`; a new one is written there if there is none.
    ///
    /// # Errors
    /// As [`Ledger::new`] and [`Ledger::read`]; [`Error::Mismatch`] when the one on disk has another budget.
    pub fn open(path: impl AsRef<Path>, budget: f64, delta: f64) -> Result<Self> {
        let fresh = Self::new(budget, delta)?;
        if !path.as_ref().exists() {
            fresh.write(path.as_ref())?;
            return Ok(fresh);
        }
        let found = Self::read(path.as_ref())?;
        if (found.budget, found.delta) != (budget, delta) {
            let what = format!("a budget of ({budget}, {delta:e}) for a ledger of ({}, {:e})", found.budget, found.delta);
            return Err(Error::mismatch(what, "a budget is not changed afterwards: use its own numbers, or another file"));
        }
        Ok(found)
    }

    /// Reads a ledger.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Data`] when it is no ledger or has impossible values.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e, "create one with Ledger::open"))?;
        let broken = |what: String| Error::data(path.display().to_string(), "ledger", what, "expected a file written by Ledger::open");
        let found: Self = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
        Self::new(found.budget, found.delta).map_err(|e| broken(e.to_string()))?;
        found.entries.iter().try_for_each(|entry| entry.event.check()).map_err(|e| broken(e.to_string()))?;
        Ok(found)
    }

    fn write(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec_pretty(self).map_err(|e| Error::data("ledger", "json", e.to_string(), "report this"))?;
        write_whole(path, &json)
    }

    /// What ran so far.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Everything released so far, as one event.
    #[must_use]
    pub fn event(&self) -> Event {
        self.entries.iter().fold(Event::NoOp, |all, entry| all.and(entry.event.clone()))
    }

    /// The ε of everything released so far, add-or-remove-one.
    ///
    /// # Errors
    /// What the accountant answers.
    pub fn epsilon(&self) -> Result<Epsilon> {
        Recommended::new().epsilon(&self.event(), self.delta)
    }

    /// Adds a run with its planned releases, and returns the ε of everything then.
    ///
    /// # Errors
    /// [`Error::Config`] when that would exceed the budget; nothing is added then.
    pub fn spend(&mut self, what: &str, event: &Event) -> Result<Epsilon> {
        event.check()?;
        let after = Recommended::new().epsilon(&self.event().and(event.clone()), self.delta)?;
        if after.value > self.budget {
            let spent = significant(self.epsilon()?.value, 4);
            let problem = format!(
                "{what} ({event}) would take epsilon from {spent} to {}, above the budget of {}",
                significant(after.value, 4),
                self.budget
            );
            return Err(Error::config(problem, "use more noise, fewer releases, or data that this ledger does not guard"));
        }
        let id = self.entries.iter().map(|entry| entry.id + 1).max().unwrap_or(0);
        self.entries.push(Entry { what: what.to_string(), id, event: event.clone(), finished: false });
        Ok(after)
    }
}

/// Refuses what has no ε in a lab with a ledger.
pub(crate) fn guard(lab: &Lab, what: &str, data: &Dataset) -> Result<()> {
    Reserved::new(lab, what, data, &Event::NonPrivate).map(|_| ())
}

/// A run that was written down and not yet ended.
#[must_use = "settle it when the run ends"]
pub(crate) struct Reserved {
    ledger: Option<(PathBuf, u64)>,
    lab: Lab,
}

impl Reserved {
    /// Before `what` does `event` to `data`: into the lab's ledger, if it has one and the records are unprotected so far.
    pub(crate) fn new(lab: &Lab, what: &str, data: &Dataset, event: &Event) -> Result<Self> {
        lab.proceed()?;
        let lab = lab.clone();
        let Some(path) = lab.ledger().filter(|_| data.event().is_non_private()) else { return Ok(Self { ledger: None, lab }) };
        let _lock = Lock::of(path)?;
        let mut ledger = Ledger::read(path)?;
        ledger.spend(&format!("{what} on {}", data.name()), event)?;
        ledger.write(path)?;
        Ok(Self { ledger: ledger.entries.last().map(|entry| (path.to_path_buf(), entry.id)), lab })
    }

    /// After it: what was really released. An error when a part of other work was cut short by the cancel of a job.
    pub(crate) fn settle(self, event: &Event) -> Result<()> {
        let Some((path, id)) = self.ledger else { return self.lab.whole() };
        let _lock = Lock::of(&path)?;
        let mut ledger = Ledger::read(&path)?;
        let Some(entry) = ledger.entries.iter_mut().find(|entry| entry.id == id) else {
            let file = path.display().to_string();
            return Err(Error::data(file, format!("entry {id}"), "the run's entry is gone", "do not change a ledger while a run goes on"));
        };
        entry.event = event.clone();
        entry.finished = true;
        ledger.write(&path)?;
        self.lab.whole()
    }
}

/// Only one run at a time changes a ledger.
struct Lock {
    path: PathBuf,
}

impl Lock {
    const PATIENCE: Duration = Duration::from_secs(10);

    fn of(ledger: &Path) -> Result<Self> {
        let path = ledger.with_extension("lock");
        let start = Instant::now();
        loop {
            match File::create_new(&path) {
                Ok(_) => return Ok(Self { path }),
                Err(e) if e.kind() == ErrorKind::AlreadyExists && start.elapsed() < Self::PATIENCE => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(source) => return Err(Error::io("lock", &path, source, "delete the file if no run is going on")),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).ok();
    }
}

impl Show for Ledger {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["run", "releases", "event", "ε of all until then"]);
        let mut sum = Event::NoOp;
        let mut points = vec![(0.0, 0.0)];
        for (i, entry) in self.entries.iter().enumerate() {
            sum = sum.and(entry.event.clone());
            let epsilon = match Recommended::new().epsilon(&sum, self.delta) {
                Ok(epsilon) => epsilon.value,
                Err(error) => return Figure::failed(error),
            };
            points.push((i as f64 + 1.0, epsilon));
            let what = if entry.finished { entry.what.clone() } else { format!("{} (not ended)", entry.what) };
            table = table.row([what, entry.event.releases().to_string(), entry.event.to_string(), significant(epsilon, 4)]);
        }
        let spent = points.last().map_or(0.0, |(_, epsilon)| *epsilon);
        let caption = format!("δ = {:e}, add-or-remove-one; runs that this ledger was not told of are not counted", self.delta);
        let plot = Plot::new("ε spent")
            .x_label("runs")
            .y_label("ε of all runs together")
            .x_range(0.0, (self.entries.len() as f64).max(1.0))
            .y_range(0.0, 1.1 * self.budget)
            .line("spent", &points)
            .points("spent", &points)
            .horizontal(self.budget, "budget");
        Figure::row([table.figure(), plot.figure()])
            .titled(&format!("Privacy ledger: ε = {} of {} spent", significant(spent, 4), self.budget))
            .captioned(&caption)
    }
}

show_inline!(Ledger);

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Ledger({} runs, budget {} at delta {:e})", self.entries.len(), self.budget, self.delta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::condense::RandomSubset;
    use crate::nn::Arch;
    use crate::privacy::DpSgd;
    use crate::synthesize::Synthesize;
    use crate::train::Train;

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("freelunch-ledger-{name}-{}.json", std::process::id()));
        std::fs::remove_file(&path).ok();
        path
    }

    fn lab(path: &Path) -> Lab {
        Lab::on(Device::Cpu).unwrap().quiet().with_ledger(path).unwrap()
    }

    fn recipe(epochs: usize) -> Train {
        Train::new(Arch::Logistic).with_epochs(epochs).with_batch(30).with_privacy(DpSgd::new(4.0))
    }

    #[test]
    fn runs_add_up_until_the_budget_refuses_one_and_nothing_of_it_is_kept() {
        let path = path("adds");
        Ledger::open(&path, 1.5, 1e-3).unwrap();
        let data = Dataset::toy();
        recipe(2).fit(&data, &lab(&path)).unwrap();
        let one = Ledger::read(&path).unwrap().epsilon().unwrap().value;
        recipe(2).fit(&data, &lab(&path)).unwrap();
        let two = Ledger::read(&path).unwrap();
        assert_eq!(two.event().releases(), 16);
        assert!(two.epsilon().unwrap().value > one);
        let message = recipe(200).fit(&data, &lab(&path)).unwrap_err().to_string();
        assert!(message.contains("above the budget of 1.5"), "{message}");
        assert_eq!(Ledger::read(&path).unwrap(), two);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_run_that_was_cut_short_gives_back_what_it_did_not_release() {
        let path = path("short");
        Ledger::open(&path, 20.0, 1e-3).unwrap();
        let model = recipe(300).fit(&Dataset::toy(), &lab(&path).budget_s(0.02).unwrap()).unwrap();
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!(ledger.event(), *model.event());
        assert!(ledger.event().releases() < 1200 && ledger.entries()[0].finished);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_has_no_epsilon_is_refused_and_what_is_protected_or_public_is_free() {
        let path = path("free");
        Ledger::open(&path, 1.0, 1e-3).unwrap();
        let (data, lab) = (Dataset::toy(), lab(&path));
        assert!(RandomSubset::new(1).synthesize(&data, &lab).unwrap_err().to_string().contains("∞"));
        assert!(Train::new(Arch::Logistic).with_epochs(1).fit(&data, &lab).is_err());
        Train::new(Arch::Logistic).with_epochs(1).fit(&data.clone().declared_public(), &lab).unwrap();
        assert!(Ledger::read(&path).unwrap().entries().is_empty());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn runs_at_the_same_time_are_all_written_down() {
        let path = path("lock");
        Ledger::open(&path, 50.0, 1e-3).unwrap();
        let (data, lab, event) = (Dataset::toy(), lab(&path), Event::gaussian(20.0).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Reserved::new(&lab, "a run", &data, &event).unwrap().settle(&event).unwrap());
            }
        });
        let ledger = Ledger::read(&path).unwrap();
        assert_eq!(ledger.event().releases(), 8);
        assert!(ledger.entries().iter().all(|entry| entry.finished));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_condensation_that_goes_on_is_charged_for_the_rest() {
        let path = path("resumed");
        let folder = path.with_extension("runs");
        Ledger::open(&path, 50.0, 1e-3).unwrap();
        let matching = crate::generate::PrivateDistributionMatching::new(1, 20.0).with_arch(Arch::mlp()).with_batch(5).with_steps(60);
        let lab = lab(&path).keep(&folder).unwrap();
        let stopped = matching.synthesize(&Dataset::toy(), &lab.clone().budget_s(1e-3).unwrap()).unwrap();
        assert!(stopped.event().releases() < 60);
        let whole = matching.synthesize(&Dataset::toy(), &lab).unwrap();
        assert_eq!(Ledger::read(&path).unwrap().event().releases(), whole.event().releases());
        assert_eq!(whole.event().releases(), 60);
        std::fs::remove_dir_all(folder).unwrap();
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn another_budget_or_a_broken_file_is_an_error() {
        let path = path("broken");
        Ledger::open(&path, 1.0, 1e-3).unwrap();
        assert!(Ledger::open(&path, 2.0, 1e-3).unwrap_err().to_string().contains("not changed afterwards"));
        std::fs::write(
            &path,
            r#"{"budget":1.0,"delta":0.001,"entries":[{"what":"x","id":0,"event":{"Gaussian":{"sigma":-1.0}},"finished":true}]}"#,
        )
        .unwrap();
        assert!(Ledger::read(&path).unwrap_err().to_string().contains("sigma is -1"));
        assert!(Ledger::new(0.0, 1e-5).is_err() && Ledger::new(1.0, 1.0).is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn its_display_names_the_runs_and_the_budget() {
        let mut ledger = Ledger::new(2.0, 1e-5).unwrap();
        ledger.spend("first", &Event::gaussian(5.0).unwrap()).unwrap();
        let text = ledger.figure().to_text();
        for part in ["first", "of 2 spent", "add-or-remove-one", "not ended"] {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
    }
}
