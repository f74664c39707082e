//! The rows of the golden files, for tests.

use super::Event;

/// One line of a file with a header.
pub(super) struct Row {
    header: Vec<String>,
    cells: Vec<String>,
}

impl Row {
    pub(super) fn text(&self, name: &str) -> &str {
        &self.cells[self.header.iter().position(|known| known == name).unwrap()]
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.text(name).parse().ok()
    }
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    cells
}

pub(super) fn rows(file: &str) -> Vec<Row> {
    let path = format!("{}/tests/golden/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    let header = cells(lines.next().unwrap());
    lines.map(|line| Row { header: header.clone(), cells: cells(line) }).collect()
}

pub(super) fn accounting() -> Vec<Row> {
    rows("accounting.csv")
}

/// q, sigma and steps of a row.
pub(super) fn event(row: &Row) -> Event {
    let number = |name: &str| row.number(name).unwrap();
    sampled(number("q"), number("sigma"), number("steps") as u64)
}

pub(super) fn sampled(rate: f64, sigma: f64, steps: u64) -> Event {
    Event::gaussian(sigma).unwrap().poisson(rate).unwrap().repeat(steps)
}
