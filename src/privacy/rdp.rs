//! Rényi differential privacy: the accountant of most papers, quick, and always an upper bound.
//!
//! A mechanism with Rényi divergence at most R(α) at order α > 1 has, for every δ,
//! ε ≤ R(α) + ln(1 − 1/α) − ln(δα) / (α − 1), and the smallest of these over a list of orders is taken.
//!
//! 1. Every release gives a curve: α / 2σ² for the Gaussian mechanism, ln A(α) / (α − 1) for the Poisson-sampled one.
//! 2. Curves of events after each other are added, repetitions multiply; of disjoint parts the pointwise maximum counts, because one
//!    record is in one part only.
//! 3. The curve is turned into ε at the order that gives the least.
//!
//! Under [`Adjacency::ReplaceOne`] a record leaves and another one comes: the Gaussian mechanism has twice the sensitivity, and
//! disjoint parts cost the most expensive of "both in one part" and "one leaves a part, one joins another". No bound for the
//! Poisson-sampled Gaussian under this relation is implemented here: [`Pld`](super::Pld) counts it.
//!
//! # Privacy
//! None of its own: it reads an [`Event`], no record.
//!
//! # References
//! Mironov, arXiv:1702.07476; Mironov, Talwar, Zhang, arXiv:1908.10530 (sampled Gaussian); Canonne, Kamath, Steinke, arXiv:2004.00010
//! and Balle et al., arXiv:1905.09982 (conversion).
//!
//! # Example
//! ```
//! use freelunch::privacy::{Accountant, Event, Rdp};
//! let training = Event::gaussian(1.5)?.poisson(0.04)?.repeat(2250);
//! assert_eq!(Rdp::new().epsilon(&training, 1e-5)?.to_string(), "ε ≤ 7.329 (δ = 1e-5, add-or-remove-one, RDP)");
//! # Ok::<(), freelunch::Error>(())
//! ```

mod curve;
mod sampled;

use super::{Accountant, Adjacency, Epsilon, Event, Kind, check_delta, trivial};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The smallest order.
const NEAREST: f64 = 1.0 + 1e-6;

/// How a Rényi curve becomes an ε.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, Conversion, Event, Rdp};
/// let event = Event::gaussian(1.0)?;
/// let (new, old) = (Rdp::new(), Rdp::new().with_conversion(Conversion::Classic));
/// assert!(new.epsilon(&event, 1e-5)?.value < old.epsilon(&event, 1e-5)?.value);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Conversion {
    /// ε = R(α) + ln(1 − 1/α) − ln(δα) / (α − 1) (arXiv:2004.00010, Proposition 12), what Opacus and dp_accounting use today.
    #[default]
    Improved,
    /// ε = R(α) − ln δ / (α − 1) (arXiv:1702.07476, Proposition 3): what papers before 2020 report, up to half as large again.
    Classic,
}

/// The Rényi accountant.
///
/// # Example
/// ```
/// use freelunch::privacy::{Accountant, Adjacency, Event, Rdp};
/// let one = Rdp::new().epsilon(&Event::gaussian(2.0)?, 1e-5)?;
/// let two = Rdp::new().with_adjacency(Adjacency::ReplaceOne).epsilon(&Event::gaussian(2.0)?, 1e-5)?;
/// assert!(two.value > 2.0 * one.value);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rdp {
    /// The orders α that are tried, at least 1.000001.
    pub orders: Vec<f64>,
    /// How the curve becomes an ε.
    pub conversion: Conversion,
    /// The neighbouring relation.
    pub adjacency: Adjacency,
}

impl Default for Rdp {
    fn default() -> Self {
        Self::new()
    }
}

