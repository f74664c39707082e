//! Canaries: records that a model can only know by having seen them, put into a set to measure how much of them is given away.
//!
//! | method | what a canary is |
//! |---|---|
//! | [`Dataset::with_mislabelled`] | a record under a wrong label |
//! | [`Dataset::with_blank`] | an empty record under a random label |
//! | [`Dataset::with_foreign`] | a record of another set under a random label |
//! | [`Dataset::with_duplicated`] | a record that is there several times |
//!
//! All canaries are drawn at random from the lab's seed, so that which records they are says nothing about the records. The positions
//! that a method returns are for [`Game::with_canaries`](crate::attack::Game::with_canaries). Each method draws on its own: one that
//! works on the result of another can change the other's canaries.
//!
//! # References
//! Aerni, Zhang, Tramèr, arXiv 2404.17399: the records that are easiest to find tell what a method gives away at worst.

use super::{Column, Dataset};
use crate::{Error, Lab, Result};
use rand::RngExt as _;
use std::sync::Arc;

/// More copies of one record are a mistake, and would not fit the memory.
const MOST_COPIES: usize = 1000;

impl Dataset {
    /// The same set with `count` random records under a uniformly random wrong label, and the positions of those records in
    /// ascending order.
    ///
    /// # Errors
    /// [`Error::Config`] unless `count` is between 1 and the number of records and there are at least two classes.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab};
    /// let data = Dataset::toy();
    /// let (with_canaries, at) = data.with_mislabelled(5, &Lab::new()?)?;
    /// assert!(at.iter().all(|&i| with_canaries.labels()[i] != data.labels()[i]));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_mislabelled(&self, count: usize, lab: &Lab) -> Result<(Self, Vec<usize>)> {
        let classes = self.check_canaries(count, "mislabelled", "a wrong label")?;
        let positions = self.draw_canaries(count, "mislabelled", lab);
        let mut rng = lab.rng("wrong labels", 0);
        let mut labels = self.labels.to_vec();
        for &i in &positions {
            if let Some(label) = labels.get_mut(i) {
                *label = (*label + rng.random_range(1..classes)) % classes;
            }
        }
        Ok((Self { labels: Arc::new(labels), ..self.clone() }, positions))
    }

    /// The same set with `count` random records replaced by empty ones, each under a uniformly random label, and the positions of those
    /// records in ascending order.
    ///
    /// An empty image is black: all values 0. An empty record of a table has what networks see as 0, the mean of the normalisation, for
    /// every number, and for every category the level that occurs most often in the set (the first of equals), so that it stays a
    /// record the table could hold. All empty records are alike, so that many of them under different labels contradict each other:
    /// a model can know one or a few. [`Dataset::distinct`] takes them for duplicates.
    ///
    /// # Errors
    /// [`Error::Config`] unless `count` is between 1 and the number of records, there are at least two classes, and labels are not soft.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab};
    /// let (with_canaries, at) = Dataset::toy().with_blank(2, &Lab::new()?)?;
    /// assert!(at.iter().all(|&i| with_canaries.record(i).iter().all(|&pixel| pixel == 0.0)));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_blank(&self, count: usize, lab: &Lab) -> Result<(Self, Vec<usize>)> {
        let classes = self.check_canaries(count, "blank", "a random label")?;
        self.check_replaceable()?;
        let positions = self.draw_canaries(count, "blank", lab);
        let blank = self.blank();
        let records: Vec<&[f32]> = vec![&blank; count];
        Ok((self.replaced(&positions, &records, &random_labels(count, classes, "blank labels", lab)), positions))
    }

    /// The same set with `count` random records replaced by random records of another set, each a different one and under a uniformly
    /// random label of this set, and the positions of those records in ascending order.
    ///
    /// The values stay in their natural units, and this set keeps its normalisation. The classes of `other` do not matter.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the records of `other` have another shape or other columns; [`Error::Config`] unless `count` is between 1
    /// and the number of records of either set, there are at least two classes, and labels are not soft.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab};
    /// let (data, foreign) = (Dataset::toy().only(&[0, 1])?, Dataset::toy().only(&[3])?);
    /// let (with_canaries, at) = data.with_foreign(5, &foreign, &Lab::new()?)?;
    /// assert_eq!((with_canaries.len(), at.len()), (60, 5));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_foreign(&self, count: usize, other: &Self, lab: &Lab) -> Result<(Self, Vec<usize>)> {
        let classes = self.check_canaries(count, "foreign", "a random label")?;
        self.check_replaceable()?;
        let columns = |set: &Self| set.schema.as_ref().map(|schema| schema.columns.clone());
        if self.shape != other.shape || columns(self) != columns(other) {
            let kind = |set: &Self| if set.schema.is_some() { "a table" } else { "images" };
            let what = format!("{} has {} of shape {:?}", other.name, kind(other), other.shape);
            let remedy = format!("{} has {} of shape {:?}: expected the same shape and columns", self.name, kind(self), self.shape);
            return Err(Error::mismatch(what, remedy));
        }
        if count > other.len() {
            return Err(Error::config(format!("count is {count}"), format!("{} has {} records to give", other.name, other.len())));
        }
        let positions = self.draw_canaries(count, "foreign", lab);
        let order = other.shuffled(lab, "foreign records");
        let records: Vec<&[f32]> = order.iter().take(count).map(|&i| other.record(i)).collect();
        Ok((self.replaced(&positions, &records, &random_labels(count, classes, "foreign labels", lab)), positions))
    }

    /// The same set with `copies` exact copies of each of `count` random records at its end, the positions of those records in ascending
    /// order, and for every copy its position and that of its original.
    ///
    /// The originals stay where they are, and the copies of the first original come first. A game draws the members among copies as
    /// among all records, one by one: use the pairs to tell a record that was learned from under another position from one that was
    /// not. The set's origin says how many records are repeated, for no privacy event covers a record that counts several times.
    ///
    /// # Errors
    /// [`Error::Config`] unless `count` is between 1 and the number of records and `copies` between 1 and 1,000.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab};
    /// let (with_canaries, originals, pairs) = Dataset::toy().with_duplicated(5, 3, &Lab::new()?)?;
    /// assert_eq!((with_canaries.len(), originals.len(), pairs.len()), (120 + 15, 5, 15));
    /// assert!(pairs.iter().all(|&[copy, original]| with_canaries.record(copy) == with_canaries.record(original)));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_duplicated(&self, count: usize, copies: usize, lab: &Lab) -> Result<(Self, Vec<usize>, Vec<[usize; 2]>)> {
        self.check_count(count, "duplicated")?;
        if copies == 0 || copies > MOST_COPIES {
            return Err(Error::config(format!("copies is {copies}"), format!("expected 1 to {MOST_COPIES} copies of each record")));
        }
        let originals = self.draw_canaries(count, "duplicated", lab);
        let copied: Vec<usize> = originals.iter().flat_map(|&original| std::iter::repeat_n(original, copies)).collect();
        let all: Vec<usize> = (0..self.len()).chain(copied.iter().copied()).collect();
        Ok((self.subset(&all)?, originals, (self.len()..).zip(copied).map(|(copy, original)| [copy, original]).collect()))
    }

    fn check_count(&self, count: usize, kind: &str) -> Result<()> {
        if count == 0 || count > self.len() {
            return Err(Error::config(format!("count is {count}"), format!("expected 1 to {} {kind} records", self.len())));
        }
        Ok(())
    }

    /// The number of classes, if there are enough of them and of records.
    fn check_canaries(&self, count: usize, kind: &str, label: &str) -> Result<u32> {
        self.check_count(count, kind)?;
        let classes = self.classes() as u32;
        if classes < 2 {
            return Err(Error::config(format!("{} has {classes} class", self.name), format!("{label} needs at least two classes")));
        }
        Ok(classes)
    }

    /// A soft label would still tell what the record was.
    fn check_replaceable(&self) -> Result<()> {
        if self.soft_labels.is_none() {
            return Ok(());
        }
        Err(Error::config(format!("{} has soft labels", self.name), "put the canaries into the set it was made from"))
    }

    fn draw_canaries(&self, count: usize, kind: &str, lab: &Lab) -> Vec<usize> {
        let mut positions = self.shuffled(lab, kind);
        positions.truncate(count);
        positions.sort_unstable();
        positions
    }

    /// What [`Dataset::with_blank`] calls empty.
    fn blank(&self) -> Vec<f32> {
        let mut blank = vec![0.0; self.features()];
        let Some(schema) = &self.schema else { return blank };
        let mut start = 0;
        for column in &schema.columns {
            let at = match column {
                Column::Numeric { .. } => start,
                Column::Categorical { .. } => start + self.most_frequent(start, column.width()),
            };
            if let Some(value) = blank.get_mut(at) {
                *value = match column {
                    Column::Numeric { .. } => self.normalization.mean.get(at).copied().unwrap_or(0.0),
                    Column::Categorical { .. } => 1.0,
                };
            }
            start += column.width();
        }
        blank
    }

    /// The level with the largest sum over all records, of those encoded from `start` on.
    fn most_frequent(&self, start: usize, levels: usize) -> usize {
        let sum = |level: usize| self.x.iter().skip(start + level).step_by(self.features()).map(|&value| f64::from(value)).sum::<f64>();
        let sums: Vec<f64> = (0..levels).map(sum).collect();
        (0..levels).rev().max_by(|&a, &b| sums[a].total_cmp(&sums[b])).unwrap_or(0)
    }

    /// The set with other records and labels at some positions.
    fn replaced(&self, positions: &[usize], records: &[&[f32]], new_labels: &[u32]) -> Self {
        let (mut x, mut labels, mut origin) = (self.x.to_vec(), self.labels.to_vec(), self.origin.clone());
        let d = self.features();
        for ((&i, record), &label) in positions.iter().zip(records).zip(new_labels) {
            x[i * d..(i + 1) * d].copy_from_slice(record);
            labels[i] = label;
            if let Some(from) = origin.started_from.get_mut(i) {
                from.clear();
            }
        }
        Self { x: Arc::new(x), labels: Arc::new(labels), origin, ..self.clone() }
    }
}

