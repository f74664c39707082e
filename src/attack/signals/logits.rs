//! The values of [`Signals`](super::Signals) in the precision in which they came.

use safetensors::Dtype;

/// Logits as the models gave them (f32) or from a program that computes in f64.
///
/// # Example
/// ```
/// use freelunch::attack::Logits;
/// assert_eq!(Logits::from(vec![0.5_f32]), Logits::F32(vec![0.5]));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Logits {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

impl From<Vec<f32>> for Logits {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Logits {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl Logits {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// The kind of number and the bytes, for a file.
    pub(super) fn bytes(&self) -> (Dtype, Vec<u8>) {
        match self {
            Self::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
            Self::F64(values) => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        }
    }

    pub(super) fn first_not_finite(&self) -> Option<usize> {
        match self {
            Self::F32(values) => values.iter().position(|value| !value.is_finite()),
            Self::F64(values) => values.iter().position(|value| !value.is_finite()),
        }
    }

    /// The values at `start .. start + len`, in f64.
    pub(in crate::attack) fn read(&self, start: usize, len: usize, into: &mut Vec<f64>) {
        into.clear();
        match self {
            Self::F32(values) => into.extend(values.iter().skip(start).take(len).map(|&value| f64::from(value))),
            Self::F64(values) => into.extend(values.iter().skip(start).take(len)),
        }
    }

    /// The blocks of `len` values that start at `starts`, one after the other.
    pub(super) fn gather(&self, starts: impl Iterator<Item = usize>, len: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(starts.flat_map(|start| values[start..start + len].iter().copied()).collect()),
            Self::F64(values) => Self::F64(starts.flat_map(|start| values[start..start + len].iter().copied()).collect()),
        }
    }
}