impl Rdp {
    /// Orders 1.01 to 1.09, 1.1 to 10.9 in tenths, 11 to 63, and on to 16384 for releases with much noise; add-or-remove-one.
    #[must_use]
    pub fn new() -> Self {
        let near = (1..10).map(|i| 1.0 + f64::from(i) / 100.0);
        let tenths = (1..100).map(|i| 1.0 + f64::from(i) / 10.0);
        let far = [64, 72, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024, 1536, 2048, 4096, 8192, 16384];
        let orders = near.chain(tenths).chain((11..64).map(f64::from)).chain(far.map(f64::from)).collect();
        Self { orders, conversion: Conversion::Improved, adjacency: Adjacency::AddOrRemoveOne }
    }

    /// Other orders, to reproduce another program's value.
    #[must_use]
    pub fn with_orders(mut self, orders: impl Into<Vec<f64>>) -> Self {
        self.orders = orders.into();
        self
    }

    /// Another conversion.
    #[must_use]
    pub fn with_conversion(mut self, conversion: Conversion) -> Self {
        self.conversion = conversion;
        self
    }

    /// Another neighbouring relation.
    #[must_use]
    pub fn with_adjacency(mut self, adjacency: Adjacency) -> Self {
        self.adjacency = adjacency;
        self
    }

    fn check(&self) -> Result<()> {
        if self.orders.is_empty() {
            return Err(Error::config("orders is empty", "expected at least one order above 1"));
        }
        // Next to 1 the curve of a sample is a quotient of two numbers of which nothing is left but rounding.
        match self.orders.iter().find(|order| !(**order >= NEAREST && order.is_finite())) {
            Some(bad) => Err(Error::config(format!("orders contains {bad}"), "expected finite numbers of at least 1.000001")),
            None => Ok(()),
        }
    }

    /// The Rényi curve of an event: pairs (α, R(α)); R is infinite where nothing bounds it.
    ///
    /// # Errors
    /// [`Error::Config`] for orders that are not at least 1.000001, and for an event that this accountant cannot count.
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, Rdp};
    /// let curve = Rdp::new().with_orders([2.0, 8.0]).curve(&Event::gaussian(1.0)?)?;
    /// assert_eq!(curve, [(2.0, 1.0), (8.0, 4.0)]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn curve(&self, event: &Event) -> Result<Vec<(f64, f64)>> {
        self.check()?;
        event.check()?;
        let curve = curve::of(event, &self.orders, self.adjacency)?;
        Ok(self.orders.iter().copied().zip(curve).collect())
    }

    /// The order whose ε is the smallest: where it is the first or the last one, other orders may give less.
    ///
    /// # Errors
    /// As [`Accountant::epsilon`].
    ///
    /// # Example
    /// ```
    /// use freelunch::privacy::{Event, Rdp};
    /// assert_eq!(Rdp::new().optimal_order(&Event::gaussian(1.0)?, 1e-5)?, 5.4);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn optimal_order(&self, event: &Event, delta: f64) -> Result<f64> {
        check_delta(delta)?;
        Ok(self.best(&self.curve(event)?, delta).0)
    }

    /// The order with the smallest ε, and this ε.
    fn best(&self, curve: &[(f64, f64)], delta: f64) -> (f64, f64) {
        let mut best = (curve[0].0, f64::INFINITY);
        for &(order, rdp) in curve {
            let epsilon = self.convert(order, rdp, delta);
            if epsilon < best.1 {
                best = (order, epsilon);
            }
        }
        best
    }

    fn convert(&self, order: f64, rdp: f64, delta: f64) -> f64 {
        let epsilon = match self.conversion {
            Conversion::Classic => rdp - delta.ln() / (order - 1.0),
            // R(α) is at least the Kullback-Leibler divergence, so √(1 − e^-R) bounds the total variation, which is δ at ε = 0.
            Conversion::Improved if delta * delta + libm::expm1(-rdp) > 0.0 => 0.0,
            Conversion::Improved => rdp + libm::log1p(-1.0 / order) - (delta * order).ln() / (order - 1.0),
        };
        // Not `max` alone, which would make 0 of what is not a number.
        if epsilon.is_finite() { epsilon.max(0.0) } else { f64::INFINITY }
    }
}

