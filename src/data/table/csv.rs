//! A strict reader of comma-separated text (RFC 4180): every record must have exactly the header's fields.
//!
//! polars pads short records with nulls and names no line; a notebook user with a broken file needs the line.

use crate::{Error, Result};

pub(super) struct Sheet {
    pub(super) header: Vec<String>,
    /// By column; an empty field is `None`.
    pub(super) columns: Vec<Vec<Option<String>>>,
    /// The line, from 1, at which each record begins.
    pub(super) lines: Vec<usize>,
}

pub(super) fn parse(file: &str, bytes: &[u8]) -> Result<Sheet> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        Error::data(file, format!("byte {}", cause.valid_up_to()), "not UTF-8 text", "save the table as UTF-8 CSV (plain or .gz)")
    })?;
    let mut reader = Reader { file, rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let header = match reader.record()? {
        Some((_, names)) => checked_header(file, names)?,
        None => return Err(Error::data(file, "line 1", "the file is empty", "expected a header line and at least one record")),
    };
    let mut columns = vec![vec![]; header.len()];
    let mut lines = vec![];
    while let Some((line, fields)) = reader.record()? {
        if fields.len() != header.len() {
            let what = format!("{} fields, the header has {}", fields.len(), header.len());
            return Err(Error::data(file, format!("line {line}"), what, "correct the line, or put fields that contain commas in quotes"));
        }
        columns.iter_mut().zip(fields).for_each(|(column, field)| column.push(Some(field).filter(|field| !field.is_empty())));
        lines.push(line);
    }
    if lines.is_empty() {
        return Err(Error::data(file, "line 2", "no record after the header", "give a table with at least one record"));
    }
    Ok(Sheet { header, columns, lines })
}

fn checked_header(file: &str, names: Vec<String>) -> Result<Vec<String>> {
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            let remedy = "name it; if it only numbers the rows, remove it, for it would identify every record";
            return Err(Error::data(file, "line 1", format!("column {} has no name", i + 1), remedy));
        }
        if names.iter().take(i).any(|other| other == name) {
            return Err(Error::data(file, "line 1", format!("two columns are called {name:?}"), "give every column a name of its own"));
        }
    }
    Ok(names)
}

struct Reader<'a> {
    file: &'a str,
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    /// The next record that is not a blank line, with the line it begins on.
    fn record(&mut self) -> Result<Option<(usize, Vec<String>)>> {
        while self.line_end() {}
        if self.rest.is_empty() {
            return Ok(None);
        }
        let begin = self.line;
        let mut fields = vec![self.field()?];
        while let Some(after) = self.rest.strip_prefix(',') {
            self.rest = after;
            fields.push(self.field()?);
        }
        self.line_end();
        Ok(Some((begin, fields)))
    }

    fn line_end(&mut self) -> bool {
        let Some(after) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n')) else {
            return false;
        };
        self.rest = after;
        self.line += 1;
        true
    }

    /// Leaves `rest` at a comma, a line end or the end of the text.
    fn field(&mut self) -> Result<String> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let end = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (field, after) = self.rest.split_at(end);
        if field.contains('"') {
            return Err(self.broken(self.line, "a quote inside a field that does not begin with one"));
        }
        self.rest = after;
        // The carriage return of a Windows line end goes with the spaces.
        Ok(field.trim().to_string())
    }

    fn quoted(&mut self) -> Result<String> {
        let begin = self.line;
        let mut out = String::new();
        loop {
            // Behind the opening quote, or behind the first of a doubled pair.
            let (_, text) = self.rest.split_at(1);
            let Some((before, after)) = text.split_once('"') else {
                return Err(self.broken(begin, "a quote that is never closed"));
            };
            out.push_str(before);
            self.line += before.matches('\n').count();
            self.rest = after;
            if !after.starts_with('"') {
                break;
            }
            out.push('"');
        }
        if self.rest.is_empty() || self.rest.starts_with([',', '\n']) || self.rest.starts_with("\r\n") {
            return Ok(out);
        }
        Err(self.broken(self.line, "text behind a closing quote"))
    }

    fn broken(&self, line: usize, what: &str) -> Error {
        Error::data(self.file, format!("line {line}"), what, "put the whole field in quotes and double the quotes inside")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse("f", text.as_bytes()).err().unwrap().to_string()
    }

    #[test]
    fn quotes_commas_line_ends_and_blank_lines_are_read_as_rfc_4180_says() {
        let sheet = parse("f", "\u{feff}a,\"b\"\"c\"\r\n\r\n 1 ,\"x, \ny\"\r\n\n,\"\"\n2, z".as_bytes()).unwrap();
        let words = |column: &[&str]| column.iter().map(|w| Some(w.to_string()).filter(|w| !w.is_empty())).collect::<Vec<_>>();
        assert_eq!(sheet.header, ["a", "b\"c"]);
        assert_eq!(sheet.columns, [words(&["1", "", "2"]), words(&["x, \ny", "", "z"])]);
        assert_eq!(sheet.lines, [3, 6, 7]);
    }

    #[test]
    fn short_and_long_records_name_their_line() {
        assert!(message("a,b\n1,2\n\n3\n").starts_with("f, line 4: 1 fields, the header has 2"));
        assert!(message("a,b\n\"1\n\",2\n3,4,5\n").starts_with("f, line 4: 3 fields, the header has 2"));
    }

    #[test]
    fn broken_quotes_name_their_line() {
        assert!(message("a\n1\n\"2\n3\n").starts_with("f, line 3: a quote that is never closed"));
        assert!(message("a\n\"").starts_with("f, line 2: a quote that is never closed"));
        assert!(message("a\n5\" pipe\n").starts_with("f, line 2: a quote inside a field"));
        assert!(message("a\n\"5\"x\n").starts_with("f, line 2: text behind a closing quote"));
    }

    #[test]
    fn a_file_without_text_header_or_records_is_an_error() {
        assert!(message("").starts_with("f, line 1: the file is empty"));
        assert!(message("\n\n").starts_with("f, line 1: the file is empty"));
        assert!(message("a,b\n").starts_with("f, line 2: no record"));
        assert!(message("a,\n1,2\n").starts_with("f, line 1: column 2 has no name"));
        assert!(message("a,b,a\n1,2,3\n").starts_with("f, line 1: two columns are called \"a\""));
        assert!(parse("f", b"a,b\n1,\xff\n").err().unwrap().to_string().starts_with("f, byte 6: not UTF-8"));
    }
}
