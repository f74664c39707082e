//! What is public about a data set: constants chosen without looking at its records, or the whole of it.

use super::{Column, Dataset, Normalization, Schema};
use crate::privacy::Event;
use crate::{Error, Result};

impl Dataset {
    /// The same records under a normalisation that was chosen without looking at them (ranges from a manual, constants of a public set). Private
    /// training accepts no other: means and deviations of the records are released by no mechanism.
    ///
    /// # Errors
    /// [`Error::Config`] when the number of channels does not fit, or a deviation is not positive.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, data::Normalization};
    /// let data = Dataset::toy().with_public_normalization(Normalization::of_ranges(&[(0.0, 1.0)])?)?;
    /// assert_eq!(data.normalization().mean, vec![0.5]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_public_normalization(self, normalization: Normalization) -> Result<Self> {
        let channels = self.shape()[0];
        if normalization.mean.len() != channels || normalization.std.len() != channels {
            let what = format!("a normalisation of {} channels for records of {channels}", normalization.mean.len());
            return Err(Error::config(what, "give one mean and one deviation per channel, or per encoded column of a table"));
        }
        if let Some(bad) = normalization.std.iter().find(|std| !(**std > 0.0 && std.is_finite())) {
            return Err(Error::config(format!("a deviation of {bad}"), "expected positive numbers"));
        }
        if let Some(bad) = normalization.mean.iter().find(|mean| !mean.is_finite()) {
            return Err(Error::config(format!("a mean of {bad}"), "expected finite numbers"));
        }
        Ok(Self { normalization_is_public: true, ..self.with_normalization(normalization) })
    }

    /// The same records, declared to be public: reading them costs nobody's privacy ([`Event::NoOp`]).
    #[must_use]
    pub fn declared_public(mut self) -> Self {
        self.origin.event = Event::NoOp;
        self
    }

    /// The set as private mechanisms may see it: a public normalisation is kept; images otherwise use the range of pixels.
    pub(crate) fn publicly_normalized(&self) -> Result<Self> {
        if self.normalization_is_public || *self.event() == Event::NoOp {
            return Ok(self.clone());
        }
        if self.schema().is_some() || self.x().iter().any(|value| !(0.0..=1.0).contains(value)) {
            let what = format!("the normalisation of {} was computed from its private records", self.name());
            return Err(Error::config(what, "give one that was not: with_public_normalization(Normalization::of_ranges(..)?)"));
        }
        self.clone().with_public_normalization(Normalization::of_ranges(&vec![(0.0, 1.0); self.shape()[0]])?)
    }

    /// The history of what a private mechanism with `event` makes of this set. It replaces that of records as they were read; of a set that was
    /// itself computed from records, it protects the set only, so that set's history remains.
    pub(crate) fn event_after(&self, event: Event) -> Event {
        // Soft labels may come from a teacher that saw all records.
        let as_read = self.origin().is_real() && self.soft_labels().is_none();
        if as_read && *self.event() == Event::NonPrivate { event } else { self.event().clone() }
    }
}

impl Normalization {
    /// Maps each range `(low, high)` to −1 .. 1, one for each channel (or encoded column of a table).
    ///
    /// # Errors
    /// [`Error::Config`] for a range that is empty or not finite.
    ///
    /// # Example
    /// ```
    /// use freelunch::data::Normalization;
    /// assert_eq!(Normalization::of_ranges(&[(10.0, 20.0)])?.apply(&[20.0, 10.0], [1, 1, 1]), vec![1.0, -1.0]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn of_ranges(ranges: &[(f32, f32)]) -> Result<Self> {
        if let Some((low, high)) = ranges.iter().find(|(low, high)| !(low.is_finite() && high.is_finite() && low < high)) {
            return Err(Error::config(format!("a range from {low} to {high}"), "expected two finite numbers, the lower one first"));
        }
        let mean = ranges.iter().map(|(low, high)| (low + high) / 2.0).collect();
        let std = ranges.iter().map(|(low, high)| (high - low) / 2.0).collect();
        Ok(Self { mean, std })
    }
}

