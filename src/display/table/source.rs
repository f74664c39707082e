//! Where an export finds all rows at full precision: a table on a page keeps at most 20 of a long frame.

use super::{Cell, Table, frame};
use crate::{Dataset, Result};
use polars::prelude::DataFrame;

/// What stands behind the rows that are shown.
#[derive(Clone)]
pub(super) enum Source {
    /// All rows of the frame of which some are shown.
    Rows(DataFrame),
    /// All records of the set of which some are shown; made into a frame when an export asks.
    Records(Box<Dataset>),
    /// The numbers from which the shown texts were made.
    Numbers(DataFrame),
}

impl Source {
    fn frame(&self) -> Result<DataFrame> {
        match self {
            Self::Rows(frame) | Self::Numbers(frame) => Ok(frame.clone()),
            Self::Records(data) => data.frame(),
        }
    }
}

impl Table {
    /// Says that CSV shall hold this frame: its numbers at full precision in place of the texts that are shown.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::{Show, Table};
    /// use freelunch::polars::df;
    /// let numbers = df!("auc" => [0.512_345_678]).map_err(|e| freelunch::Error::table("example", e))?;
    /// let table = Table::new(["AUC"]).row(["0.512"]).measured_in(&numbers);
    /// assert_eq!(table.to_csv()?, "auc\r\n0.512345678\r\n");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn measured_in(mut self, numbers: &DataFrame) -> Self {
        self.source = Some(Source::Numbers(numbers.clone()));
        self
    }

    /// Says that the rows are some of the records of this set.
    pub(in crate::display) fn out_of_records(self, data: &Dataset) -> Self {
        let mut table = self.out_of(data.len());
        table.source = Some(Source::Records(Box::new(data.clone())));
        table
    }

    /// The frame that CSV writes, if the rows do not say everything.
    pub(super) fn frame_behind(&self) -> Result<Option<DataFrame>> {
        self.source.as_ref().map(Source::frame).transpose()
    }

    /// All rows, also those that a page leaves out.
    pub(super) fn all_rows(&self) -> Result<Vec<Vec<Cell>>> {
        match &self.source {
            Some(source @ (Source::Rows(_) | Source::Records(_))) if self.total > self.rows.len() => {
                let frame = source.frame()?;
                let columns = frame.columns();
                Ok((0..frame.height()).map(|i| columns.iter().map(|column| frame::cell(column, i)).collect()).collect())
            }
            _ => Ok(self.rows.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Show;
    use polars::df;

    #[test]
    fn csv_has_the_numbers_and_pages_the_texts() {
        let numbers = df!("auc" => [0.512_345_678]).unwrap();
        let table = Table::new(["AUC"]).row(["0.512 [0.48, 0.54]"]).measured_in(&numbers);
        assert_eq!(table.to_csv().unwrap(), "auc\r\n0.512345678\r\n");
        assert!(
            table.to_latex().unwrap().contains("0.512 [0.48, 0.54]") && table.to_markdown().unwrap().contains("| 0.512 [0.48, 0.54] |")
        );
    }

    #[test]
    fn rows_that_a_page_leaves_out_are_read_when_asked_for() {
        let frame = df!("i" => (0..300i64).collect::<Vec<_>>()).unwrap();
        let table = Table::from_frame(&frame);
        assert_eq!((table.rows.len(), table.all_rows().unwrap().len()), (20, 300));
        assert_eq!(table.all_rows().unwrap()[150], [Cell::from(150)]);
    }
}
