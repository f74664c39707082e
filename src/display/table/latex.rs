//! A table for LaTeX, in the manner of booktabs: three rules, numbers on the right, signs as mathematics.

use super::{Cell, Table};
use crate::Result;

impl Table {
    /// A `table` environment with title and caption in its `\caption`.
    pub(in crate::display) fn latex(&self, title: &str, caption: &str) -> Result<String> {
        let rows = self.all_rows()?;
        let mut columns: Vec<Vec<String>> = self.headers.iter().map(|header| vec![escaped(header)]).collect();
        for row in &rows {
            for (column, cell) in columns.iter_mut().zip(row) {
                column.push(of_cell(cell));
            }
        }
        let right: Vec<bool> = (0..columns.len()).map(|j| self.is_numeric(j)).collect();
        let widths: Vec<usize> = columns.iter().map(|texts| texts.iter().map(|t| t.chars().count()).max().unwrap_or(0)).collect();
        let mut text = String::from("% \\usepackage{booktabs}\n\\begin{table}[htbp]\n  \\centering\n");
        let words: Vec<String> = [title, caption].iter().filter(|part| !part.is_empty()).map(|part| escaped(part)).collect();
        if !words.is_empty() {
            text.push_str(&format!("  \\caption{{{}}}\n", words.join(". ").replace("..", ".")));
        }
        let sides: String = right.iter().map(|&right| if right { 'r' } else { 'l' }).collect();
        text.push_str(&format!("  \\begin{{tabular}}{{{sides}}}\n    \\toprule\n"));
        for i in 0..=rows.len() {
            let cells: Vec<String> = (0..columns.len()).map(|j| super::padded(&columns[j][i], widths[j], right[j])).collect();
            text.push_str(&format!("    {} \\\\\n", protected(cells.join(" & ").trim_end())));
            if i == 0 {
                text.push_str("    \\midrule\n");
            }
        }
        text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
        Ok(text)
    }
}

/// After `\\` and a rule, LaTeX takes `[..]` and `*` for an option.
fn protected(row: &str) -> String {
    if row.trim_start().starts_with(['[', '*']) { format!("{{}}{row}") } else { row.to_string() }
}

fn of_cell(cell: &Cell) -> String {
    let text = cell.to_string();
    match cell {
        Cell::Number(_) | Cell::Whole(_) => match text.split_once('e') {
            Some((mantissa, power)) if !mantissa.is_empty() => format!("${mantissa} \\times 10^{{{power}}}$"),
            _ if text.starts_with('-') => format!("$-{}$", text[1..].replace('∞', "\\infty")),
            _ => escaped(&text),
        },
        _ => escaped(&text),
    }
}

/// Text as LaTeX prints it.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::new();
    let mut raised = String::new();
    for c in text.chars() {
        if let Some(digit) = lowered(c) {
            raised.push(digit);
            continue;
        }
        end_power(&mut safe, &mut raised);
        match c {
            '_' | '%' | '&' | '#' | '$' | '{' | '}' => safe.extend(['\\', c]),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '\\' => safe.push_str("\\textbackslash{}"),
            '\u{a0}' => safe.push('~'),
            '…' => safe.push_str("\\ldots{}"),
            '–' => safe.push_str("--"),
            '—' => safe.push_str("---"),
            '"' => safe.push_str("\\textquotedbl{}"),
            '\n' | '\r' | '\t' => safe.push(' '),
            other => match sign(other) {
                Some(sign) => safe.push_str(&format!("${sign}$")),
                None => safe.push(other),
            },
        }
    }
    end_power(&mut safe, &mut raised);
    safe
}

fn end_power(safe: &mut String, raised: &mut String) {
    if !raised.is_empty() {
        safe.push_str(&format!("$^{{{raised}}}$"));
        raised.clear();
    }
}

/// The digit of a superscript.
fn lowered(c: char) -> Option<char> {
    const RAISED: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺";
    RAISED.chars().position(|sign| sign == c).and_then(|at| "0123456789-+".chars().nth(at))
}

