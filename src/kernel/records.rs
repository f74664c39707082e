//! Records as the products want them: in f64, each padded to whole register tiles.

use super::padded;
use serde::{Deserialize, Serialize};

/// Records, each padded with zeros to `stride` values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Records {
    pub(crate) values: Vec<f64>,
    pub(crate) width: usize,
}

impl Records {
    /// Records of `width` values each.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>, width: usize) -> Self {
        let mut values = values.into_iter();
        let mut rows = vec![];
        while let Some(first) = values.next() {
            rows.push(first);
            rows.extend(values.by_ref().take(width - 1));
            rows.resize(rows.len().next_multiple_of(padded(width)), 0.0);
        }
        Self { values: rows, width }
    }

    /// The width with padding.
    pub(crate) fn stride(&self) -> usize {
        padded(self.width)
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.stride()
    }

    /// Record `i` with its padding.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.stride()..(i + 1) * self.stride()]
    }

    /// All records with their padding.
    pub(crate) fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.stride())
    }
}
