//! ε as a function of one quantity: curves of several accountants side by side.
//!
//! # Example
//! ```
//! use freelunch::privacy::{AccountantKind, EpsilonCurve};
//! let curve = EpsilonCurve::over_steps(&[100, 200, 400], 1.0, 0.01, 1e-5)?;
//! let pld = curve.of(AccountantKind::Pld);
//! assert!(pld[0].1 < pld[2].1);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{AccountantKind, Epsilon, Event, Kind};
use crate::display::number::significant;
use crate::display::{Figure, Plot, Show, show_inline};
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// ε of several accountants for several values of one quantity. Displays as a figure; the central limit is dashed in words: it is no bound.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct EpsilonCurve {
    quantity: String,
    log: bool,
    fixed: String,
    rows: Vec<Row>,
}

/// One ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The quantity's value.
    pub at: f64,
    /// Who counted.
    pub accountant: AccountantKind,
    /// What was counted; none where the accountant cannot count the event.
    pub epsilon: Option<Epsilon>,
}

impl EpsilonCurve {
    const KINDS: [AccountantKind; 3] = [AccountantKind::Pld, AccountantKind::Rdp, AccountantKind::CentralLimit];

    /// ε after each number of steps of DP-SGD with noise multiplier `sigma` at sampling rate `rate`.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty list or a value out of its range.
    pub fn over_steps(steps: &[u64], sigma: f64, rate: f64, delta: f64) -> Result<Self> {
        let step = Event::gaussian(sigma)?.poisson(rate)?;
        let points = steps.iter().map(|&t| (t as f64, step.clone().repeat(t), delta)).collect();
        Self::new("steps", false, format!("σ = {}, q = {}, δ = {delta:e}", significant(sigma, 4), significant(rate, 4)), points)
    }

    /// ε for each noise multiplier of `steps` steps of DP-SGD at sampling rate `rate`.
    ///
    /// # Errors
    /// As [`EpsilonCurve::over_steps`].
    pub fn over_sigma(sigmas: &[f64], rate: f64, steps: u64, delta: f64) -> Result<Self> {
        let point = |&sigma: &f64| Ok((sigma, Event::gaussian(sigma)?.poisson(rate)?.repeat(steps), delta));
        let points: Result<_> = sigmas.iter().map(point).collect();
        Self::new("noise multiplier σ", false, format!("q = {}, {steps} steps, δ = {delta:e}", significant(rate, 4)), points?)
    }

    /// ε of one event for each δ.
    ///
    /// # Errors
    /// As [`EpsilonCurve::over_steps`].
    pub fn over_delta(event: &Event, deltas: &[f64]) -> Result<Self> {
        let points = deltas.iter().map(|&delta| (delta, event.clone(), delta)).collect();
        Self::new("δ", true, event.to_string(), points)
    }

    fn new(quantity: &str, log: bool, fixed: String, points: Vec<(f64, Event, f64)>) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::config(format!("no value of {quantity}"), "give at least one"));
        }
        points.iter().try_for_each(|(_, _, delta)| super::check_delta(*delta))?;
        let all: Vec<_> = points.iter().flat_map(|point| Self::KINDS.map(|kind| (kind, point))).collect();
        let rows = all
            .into_par_iter()
            .map(|(accountant, (at, event, delta))| Row { at: *at, accountant, epsilon: accountant.build().epsilon(event, *delta).ok() })
            .collect();
        Ok(Self { quantity: quantity.into(), log, fixed, rows })
    }

    /// All values.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// (value, ε) by one accountant.
    #[must_use]
    pub fn of(&self, accountant: AccountantKind) -> Vec<(f64, f64)> {
        self.rows.iter().filter(|row| row.accountant == accountant).filter_map(|row| Some((row.at, row.epsilon.as_ref()?.value))).collect()
    }

    /// One row per value and accountant: `value`, `accountant`, `epsilon`, `delta`, `adjacency`, `kind`.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let known: Vec<(f64, &Epsilon)> = self.rows.iter().filter_map(|row| Some((row.at, row.epsilon.as_ref()?))).collect();
        let text = |name: &str, of: &dyn Fn(&Epsilon) -> String| {
            Column::new(name.into(), known.iter().map(|(_, epsilon)| of(epsilon)).collect::<Vec<_>>())
        };
        let number = |name: &str, of: &dyn Fn(&(f64, &Epsilon)) -> f64| Column::new(name.into(), known.iter().map(of).collect::<Vec<_>>());
        DataFrame::new(
            known.len(),
            vec![
                number("value", &|row| row.0),
                text("accountant", &|epsilon| epsilon.accountant.clone()),
                number("epsilon", &|row| row.1.value),
                number("delta", &|row| row.1.delta),
                text("adjacency", &|epsilon| epsilon.adjacency.to_string()),
                text("kind", &|epsilon| format!("{:?}", epsilon.kind)),
            ],
        )
        .unwrap_or_default()
    }
}

impl Show for EpsilonCurve {
    fn figure(&self) -> Figure {
        let mut plot = Plot::new(&format!("ε over {}", self.quantity))
            .x_label(&self.quantity)
            .y_label("ε")
            .caption(&format!("{}; add-or-remove-one. The central limit is an approximation that may lie below the truth.", self.fixed));
        if self.log {
            plot = plot.log_x();
        }
        for kind in Self::KINDS {
            let row = self.rows.iter().find_map(|row| (row.accountant == kind).then_some(row.epsilon.as_ref()?));
            if let Some(epsilon) = row {
                let approximate = if epsilon.kind == Kind::Approximation { " (no bound)" } else { "" };
                plot = plot.line(&format!("{}{approximate}", epsilon.accountant), &self.of(kind));
            }
        }
        plot.figure()
    }
}

show_inline!(EpsilonCurve);

impl std::fmt::Debug for EpsilonCurve {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EpsilonCurve(over {}, {} values)", self.quantity, self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_rise_with_steps_and_fall_with_noise_and_delta() {
        let rising = |points: Vec<(f64, f64)>| points.windows(2).all(|pair| pair[0].1 < pair[1].1) && points.len() == 3;
        let steps = EpsilonCurve::over_steps(&[10, 100, 1000], 1.0, 0.01, 1e-5).unwrap();
        let sigma = EpsilonCurve::over_sigma(&[4.0, 2.0, 1.0], 0.01, 100, 1e-5).unwrap();
        let event = Event::gaussian(1.0).unwrap().poisson(0.01).unwrap().repeat(100);
        let delta = EpsilonCurve::over_delta(&event, &[1e-3, 1e-5, 1e-7]).unwrap();
        for curve in [&steps, &sigma, &delta] {
            assert!(EpsilonCurve::KINDS.iter().all(|&kind| rising(curve.of(kind))), "{curve:?}");
        }
        assert_eq!(steps.frame().height(), 9);
        assert!(steps.figure().to_text().contains("no bound"));
    }

    #[test]
    fn bad_values_are_named() {
        assert!(EpsilonCurve::over_steps(&[], 1.0, 0.01, 1e-5).unwrap_err().to_string().contains("no value of steps"));
        assert!(EpsilonCurve::over_steps(&[10], 0.0, 0.01, 1e-5).is_err());
        assert!(EpsilonCurve::over_sigma(&[1.0], 0.01, 10, 0.0).unwrap_err().to_string().contains("delta is 0"));
    }
}
