//! A diagram in words: for terminals, and for those who cannot see it.

use super::mark::{Bar, Mark};
use super::{Direction, Plot};
use crate::display::number::significant;
use crate::stats::Estimate;

impl Plot {
    /// What is drawn against what.
    fn headline(&self) -> String {
        let name = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_string() } else { text.to_string() };
        let title = name(&self.title, "Plot");
        match (self.bars.is_empty(), self.bars_lie) {
            (true, _) => format!("{title}: {} against {}", name(&self.y.label, "y"), name(&self.x.label, "x")),
            (false, Direction::Across) => format!("{title}: bars of {}", name(&self.x.label, "values")),
            (false, Direction::Up) => format!("{title}: bars of {}", name(&self.y.label, "values")),
        }
    }

    fn parts(&self) -> impl Iterator<Item = String> {
        self.marks.iter().map(Mark::in_words).chain(self.bars.iter().map(Bar::in_words))
    }

    /// The diagram in one sentence.
    pub(in crate::display) fn in_words(&self) -> String {
        let parts: Vec<String> = self.parts().collect();
        format!("{}; {}", self.headline(), parts.join("; "))
    }

    /// The diagram as lines of text.
    pub(in crate::display) fn in_lines(&self) -> String {
        let mut lines = vec![self.headline()];
        lines.extend(self.parts().map(|part| format!("  {part}")));
        lines.extend((!self.caption.is_empty()).then(|| self.caption.clone()));
        lines.join("\n")
    }
}

impl Mark {
    fn in_words(&self) -> String {
        let reaching = |points: &[(f64, f64)]| match (points.first(), points.last()) {
            (Some(a), Some(b)) => {
                let number = |v: f64| significant(v, 3);
                format!("from ({}, {}) to ({}, {})", number(a.0), number(a.1), number(b.0), number(b.1))
            }
            _ => "without points".to_string(),
        };
        match self {
            Self::Line { name, points } => format!("line {name} {}", reaching(points)),
            Self::Band { name, .. } => format!("interval around {name}"),
            Self::Points { name, points } => format!("{} points {name}", points.len()),
            Self::ErrorBars { name, points } => format!("{} points with intervals {name}", points.len()),
            Self::Crosses { name, points } => {
                let number = |v: f64| significant(v, 3);
                let ends = |e: &Estimate| format!("{} [{}, {}]", number(e.value), number(e.low), number(e.high));
                let places: Vec<String> = points.iter().map(|(x, y)| format!("({}, {})", ends(x), ends(y))).collect();
                format!("point {name} at {}", places.join(", "))
            }
            Self::Steps { name, bins } => {
                let top = bins.iter().filter(|bin| bin.2.is_finite()).max_by(|a, b| a.2.total_cmp(&b.2));
                let peak = top.map_or(String::new(), |b| format!(", highest from {} to {}", significant(b.0, 3), significant(b.1, 3)));
                format!("histogram {name} of {} bins{peak}", bins.len())
            }
            Self::Cells { texts, .. } => {
                let rows: Vec<String> = texts.iter().map(|row| row.join(" ")).collect();
                format!("cells row by row: {}", rows.join(" / "))
            }
            Self::Diagonal => "the diagonal".to_string(),
            Self::Horizontal { at, label } => format!("horizontal line at {} {label}", significant(*at, 3)),
            Self::Vertical { at, label } => format!("vertical line at {} {label}", significant(*at, 3)),
        }
    }
}

impl Bar {
    fn in_words(&self) -> String {
        let [value, low, high] = [self.value, self.low, self.high].map(|v| significant(v, 3));
        if self.has_interval() { format!("{} {value} [{low}, {high}]", self.label) } else { format!("{} {value}", self.label) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_axes_series_and_values() {
        let roc = Plot::new("ROC").x_label("FPR").y_label("TPR").line("LiRA", &[(0.0, 0.0), (0.1, 0.4), (1.0, 1.0)]).diagonal();
        assert_eq!(roc.in_words(), "ROC: TPR against FPR; line LiRA from (0, 0) to (1, 1); the diagonal");
        let bars = Plot::new("").bars(&[("DM", 0.5, 0.4, 0.6), ("none", 1.0, f64::NAN, f64::NAN)]).caption("n = 3");
        assert_eq!(bars.in_lines(), "Plot: bars of values\n  DM 0.5 [0.4, 0.6]\n  none 1\nn = 3");
    }
}
