//! One axis: its scale, its limits and the numbers along it.

use crate::display::number::{power_of_ten, significant};
use crate::{Error, Result};

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Linear,
    Log,
}

/// A scale with limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// The least distance of its numbers: 1 between values that are all whole, such as counts.
    least: f64,
}

/// A mark on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Between 0 at the lower limit and 1 at the upper.
    pub(super) at: f64,
    /// Empty for a grid line without a number.
    pub(super) label: String,
}

impl Axis {
    /// An axis with the limits asked for, else with limits that hold all finite values (on a log scale: all positive ones).
    pub(super) fn new(name: &str, scale: Scale, range: Option<(f64, f64)>, values: &[f64]) -> Result<Self> {
        let Some((low, high)) = range else {
            return Ok(Self::around(scale, values));
        };
        let ordered = low.is_finite() && high.is_finite() && low < high;
        if !ordered || (scale == Scale::Log && low <= 0.0) {
            let expected = if scale == Scale::Log { "0 < lower < upper on a log axis" } else { "lower < upper, both finite" };
            return Err(Error::config(format!("{name}_range is {low}..{high}"), format!("expected {expected}")));
        }
        Ok(Self { scale, low, high, least: least(values) })
    }

    fn around(scale: Scale, values: &[f64]) -> Self {
        let usable = values.iter().copied().filter(|v| v.is_finite() && (scale == Scale::Linear || *v > 0.0));
        let (low, high) = usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let (low, high) = match scale {
            Scale::Linear if low > high => (0.0, 1.0),
            Scale::Linear if low == high => (low - 0.5 * low.abs().max(1e-9), high + 0.5 * high.abs().max(1e-9)),
            Scale::Linear => (low - 0.04 * (high - low), high + 0.04 * (high - low)),
            Scale::Log if low > high => (0.1, 1.0),
            Scale::Log if low == high => (low / 3.0, high * 3.0),
            Scale::Log => (low * (low / high).powf(0.04), high * (high / low).powf(0.04)),
        };
        Self { scale, low, high, least: least(values) }
    }

    /// Where a value lies: 0 at the lower limit, 1 at the upper. Zero and below lie on the lower limit of a log axis.
    pub(super) fn at(&self, value: f64) -> f64 {
        const FAR: f64 = 1e6; // keeps infinite values finite, so that lines to them can be clipped
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value <= 0.0 => 0.0,
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        place.clamp(-FAR, FAR)
    }

    /// The value at a place between 0 and 1.
    pub(super) fn value(&self, at: f64) -> f64 {
        match self.scale {
            Scale::Linear => self.low + at * (self.high - self.low),
            Scale::Log => self.low * (at * (self.high / self.low).ln()).exp(),
        }
    }

    /// Round values along the axis, at most about `most` of them with numbers.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        let ticks = match self.scale {
            Scale::Linear => self.linear_ticks(most.max(2)),
            Scale::Log => self.log_ticks(most.max(2)),
        };
        ticks.into_iter().filter(|tick| (-1e-9..=1.0 + 1e-9).contains(&tick.at)).collect()
    }

    fn linear_ticks(&self, most: usize) -> Vec<Tick> {
        let raw = (self.high - self.low) / most as f64;
        let decade = 10f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * decade).into_iter().find(|step| *step >= 0.8 * raw).unwrap_or(10.0 * decade).max(self.least);
        let (first, last) = ((self.low / step - 1e-9).ceil() as i64, (self.high / step + 1e-9).floor() as i64);
        let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        let largest = self.low.abs().max(self.high.abs());
        let label = |value: f64| {
            if largest >= 1e6 || decimals > 5 { significant(value, 3) } else { format!("{value:.decimals$}") }
        };
        // `+ 0.0` turns a negative zero into a plain one.
        (first..=last).map(|k| k as f64 * step + 0.0).map(|value| Tick { at: self.at(value), label: label(value) }).collect()
    }

    fn log_ticks(&self, most: usize) -> Vec<Tick> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |value: f64| (-1e-9..=1.0 + 1e-9).contains(&self.at(value));
        let decades: Vec<i32> = (first..=last).filter(|&k| inside(10f64.powi(k))).collect();
        if decades.len() < 2 {
            return self.within_a_decade(first, last, most);
        }
        let every = decades.len().div_ceil(most).max(1);
        let plain = decades.iter().all(|k| (-3..=4).contains(k));
        let mut ticks = vec![];
        for k in first..=last {
            let value = 10f64.powi(k);
            // Counted from the upper end: 1 keeps its number when some decades lose theirs.
            let named = inside(value) && ((last - k) as usize).is_multiple_of(every);
            let label = match (named, plain) {
                (false, _) => String::new(),
                (true, true) => significant(value, 1),
                (true, false) => power_of_ten(k),
            };
            ticks.push(Tick { at: self.at(value), label });
            if every == 1 && decades.len() <= 7 {
                ticks.extend((2..10).map(|m| Tick { at: self.at(f64::from(m) * value), label: String::new() }));
            }
        }
        ticks
    }

    fn within_a_decade(&self, first: i32, last: i32, most: usize) -> Vec<Tick> {
        let mut ticks = vec![];
        for k in first..=last {
            for m in 1..10 {
                let value = f64::from(m) * 10f64.powi(k);
                let label = if [1, 2, 5].contains(&m) { significant(value, 2) } else { String::new() };
                ticks.push(Tick { at: self.at(value), label });
            }
        }
        let named = ticks.iter().filter(|tick| (0.0..=1.0).contains(&tick.at) && !tick.label.is_empty()).count();
        if named >= 2 { ticks } else { self.linear_ticks(most) }
    }
}

