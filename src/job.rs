//! Work that goes on between the cells of a notebook: started in one cell, looked at in others, stopped when it has gone far enough.
//!
//! The kernel runs one cell at a time and shows pictures only when a cell has ended. A [`Job`] therefore computes on a thread of its own:
//!
//! 1. [`Lab::start`] returns at once with a handle; keep it in a variable.
//! 2. The handle as the last line of a cell shows how far the work is: steps, time left, the loss so far, what the records look like.
//! 3. [`Job::cancel`] asks the work to stop. A condensation ends after the step under way and a training after the epoch under way, with
//!    what they have; of a game the finished runs count and those under way are dropped. Work of several parts ends with an error
//!    before its next part, and a part that was cut short is never taken for a whole one.
//! 4. [`Job::wait`] returns the result, and says meanwhile how far the work is.
//!
//! **Interrupting the kernel is not cancelling.** The kernel answers Jupyter's stop button by killing the process: all variables and all
//! jobs are gone. What is left is what was written to disk: in a lab that keeps ([`Lab::keep`]) condensations lose at most 20 seconds
//! and games the runs under way, results of [`Lab::start_saved`] are read instead of computed again, and [`Lab::runs`] lists what there
//! is. A cell that panics or ends with an error does not end jobs.
//!
//! A job prints nothing of its own: between two cells nobody reads what a thread prints, and a full pipe would stop it. Dropping the
//! handle does not stop the work, but then nobody can. Jobs share the cores: two at once are not faster than one after the other.
//!
//! # Privacy
//! None of its own: what runs in a job is what would have run in the cell.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, job::JobState, nn::Arch, train::Train};
//! let lab = Lab::new()?.quiet();
//! let data = Dataset::toy();
//! let job = lab.start("a classifier", move |lab| Train::new(Arch::Logistic).with_epochs(2).fit(&data, lab))?;
//! let model = job.wait()?;
//! assert_eq!(job.state(), JobState::Finished);
//! assert_eq!(job.snapshot().fraction(), 1.0);
//! # Ok::<(), freelunch::Error>(())
//! ```

pub(crate) mod live;
mod runs;
mod saved;
mod snapshot;
mod state;

pub use runs::{Kept, KeptRun, Runs};
pub use snapshot::{JobSnapshot, JobTask};
pub use state::JobState;

use crate::display::{Figure, Show};
use crate::{Error, Lab, Result};
use live::Live;
use state::End;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Work under way on a thread of its own. Clones are handles of the same work; see the [module](self) for what happens to it.
pub struct Job<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    name: String,
    live: Arc<Live>,
    started: Instant,
    /// Prints what [`Job::wait`] says.
    lab: Lab,
    end: Mutex<Option<End<T>>>,
    ended: Condvar,
}

impl Lab {
    /// Starts work on a thread of its own, in this lab without its progress lines; returns at once. What the work needs it must own: give
    /// it clones of the variables that other cells still want.
    ///
    /// # Errors
    /// [`Error::Config`] when the system gives no thread.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, condense::KMeans, synthesize::Synthesize};
    /// let lab = Lab::new()?.quiet();
    /// let data = Dataset::toy();
    /// let job = lab.start("k-means", move |lab| KMeans::new(2).synthesize(&data, lab))?;
    /// assert_eq!(job.wait()?.len(), 8);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn start<T: Send + 'static>(&self, name: &str, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<Job<T>> {
        Job::run(name, self, |lab| work(lab).map(|value| (value, String::new())))
    }
}

impl<T: Send + 'static> Job<T> {
    /// The main thread's usual size; the default of other threads is a quarter of it.
    const STACK: usize = 8 << 20;

    /// `work` answers with its value and what became of the file.
    fn run(name: &str, lab: &Lab, work: impl FnOnce(&Lab) -> Result<(T, String)> + Send + 'static) -> Result<Self> {
        let job = Self::new(name, lab);
        let (shared, lab) = (Arc::clone(&job.shared), lab.within(&job.shared.live));
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&lab))).unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
                let text = text.unwrap_or("no message");
                Err(Error::config(
                    format!("the work panicked ({text})"),
                    "mend its cause and start it again; other variables are as they were",
                ))
            });
            shared.finish(result);
        };
        let thread = std::thread::Builder::new().name("freelunch job".into()).stack_size(Self::STACK).spawn(body);
        thread.map_err(|e| Error::config(format!("no thread for job {name} ({e})"), "wait for other jobs, or close other programs"))?;
        Ok(job)
    }
}

