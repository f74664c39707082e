//! What a running job and its handle share: whether to stop, and what is being done.
//!
//! A [`Lab`](crate::Lab) carries a [`Link`] to it, its copies and children carry the same one, and every [`Progress`](crate::lab::Progress)
//! of such a lab reports here. No lock is held while anything is computed or drawn.

use crate::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The shared part of one job.
pub(crate) struct Live {
    name: String,
    stop: AtomicBool,
    next: AtomicU64,
    seen: Mutex<Seen>,
}

/// What has been reported so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Pieces of work that are under way, the outermost first.
    pub(crate) tasks: Vec<Task>,
    /// The outermost one that ended last.
    pub(crate) last: Vec<Task>,
    /// Of the task that reported a loss first and is not finished, or was the last one.
    pub(crate) curve: Curve,
    pub(crate) picture: Option<Picture>,
    /// The last line that was to be said.
    pub(crate) said: String,
}

/// A piece of work with a known number of steps.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    id: u64,
    pub(crate) what: String,
    pub(crate) done: usize,
    pub(crate) total: usize,
    pub(crate) note: String,
    /// The first report: a run that was resumed does not begin at 0.
    first: Option<(usize, Instant)>,
    last: Instant,
}

/// A curve of bounded length: when it is full, every other point goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Curve {
    owner: u64,
    pub(crate) what: String,
    pub(crate) points: Vec<(f64, f64)>,
    every: usize,
    seen: usize,
}

/// What the records look like at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) title: String,
    pub(crate) images: Vec<Vec<f32>>,
    pub(crate) shape: [usize; 3],
}

/// A lab's way to its job, if it belongs to one. Labs differ by what they compute, which a job does not change.
#[derive(Clone, Default)]
pub(crate) struct Link(Option<Arc<Live>>);

impl Live {
    /// Tasks that are remembered: a game plays one run a core, each with its parts.
    const TASKS: usize = 64;

    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_string(), stop: AtomicBool::new(false), next: AtomicU64::new(1), seen: Mutex::default() }
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Where the next task will report.
    pub(crate) fn begin(&self, what: &str, total: usize) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut seen = self.lock();
        if seen.tasks.len() < Self::TASKS {
            let what = what.to_string();
            seen.tasks.push(Task { id, what, done: 0, total, note: String::new(), first: None, last: Instant::now() });
        }
        id
    }

    pub(crate) fn step(&self, id: u64, done: usize, note: &str) {
        let mut seen = self.lock();
        let Seen { tasks, curve, .. } = &mut *seen;
        let Some(at) = tasks.iter().position(|task| task.id == id) else { return };
        let task = &mut tasks[at];
        task.done = done.min(task.total);
        note.clone_into(&mut task.note);
        task.last = Instant::now();
        task.first.get_or_insert((task.done, task.last));
        let Some(loss) = loss_of(note) else { return };
        let what = task.what.clone();
        if curve.owner != id {
            // A part's curve gives way to nothing but the next one.
            if tasks.iter().any(|task| task.id == curve.owner) {
                return;
            }
            *curve = Curve { owner: id, what, every: 1, ..Curve::default() };
        }
        curve.push(done as f64, loss);
    }

    pub(crate) fn end(&self, id: u64) {
        let mut seen = self.lock();
        if seen.tasks.first().is_some_and(|task| task.id == id) {
            seen.last = vec![seen.tasks.remove(0)];
        }
        seen.tasks.retain(|task| task.id != id);
    }

    pub(crate) fn say(&self, text: &str) {
        text.clone_into(&mut self.lock().said);
    }

    pub(crate) fn show(&self, picture: Picture) {
        self.lock().picture = Some(picture);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // What is reported is whole after every statement.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Task {
    /// Seconds until the end, if the steps that are left take as long as those seen.
    pub(crate) fn left(&self) -> Option<f64> {
        let (from, since) = self.first?;
        let seen = self.done.checked_sub(from).filter(|&steps| steps > 0)?;
        Some(self.last.duration_since(since).as_secs_f64() / seen as f64 * (self.total - self.done) as f64)
    }
}

impl Curve {
    const MOST: usize = 400;

    fn push(&mut self, x: f64, y: f64) {
        if self.seen.is_multiple_of(self.every) {
            self.points.push((x, y));
        }
        self.seen += 1;
        if self.points.len() == Self::MOST {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.every *= 2;
        }
    }
}

impl Link {
    pub(crate) fn to(live: &Arc<Live>) -> Self {
        Self(Some(Arc::clone(live)))
    }

    pub(crate) fn live(&self) -> Option<&Arc<Live>> {
        self.0.as_ref()
    }

    /// That the job goes on.
    pub(crate) fn proceed(&self) -> Result<()> {
        match &self.0 {
            Some(live) if live.is_stopped() => {
                Err(Error::config(format!("job {} was cancelled before the next part of its work began", live.name), "start it again"))
            }
            _ => Ok(()),
        }
    }
}

impl PartialEq for Link {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_ref().map_or("no job", |live| live.name.as_str()))
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({}, stopped {})", self.name, self.is_stopped())
    }
}

/// The number behind the last "loss" of a note such as `expert 2, loss 0.513`.
fn loss_of(note: &str) -> Option<f64> {
    let text = note.rsplit_once("loss ")?.1;
    let end = text.find([',', ' ']).unwrap_or(text.len());
    text.get(..end)?.parse().ok().filter(|loss: &f64| loss.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loss_is_read_from_the_note() {
        assert_eq!(loss_of("loss 0.5123"), Some(0.5123));
        assert_eq!(loss_of("expert 2, loss 1.5, best so far"), Some(1.5));
        assert_eq!([loss_of(""), loss_of("loss NaN"), loss_of("accuracy 0.5")], [None; 3]);
    }

    #[test]
    fn a_curve_stays_short_and_keeps_its_ends() {
        let live = Live::new("a job");
        let id = live.begin("descent", 100_000);
        (0..100_000).for_each(|step| live.step(id, step + 1, &format!("loss {step}")));
        let points = live.seen().curve.points;
        assert!((200..400).contains(&points.len()), "{}", points.len());
        assert_eq!(points[0], (1.0, 0.0));
        assert!(points.last().unwrap().0 > 99_000.0 && points.windows(2).all(|pair| pair[1].0 > pair[0].0));
    }

    #[test]
    fn the_curve_is_that_of_the_outer_task_while_it_lasts() {
        let live = Live::new("a job");
        let outer = live.begin("outer", 10);
        live.step(outer, 1, "loss 4");
        let inner = live.begin("inner", 10);
        live.step(inner, 1, "loss 9");
        assert_eq!(live.seen().curve.points, [(1.0, 4.0)]);
        live.end(outer);
        live.step(inner, 2, "loss 8");
        assert_eq!((live.seen().curve.what.as_str(), live.seen().tasks.len()), ("inner", 1));
    }

    #[test]
    fn the_time_left_is_counted_from_the_first_report() {
        let live = Live::new("a job");
        let id = live.begin("resumed", 100);
        live.step(id, 90, "");
        assert_eq!(live.seen().tasks[0].left(), None);
        std::thread::sleep(std::time::Duration::from_millis(20));
        live.step(id, 95, "");
        // As long again as five steps took; a busy machine may sleep longer than asked, hardly a hundred times.
        let left = live.seen().tasks[0].left().unwrap();
        assert!((0.02..2.0).contains(&left), "{left}");
    }
}
