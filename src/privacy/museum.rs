//! The bug museum: mechanisms that claim more privacy than they give, small enough to run millions of times, each beside its right version.
//!
//! Every [`Exhibit`] is one number computed from ten known records, one of which, the target, may be missing. An attacker who sees that
//! number and knows the rest must not be able to tell. The wrong versions copy what published code does, **as it reads**; the models here
//! are not that code and keep nothing of it but the mistake.
//!
//! An audit runs a mechanism with and without the target and looks for an event A of its output with
//! P(A | one) > e^ε P(A | other) + δ. [`Exhibit::empirical_epsilon`] does so:
//!
//! 1. run it `runs` times with and without;
//! 2. on one half of the runs choose A, one side of a threshold, and which of the two is the likelier;
//! 3. on the other half count, and take the Clopper-Pearson ends of both probabilities: ε ≥ ln((low − δ) / high), with 95 % confidence.
//!
//! A bound above the claim proves the claim wrong. A bound below it proves nothing: one iteration more than was accounted for is found by
//! counting releases, not by an audit.
//!
//! # Privacy
//! None of any real record: the records are made up.
//!
//! # References
//! arXiv 2006.07709 (auditing with Clopper-Pearson intervals); each exhibit names its own source.
//!
//! # Example
//! ```
//! use freelunch::{Lab, privacy::museum::{Exhibit, museum}};
//! let lab = Lab::new()?.seed(1).quiet();
//! let cache = Exhibit::ReNoisedCache;
//! assert_eq!(cache.claimed().releases(), 1);
//! assert_eq!(cache.actual().releases(), 20);
//! // The claim is ε = 0.93 for δ = 1e-5.
//! assert!(cache.empirical_epsilon(false, 10_000, 1e-5, &lab)? > 0.93);
//! assert!(cache.empirical_epsilon(true, 10_000, 1e-5, &lab)? < 0.93);
//! assert_eq!(museum().exhibits().len(), 5);
//! # Ok::<(), freelunch::Error>(())
//! ```

pub mod audit;
#[cfg(test)]
mod tests;

pub use audit::{Finding, MuseumAudit};

use super::{Event, check_delta};
use crate::audit::{Selection, distinguish};
use crate::display::{Figure, Show, Table, show_inline};
use crate::lab::Rng;
use crate::{Error, Lab, Result};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One mistake, with the mechanism that makes it and the one that does not.
///
/// # Example
/// ```
/// use freelunch::{Lab, privacy::{Event, museum::Exhibit}};
/// let lab = Lab::new()?.seed(1).quiet();
/// let sum = Exhibit::UnclippedSum;
/// assert_eq!(sum.actual(), Event::NonPrivate);
/// // One run of the wrong version on the records with the target, and one of the right version without it.
/// let (wrong, right) = (sum.release(true, false, &lab, 0), sum.release(false, true, &lab, 0));
/// assert!(wrong.is_finite() && right.is_finite());
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Exhibit {
    /// The exact sum is cached, and every time it is used it gets new noise; one release is accounted for.
    ReNoisedCache,
    /// Noisy gradient descent on synthetic values that begin as real records, at no cost in the account.
    RealStart,
    /// Noise for records of norm 1, added to a sum of records that may be longer.
    UnclippedSum,
    /// `0..=iterations` instead of `0..iterations`.
    OneMoreIteration,
    /// A mean over a sample, divided by its true size, with noise for a sum divided by the expected size.
    RandomDenominator,
}

/// Records other than the target in every exhibit; their number counts as public.
const OTHERS: usize = 9;