impl<T> Job<T> {
    const FIRST_LINE_AFTER: Duration = Duration::from_secs(2);
    const BETWEEN_LINES: Duration = Duration::from_secs(5);

    fn new(name: &str, lab: &Lab) -> Self {
        let live = Arc::new(Live::new(name));
        let (end, ended) = (Mutex::new(None), Condvar::new());
        Self { shared: Arc::new(Shared { name: name.to_string(), live, started: Instant::now(), lab: lab.clone(), end, ended }) }
    }

    /// The name it was started under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Asks the work to stop at its next step; returns at once. Nothing happens to a job that has ended.
    pub fn cancel(&self) {
        // Under the lock, so that work that has ended is not called cancelled.
        let end = self.shared.lock();
        if end.is_none() {
            self.shared.live.stop();
        }
    }

    /// Whether it has ended, in whatever way.
    #[must_use]
    pub fn done(&self) -> bool {
        self.shared.lock().is_some()
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> JobState {
        self.shared.lock().as_ref().map_or(if self.shared.live.is_stopped() { JobState::Cancelling } else { JobState::Running }, End::state)
    }

    /// How far it is, as plain data.
    #[must_use]
    pub fn snapshot(&self) -> JobSnapshot {
        let shared = &self.shared;
        let end = shared.lock();
        let mut snapshot = JobSnapshot::new(&shared.name, shared.live.seen(), shared.lab.seed_value());
        match end.as_ref() {
            Some(end) => snapshot.ended(end.state(), end.seconds, end.result.as_ref().err().unwrap_or(&end.file)),
            None => snapshot.under_way(shared.live.is_stopped(), shared.started.elapsed().as_secs_f64()),
        }
        snapshot
    }

    /// Shows in a notebook cell how far it is: text, HTML and PNG in one bundle.
    pub fn evcxr_display(&self) {
        crate::display::send(&self.bundle());
    }
}

impl<T: Clone> Job<T> {
    /// Waits for the end, with a line every five seconds unless the lab is quiet, and returns the result; every handle can ask for it,
    /// as often as it likes.
    ///
    /// # Errors
    /// [`Error::Config`] with the text of what the work answered, of its panic, or of why it had nothing when it was cancelled.
    pub fn wait(&self) -> Result<T> {
        let mut next = Self::FIRST_LINE_AFTER;
        let mut end = self.shared.lock();
        loop {
            if let Some(end) = end.as_ref() {
                return self.shared.answer(end);
            }
            let (guard, waited) = self.shared.ended.wait_timeout(end, next).unwrap_or_else(PoisonError::into_inner);
            end = guard;
            if waited.timed_out() && end.is_none() {
                drop(end);
                self.shared.lab.remark(&self.snapshot().line());
                next = Self::BETWEEN_LINES;
                end = self.shared.lock();
            }
        }
    }

    /// The result, or `None` while the work goes on.
    #[must_use]
    pub fn result(&self) -> Option<Result<T>> {
        self.shared.lock().as_ref().map(|end| self.shared.answer(end))
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Option<End<T>>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<(T, String)>) {
        let (result, file) = match result {
            Ok((value, file)) => (Ok(value), file),
            Err(error) => (Err(error.to_string()), String::new()),
        };
        let mut end = self.lock();
        *end = Some(End { result, cancelled: self.live.is_stopped(), seconds: self.started.elapsed().as_secs_f64(), file });
        self.ended.notify_all();
    }
}

impl<T: Clone> Shared<T> {
    fn answer(&self, end: &End<T>) -> Result<T> {
        end.result.clone().map_err(|text| Error::config(format!("job {}", self.name), text))
    }
}

impl<T> Clone for Job<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Show for Job<T> {
    fn figure(&self) -> Figure {
        self.snapshot().figure()
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.snapshot().line())
    }
}

#[cfg(test)]
mod tests;
