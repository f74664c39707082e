//! One axis of ε with what is proven from above, by accountants, and from below, by audits.
//!
//! Where both are right, lower bounds lie left of upper ones, and the true ε between them. A lower bound to the right of an upper
//! one disproves the claim: a bug in the mechanism or its account, or the 5 % in which an audit errs.
//!
//! 1. Name what was audited, with the δ that all bounds share.
//! 2. [`EpsilonAxis::upper`] for each accountant, [`EpsilonAxis::lower`] for each audit.
//! 3. Show it, or [`EpsilonAxis::save`] it.
//!
//! # Privacy
//! None of its own: it shows the results of attacks.
//!
//! # References
//! The figure of Jagielski, Ullman, Oprea, arXiv 2006.07709: proven and audited ε beside each other.
//!
//! # Example
//! ```
//! use freelunch::Lab;
//! use freelunch::audit::{EpsilonAxis, Selection, distinguish};
//! use freelunch::privacy::Event;
//! let lab = Lab::new()?.quiet();
//! let found = distinguish(&[1.0; 200], &[0.0; 200], 1e-5, Selection::Fixed(0.5), &lab)?;
//! let mut axis = EpsilonAxis::new("A mechanism that leaks", 1e-5);
//! axis.upper("as claimed", Event::gaussian(1.0)?.epsilon(1e-5)?)?;
//! axis.lower("as claimed", found.clone())?;
//! axis.upper("as it is", Event::NonPrivate.epsilon(1e-5)?)?;
//! axis.lower("as it is", found)?;
//! assert_eq!(axis.frame().height(), 4);
//! # Ok::<(), freelunch::Error>(())
//! ```

mod figure;

use super::{LowerBound, short};
use crate::display::{Show, show_inline};
use crate::privacy::{Epsilon, Kind};
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Upper and lower bounds of several mechanisms.
///
/// # Example
/// ```
/// use freelunch::audit::EpsilonAxis;
/// let axis = EpsilonAxis::new("nothing yet", 1e-5);
/// assert!(axis.rows().is_empty());
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct EpsilonAxis {
    title: String,
    delta: f64,
    rows: Vec<AxisRow>,
}

/// What is known of one mechanism.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AxisRow {
    /// The mechanism.
    pub name: String,
    /// From above.
    pub upper: Vec<Epsilon>,
    /// From below.
    pub lower: Vec<LowerBound>,
}

impl AxisRow {
    /// The largest lower bound that takes nothing for granted; 0 without one.
    #[must_use]
    pub fn proven(&self) -> f64 {
        self.lower.iter().filter(|bound| bound.premise.is_none()).fold(0.0, |most, bound| bound.epsilon.max(most))
    }

    /// The smallest upper bound that is one; ∞ without one.
    #[must_use]
    pub fn claimed(&self) -> f64 {
        self.upper.iter().filter(|epsilon| epsilon.kind != Kind::Approximation).fold(f64::INFINITY, |least, e| e.value.min(least))
    }

    /// Whether a lower bound that takes nothing for granted lies above an upper one.
    #[must_use]
    pub fn disproved(&self) -> bool {
        self.proven() > self.claimed()
    }
}

impl EpsilonAxis {
    /// An axis without rows, for bounds at this δ.
    #[must_use]
    pub fn new(title: &str, delta: f64) -> Self {
        Self { title: title.to_string(), delta, rows: vec![] }
    }

    /// Adds what an accountant states for the mechanism `name`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for another δ, [`Error::Config`] for an ε that is negative or not a number.
    pub fn upper(&mut self, name: &str, epsilon: Epsilon) -> Result<()> {
        self.check(epsilon.delta, epsilon.value)?;
        self.row(name).upper.push(epsilon);
        Ok(())
    }

    /// Adds what an audit proves of the mechanism `name`.
    ///
    /// # Errors
    /// As [`EpsilonAxis::upper`].
    pub fn lower(&mut self, name: &str, bound: LowerBound) -> Result<()> {
        self.check(bound.delta, bound.epsilon)?;
        self.row(name).lower.push(bound);
        Ok(())
    }

    fn check(&self, delta: f64, epsilon: f64) -> Result<()> {
        if epsilon.is_nan() || epsilon < 0.0 {
            return Err(Error::config(format!("epsilon is {epsilon}"), "expected at least 0"));
        }
        if delta == self.delta {
            return Ok(());
        }
        let what = format!("a bound at δ = {} on an axis at δ = {}", short(delta), short(self.delta));
        Err(Error::mismatch(what, "bounds compare at the same δ only"))
    }

    fn row(&mut self, name: &str) -> &mut AxisRow {
        let at = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(AxisRow { name: name.to_string(), upper: vec![], lower: vec![] });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }

    /// One for each mechanism, in the order they were named.
    #[must_use]
    pub fn rows(&self) -> &[AxisRow] {
        &self.rows
    }

    /// One row per bound: `mechanism`, `bound` (upper, approximation or lower), `epsilon`, `delta`, `by`, `confidence` (1 for
    /// accountants), `evidence`, `premise`.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let (mut names, mut kinds, mut by, mut evidence, mut premises) = (vec![], vec![], vec![], vec![], vec![]);
        let (mut epsilons, mut confidences) = (vec![], vec![]);
        for row in &self.rows {
            for upper in &row.upper {
                names.push(row.name.clone());
                kinds.push(if upper.kind == Kind::Approximation { "approximation" } else { "upper" });
                epsilons.push(upper.value);
                by.push(upper.accountant.clone());
                confidences.push(1.0);
                evidence.push(format!("{} neighbours", upper.adjacency));
                premises.push(None);
            }
            for lower in &row.lower {
                names.push(row.name.clone());
                kinds.push("lower");
                epsilons.push(lower.epsilon);
                by.push(lower.method.clone());
                confidences.push(lower.confidence);
                evidence.push(lower.evidence.clone());
                premises.push(lower.premise.map(|premise| premise.to_string()));
            }
        }
        let n = names.len();
        let columns = vec![
            Column::new("mechanism".into(), names),
            Column::new("bound".into(), kinds),
            Column::new("epsilon".into(), epsilons),
            Column::new("delta".into(), vec![self.delta; n]),
            Column::new("by".into(), by),
            Column::new("confidence".into(), confidences),
            Column::new("evidence".into(), evidence),
            Column::new("premise".into(), premises),
        ];
        // All columns have one value per bound, so this cannot fail.
        DataFrame::new(n, columns).unwrap_or_default()
    }

    /// Writes `epsilon_axis.csv`, `.svg`, `.png`, `.html` and `epsilon_axis.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "epsilon_axis", "epsilon_axis.json", self.frame(), self, &self.figure())
    }
}

show_inline!(EpsilonAxis);

impl fmt::Debug for EpsilonAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EpsilonAxis({}, {} rows)", self.title, self.rows.len())
    }
}
