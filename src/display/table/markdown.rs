//! A table as GitHub's Markdown: pipes, numbers on the right.

use super::Table;
use crate::Result;

impl Table {
    /// The table with a title above and a caption below, either may be empty.
    pub(in crate::display) fn markdown(&self, title: &str, caption: &str) -> Result<String> {
        let rows = self.all_rows()?;
        let mut columns: Vec<Vec<String>> = self.headers.iter().map(|header| vec![escaped(header)]).collect();
        for row in &rows {
            for (column, cell) in columns.iter_mut().zip(row) {
                column.push(escaped(&cell.to_string()));
            }
        }
        let right: Vec<bool> = (0..columns.len()).map(|j| self.is_numeric(j)).collect();
        let widths: Vec<usize> = columns.iter().map(|texts| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0).max(3)).collect();
        let mut lines = vec![];
        for i in 0..=rows.len() {
            let cells: Vec<String> = (0..columns.len()).map(|j| super::padded(&columns[j][i], widths[j], right[j])).collect();
            lines.push(format!("| {} |", cells.join(" | ")));
            if i == 0 {
                let dashes = |j: usize| if right[j] { "-".repeat(widths[j] - 1) + ":" } else { "-".repeat(widths[j]) };
                lines.push(format!("| {} |", (0..columns.len()).map(dashes).collect::<Vec<_>>().join(" | ")));
            }
        }
        let heading = if title.is_empty() { String::new() } else { format!("**{}**\n\n", escaped(title)) };
        let below = if caption.is_empty() { String::new() } else { format!("\n{}\n", escaped(caption)) };
        Ok(format!("{heading}{}\n{below}", lines.join("\n")))
    }
}

/// Text without what Markdown would read as a mark.
fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\\' | '|' | '*' | '_' | '`' | '$' | '~' => safe.extend(['\\', c]),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '\n' => safe.push_str("<br>"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;
    use crate::display::Show;

    #[test]
    fn cells_are_aligned_and_marks_escaped() {
        let table = Table::new(["method", "ε"])
            .row([Cell::from("a|b_c*"), Cell::from(f64::INFINITY)])
            .row(["<b>\nd".into(), Cell::from(8)])
            .titled("T_1")
            .captioned("n = 2");
        let expected = "**T\\_1**\n\n| method        |   ε |\n| ----------- | --: |\n| a\\|b\\_c\\*     |   ∞ |\n\
                        | &lt;b><br>d   |   8 |\n\nn = 2\n";
        let written = table.to_markdown().unwrap();
        assert_eq!(written.replace(' ', ""), expected.replace(' ', ""));
        let widths: Vec<usize> = written.lines().filter(|line| line.starts_with('|')).map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&width| width == widths[0]), "{written}");
    }

    #[test]
    fn every_row_has_as_many_pipes_as_the_header() {
        let table = (0..50).fold(Table::new(["i", "a", "b"]), |table, i| table.row([Cell::from(i), Cell::from("x|y"), Cell::Missing]));
        let written = table.to_markdown().unwrap();
        let bare = |line: &str| line.replace("\\|", "").matches('|').count();
        assert_eq!(written.lines().filter(|line| bare(line) == 4).count(), 52);
    }
}
