//! The laboratory: device, seed, time budget and progress, passed by reference to everything that computes.

mod deadline;

pub use deadline::Deadline;

use crate::job::live::{Link, Live, Picture};
use crate::{Device, Error, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where and how experiments run. Plain data: two labs with the same fields give the same results.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// let lab = Lab::new()?.seed(7).quiet();
/// assert_eq!(lab.seed_value(), 7);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lab {
    device: Device,
    /// Further devices for independent runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    others: Vec<Device>,
    seed: u64,
    budget_s: Option<f64>,
    quiet: bool,
    #[serde(default)]
    watch: Option<usize>,
    #[serde(default)]
    kept_in: Option<PathBuf>,
    #[serde(default)]
    ledger: Option<PathBuf>,
    #[serde(skip)]
    job: Link,
    /// What this lab computes is a part of something: half done it is worth nothing.
    #[serde(skip)]
    part: bool,
}

impl Lab {
    /// A lab on the best device that is compiled in (or the one named by `FREELUNCH_DEVICE`), with seed 0.
    ///
    /// # Errors
    /// [`Error::Device`] when that device's backend is not compiled in.
    pub fn new() -> Result<Self> {
        Self::on(Device::best()?)
    }

    /// A lab on a given device, with seed 0.
    ///
    /// # Errors
    /// [`Error::Device`] when the device's backend is not compiled in.
    pub fn on(device: Device) -> Result<Self> {
        device.check()?;
        Ok(Self {
            device,
            others: vec![],
            seed: 0,
            budget_s: None,
            quiet: false,
            watch: None,
            kept_in: None,
            ledger: None,
            job: Link::default(),
            part: false,
        })
    }

    /// The same lab on several devices at once. Independent work, the runs of a [`Game`](crate::attack::Game), is handed to whichever is free;
    /// everything else happens on the first. Randomness belongs to the run, not to the device: devices that compute alike give the same
    /// bytes together as one of them alone. Devices of different kinds round differently, and then so do the runs.
    ///
    /// # Errors
    /// [`Error::Config`] for no device or one that is named twice; [`Error::Device`] when a backend is not compiled in.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Device, Lab};
    /// let lab = Lab::new()?.across([Device::Cpu])?;
    /// assert_eq!(lab.devices().count(), 1);
    /// assert!(lab.across([Device::Cpu, Device::Cpu]).is_err());
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn across(mut self, devices: impl IntoIterator<Item = Device>) -> Result<Self> {
        let mut devices: Vec<Device> = devices.into_iter().collect();
        for (at, device) in devices.iter().enumerate() {
            device.check()?;
            if devices[..at].contains(device) {
                return Err(Error::config(format!("{device} is named twice"), "name each device once"));
            }
        }
        if devices.is_empty() {
            return Err(Error::config("a lab across no devices", "name at least one"));
        }
        self.device = devices.remove(0);
        self.others = devices;
        Ok(self)
    }

    /// The same lab with another seed. All randomness of an experiment follows from it.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The same lab with a time budget in seconds: long runs stop after it with the best they have.
    ///
    /// # Errors
    /// [`Error::Config`] unless `seconds` is positive.
    pub fn budget_s(mut self, seconds: f64) -> Result<Self> {
        if seconds.is_nan() || seconds <= 0.0 {
            return Err(Error::config(format!("budget_s is {seconds}"), "expected a positive number of seconds"));
        }
        self.budget_s = Some(seconds);
        Ok(self)
    }