/// What stands in mathematics for a sign that text fonts lack.
fn sign(c: char) -> Option<&'static str> {
    Some(match c {
        'ε' | 'ϵ' => "\\varepsilon",
        'α' => "\\alpha",
        'β' => "\\beta",
        'γ' => "\\gamma",
        'δ' => "\\delta",
        'η' => "\\eta",
        'θ' => "\\theta",
        'κ' => "\\kappa",
        'λ' => "\\lambda",
        'μ' | 'µ' => "\\mu",
        'ν' => "\\nu",
        'π' => "\\pi",
        'ρ' => "\\rho",
        'σ' => "\\sigma",
        'τ' => "\\tau",
        'φ' => "\\varphi",
        'χ' => "\\chi",
        'ω' => "\\omega",
        'Δ' => "\\Delta",
        'Σ' => "\\Sigma",
        'Φ' => "\\Phi",
        '±' => "\\pm",
        '≤' => "\\le",
        '≥' => "\\ge",
        '≠' => "\\ne",
        '≈' => "\\approx",
        '<' => "<",
        '>' => ">",
        '|' => "|",
        '∞' => "\\infty",
        '×' => "\\times",
        '·' => "\\cdot",
        '−' => "-",
        '→' => "\\to",
        '←' => "\\leftarrow",
        '∇' => "\\nabla",
        '√' => "\\surd",
        '∈' => "\\in",
        '½' => "\\frac{1}{2}",
        '°' => "^\\circ",
        '✓' => "\\surd",
        '✗' => "\\times",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;

    /// The cells of the rows of a tabular, read back by its own rules: `\&` is text, `&` parts cells, `\\` ends rows.
    fn cells(latex: &str) -> Vec<Vec<String>> {
        let body = latex.split("\\toprule").nth(1).unwrap().split("\\bottomrule").next().unwrap().replace("\\midrule", "");
        let rows: Vec<String> = body.split("\\\\\n").map(|row| row.replace("\\&", "\u{1}")).collect();
        let row = |row: &String| row.split('&').map(|cell| cell.trim().replace('\u{1}', "\\&")).collect();
        rows.iter().filter(|row| !row.trim().is_empty()).map(row).collect()
    }

    #[test]
    fn every_character_with_a_meaning_is_escaped() {
        assert_eq!(escaped("_%&#${}"), "\\_\\%\\&\\#\\$\\{\\}");
        assert_eq!(escaped("~^\\"), "\\textasciitilde{}\\textasciicircum{}\\textbackslash{}");
        assert_eq!(escaped("ε ≤ 8 ± 1, δ = 10⁻⁵"), "$\\varepsilon$ $\\le$ 8 $\\pm$ 1, $\\delta$ = 10$^{-5}$");
        assert_eq!(escaped("60\u{a0}000 – x²"), "60~000 -- x$^{2}$");
    }

    #[test]
    fn a_table_reads_back_cell_by_cell() {
        let table = Table::new(["a & b", "x_1", "y"])
            .row([Cell::from("50 %"), Cell::from(1.25e-7), Cell::from(-0.5)])
            .row([Cell::from("[0, 1]\\"), Cell::Missing, Cell::from(f64::INFINITY)])
            .titled("On #1")
            .captioned("n = 3, ε ≤ 8");
        let latex = table.to_latex().unwrap();
        assert!(latex.contains("\\caption{On \\#1. n = 3, $\\varepsilon$ $\\le$ 8}") && latex.contains("\\begin{tabular}{lrr}"));
        let expected =
            [["a \\& b", "x\\_1", "y"], ["50 \\%", "$1.25 \\times 10^{-7}$", "$-0.5$"], ["{}[0, 1]\\textbackslash{}", "", "$\\infty$"]];
        assert_eq!(cells(&latex), expected);
    }

    #[test]
    fn all_rows_are_written_and_each_is_complete() {
        let table = (0..120).fold(Table::new(["i", "a", "b"]), |table, i| table.row([Cell::from(i), Cell::from("R&D"), Cell::from(0.5)]));
        let rows = cells(&table.to_latex().unwrap());
        assert!(rows.len() == 121 && rows.iter().all(|row| row.len() == 3));
    }

    #[test]
    fn braces_and_dollars_are_balanced() {
        let nasty = "{ } $ \\ ^ ~ _ # % & ε⁻¹²";
        let table = Table::new([nasty]).row([nasty]).captioned(nasty);
        let latex = table.to_latex().unwrap().replace("\\{", "").replace("\\}", "").replace("\\$", "");
        assert_eq!(latex.matches('{').count(), latex.matches('}').count());
        assert!(latex.matches('$').count().is_multiple_of(2));
    }
}
