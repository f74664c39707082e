//! One value of a table.

use crate::display::number::significant;
use crate::stats::{Estimate, MeanInterval, Rate};
use std::fmt;

/// A value of a table; made from numbers and text with `Cell::from`.
///
/// # Example
/// ```
/// use freelunch::display::Cell;
/// assert_eq!(Cell::from(0.123456).to_string(), "0.1235");
/// assert_eq!(Cell::from(None::<f64>).to_string(), "");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Nothing.
    Missing,
    /// A whole number, shown with all its digits.
    Whole(i64),
    /// A number, shown with four significant digits.
    Number(f64),
    /// A number with the ends of its interval.
    Interval {
        /// The estimate.
        value: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// How it is shown.
        shown: String,
    },
    /// Text, shown on one line.
    Text(String),
}

impl Cell {
    /// Whether it stands on the right: a number, or text made of numbers such as `0.51 [0.48, 0.54]`.
    pub(super) fn is_number(&self) -> bool {
        match self {
            Self::Missing | Self::Whole(_) | Self::Number(_) | Self::Interval { .. } => true,
            Self::Text(text) => {
                let mut inked = text.chars().filter(|c| !c.is_whitespace()).peekable();
                inked.peek().is_some_and(|c| "0123456789.+-−±∞<≤≥".contains(*c))
                    && inked.all(|c| "0123456789.,+-−±[]()∞%e<≤≥–·×".contains(c))
            }
        }
    }

    /// Text on one line, cut with an ellipsis after `longest` characters.
    pub(super) fn shortened(text: &str, longest: usize) -> String {
        let flat = |c: char| if c.is_control() { ' ' } else { c };
        if text.chars().nth(longest).is_none() {
            return text.chars().map(flat).collect();
        }
        text.chars().take(longest).map(flat).chain(['…']).collect()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => Ok(()),
            Self::Whole(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{}", significant(*value, 4)),
            Self::Interval { shown, .. } => write!(f, "{shown}"),
            Self::Text(text) => write!(f, "{text}"),
        }
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<f32> for Cell {
    fn from(value: f32) -> Self {
        Self::Number(f64::from(value))
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Self {
        Self::Whole(i64::from(value))
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Whole(i64::from(value))
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(value.to_string()), Self::Whole)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<Rate> for Cell {
    fn from(value: Rate) -> Self {
        Self::Interval { value: value.value(), low: value.low, high: value.high, shown: value.to_string() }
    }
}

impl From<Estimate> for Cell {
    fn from(value: Estimate) -> Self {
        Self::Interval { value: value.value, low: value.low, high: value.high, shown: value.to_string() }
    }
}

impl From<MeanInterval> for Cell {
    fn from(value: MeanInterval) -> Self {
        Self::Interval { value: value.mean, low: value.low, high: value.high, shown: value.to_string() }
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_string())
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::Text(value.clone())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_after_so_many_characters() {
        assert_eq!(Cell::shortened(&"x".repeat(30), 30), "x".repeat(30));
        assert_eq!(Cell::shortened(&"é".repeat(31), 30), "é".repeat(30) + "…");
        assert_eq!(Cell::shortened("a\nb", 30), "a b");
    }

    #[test]
    fn intervals_count_as_numbers() {
        assert!(Cell::from("0.51 [0.48, 0.54]").is_number() && Cell::from("0.9 ± 0.1").is_number() && Cell::from("≤ 0.01").is_number());
        assert!(!Cell::from("8x8").is_number() && !Cell::from("e").is_number() && !Cell::from("").is_number());
    }

    #[test]
    fn numbers_beyond_i64_keep_their_digits() {
        assert_eq!(Cell::from(u64::MAX).to_string(), u64::MAX.to_string());
        assert!(Cell::from(u64::MAX).is_number());
    }
}