/// 1 where several whole values say that there is nothing between them, else 0.
fn least(values: &[f64]) -> f64 {
    let whole = values.iter().all(|value| value.fract() == 0.0);
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    f64::from(u8::from(whole && high - low >= 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|tick| tick.label).filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn zero_lies_on_the_lower_limit_of_a_log_axis() {
        let axis = Axis::new("x", Scale::Log, Some((1e-3, 1.0)), &[]).unwrap();
        assert_eq!(axis.at(0.0), 0.0);
        assert!((axis.at(0.1) - 2.0 / 3.0).abs() < 1e-12);
        assert!((axis.value(axis.at(0.02)) - 0.02).abs() < 1e-12);
        assert!(axis.at(1e-5) < 0.0, "a positive value below the limit is outside");
    }

    #[test]
    fn log_numbers_are_decimals_or_powers() {
        let near = Axis::new("x", Scale::Log, Some((1e-3, 1.0)), &[]).unwrap();
        assert_eq!(labels(&near, 8), ["0.001", "0.01", "0.1", "1"]);
        let far = Axis::new("x", Scale::Log, Some((1e-5, 1.0)), &[]).unwrap();
        assert_eq!(labels(&far, 8), ["10⁻⁵", "10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "1"]);
        assert_eq!(labels(&far, 3), ["10⁻⁴", "10⁻²", "1"]);
        let short = Axis::new("x", Scale::Log, Some((0.15, 0.6)), &[]).unwrap();
        assert_eq!(labels(&short, 8), ["0.2", "0.5"]);
    }

    #[test]
    fn linear_numbers_are_round() {
        let axis = Axis::new("y", Scale::Linear, Some((0.0, 1.0)), &[]).unwrap();
        assert_eq!(labels(&axis, 6), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        let counts = Axis::new("y", Scale::Linear, Some((0.0, 3.2)), &[0.0, 3.0]).unwrap();
        assert_eq!(labels(&counts, 8), ["0", "1", "2", "3"]);
        let rates = Axis::new("y", Scale::Linear, Some((0.0, 1.0)), &[0.0, 1.0]).unwrap();
        assert!(labels(&rates, 5).len() > 3, "two whole values may be the ends of rates");
        let epochs = Axis::new("x", Scale::Linear, None, &[1.0, 20.0]).unwrap();
        assert_eq!(labels(&epochs, 5), ["5", "10", "15", "20"]);
        let around = Axis::new("x", Scale::Linear, Some((-1.0, 1.0)), &[]).unwrap();
        assert_eq!(labels(&around, 4), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
    }

    #[test]
    fn limits_hold_all_finite_values() {
        let axis = Axis::new("x", Scale::Linear, None, &[2.0, f64::NAN, 3.0, f64::INFINITY]).unwrap();
        assert!(axis.low < 2.0 && axis.high > 3.0 && axis.high < 4.0);
        let log = Axis::new("x", Scale::Log, None, &[0.0, 0.02, 0.9]).unwrap();
        assert!(log.low < 0.02 && log.low > 0.01 && log.high > 0.9 && log.high < 1.2, "{log:?}");
        assert!(Axis::new("x", Scale::Linear, None, &[]).is_ok());
    }

    #[test]
    fn impossible_limits_are_named() {
        let error = Axis::new("x", Scale::Log, Some((0.0, 1.0)), &[]).unwrap_err().to_string();
        assert!(error.contains("x_range is 0..1") && error.contains("log axis"), "{error}");
        assert!(Axis::new("y", Scale::Linear, Some((1.0, 1.0)), &[]).is_err());
    }
}