impl Exhibit {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::ReNoisedCache, Self::RealStart, Self::UnclippedSum, Self::OneMoreIteration, Self::RandomDenominator];

    const USES: u64 = 20;
    const DESCENT_STEPS: u64 = 16;
    const ITERATIONS: u64 = 100;
    const RATE: f64 = 0.9;

    /// The name in tables.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReNoisedCache => "re-noised cache",
            Self::RealStart => "real start",
            Self::UnclippedSum => "unclipped sum",
            Self::OneMoreIteration => "one more iteration",
            Self::RandomDenominator => "random denominator",
        }
    }

    /// σ of one release.
    fn sigma(self) -> f64 {
        match self {
            Self::ReNoisedCache | Self::UnclippedSum => 4.0,
            Self::RealStart => 16.0,
            Self::OneMoreIteration => 40.0,
            Self::RandomDenominator => 2.0,
        }
    }

    /// What the mechanism is accounted as; true of its right version.
    #[must_use]
    pub fn claimed(&self) -> Event {
        let one = Event::Gaussian { sigma: self.sigma() };
        match self {
            Self::ReNoisedCache | Self::UnclippedSum => one,
            Self::RealStart => one.repeat(Self::DESCENT_STEPS),
            Self::OneMoreIteration => one.repeat(Self::ITERATIONS),
            Self::RandomDenominator => Event::Poisson { rate: Self::RATE, of: Box::new(one) },
        }
    }

    /// What the wrong version does, for any records of the claimed size; the exhibit's own ten may lose less.
    #[must_use]
    pub fn actual(&self) -> Event {
        let one = Event::Gaussian { sigma: self.sigma() };
        match self {
            Self::ReNoisedCache => one.repeat(Self::USES),
            Self::RealStart | Self::UnclippedSum => Event::NonPrivate,
            Self::OneMoreIteration => one.repeat(Self::ITERATIONS + 1),
            // A mean of numbers in −C .. C may change by C when a record joins (the only one of its sample, say), not by C / B only.
            Self::RandomDenominator => {
                let of = Box::new(Event::Gaussian { sigma: self.sigma() / Self::expected() });
                Event::Poisson { rate: Self::RATE, of }
            }
        }
    }

    /// B, the expected size of a sample.
    fn expected() -> f64 {
        Self::RATE * (OTHERS + 1) as f64
    }

    /// How the mistake is found.
    #[must_use]
    pub fn how_found(&self) -> &'static str {
        match self {
            Self::ReNoisedCache => "counting noisy uses; the mean of the uses has too little noise; audit",
            Self::RealStart => "the start changes with a record that no noise covers; audit",
            Self::UnclippedSum => "adding one long record moves the sum by more than C; audit",
            Self::OneMoreIteration => "counting releases; no audit is fine enough",
            Self::RandomDenominator => "adding one record moves the mean by more than C / B; audit",
        }
    }

    /// Where it was seen.
    #[must_use]
    pub fn source(&self) -> &'static str {
        match self {
            Self::ReNoisedCache => "Dosser (humansensinglab/Dosser, dosser.py), as the code reads",
            Self::RealStart => "DP-KIP (ParkLabML), its script for MNIST, as the code reads",
            Self::UnclippedSum => "LDPDC (SecMLSys, linear_dpdc.py), as the code reads",
            Self::OneMoreIteration => "PSG (DingfanChen/Private-Set, main.py), as the code reads",
            Self::RandomDenominator => "the list of common pitfalls of jax_privacy",
        }
    }

    /// What one run releases: a number, with or without the target among the records, by the right or the wrong version. Another `run`
    /// draws other noise, and so do the other version and the other set of records.
    #[must_use]
    pub fn release(&self, with_target: bool, correct: bool, lab: &Lab, run: u64) -> f64 {
        let version = if correct { "right" } else { "wrong" };
        let records = if with_target { "with" } else { "without" };
        let mut rng = lab.rng(&format!("museum {} {version} {records}", self.name()), run);
        match self {
            Self::ReNoisedCache => self.cached(with_target, correct, &mut rng),
            Self::RealStart => self.descended(with_target, correct, &mut rng),
            Self::UnclippedSum => self.summed(with_target, correct, &mut rng),
            Self::OneMoreIteration => self.iterated(with_target, correct, &mut rng),
            Self::RandomDenominator => self.averaged(with_target, correct, &mut rng),
        }
    }

    fn noise(self, rng: &mut Rng) -> f64 {
        let standard: f64 = StandardNormal.sample(rng);
        self.sigma() * standard
    }

    /// The mean of all uses of the cached sum. The target adds 1, the others nothing.
    fn cached(self, with_target: bool, correct: bool, rng: &mut Rng) -> f64 {
        let sum = f64::from(u8::from(with_target));
        if correct {
            return sum + self.noise(rng);
        }
        (0..Self::USES).map(|_| sum + self.noise(rng)).sum::<f64>() / Self::USES as f64
    }

    /// One synthetic value pulled towards the records: the others at 0, the target at 5, every pull clipped to 1.
    fn descended(self, with_target: bool, correct: bool, rng: &mut Rng) -> f64 {
        const TARGET: f64 = 5.0;
        const STEP: f64 = 0.05;
        let mut value = match (correct, with_target) {
            (true, _) => StandardNormal.sample(rng),
            (false, true) => TARGET,
            (false, false) => 0.0,
        };
        let pull = |value: f64, record: f64| (record - value).clamp(-1.0, 1.0);
        for _ in 0..Self::DESCENT_STEPS {
            let target = if with_target { pull(value, TARGET) } else { 0.0 };
            let sum = OTHERS as f64 * pull(value, 0.0) + target + self.noise(rng);
            value += STEP * sum / (OTHERS + 1) as f64;
        }
        value
    }

    /// A sum of records said to be of norm at most 1. The target is 10 long, the others add nothing.
    fn summed(self, with_target: bool, correct: bool, rng: &mut Rng) -> f64 {
        let target: f64 = if with_target { 10.0 } else { 0.0 };
        let counted = if correct { target.clamp(-1.0, 1.0) } else { target };
        counted + self.noise(rng)
    }

    /// The sum of all releases. The target adds 1 to each.
    fn iterated(self, with_target: bool, correct: bool, rng: &mut Rng) -> f64 {
        let iterations = if correct { Self::ITERATIONS } else { Self::ITERATIONS + 1 };
        let sum = f64::from(u8::from(with_target));
        (0..iterations).map(|_| sum + self.noise(rng)).sum()
    }

    /// The mean over a Poisson sample of the others, all 1, and the target, −1.
    fn averaged(self, with_target: bool, correct: bool, rng: &mut Rng) -> f64 {
        let mut joins = || rng.random::<f64>() < Self::RATE;
        let others = (0..OTHERS).filter(|_| joins()).count() as f64;
        let target = if with_target && joins() { 1.0 } else { 0.0 };
        let denominator = if correct { Self::expected() } else { (others + target).max(1.0) };
        (others - target) / denominator + self.noise(rng) / Self::expected()
    }

    /// A lower bound on ε for `delta`, with 95 % confidence, from `runs` runs with and `runs` runs without the target; half of them choose
    /// the test, the other half count.
    ///
    /// # Errors
    /// [`Error::Config`] for fewer than 100 runs or a δ outside (0, 1).
    ///
    /// # Example
    /// ```
    /// use freelunch::{Lab, privacy::museum::Exhibit};
    /// let lab = Lab::new()?.seed(1).quiet();
    /// assert!(Exhibit::RealStart.empirical_epsilon(false, 1_000, 1e-5, &lab)? > 4.0);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn empirical_epsilon(&self, correct: bool, runs: usize, delta: f64, lab: &Lab) -> Result<f64> {
        check_delta(delta)?;
        if runs < 100 {
            return Err(Error::config(format!("{runs} runs"), "expected at least 100; thousands find more"));
        }
        let outputs = |with_target: bool| -> Vec<f64> {
            (0..runs as u64).into_par_iter().map(|run| self.release(with_target, correct, lab, run)).collect()
        };
        Ok(distinguish(&outputs(true), &outputs(false), delta, Selection::Split { share: 0.5 }, lab)?.epsilon)
    }
}

/// All exhibits, as a table in a notebook.
///
/// # Example
/// ```
/// use freelunch::{display::Show, privacy::museum::museum};
/// assert!(museum().figure().to_text().contains("random denominator"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Museum {
    exhibits: Vec<Exhibit>,
}

/// Opens the museum.
#[must_use]
pub fn museum() -> Museum {
    Museum { exhibits: Exhibit::ALL.to_vec() }
}

impl Museum {
    /// What is on show.
    #[must_use]
    pub fn exhibits(&self) -> &[Exhibit] {
        &self.exhibits
    }
}

impl Show for Museum {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["exhibit", "claimed", "what it does", "how it is found", "source"]);
        for exhibit in &self.exhibits {
            let [claimed, actual] = [exhibit.claimed(), exhibit.actual()].map(|event| event.to_string());
            table = table.row([exhibit.name(), &claimed, &actual, exhibit.how_found(), exhibit.source()]);
        }
        table.titled("The bug museum").captioned("Models of ten records; the sources are described as their code reads.").figure()
    }
}

show_inline!(Museum);