fn random_labels(count: usize, classes: u32, stream: &str, lab: &Lab) -> Vec<u32> {
    let mut rng = lab.rng(stream, 0);
    (0..count).map(|_| rng.random_range(0..classes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().quiet()
    }

    #[test]
    fn exactly_the_canaries_have_a_wrong_label() {
        let data = Dataset::toy();
        let (changed, positions) = data.with_mislabelled(17, &lab()).unwrap();
        let different: Vec<usize> = (0..data.len()).filter(|&i| data.labels()[i] != changed.labels()[i]).collect();
        assert_eq!((different, positions.len()), (positions, 17));
        assert_eq!(data.x(), changed.x());
        assert!(changed.labels().iter().all(|&label| (label as usize) < data.classes()));
    }

    #[test]
    fn wrong_labels_are_spread_over_all_other_classes() {
        let data = Dataset::toy();
        let (changed, _) = data.with_mislabelled(data.len(), &lab()).unwrap();
        let moved = |from: u32, to: u32| (0..data.len()).filter(|&i| data.labels()[i] == from && changed.labels()[i] == to).count();
        for from in 0..4 {
            for to in 0..4 {
                // 30 records over 3 classes: 10 expected, and 0 has probability (2/3)^30 < 1e-5.
                assert_eq!(moved(from, to) == 0, from == to, "{from} to {to}");
            }
        }
    }

    #[test]
    fn the_seed_decides_which_records() {
        let data = Dataset::toy();
        let (first, again) = (data.with_mislabelled(9, &lab()).unwrap(), data.with_mislabelled(9, &lab()).unwrap());
        assert_eq!((first.0.digest(), &first.1), (again.0.digest(), &again.1));
        assert_ne!(first.1, data.with_mislabelled(9, &lab().seed(1)).unwrap().1);
    }

    #[test]
    fn a_useless_count_or_a_single_class_is_an_error() {
        let data = Dataset::toy();
        assert!(data.with_mislabelled(0, &lab()).unwrap_err().to_string().starts_with("count is 0"));
        assert!(data.with_mislabelled(121, &lab()).unwrap_err().to_string().contains("expected 1 to 120"));
        assert!(data.only(&[0]).unwrap().with_mislabelled(1, &lab()).unwrap_err().to_string().contains("two classes"));
    }

    /// Positions where two sets of the same length differ in values or label.
    fn different(a: &Dataset, b: &Dataset) -> Vec<usize> {
        (0..a.len()).filter(|&i| a.record(i) != b.record(i) || a.labels()[i] != b.labels()[i]).collect()
    }

    #[test]
    fn blank_images_are_black_and_nothing_else_changes() {
        let data = Dataset::toy();
        let (changed, positions) = data.with_blank(17, &lab()).unwrap();
        assert_eq!((different(&data, &changed), positions.len()), (positions.clone(), 17));
        assert!(positions.iter().all(|&i| changed.record(i).iter().all(|&value| value == 0.0)));
        assert_eq!((changed.normalization(), changed.len()), (data.normalization(), data.len()));
        assert!(changed.origin().is_real());
    }

    #[test]
    fn a_blank_record_of_a_table_is_at_0_for_networks_and_has_the_most_frequent_category() {
        let table = Dataset::toy_table();
        let (changed, positions) = table.with_blank(4, &lab()).unwrap();
        let count = |level: usize| (0..table.len()).filter(|&i| table.record(i)[2 + level] == 1.0).count();
        let most = (0..3).max_by_key(|&level| (count(level), 3 - level)).unwrap();
        let normalized = changed.normalized();
        for i in positions {
            let seen = &normalized[i * 5..(i + 1) * 5];
            assert_eq!(seen[..2], [0.0, 0.0]);
            assert_eq!(seen[2..], std::array::from_fn::<f32, 3, _>(|level| f32::from(u8::from(level == most))));
        }
        // The mean of a column computed in f64 and rounded once.
        let age: f64 = (0..90).map(|i| f64::from(table.record(i)[0])).sum::<f64>() / 90.0;
        assert_eq!(table.blank()[0], age as f32);
        // Of equally frequent levels the first.
        let two = [0, 1, 2].map(|level| (0..90).find(|&i| table.record(i)[2 + level] == 1.0).unwrap());
        assert_eq!(table.subset(&two[1..]).unwrap().blank()[2..], [0.0, 1.0, 0.0]);
    }

    #[test]
    fn random_labels_are_spread_over_all_classes() {
        let data = Dataset::toy();
        let other = data.subset(&(0..120).rev().collect::<Vec<usize>>()).unwrap();
        for changed in [data.with_blank(120, &lab()).unwrap().0, data.with_foreign(120, &other, &lab()).unwrap().0] {
            // 120 draws from 4 classes: 30 expected with a deviation of 4.7; four deviations.
            assert!(changed.per_class().iter().all(|count| count.abs_diff(30) < 19), "{:?}", changed.per_class());
            assert_ne!(changed.labels(), data.labels());
        }
    }

    #[test]
    fn foreign_records_are_different_records_of_the_other_set() {
        let (data, other) = (Dataset::toy().only(&[0, 1]).unwrap(), Dataset::toy().only(&[2, 3, 1]).unwrap());
        let (changed, positions) = data.with_foreign(23, &other, &lab()).unwrap();
        assert_eq!((different(&data, &changed), positions.len()), (positions.clone(), 23));
        let find = |i: usize| (0..other.len()).find(|&j| other.record(j) == changed.record(i)).unwrap();
        let mut from: Vec<usize> = positions.iter().map(|&i| find(i)).collect();
        assert!(from.windows(2).any(|pair| pair[0] > pair[1]), "in random order");
        from.sort_unstable();
        from.dedup();
        assert_eq!(from.len(), 23);
        assert_eq!((changed.normalization(), changed.classes()), (data.normalization(), 2));
        assert_eq!(data.with_foreign(60, &other, &lab()).unwrap().1, (0..60).collect::<Vec<usize>>());
    }

    #[test]
    fn copies_stand_at_the_end_and_equal_their_originals() {
        for data in [Dataset::toy(), Dataset::toy_table()] {
            let (changed, originals, pairs) = data.with_duplicated(7, 3, &lab()).unwrap();
            let n = data.len();
            assert_eq!((changed.len(), originals.len(), pairs.len()), (n + 21, 7, 21));
            assert_eq!((&changed.x()[..data.x().len()], &changed.labels()[..n]), (data.x(), data.labels()));
            assert!(originals.is_sorted_by(|a, b| a < b));
            for (k, &[copy, original]) in pairs.iter().enumerate() {
                assert_eq!((copy, original), (n + k, originals[k / 3]));
                assert_eq!((changed.record(copy), changed.labels()[copy]), (data.record(original), data.labels()[original]));
            }
            assert_eq!((changed.distinct().digest(), changed.normalization()), (data.digest(), data.normalization()));
            assert_eq!(changed.origin().config["repeated"], 21);
        }
    }

    #[test]
    fn the_seed_decides_about_every_kind() {
        let data = Dataset::toy();
        let all = |seed| {
            let lab = lab().seed(seed);
            let (blank, foreign) = (data.with_blank(9, &lab).unwrap(), data.with_foreign(9, &data, &lab).unwrap());
            let duplicated = data.with_duplicated(9, 1, &lab).unwrap();
            [(blank.0.digest(), blank.1), (foreign.0.digest(), foreign.1), (duplicated.0.digest(), duplicated.1)]
        };
        assert_eq!(all(3), all(3));
        assert!(all(3).iter().zip(all(4)).all(|(a, b)| a.0 != b.0 && a.1 != b.1));
        assert!(all(3)[0].1 != all(3)[1].1 && all(3)[1].1 != all(3)[2].1, "the kinds draw independently");
    }

    #[test]
    fn what_cannot_be_put_in_is_an_error_with_value_and_remedy() {
        let (data, table, lab) = (Dataset::toy(), Dataset::toy_table(), lab());
        let says = |result: Result<Dataset>, start: &str, end: &str| {
            let text = result.unwrap_err().to_string();
            assert!(text.starts_with(start) && text.ends_with(end), "{text}");
        };
        let one = data.only(&[0]).unwrap();
        says(data.with_blank(0, &lab).map(|made| made.0), "count is 0", "expected 1 to 120 blank records");
        says(data.with_foreign(121, &data, &lab).map(|made| made.0), "count is 121", "expected 1 to 120 foreign records");
        says(data.with_duplicated(121, 1, &lab).map(|made| made.0), "count is 121", "expected 1 to 120 duplicated records");
        says(data.with_duplicated(1, 0, &lab).map(|made| made.0), "copies is 0", "expected 1 to 1000 copies of each record");
        says(data.with_duplicated(1, 1001, &lab).map(|made| made.0), "copies is 1001", "expected 1 to 1000 copies of each record");
        says(one.with_blank(1, &lab).map(|made| made.0), "toy has 1 class", "a random label needs at least two classes");
        says(data.with_foreign(31, &one, &lab).map(|made| made.0), "count is 31", "toy has 30 records to give");
        says(data.with_foreign(1, &table, &lab).map(|made| made.0), "toy table has a table of shape [5, 1, 1]", "same shape and columns");
        let soft = data.clone().with_soft_labels(vec![0.25; 480]).unwrap();
        says(soft.with_blank(1, &lab).map(|made| made.0), "toy has soft labels", "the set it was made from");
        assert!(one.with_duplicated(1, 1, &lab).is_ok() && soft.with_duplicated(1, 1, &lab).is_ok());
    }
}
