//! How far a job is, as plain data and as a figure.

use super::JobState;
use super::live::{Picture, Seen, Task};
use crate::display::{Cell, Figure, ImageGrid, Plot, Show, Table, show_inline};
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use std::fmt;

/// How far a [`Job`](super::Job) is. Taken at one moment: it does not change when the job goes on.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// let job = Lab::new()?.quiet().start("a sum", |lab| {
///     let mut progress = lab.progress("adding", 3);
///     Ok((1..=3).map(|i| { progress.step(i, ""); i }).sum::<usize>())
/// })?;
/// job.wait()?;
/// assert!(job.snapshot().to_string().starts_with("a sum: finished"));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone)]
pub struct JobSnapshot {
    name: String,
    state: JobState,
    seed: u64,
    seconds: f64,
    tasks: Vec<JobTask>,
    curve_of: String,
    losses: Vec<(f64, f64)>,
    pub(super) picture: Option<Picture>,
    said: String,
    /// Why it failed, or what became of its file.
    remark: String,
}

/// A piece of a job's work with a known number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct JobTask {
    /// What is being done.
    pub what: String,
    /// Steps made.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// Seconds that the other steps will take, if they take as long as those seen.
    pub left_s: Option<f64>,
    /// A current value, such as the loss.
    pub note: String,
}

impl JobTask {
    fn of(task: &Task) -> Self {
        Self { what: task.what.clone(), done: task.done, total: task.total, left_s: task.left(), note: task.note.clone() }
    }

    /// The share of its steps that is made, between 0 and 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        self.done as f64 / self.total.max(1) as f64
    }
}

impl JobSnapshot {
    pub(super) fn new(name: &str, seen: Seen, seed: u64) -> Self {
        // After the end, or between two parts: the last that was under way.
        let tasks = if seen.tasks.is_empty() { seen.last.as_slice() } else { &seen.tasks };
        Self {
            name: name.to_string(),
            state: JobState::Running,
            seed,
            seconds: 0.0,
            tasks: tasks.iter().map(JobTask::of).collect(),
            curve_of: seen.curve.what,
            losses: seen.curve.points,
            picture: seen.picture,
            said: seen.said,
            remark: String::new(),
        }
    }

    pub(super) fn under_way(&mut self, cancelled: bool, seconds: f64) {
        self.state = if cancelled { JobState::Cancelling } else { JobState::Running };
        self.seconds = seconds;
    }

    pub(super) fn ended(&mut self, state: JobState, seconds: f64, remark: &str) {
        (self.state, self.seconds) = (state, seconds);
        remark.clone_into(&mut self.remark);
        self.tasks.iter_mut().for_each(|task| task.left_s = None);
    }

    /// Where the job was.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.state
    }

    /// Seconds from its start, until its end if it has ended.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The share of the outermost piece of work that is done, between 0 and 1. Work of several parts begins each at 0.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        match self.state {
            JobState::Finished => 1.0,
            _ => self.tasks.first().map_or(0.0, JobTask::fraction),
        }
    }

    /// The pieces of work under way, the outermost first; after the end, the last one.
    #[must_use]
    pub fn rows(&self) -> &[JobTask] {
        &self.tasks
    }

    /// The losses so far (step, loss), thinned to a few hundred; empty where the work reports none.
    #[must_use]
    pub fn losses(&self) -> &[(f64, f64)] {
        &self.losses
    }

    /// The pieces of work as a table: `what`, `done`, `total`, `left_s`, `note`.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let text = |name: &str, of: &dyn Fn(&JobTask) -> String| Column::new(name.into(), self.tasks.iter().map(of).collect::<Vec<_>>());
        let whole = |name: &str, of: &dyn Fn(&JobTask) -> u64| Column::new(name.into(), self.tasks.iter().map(of).collect::<Vec<_>>());
        let columns = vec![
            text("what", &|task| task.what.clone()),
            whole("done", &|task| task.done as u64),
            whole("total", &|task| task.total as u64),
            Column::new("left_s".into(), self.tasks.iter().map(|task| task.left_s).collect::<Vec<_>>()),
            text("note", &|task| task.note.clone()),
        ];
        DataFrame::new(self.tasks.len(), columns).map_err(|e| Error::table("job", e))
    }

    /// One line: state, the outermost piece of work, time left.
    pub(super) fn line(&self) -> String {
        let mut line = format!("{}: {}, {}", self.name, self.state_in_words(), duration(self.seconds));
        if let Some(task) = self.tasks.first().filter(|_| self.state != JobState::Finished) {
            line += &format!(", {} {}/{} ({:.0} %)", task.what, task.done, task.total, (100.0 * task.fraction()).floor());
            line += &task.left_s.map_or(String::new(), |left| format!(", about {} left", duration(left)));
            if !task.note.is_empty() {
                line += &format!(", {}", task.note);
            }
        }
        line
    }

    fn state_in_words(&self) -> &'static str {
        match self.state {
            JobState::Running => "running",
            JobState::Cancelling => "ending after the step under way",
            JobState::Cancelled => "cancelled",
            JobState::Finished => "finished",
            JobState::Failed => "failed",
        }
    }

    /// The bar, and what a person must know.
    fn heading(&self) -> String {
        const WIDTH: usize = 40;
        let full = (self.fraction() * WIDTH as f64) as usize;
        let mut lines = vec![format!("[{}{}] {}", "#".repeat(full), "-".repeat(WIDTH - full), self.line())];
        let with_what_it_has = self.state == JobState::Cancelled && self.remark.is_empty();
        if with_what_it_has {
            lines.push("the result is what there was when it was cancelled".into());
        }
        lines.extend([&self.remark, &self.said].into_iter().filter(|text| !text.is_empty() && !text.contains('\u{1b}')).cloned());
        lines.join("\n")
    }

    fn table(&self) -> Table {
        let mut table = Table::new(["what", "done", "of", "time left", "now"]);
        for task in &self.tasks {
            let left = task.left_s.map_or(Cell::Missing, |left| Cell::Text(duration(left)));
            table = table.row([Cell::Text(task.what.clone()), task.done.into(), task.total.into(), left, Cell::Text(task.note.clone())]);
        }
        table
    }
}

/// "8 s", "3 min 20 s", "2 h 5 min".
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} days", whole / 86_400),
    }
}

impl Show for JobSnapshot {
    fn figure(&self) -> Figure {
        let mut parts = vec![Figure::text(self.heading())];
        if self.tasks.len() > 1 {
            parts.push(self.table().figure());
        }
        let mut seen = vec![];
        // One point is no curve.
        if self.losses.len() > 1 {
            seen.push(Plot::new(&self.curve_of).x_label("step").y_label("loss").line("loss", &self.losses).figure());
        }
        if let Some(picture) = &self.picture {
            let row = (String::new(), picture.images.clone());
            seen.push(ImageGrid::new(vec![row], picture.shape).titled(&picture.title).figure());
        }
        if !seen.is_empty() {
            parts.push(Figure::column(seen));
        }
        Figure::column(parts).titled(&format!("job {}", self.name)).captioned(&format!("as it was when shown, seed {}", self.seed))
    }
}

impl fmt::Display for JobSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

impl fmt::Debug for JobSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobSnapshot({})", self.line())
    }
}

show_inline!(JobSnapshot);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!([8.4, 200.0, 7500.0, 259_200.0].map(duration), ["8 s", "3 min 20 s", "2 h 5 min", "3 days"]);
    }
}
