//! What a diagram holds: its curves, points, bars and reference lines.

use crate::stats::Estimate;

/// One thing drawn on two axes.
#[derive(Clone)]
pub(super) enum Mark {
    Line {
        name: String,
        points: Vec<(f64, f64)>,
    },
    Band {
        name: String,
        edges: Vec<(f64, f64, f64)>,
    },
    Points {
        name: String,
        points: Vec<(f64, f64)>,
    },
    ErrorBars {
        name: String,
        points: Vec<(f64, f64, f64, f64)>,
    },
    /// Points with intervals in both directions.
    Crosses {
        name: String,
        points: Vec<(Estimate, Estimate)>,
    },
    /// Bins `(left, right, height)` of a histogram.
    Steps {
        name: String,
        bins: Vec<(f64, f64, f64)>,
    },
    /// The cells of a heat map, row by row from the top.
    Cells {
        shares: Vec<Vec<f64>>,
        texts: Vec<Vec<String>>,
    },
    Diagonal,
    Horizontal {
        at: f64,
        label: String,
    },
    Vertical {
        at: f64,
        label: String,
    },
}

/// One bar with its interval.
#[derive(Clone)]
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Mark {
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Line { name, .. } | Self::Band { name, .. } | Self::Points { name, .. } | Self::ErrorBars { name, .. } => Some(name),
            Self::Crosses { name, .. } | Self::Steps { name, .. } => Some(name),
            Self::Cells { .. } | Self::Diagonal | Self::Horizontal { .. } | Self::Vertical { .. } => None,
        }
    }

    pub(super) fn xs(&self) -> Vec<f64> {
        match self {
            Self::Line { points, .. } | Self::Points { points, .. } => points.iter().map(|p| p.0).collect(),
            Self::Band { edges, .. } => edges.iter().map(|e| e.0).collect(),
            Self::ErrorBars { points, .. } => points.iter().map(|p| p.0).collect(),
            Self::Crosses { points, .. } => points.iter().flat_map(|(x, _)| [x.value, x.low, x.high]).collect(),
            Self::Steps { bins, .. } => bins.iter().flat_map(|bin| [bin.0, bin.1]).collect(),
            Self::Vertical { at, .. } => vec![*at],
            Self::Cells { .. } | Self::Diagonal | Self::Horizontal { .. } => vec![],
        }
    }

    pub(super) fn ys(&self) -> Vec<f64> {
        match self {
            Self::Line { points, .. } | Self::Points { points, .. } => points.iter().map(|p| p.1).collect(),
            Self::Band { edges, .. } => edges.iter().flat_map(|e| [e.1, e.2]).collect(),
            Self::ErrorBars { points, .. } => points.iter().flat_map(|p| [p.1, p.2, p.3]).collect(),
            Self::Crosses { points, .. } => points.iter().flat_map(|(_, y)| [y.value, y.low, y.high]).collect(),
            Self::Steps { bins, .. } => bins.iter().map(|bin| bin.2).chain([0.0]).collect(),
            Self::Horizontal { at, .. } => vec![*at],
            Self::Cells { .. } | Self::Diagonal | Self::Vertical { .. } => vec![],
        }
    }
}

impl Bar {
    pub(super) fn has_interval(&self) -> bool {
        self.low.is_finite() && self.high.is_finite() && self.low < self.high
    }
}
