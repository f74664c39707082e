//! What a result says and what it does not, on one slide: `roc.explain()` in a cell.
//!
//! Every [`Explanation`] has the same five parts, each short enough to be read aloud:
//!
//! 1. what the numbers of *this* result mean;
//! 2. what they do not mean, which is where most mistakes are made;
//! 3. what would change them;
//! 4. the formula, with no symbol that the text leaves unnamed;
//! 5. where it comes from.
//!
//! An explanation repeats numbers that were measured; it measures nothing. Numbers are rounded to three digits.
//!
//! # Privacy
//! None of its own: it holds what the result holds. Results of attacks are computed from the membership itself.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! let roc = Roc::new(&[0.9, 0.8, 0.7, 0.1], &[true, false, true, false])?.named("guess");
//! let explanation = roc.explain();
//! assert!(explanation.means().contains("probability 0.75"));
//! assert!(explanation.does_not_mean().contains("not \"private\""));
//! # Ok::<(), freelunch::Error>(())
//! ```

mod attacks;
mod bounds;
mod budgets;
mod curves;
mod federated;
mod gan;
mod gradients;
mod inversion;
mod linear;
mod models;
mod releases;
mod reports;
mod service;
mod statistics;
#[cfg(test)]
mod tests;

use crate::display::number::significant;
use crate::display::{Figure, Show, show_inline};
use crate::privacy::{Event, stated};
use crate::stats::Rate;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A result that can say in words what it means.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// let rate = Rate::new(25, 300)?;
/// assert!(rate.explain().means().starts_with("25 of 300 trials"));
/// # Ok::<(), freelunch::Error>(())
/// ```
pub trait Explain {
    /// What this result means, with its own numbers, what it does not mean, and what would change it. Never fails.
    fn explain(&self) -> Explanation;
}

/// A result in words. Shows itself as one slide of text.
///
/// # Example
/// ```
/// use freelunch::prelude::*;
/// let set = Herding::new(2).synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
/// let explanation = set.explain();
/// assert!(explanation.means().contains("ε = ∞"));
/// assert!(explanation.to_string().contains("It does not mean: "));
/// assert!(explanation.references().iter().any(|reference| reference.contains("arXiv 2209.14987")));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    title: String,
    means: String,
    does_not_mean: String,
    would_change: String,
    formula: String,
    references: Vec<String>,
}

impl Explanation {
    /// What is explained.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What the result means, with its numbers.
    #[must_use]
    pub fn means(&self) -> &str {
        &self.means
    }

    /// What must not be read into it.
    #[must_use]
    pub fn does_not_mean(&self) -> &str {
        &self.does_not_mean
    }

    /// What would make it another result.
    #[must_use]
    pub fn would_change(&self) -> &str {
        &self.would_change
    }

    /// How it is computed.
    #[must_use]
    pub fn formula(&self) -> &str {
        &self.formula
    }

    /// Where that comes from: authors, year, arXiv number.
    #[must_use]
    pub fn references(&self) -> &[String] {
        &self.references
    }

    /// The parts with their headings, in the order in which they are read.
    fn parts(&self) -> [(&'static str, String); 5] {
        [
            ("It means", self.means.clone()),
            ("It does not mean", self.does_not_mean.clone()),
            ("What would change it", self.would_change.clone()),
            ("Formula", self.formula.clone()),
            ("References", self.references.join("; ")),
        ]
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        self.parts().iter().try_for_each(|(heading, text)| write!(f, "\n{heading}: {text}"))
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length: usize = self.parts().iter().map(|(_, text)| text.chars().count()).sum();
        write!(f, "Explanation({}, {length} characters)", self.title)
    }
}

impl Show for Explanation {
    fn figure(&self) -> Figure {
        Figure::column(self.parts().map(|(heading, text)| Figure::text(text).titled(heading))).titled(&self.title)
    }
}

show_inline!(Explanation);

/// The definition that most explanations of a guarantee need.
const DEFINITION: &str = "P[M(D) ∈ A] ≤ e^ε · P[M(D′) ∈ A] + δ for every A and every D, D′ that differ by one record";
const DWORK: &str = "Dwork, McSherry, Nissim, Smith, TCC 2006";
const LIRA: &str = "Carlini et al. 2022, arXiv 2112.03570";
const CRITIQUE: &str = "Carlini, Feldman, Nasr 2022, arXiv 2209.14987";

fn texts(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|&part| part.to_string()).collect()
}

/// Three digits; a value that does not exist is called that.
fn number(value: f64) -> String {
    if value.is_nan() { "undefined".to_string() } else { significant(value, 3) }
}

fn percent(share: f64) -> String {
    format!("{} %", number(100.0 * share))
}

/// "8.33 % (25 of 300)".
fn share(rate: &Rate) -> String {
    if rate.of == 0 { "nothing (0 of 0)".to_string() } else { format!("{} ({} of {})", percent(rate.value()), rate.hits, rate.of) }
}

/// "3 rows", "1 row", "4 classes".
fn count(n: usize, one: &str) -> String {
    let ending = if one.ends_with(['s', 'h']) { "es" } else { "s" };
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}{ending}") }
}

/// A name that somebody else chose must not push the numbers off the slide.
fn short(name: &str) -> String {
    const MOST: usize = 28;
    if name.chars().count() <= MOST {
        return name.to_string();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}

/// What was proven of a release: nothing, everything, or an ε at a δ.
fn promise(event: &Event) -> String {
    match event.epsilon(crate::privacy::DELTA) {
        Ok(epsilon) if epsilon.value == f64::INFINITY => "ε = ∞, no guarantee at all".to_string(),
        Ok(_) => stated(event),
        Err(_) => "an event whose ε no accountant here can count, so treat it as ε = ∞".to_string(),
    }
}

/// The entry with the largest value; of equal ones the first. Values that do not exist are passed over.
fn most<T>(entries: impl IntoIterator<Item = T>, value: impl Fn(&T) -> f64) -> Option<T> {
    let larger = |best: Option<T>, entry: T| match best {
        Some(best) if value(&best) >= value(&entry) => Some(best),
        _ => Some(entry),
    };
    entries.into_iter().filter(|entry| !value(entry).is_nan()).fold(None, larger)
}