impl Accountant for Rdp {
    fn name(&self) -> String {
        match self.conversion {
            Conversion::Improved => "RDP".to_string(),
            Conversion::Classic => "RDP, classic conversion".to_string(),
        }
    }

    fn adjacency(&self) -> Adjacency {
        self.adjacency
    }

    fn epsilon(&self, event: &Event, delta: f64) -> Result<Epsilon> {
        check_delta(delta)?;
        self.check()?;
        let value = if *event == Event::NoOp || event.is_non_private() { trivial(event) } else { self.best(&self.curve(event)?, delta).1 };
        Ok(Epsilon { value, delta, adjacency: self.adjacency, accountant: self.name(), kind: Kind::UpperBound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::golden;

    fn opacus() -> Rdp {
        Rdp::new().with_orders((1..100).map(|i| 1.0 + f64::from(i) / 10.0).chain((12..64).map(f64::from)).collect::<Vec<_>>())
    }

    #[test]
    fn curves_of_one_step_match_forty_digit_quadrature() {
        for row in golden::rows("rdp_orders.csv") {
            let number = |name: &str| row.number(name).unwrap();
            let event = golden::sampled(number("q"), number("sigma"), 1);
            let found = Rdp::new().with_orders([number("alpha")]).curve(&event).unwrap()[0].1;
            let gold = number("rdp_per_step_exact_mpmath40");
            // The file has 15 digits, the trapezoidal rule is meant for 1e-12.
            assert!((found / gold - 1.0).abs() < 1e-10, "{event} {}: {found:e} for {gold:e}", number("alpha"));
        }
    }

    #[test]
    fn epsilon_matches_opacus_in_every_golden_row() {
        for row in golden::accounting() {
            let (event, number) = (golden::event(&row), |name: &str| row.number(name).unwrap());
            let found = opacus().epsilon(&event, number("delta")).unwrap().value;
            // The file has eight decimals; its curves are alternating series that stop at 1e-13 per step.
            let classic = opacus().with_conversion(Conversion::Classic).epsilon(&event, number("delta")).unwrap().value;
            let (gold, gold_classic) = (number("eps_rdp_opacus"), number("eps_rdp_mironov_classic"));
            assert!((found / gold - 1.0).abs() < 1e-6, "{}: {found} for {gold}", row.text("id"));
            assert!((classic / gold_classic - 1.0).abs() < 1e-6, "{}: {classic} for {gold_classic}", row.text("id"));
            let best = opacus().optimal_order(&event, number("delta")).unwrap();
            assert!((best - number("order_opacus")).abs() < 1e-9, "{}: order {best}", row.text("id"));
            for order in [1.5, 2.0, 8.0, 32.0] {
                let total = Rdp::new().with_orders([order]).curve(&event).unwrap()[0].1;
                let gold = number(&format!("rdp_total_alpha{order}"));
                assert!((total / gold - 1.0).abs() < 1e-6, "{} {order}: {total} for {gold}", row.text("id"));
            }
        }
    }

    #[test]
    fn different_releases_add_up_as_in_opacus() {
        let first = golden::sampled(0.01, 1.0, 1000).and(golden::sampled(0.02, 2.0, 500));
        let second = Event::gaussian(8.0).unwrap().and(golden::sampled(0.01, 1.2, 2000));
        for (event, gold) in [(first, 2.328_314_72), (second, 2.117_217_67)] {
            let found = opacus().epsilon(&event, 1e-5).unwrap().value;
            assert!((found - gold).abs() < 2e-6, "{found} for {gold}");
        }
    }

    #[test]
    fn values_of_the_unit_tests_of_dp_accounting() {
        let event = golden::sampled(0.01, 2.5, 50);
        // Orders 1.5 and 2.5 by 40-digit quadrature: there the file has 6.7058e-4 and 1.085487e-3, a series that stops too early.
        let known =
            [(1.5, 6.500_708_971_9e-4), (2.5, 1.085_418_056_9e-3), (5.0, 2.180_756_56e-3), (50.0, 2.384_603_75e-2), (100.0, 167.416_308)];
        for (order, gold) in known {
            let found = Rdp::new().with_orders([order]).curve(&event).unwrap()[0].1;
            assert!((found / gold - 1.0).abs() < 1e-8, "{order}: {found} for {gold}");
        }
        // A constant curve of 1.1 at orders 2 to 32.
        let curve: Vec<(f64, f64)> = (2..33).map(|order| (f64::from(order), 1.1)).collect();
        let (order, epsilon) = Rdp::new().best(&curve, 1e-5);
        assert!(order == 32.0 && (epsilon - 1.327_838_061_76).abs() < 1e-11);
    }

    #[test]
    fn disjoint_parts_cost_the_largest_and_an_exchange_the_worst_of_one_part_and_two() {
        let parts = |a: f64, b: f64| Event::parallel(vec![Event::gaussian(a).unwrap(), Event::gaussian(b).unwrap()]);
        let at_two = |rdp: Rdp, event: &Event| rdp.with_orders([2.0]).curve(event).unwrap()[0].1;
        let exchange = Rdp::new().with_adjacency(Adjacency::ReplaceOne);
        assert_eq!(at_two(Rdp::new(), &parts(1.0, 2.0)), 1.0);
        assert_eq!(at_two(exchange.clone(), &parts(1.0, 2.0)), 4.0);
        // Within one part 4, across both 1 + 1; a repetition that meets another part each time must not come out cheaper.
        assert_eq!(at_two(exchange.clone(), &parts(1.0, 1.0).repeat(3)), 12.0);
        let error = exchange.epsilon(&golden::sampled(0.1, 1.0, 5), 1e-5).unwrap_err().to_string();
        assert!(error.contains("Pld") && error.contains("replace-one"), "{error}");
    }

    #[test]
    fn wrong_orders_are_refused_and_extreme_noise_stays_finite_or_infinite() {
        let event = golden::sampled(0.1, 1.0, 5);
        assert!(Rdp::new().with_orders([1.0]).epsilon(&event, 1e-5).unwrap_err().to_string().contains("orders contains 1:"));
        assert!(Rdp::new().with_orders([]).epsilon(&event, 1e-5).is_err());
        for sigma in [0.01, 0.05, 0.1, 0.3, 1e3, 1e6] {
            let found = Rdp::new().epsilon(&golden::sampled(0.1, sigma, 10), 1e-5).unwrap().value;
            assert!(found >= 0.0, "{sigma}: {found}");
        }
    }

    #[test]
    fn what_is_not_a_number_is_infinite_and_never_zero() {
        for conversion in [Conversion::Improved, Conversion::Classic] {
            let rdp = Rdp::new().with_conversion(conversion);
            assert_eq!(rdp.convert(2.0, f64::NAN, 1e-5), f64::INFINITY);
            assert_eq!(rdp.convert(2.0, f64::INFINITY, 1e-5), f64::INFINITY);
        }
        assert_eq!(sampled::log_one_and(&[f64::NAN, f64::NAN]), f64::INFINITY);
        assert_eq!(curve::bounded(f64::NAN), f64::INFINITY);
    }

    #[test]
    fn orders_next_to_one_are_refused() {
        let event = golden::sampled(0.1, 1.0, 5);
        for order in [1.0 + 1e-15, 1.0 + 1e-9, f64::NAN] {
            assert!(Rdp::new().with_orders([order]).epsilon(&event, 1e-5).is_err(), "{order}");
        }
        // R rises with α: just above the smallest order it must still be a divergence, neither 0 nor above that of order 1.1.
        let curve = Rdp::new().with_orders([1.000_002, 1.1]).curve(&event).unwrap();
        assert!(curve[0].1 > 0.0 && curve[0].1 <= curve[1].1, "{curve:?}");
    }
}