    /// The same lab without progress lines.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// The same lab showing the loss and the first record of each class every `steps` steps of a condensation: as a strip of coloured
    /// characters while the cell runs, and as a film afterwards ([`Dataset::film`](crate::Dataset::film)); the film of a run that was
    /// resumed begins there.
    ///
    /// # Errors
    /// [`Error::Config`] when `steps` is 0.
    pub fn watch(mut self, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::config("watch every 0 steps", "expected at least 1"));
        }
        self.watch = Some(steps);
        Ok(self)
    }

    /// The same lab keeping its condensations and the shadow runs of its games in a folder: one that was killed, or stopped by the time
    /// budget, goes on where it was (of a condensation at most 20 seconds are lost, of a game the runs under way), and one that is complete is
    /// read instead of computed again. Parameters, seed, data and version of the library must be the same; otherwise it is another run.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be created.
    pub fn keep(mut self, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder).map_err(|e| Error::io("create", folder, e, "choose a folder that can be written"))?;
        self.kept_in = Some(folder.to_path_buf());
        Ok(self)
    }

    /// The same lab with a privacy budget ([`Ledger`](crate::privacy::Ledger)): every training, condenser and generator that reads private records in it
    /// is written down there first, and refused when it would exceed the budget or has no ε at all. Studies that repeat runs (games with shadow
    /// models, `Quality`, `PrivacyUtility`) are no releases and not counted; neither is looking at records.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Data`] when there is no ledger at `path`.
    pub fn with_ledger(mut self, path: impl AsRef<Path>) -> Result<Self> {
        crate::privacy::Ledger::read(path.as_ref())?;
        self.ledger = Some(path.as_ref().to_path_buf());
        Ok(self)
    }

    pub(crate) fn ledger(&self) -> Option<&Path> {
        self.ledger.as_deref()
    }

    /// The device; the first, if there are several.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// All devices, in the order in which they were named.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        std::iter::once(&self.device).chain(&self.others)
    }

    /// The same lab on one of its devices alone.
    pub(crate) fn alone_on(self, device: &Device) -> Self {
        Self { device: device.clone(), others: vec![], ..self }
    }

    /// The seed.
    #[must_use]
    pub fn seed_value(&self) -> u64 {
        self.seed
    }

    pub(crate) fn watched_every(&self) -> Option<usize> {
        self.watch
    }

    pub(crate) fn kept_in(&self) -> Option<&Path> {
        self.kept_in.as_deref()
    }

    /// The moment after which a run that starts now must stop, if there is a budget, or a job that can be cancelled.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline<'_>> {
        let at = self.budget_s.map(|s| Instant::now() + Duration::from_secs_f64(s.min(1e9)));
        Deadline::of(at, self.job.live().map(Arc::as_ref))
    }

    /// Whether the [`Job`](crate::job::Job) that this lab belongs to was cancelled. A loop of your own then ends with what it has.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job.live().is_some_and(|live| live.is_stopped())
    }

    /// That there is reason to begin the next part of the work.
    ///
    /// # Errors
    /// [`Error::Config`] when the [`Job`](crate::job::Job) that this lab belongs to was cancelled.
    pub fn proceed(&self) -> Result<()> {
        self.job.proceed()
    }

    /// That what was computed here is whole; the result of a lab of its own may also be what there was when it was cancelled.
    pub(crate) fn whole(&self) -> Result<()> {
        if self.part { self.proceed() } else { Ok(()) }
    }

    /// The lab of a job's work. Nobody reads what is printed between two cells, and a full pipe would stop the work: it is quiet.
    pub(crate) fn within(&self, live: &Arc<Live>) -> Self {
        Self { job: Link::to(live), quiet: true, ..self.clone() }
    }

    /// A reproducible stream of random numbers: the same (seed, label, index) gives the same numbers on every machine.
    #[must_use]
    pub fn rng(&self, label: &str, index: u64) -> Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(index.to_le_bytes());
        hash.update(label.as_bytes());
        Rng::from_seed(hash.finalize().into())
    }

    /// A lab for a part of the work whose randomness must not depend on that of other parts.
    #[must_use]
    pub fn child(&self, label: &str, index: u64) -> Self {
        use rand::Rng as _;
        Self { seed: self.rng(label, index).next_u64(), watch: None, part: true, ..self.clone() }
    }

    /// The same for a simulation, whose runs are no releases: no ledger guards it.
    pub(crate) fn simulation(&self, label: &str, index: u64) -> Self {
        Self { ledger: None, ..self.child(label, index) }
    }

    /// Says something that a person should know, unless the lab is quiet.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }

    /// Progress of a piece of work with `total` steps; prints at most one whole line a second.
    #[must_use]
    pub fn progress(&self, what: &str, total: usize) -> Progress {
        let now = Instant::now();
        let total = total.max(1);
        let job = self.job.live().map(|live| (Arc::clone(live), live.begin(what, total)));
        Progress { what: what.to_string(), total, start: now, last: None, quiet: self.quiet, job, shown: None }
    }

    /// The same lab without a time budget and without a folder: for a part whose whole is limited and kept by others.
    pub(crate) fn unlimited(self) -> Self {
        Self { budget_s: None, kept_in: None, ..self }
    }

    pub(crate) fn open(&self) -> Result<burn::tensor::Device> {
        self.device.open()
    }
}

