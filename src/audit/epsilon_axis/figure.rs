//! How an axis of ε is drawn: a row for each mechanism, a line where the true ε lies, and the numbers in a table.

use super::{AxisRow, EpsilonAxis};
use crate::audit::short;
use crate::display::number::significant;
use crate::display::{Figure, Plot, Show, Table};
use crate::privacy::Kind;

impl EpsilonAxis {
    fn table(&self) -> Table {
        let mut table = Table::new(["mechanism", "", "ε", "by", "evidence", "premise"]);
        for row in &self.rows {
            for upper in &row.upper {
                let sign = if upper.kind == Kind::Approximation { "≈" } else { "≤" };
                let neighbours = format!("{} neighbours", upper.adjacency);
                table = table.row([&row.name, sign, &significant(upper.value, 4), &upper.accountant, &neighbours, ""]);
            }
            for lower in &row.lower {
                let by = format!("{}, {} %", lower.method, significant(100.0 * lower.confidence, 4));
                let premise = lower.premise.map_or(String::new(), |premise| premise.to_string());
                table = table.row([&row.name, "≥", &significant(lower.epsilon, 4), &by, &lower.evidence, &premise]);
            }
        }
        table
    }

    /// The limits of the axis and whether it is logarithmic: where the bounds span more than a factor of 30.
    fn limits(&self) -> (f64, f64, bool) {
        let all = self.rows.iter().flat_map(|row| row.upper.iter().map(|e| e.value).chain(row.lower.iter().map(|bound| bound.epsilon)));
        let positive: Vec<f64> = all.filter(|value| value.is_finite() && *value > 0.0).collect();
        let most = positive.iter().copied().fold(0.0, f64::max);
        let least = positive.iter().copied().fold(f64::INFINITY, f64::min);
        if most == 0.0 {
            return (0.0, 1.0, false);
        }
        // Room on the right for the line that stands for infinity.
        if most > 30.0 * least { (least / 2.0, most * 3.0, true) } else { (0.0, 1.25 * most, false) }
    }

    fn plot(&self) -> Plot {
        let n = self.rows.len();
        let (low, high, log) = self.limits();
        let names: Vec<String> = self.rows.iter().map(|row| format!("{}\n{}", row.name, in_numbers(row))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut plot = Plot::new("").x_label("ε").x_range(low, high).y_names(&names).size(640, 90 + 52 * n as u32);
        if log {
            plot = plot.log_x();
        }
        let infinite = self.rows.iter().flat_map(|row| &row.upper).any(|upper| upper.value.is_infinite());
        // Infinity has a place of its own, short of the edge.
        let end = if log { high / 1.3 } else { 0.96 * high };
        if infinite {
            plot = plot.vertical(end, "∞");
        }
        for (i, row) in self.rows.iter().enumerate() {
            let y = (n - i) as f64;
            if !row.disproved() {
                plot = plot.line("where the true ε lies", &[(row.proven(), y), (row.claimed().min(end), y)]);
            }
        }
        for (i, row) in self.rows.iter().enumerate() {
            let y = (n - i) as f64;
            for lower in &row.lower {
                let conditional = if lower.premise.is_some() { ", conditional" } else { "" };
                plot = plot.points(&format!("audit: {}{conditional}", lower.method), &[(lower.epsilon, y)]);
            }
            for upper in &row.upper {
                plot = plot.points(&format!("accountant: {}", upper.accountant), &[(upper.value.min(end), y)]);
            }
        }
        plot
    }
}

impl Show for EpsilonAxis {
    fn figure(&self) -> Figure {
        if self.rows.is_empty() {
            return Figure::text("no bound yet: axis.upper(name, epsilon)? and axis.lower(name, bound)?").titled(&self.title);
        }
        let caption = format!(
            "δ = {}. Accountants bound ε from above, audits from below; an audit at 0 proves nothing. Numbers and lines leave out what \
             holds under a premise only.",
            short(self.delta)
        );
        Figure::column([self.plot().figure(), self.table().figure()]).titled(&self.title).captioned(&caption)
    }
}

/// `2 ≤ ε ≤ 4`, with what takes something for granted left out.
fn in_numbers(row: &AxisRow) -> String {
    let (low, high) = (significant(row.proven(), 3), significant(row.claimed(), 3));
    if row.disproved() { format!("claim ε ≤ {high} disproved: ε ≥ {low}") } else { format!("{low} ≤ ε ≤ {high}") }
}
