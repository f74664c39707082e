//! Normalisation: mean and deviation per channel (images) or per column (tables).

use super::{Column, Schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Mean and standard deviation per channel; networks see `(x - mean) / std`.
///
/// # Example
/// ```
/// use freelunch::data::Normalization;
/// let n = Normalization { mean: vec![0.5], std: vec![0.25] };
/// let z = n.apply(&[0.5, 1.0], [1, 1, 1]);
/// assert_eq!(z, vec![0.0, 2.0]);
/// assert_eq!(n.undo(&z, [1, 1, 1]), vec![0.5, 1.0]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// One mean per channel.
    pub mean: Vec<f32>,
    /// One positive deviation per channel.
    pub std: Vec<f32>,
}

impl Normalization {
    /// Leaves values as they are.
    #[must_use]
    pub fn none(channels: usize) -> Self {
        Self { mean: vec![0.0; channels], std: vec![1.0; channels] }
    }

    pub(crate) fn of_images(x: &[f32], [channels, height, width]: [usize; 3]) -> Self {
        let plane = height * width;
        let mut out = Self::none(channels);
        for c in 0..channels {
            let values = || x.chunks_exact(plane).skip(c).step_by(channels).flatten().map(|&v| f64::from(v));
            out.set(c, values);
        }
        out
    }

    /// Numeric columns are standardised, one-hot columns stay 0 and 1.
    pub(crate) fn of_table(x: &[f32], schema: &Schema) -> Self {
        let width = schema.width();
        let mut out = Self::none(width);
        let mut at = 0;
        for column in &schema.columns {
            if matches!(column, Column::Numeric { .. }) {
                out.set(at, || x.iter().skip(at).step_by(width).map(|&v| f64::from(v)));
            }
            at += column.width();
        }
        out
    }

    fn set<I: Iterator<Item = f64>>(&mut self, channel: usize, values: impl Fn() -> I) {
        let count = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / count;
        let variance = values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        self.mean[channel] = mean as f32;
        // A constant channel keeps its scale instead of dividing by zero.
        self.std[channel] = if variance > 1e-12 { variance.sqrt() as f32 } else { 1.0 };
    }

    /// `(x - mean) / std` of row-major `[n, c, h, w]` values.
    #[must_use]
    pub fn apply(&self, x: &[f32], shape: [usize; 3]) -> Vec<f32> {
        self.map(x, shape, |v, mean, std| (v - mean) / std)
    }

    /// `x * std + mean` of row-major `[n, c, h, w]` values: the inverse of [`Normalization::apply`].
    #[must_use]
    pub fn undo(&self, x: &[f32], shape: [usize; 3]) -> Vec<f32> {
        self.map(x, shape, |v, mean, std| v * std + mean)
    }

    /// [`Normalization::apply`], without a copy where nothing changes.
    pub(crate) fn applied<'a>(&self, x: &'a [f32], shape: [usize; 3]) -> Cow<'a, [f32]> {
        let changes = self.mean.iter().any(|&mean| mean != 0.0) || self.std.iter().any(|&std| std != 1.0);
        if changes { Cow::Owned(self.apply(x, shape)) } else { Cow::Borrowed(x) }
    }

    fn map(&self, x: &[f32], [channels, height, width]: [usize; 3], change: impl Fn(f32, f32, f32) -> f32) -> Vec<f32> {
        let plane = (height * width).max(1);
        let mut out = Vec::with_capacity(x.len());
        for (i, values) in x.chunks(plane).enumerate() {
            let c = i % channels.max(1);
            let mean = self.mean.get(c).copied().unwrap_or(0.0);
            let std = self.std.get(c).copied().unwrap_or(1.0);
            out.extend(values.iter().map(|&v| change(v, mean, std)));
        }
        out
    }
}

/// The rows of `values` `[n, width]` at `positions`, in that order.
pub(crate) fn rows_at(values: &[f32], width: usize, positions: &[usize]) -> Vec<f32> {
    let mut rows = Vec::with_capacity(positions.len() * width);
    for &i in positions {
        rows.extend_from_slice(&values[i * width..(i + 1) * width]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_as_it_is_is_not_copied() {
        let x = [0.25, 0.5, 0.75, 1.0];
        assert!(matches!(Normalization::none(2).applied(&x, [2, 1, 1]), Cow::Borrowed(_)));
        let shifted = Normalization { mean: vec![0.0, 0.5], std: vec![1.0, 1.0] };
        assert_eq!(*shifted.applied(&x, [2, 1, 1]), *shifted.apply(&x, [2, 1, 1]));
        assert_eq!(shifted.apply(&x, [2, 1, 1]), [0.25, 0.0, 0.75, 0.5]);
    }

    #[test]
    fn rows_come_in_the_order_asked_for() {
        assert_eq!(rows_at(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 2, &[2, 0, 2]), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
    }
}
