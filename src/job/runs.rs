//! What is kept in a lab's folder: games, condensations, experts and results of jobs, finished or not.

mod found;

use super::saved::FOLDER;
use super::snapshot::duration;
use crate::display::{Cell, Figure, Show, Table, show_inline};
use crate::stats::MeanInterval;
use crate::{Error, Lab, Result};
use found::{condensation, experts, game, inside, job};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// What was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// The shadow runs of a [`Game`](crate::attack::Game).
    Game,
    /// A condensation, finished or not.
    Condensation,
    /// The expert trainings of [`TrajectoryMatching`](crate::condense::TrajectoryMatching).
    Experts,
    /// The result of [`Lab::start_saved`].
    Job,
}

/// One entry of [`Runs`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRun {
    /// What it is.
    pub kind: Kept,
    /// Pipeline, method or job.
    pub name: String,
    /// Digest of the settings: equal settings have the same key.
    pub key: String,
    /// Shadow runs of a game, steps of a condensation, experts; 1 for a job.
    pub done: usize,
    /// How many there will be, where the files say so.
    pub planned: Option<usize>,
    /// Mean test accuracy of a game's runs, where the game had a test set.
    pub accuracy: Option<f64>,
    /// Its Student 95 % interval, from two runs.
    pub interval: Option<MeanInterval>,
    /// Seconds of computing in it, where the files say so.
    pub seconds: Option<f64>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Seconds since it was written last.
    pub age_s: f64,
    /// The file or folder; delete it to begin anew.
    pub path: PathBuf,
}

/// What a lab's folder holds, the newest first. Displays as a table.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, attack::{Game, Pipeline}, nn::Arch, train::Train};
/// let folder = std::env::temp_dir().join(format!("freelunch-doc-runs-{}", std::process::id()));
/// let lab = Lab::new()?.keep(&folder)?.quiet();
/// let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
/// Game::new(2).play(&pipeline, &Dataset::toy(), &lab)?;
/// let runs = lab.runs()?;
/// assert_eq!((runs.rows()[0].done, runs.rows()[0].planned), (2, Some(2)));
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    folder: PathBuf,
    rows: Vec<KeptRun>,
}

impl Lab {
    /// What is kept in this lab's folder, by whichever lab. Files that cannot be read are left out; a game of which no run is finished is
    /// listed with 0.
    ///
    /// # Errors
    /// [`Error::Config`] in a lab that keeps nothing; [`Error::Io`] when the folder cannot be read.
    pub fn runs(&self) -> Result<Runs> {
        let folder = self.folder_of_runs()?;
        let mut rows: Vec<KeptRun> = inside(folder)?.iter().filter_map(|path| condensation(path).or_else(|| experts(path))).collect();
        rows.extend(inside(&folder.join("signals"))?.iter().filter_map(|path| game(path)));
        rows.extend(inside(&folder.join(FOLDER))?.iter().filter_map(|path| job(path)));
        rows.sort_by(|a, b| a.age_s.total_cmp(&b.age_s).then_with(|| a.path.cmp(&b.path)));
        Ok(Runs { folder: folder.to_path_buf(), rows })
    }

    pub(super) fn folder_of_runs(&self) -> Result<&Path> {
        self.kept_in().ok_or_else(|| Error::config("this lab keeps nothing", "give it a folder: lab.keep(\"runs\")?"))
    }
}

impl Runs {
    /// One row for each, the newest first.
    #[must_use]
    pub fn rows(&self) -> &[KeptRun] {
        &self.rows
    }

    /// The rows as a table of polars.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let text = |name: &str, of: &dyn Fn(&KeptRun) -> String| Column::new(name.into(), self.rows.iter().map(of).collect::<Vec<_>>());
        let number =
            |name: &str, of: &dyn Fn(&KeptRun) -> Option<f64>| Column::new(name.into(), self.rows.iter().map(of).collect::<Vec<_>>());
        let whole =
            |name: &str, of: &dyn Fn(&KeptRun) -> Option<u64>| Column::new(name.into(), self.rows.iter().map(of).collect::<Vec<_>>());
        let columns = vec![
            text("kind", &|row| format!("{:?}", row.kind).to_lowercase()),
            text("name", &|row| row.name.clone()),
            text("key", &|row| row.key.clone()),
            whole("done", &|row| Some(row.done as u64)),
            whole("planned", &|row| row.planned.map(|planned| planned as u64)),
            number("accuracy", &|row| row.accuracy),
            number("accuracy_low", &|row| row.interval.map(|interval| interval.low)),
            number("accuracy_high", &|row| row.interval.map(|interval| interval.high)),
            number("seconds", &|row| row.seconds),
            whole("bytes", &|row| Some(row.bytes)),
            number("age_s", &|row| Some(row.age_s)),
            text("path", &|row| row.path.display().to_string()),
        ];
        DataFrame::new(self.rows.len(), columns).map_err(|e| Error::table("runs", e))
    }
}

impl Show for Runs {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["kind", "name", "done", "of", "accuracy", "computed in", "KiB", "written", "key"]);
        for row in &self.rows {
            let accuracy = match (row.interval, row.accuracy) {
                (Some(interval), _) => Cell::Text(interval.to_string()),
                (None, accuracy) => Cell::from(accuracy),
            };
            let planned = row.planned.map_or(Cell::Missing, Cell::from);
            let seconds = row.seconds.map_or(Cell::Missing, |seconds| Cell::Text(duration(seconds)));
            let (kind, age) = (format!("{:?}", row.kind).to_lowercase(), format!("{} ago", duration(row.age_s)));
            let name = Cell::Text(row.name.clone());
            let size = Cell::from(row.bytes.div_ceil(1024));
            table = table.row([kind.into(), name, row.done.into(), planned, accuracy, seconds, size, age.into(), row.key.clone().into()]);
        }
        table.figure().titled(&format!("kept in {}", self.folder.display())).captioned(
            "accuracy: mean over a game's runs with Student 95 % interval; runs of one game share their pool. done: runs, steps or experts",
        )
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runs({} in {})", self.rows.len(), self.folder.display())
    }
}

show_inline!(Runs);
