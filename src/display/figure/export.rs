//! The tables of a figure as files that other programs read: LaTeX, Markdown and CSV, always with every row.

use super::{Content, Figure};
use crate::display::Table;
use crate::{Error, Result};

/// A table with what is said above and below it.
struct Found<'a> {
    table: &'a Table,
    title: String,
    caption: String,
}

impl Figure {
    /// Every table of this figure for LaTeX: `booktabs` rules, numbers on the right, signs such as ε and ≤ as mathematics, title and
    /// caption in `\caption`. Needs `\usepackage{booktabs}`.
    ///
    /// # Errors
    /// [`Error::Config`] for a figure without a table, and what reading the rows behind it answers.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::{Cell, Show, Table};
    /// let table = Table::new(["method", "ε"]).row(["DP-SGD".into(), Cell::from(8)]).titled("50 % noise");
    /// assert!(table.figure().to_latex()?.contains("\\caption{50 \\% noise}"));
    /// assert_eq!(table.figure().to_csv()?, "method,ε\r\nDP-SGD,8\r\n");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn to_latex(&self) -> Result<String> {
        let tables = self.some_tables("LaTeX")?;
        let texts: Result<Vec<String>> = tables.iter().map(|found| found.table.latex(&found.title, &found.caption)).collect();
        Ok(texts?.join("\n"))
    }

    /// Every table of this figure as GitHub's Markdown, with its title and caption.
    ///
    /// # Errors
    /// As [`Figure::to_latex`].
    pub fn to_markdown(&self) -> Result<String> {
        let tables = self.some_tables("Markdown")?;
        let texts: Result<Vec<String>> = tables.iter().map(|found| found.table.markdown(&found.title, &found.caption)).collect();
        Ok(texts?.join("\n"))
    }

    /// The table of this figure as CSV (RFC 4180): header, all rows, numbers with all digits, an interval as three columns.
    ///
    /// # Errors
    /// As [`Figure::to_latex`], and [`Error::Config`] for a figure of several tables, which are no one CSV file.
    pub fn to_csv(&self) -> Result<String> {
        match self.some_tables("CSV")?.as_slice() {
            [only] => only.table.csv(),
            several => Err(Error::config(
                format!("a figure of {} tables as CSV", several.len()),
                "a CSV file holds one: write each of figure.tables() to a file of its own, or all of them with to_markdown",
            )),
        }
    }

    /// The tables of this figure, in order.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::{Figure, Show, Table};
    /// let both = Figure::column([Table::new(["a"]).figure(), Table::new(["b"]).figure()]);
    /// assert_eq!(both.tables().len(), 2);
    /// ```
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.found("", "").into_iter().map(|found| found.table.clone().titled(&found.title).captioned(&found.caption)).collect()
    }

    fn some_tables(&self, format: &str) -> Result<Vec<Found<'_>>> {
        let tables = self.found("", "");
        if tables.is_empty() {
            let what = format!("a figure without a table as {format}");
            return Err(Error::config(what, "save pictures as .svg, .png or .html, or export a table such as report.frame()"));
        }
        Ok(tables)
    }

    fn found(&self, title: &str, caption: &str) -> Vec<Found<'_>> {
        let (title, caption) = (joined(title, &self.title, ": "), joined(&self.caption, caption, " "));
        match &self.content {
            Content::Table(table) => vec![Found { table, title, caption }],
            Content::Row(parts) | Content::Column(parts) => parts.iter().flat_map(|part| part.found(&title, &caption)).collect(),
            _ => vec![],
        }
    }
}

fn joined(first: &str, second: &str, between: &str) -> String {
    if first.is_empty() || second.is_empty() { format!("{first}{second}") } else { format!("{first}{between}{second}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::{Plot, Show};

    fn table(name: &str) -> Figure {
        Table::new([name]).row([1]).titled(name).captioned("n = 1.").figure()
    }

    #[test]
    fn a_picture_has_no_table_and_the_answer_says_what_to_do() {
        let error = Plot::new("p").figure().to_latex().unwrap_err().to_string();
        assert!(error.contains("without a table") && error.contains(".svg"), "{error}");
        assert!(Figure::text("t").to_csv().is_err() && Figure::row([]).to_markdown().is_err());
    }

    #[test]
    fn several_tables_are_several_in_latex_and_markdown_and_refused_as_csv() {
        let both = Figure::column([table("a"), Figure::row([table("b"), Plot::new("p").figure()])]).titled("Both").captioned("seed 7");
        assert_eq!(both.to_latex().unwrap().matches("\\toprule").count(), 2);
        assert!(both.to_markdown().unwrap().contains("**Both: b**") && both.to_markdown().unwrap().contains("n = 1. seed 7"));
        assert!(both.to_csv().unwrap_err().to_string().contains("2 tables"));
        assert_eq!(both.tables()[1].to_csv().unwrap(), "b\r\n1\r\n");
    }
}
