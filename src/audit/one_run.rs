//! The audit of a single run: many canaries, each in or out by its own coin, and guesses about which were in.
//!
//! With m canaries, r guesses of which v are right, q = e^ε/(1 + e^ε) and B ~ Bin(r, q), an (ε, δ)-private mechanism has
//!
//! P[at least v right] ≤ β + 2 m δ α,  β = P[B ≥ v],  α = max over 1 ≤ i ≤ v of P[v > B ≥ v − i]/i,
//!
//! and ε is at least the largest value for which that is below 1 − confidence.
//!
//! 1. Run the mechanism once, each canary included with probability ½, independently of everything else.
//! 2. Guess the canaries with the highest scores in and those with the lowest out; abstain on the others ([`Guesses`]).
//! 3. Count the right guesses, and solve for ε.
//!
//! # What is valid
//! The coins must be independent of each other, and the guesses may use only the output and what is independent of the coins. A
//! [`Game`](crate::attack::Game) puts every record into exactly half of its runs, independently of the other records: **within one
//! run** the coins are independent. Between runs they are not: who counts in how many of the other runs a record was, knows whether it
//! was in this one. An attack with shadow models from the same game could do so, and nothing here can tell whether it does; unless the
//! attack scores the target alone in the same way, the bound says [`Premise::UnrelatedShadows`]. Play the game with
//! [`Coins::Independent`](crate::attack::Coins::Independent), and it holds without that premise, shadow models or not.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! Steinke, Nasr, Jagielski, arXiv 2305.08846; the tighter form of arXiv 2410.22235 is not offered here.
//!
//! # Example
//! ```
//! use freelunch::audit::OneRun;
//! // 1000 canaries, 40 guesses, all right.
//! let epsilon = OneRun::bound(1000, 40, 40, 1e-5, 0.95)?;
//! assert!((epsilon - 2.525033).abs() < 1e-6);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod guesses;

pub use guesses::Guesses;

use super::binomial::Binomial;
use super::{LowerBound, Premise, check_delta_and_confidence, of_model, worlds};
use crate::attack::{Attack, Signals};
use crate::stats::CONFIDENCE;
use crate::{Error, Lab, Result};
use guesses::{Pair, Ranked, grid, halvings};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// The audit of one run.
///
/// # Example
/// ```
/// use freelunch::Lab;
/// use freelunch::audit::{Guesses, OneRun};
/// let (scores, coins): (Vec<f64>, Vec<bool>) = (0..200).map(|i| (f64::from(i), i % 3 == 0 || i > 150)).unzip();
/// let bound = OneRun::new(Guesses::Fixed { members: 40, non_members: 0 }).audit(&scores, &coins, &Lab::new()?.quiet())?;
/// assert_eq!(bound.evidence, "40 of 40 guesses right, 200 canaries");
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OneRun {
    /// On how many canaries guesses are made.
    pub guesses: Guesses,
    /// δ in [0, 1).
    pub delta: f64,
    /// Probability that the bound is right, in (0, 1); 0.95 in the literature.
    pub confidence: f64,
}

impl OneRun {
    /// With δ = 1e-5 and 95 % confidence.
    #[must_use]
    pub fn new(guesses: Guesses) -> Self {
        Self { guesses, delta: crate::privacy::DELTA, confidence: CONFIDENCE }
    }