/// The generator behind [`Lab::rng`]: ChaCha with 8 rounds, the same numbers on every platform.
pub type Rng = ChaCha8Rng;

/// Whole progress lines with an estimate of the time left.
#[derive(Debug)]
pub struct Progress {
    what: String,
    total: usize,
    start: Instant,
    last: Option<Instant>,
    quiet: bool,
    job: Option<(Arc<Live>, u64)>,
    shown: Option<Instant>,
}

impl Progress {
    const FIRST_LINE_AFTER: Duration = Duration::from_secs(2);
    const BETWEEN_LINES: Duration = Duration::from_secs(5);
    const BETWEEN_PICTURES: Duration = Duration::from_secs(1);

    /// Says that `done` steps are finished; `note` adds a current value, such as the loss.
    pub fn step(&mut self, done: usize, note: &str) {
        if let Some((live, id)) = &self.job {
            live.step(*id, done, note);
        }
        let elapsed = self.start.elapsed();
        let due = match self.last {
            None => elapsed >= Self::FIRST_LINE_AFTER,
            Some(last) => last.elapsed() >= Self::BETWEEN_LINES,
        };
        if self.quiet || !due || done == 0 {
            return;
        }
        self.last = Some(Instant::now());
        println!("{}", self.line(done, elapsed, note));
    }

    /// Says something that was asked for, whatever the time.
    pub(crate) fn say(&mut self, text: &str) {
        self.last = Some(Instant::now());
        match &self.job {
            Some((live, _)) => live.say(text),
            None => println!("{text}"),
        }
    }

    /// Whether a job waits for a new picture of this work.
    pub(crate) fn wants_picture(&self) -> bool {
        self.job.is_some() && self.shown.is_none_or(|shown| shown.elapsed() >= Self::BETWEEN_PICTURES)
    }

    /// What records look like at the moment, for the display of the job.
    pub(crate) fn show(&mut self, title: String, images: Vec<Vec<f32>>, shape: [usize; 3]) {
        self.shown = Some(Instant::now());
        if let Some((live, _)) = &self.job {
            live.show(Picture { title, images, shape });
        }
    }

    fn line(&self, done: usize, elapsed: Duration, note: &str) -> String {
        let left = elapsed.as_secs_f64() * self.total.saturating_sub(done) as f64 / done as f64;
        let percent = 100 * done / self.total;
        let gap = if note.is_empty() { "" } else { ", " };
        format!("{}: {done}/{} ({percent} %), {:.0} s, about {left:.0} s left{gap}{note}", self.what, self.total, elapsed.as_secs_f64())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((live, id)) = &self.job {
            live.end(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng as _;

    #[test]
    fn streams_depend_on_seed_label_and_index_only() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(3);
        let first = lab.rng("a", 0).next_u64();
        assert_eq!(first, lab.clone().quiet().rng("a", 0).next_u64());
        assert_ne!(first, lab.rng("a", 1).next_u64());
        assert_ne!(first, lab.rng("b", 0).next_u64());
        assert_ne!(first, lab.clone().seed(4).rng("a", 0).next_u64());
    }

    #[test]
    fn progress_lines_estimate_the_time_left() {
        let progress = Lab::on(Device::Cpu).unwrap().progress("fit", 10);
        assert_eq!(progress.line(4, Duration::from_secs(8), "loss 0.5"), "fit: 4/10 (40 %), 8 s, about 12 s left, loss 0.5");
    }

    #[test]
    fn a_budget_must_be_positive() {
        let lab = Lab::on(Device::Cpu).unwrap();
        assert!(lab.clone().budget_s(0.0).is_err());
        assert!(lab.clone().budget_s(f64::NAN).is_err());
        assert!(lab.budget_s(1.0).unwrap().deadline().is_some());
    }
}