impl Schema {
    /// The normalisation of a table from ranges of its numeric columns, by name, that were chosen without looking at its records (from the questionnaire,
    /// a manual, common sense): each range goes to −1 .. 1, categories stay 0 and 1.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty range, a numeric column without one, or a name that is no numeric column.
    ///
    /// # Example
    /// ```
    /// use freelunch::data::{Column, Schema};
    /// let age = Column::Numeric { name: "age".into() };
    /// let work = Column::Categorical { name: "work".into(), levels: vec!["yes".into(), "no".into()] };
    /// let schema = Schema { columns: vec![age, work], label: "income".into() };
    /// assert_eq!(schema.public_normalization(&[("age", 0.0, 100.0)])?.mean, vec![50.0, 0.0, 0.0]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn public_normalization(&self, ranges: &[(&str, f32, f32)]) -> Result<Normalization> {
        let mut all = vec![];
        for column in &self.columns {
            match column {
                Column::Categorical { levels, .. } => all.extend(std::iter::repeat_n((-1.0, 1.0), levels.len())),
                Column::Numeric { name } => match ranges.iter().find(|range| range.0 == name) {
                    Some(&(_, low, high)) => all.push((low, high)),
                    None => return Err(Error::config(format!("no range for the column {name}"), "name one: (\"name\", low, high)")),
                },
            }
        }
        let numeric = |name: &str| self.columns.iter().any(|column| matches!(column, Column::Numeric { name: own } if own == name));
        if let Some((name, ..)) = ranges.iter().find(|range| !numeric(range.0)) {
            return Err(Error::config(format!("a range for {name}"), "expected the name of a numeric column"));
        }
        Normalization::of_ranges(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_fall_back_to_the_range_of_pixels_and_tables_must_say() {
        assert_eq!(Dataset::toy().publicly_normalized().unwrap().normalization().mean, vec![0.5]);
        let table = Dataset::toy_table();
        let message = table.publicly_normalized().unwrap_err().to_string();
        assert!(message.contains("with_public_normalization"), "{message}");
        let ranges = vec![(-5.0, 5.0); table.features()];
        let told = table.with_public_normalization(Normalization::of_ranges(&ranges).unwrap()).unwrap();
        assert_eq!(told.publicly_normalized().unwrap().normalization(), told.normalization());
    }

    #[test]
    fn ranges_of_a_table_go_to_its_numeric_columns_by_name() {
        let adult = Dataset::adult().unwrap().train;
        let schema = adult.schema().unwrap();
        let numeric = schema.columns.iter().filter_map(|column| match column {
            Column::Numeric { name } => Some((name.as_str(), 0.0, 200.0)),
            Column::Categorical { .. } => None,
        });
        let mut ranges: Vec<(&str, f32, f32)> = numeric.collect();
        let normalization = schema.public_normalization(&ranges).unwrap();
        assert_eq!(normalization.mean.iter().filter(|&&mean| mean == 100.0).count(), ranges.len());
        assert_eq!(normalization.std.iter().filter(|&&std| std == 1.0).count(), adult.features() - ranges.len());
        ranges[0].0 = "nonsense";
        assert!(schema.public_normalization(&ranges).unwrap_err().to_string().contains("no range for the column"));
    }

    #[test]
    fn a_fitted_normalisation_is_not_public_again() {
        let told = Dataset::toy().with_public_normalization(Normalization::none(1)).unwrap();
        let fitted = told.with_normalization(Normalization { mean: vec![0.123], std: vec![0.4] });
        assert_eq!(fitted.publicly_normalized().unwrap().normalization().mean, vec![0.5]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Normalization::of_ranges(&[(1.0, 1.0)]).unwrap_err().to_string().contains("from 1 to 1"));
        assert!(Dataset::toy().with_public_normalization(Normalization::none(3)).is_err());
        let flat = Normalization { mean: vec![0.0], std: vec![0.0] };
        assert!(Dataset::toy().with_public_normalization(flat).unwrap_err().to_string().contains("deviation of 0"));
    }

    #[test]
    fn privacy_gained_on_a_condensed_set_does_not_reach_the_records() {
        let noisy = Event::gaussian(1.0).unwrap();
        assert_eq!(Dataset::toy().event_after(noisy.clone()), noisy);
        let mut condensed = Dataset::toy();
        condensed.origin.config = serde_json::json!({ "per_class": 1 });
        assert_eq!(condensed.event_after(noisy.clone()), Event::NonPrivate);
        assert_eq!(Dataset::toy().declared_public().event_after(noisy.clone()), Event::NoOp);
        // What depends on all records, or holds one twice, is not as it was read either.
        let toy = Dataset::toy();
        let white = crate::data::Whitening::fit(&toy).unwrap().apply(&toy).unwrap();
        let twice = toy.subset(&[0, 1, 1]).unwrap();
        let taught = toy.clone().with_soft_labels(vec![0.25; 4 * toy.len()]).unwrap();
        for set in [white, twice, taught] {
            assert_eq!(set.event_after(noisy.clone()), Event::NonPrivate);
        }
    }
}