    /// The same with another δ; 0 for pure differential privacy.
    #[must_use]
    pub fn with_delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// The same with another confidence.
    #[must_use]
    pub fn with_confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// How likely `correct` right guesses are at most under (`epsilon`, `delta`)-differential privacy: min(1, β + 2 m δ α).
    ///
    /// # Errors
    /// [`Error::Config`] for more guesses than canaries, more right ones than guesses, no guess, or an ε or δ out of its range.
    ///
    /// # Example
    /// ```
    /// let p = freelunch::audit::OneRun::p_value(1000, 200, 150, 1e-5, 1.0)?;
    /// assert!((p - 0.3044225).abs() < 1e-6);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn p_value(canaries: usize, guesses: usize, correct: usize, delta: f64, epsilon: f64) -> Result<f64> {
        check_counts(canaries, guesses, correct)?;
        check_delta_and_confidence(delta, CONFIDENCE)?;
        if !epsilon.is_finite() || epsilon < 0.0 {
            return Err(Error::config(format!("epsilon is {epsilon}"), "expected a finite number of at least 0"));
        }
        Ok(p_value(canaries, guesses, correct, delta, epsilon))
    }

    /// The bound of guesses whose number was fixed in advance.
    ///
    /// # Errors
    /// As [`OneRun::p_value`], and for a confidence out of its range.
    pub fn bound(canaries: usize, guesses: usize, correct: usize, delta: f64, confidence: f64) -> Result<f64> {
        check_counts(canaries, guesses, correct)?;
        check_delta_and_confidence(delta, confidence)?;
        Ok(bound(canaries, guesses, correct, delta, confidence))
    }

    /// The bound from the canaries' scores, high for members, and their coins. Equal scores rank in the order given, which must not depend
    /// on the coins.
    ///
    /// # Errors
    /// [`Error::Config`] without members or non-members, for a score that is not finite, lengths that differ, more guesses than
    /// canaries, or a setting out of its range.
    pub fn audit(&self, scores: &[f64], coins: &[bool], lab: &Lab) -> Result<LowerBound> {
        check_delta_and_confidence(self.delta, self.confidence)?;
        worlds(scores, coins)?;
        let trials: Vec<(f64, bool)> = scores.iter().copied().zip(coins.iter().copied()).collect();
        match self.guesses {
            Guesses::Fixed { members, non_members } => self.strongest(&Ranked::of(trials), &[Pair { members, non_members }]),
            Guesses::Bonferroni { candidates: 0 } => Err(Error::config("0 candidates", "expected at least 1, such as 10")),
            Guesses::Bonferroni { candidates } => self.strongest(&Ranked::of(trials), &halvings(scores.len(), candidates)),
            Guesses::Split { share } if !(share > 0.0 && share < 1.0) => {
                Err(Error::config(format!("share is {share}"), "expected a number between 0 and 1, such as 0.5"))
            }
            Guesses::Split { share } => self.split(trials, share, lab),
        }
    }

    /// The bound from one run of a game: its canaries, or all records where none was marked.
    ///
    /// # Errors
    /// As [`OneRun::audit`], and what the attack answers.
    pub fn of_model(&self, signals: &Signals, attack: &dyn Attack, target: usize, lab: &Lab) -> Result<LowerBound> {
        let (scores, coins) = of_model(signals, attack, target)?;
        let bound = self.audit(&scores, &coins, lab)?;
        let reads_shadows = || of_model(&signals.keep_models(&[target])?, attack, 0).map(|(alone, _)| alone != scores);
        // Who cannot be asked alone needs shadows.
        let related = !signals.manifest().independent_coins() && reads_shadows().unwrap_or(true);
        Ok(LowerBound { premise: related.then_some(Premise::UnrelatedShadows), ..bound })
    }

    fn split(&self, mut trials: Vec<(f64, bool)>, share: f64, lab: &Lab) -> Result<LowerBound> {
        let all = trials.len();
        let chosen = (share * all as f64).round() as usize;
        if chosen == 0 || chosen == all {
            let what = format!("a share of {share} of {all} canaries leaves nothing on one side");
            return Err(Error::config(what, "use more canaries or choose another share"));
        }
        trials.shuffle(&mut lab.rng("one-run audit split", 0));
        let (counting, choosing) = (Ranked::of(trials.split_off(chosen)), Ranked::of(trials));
        let m = counting.coins.len();
        let projected = |count: usize| count * m / chosen;
        let mut best = (Pair { members: m / 4, non_members: m / 4 }, 0.0);
        for pair in grid(chosen) {
            let to = Pair { members: projected(pair.members), non_members: projected(pair.non_members) };
            let (guesses, asked) = (to.members + to.non_members, pair.members + pair.non_members);
            // As many right guesses as there would be among those that will count.
            let right = choosing.right(pair) * guesses / asked;
            let found = if guesses == 0 { 0.0 } else { bound(m, guesses, right, self.delta, self.confidence) };
            if found > best.1 {
                best = (to, found);
            }
        }
        self.strongest(&counting, &[best.0])
    }

    /// The best of pairs whose bounds all hold together.
    fn strongest(&self, ranked: &Ranked, pairs: &[Pair]) -> Result<LowerBound> {
        let canaries = ranked.coins.len();
        let confidence = 1.0 - (1.0 - self.confidence) / pairs.len().max(1) as f64;
        let mut best = (0.0, String::new());
        for &pair in pairs {
            let guesses = pair.members.saturating_add(pair.non_members);
            check_counts(canaries, guesses, 0)?;
            let right = ranked.right(pair);
            let found = bound(canaries, guesses, right, self.delta, confidence);
            if found > best.0 || best.1.is_empty() {
                best = (found, format!("{right} of {guesses} guesses right, {canaries} canaries"));
            }
        }
        let (epsilon, evidence) = best;
        let (delta, confidence, method) = (self.delta, self.confidence, "one run".to_string());
        Ok(LowerBound { epsilon, delta, confidence, method, evidence, trials: canaries, threshold: None, direction: None, premise: None })
    }
}

fn check_counts(canaries: usize, guesses: usize, correct: usize) -> Result<()> {
    if guesses == 0 || guesses > canaries {
        return Err(Error::config(format!("{guesses} guesses on {canaries} canaries"), "expected at least one and at most one for each"));
    }
    if correct > guesses {
        return Err(Error::config(format!("{correct} of {guesses} guesses right"), "expected no more than were made"));
    }
    Ok(())
}

fn p_value(canaries: usize, guesses: usize, correct: usize, delta: f64, epsilon: f64) -> f64 {
    let right = Binomial::new(guesses, epsilon);
    let alpha = if delta > 0.0 { right.largest_mean_below(correct) } else { 0.0 };
    (right.at_least(correct) + 2.0 * canaries as f64 * delta * alpha).min(1.0)
}

fn bound(canaries: usize, guesses: usize, correct: usize, delta: f64, confidence: f64) -> f64 {
    // q^r ≥ 1 − confidence ends every search near ln(r/(1 − confidence)); 128 is beyond all numbers of guesses.
    const FAR: f64 = 128.0;
    let unlikely = |epsilon: f64| p_value(canaries, guesses, correct, delta, epsilon) < 1.0 - confidence;
    if !unlikely(0.0) {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while high < FAR && unlikely(high) {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-10 {
        let middle = 0.5 * (low + high);
        if unlikely(middle) { low = middle } else { high = middle }
    }
    low
}
