//! Canaries: records with a wrong label, which a model can only know by having seen them.

use super::Dataset;
use crate::{Error, Lab, Result};
use rand::RngExt as _;
use std::sync::Arc;

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
        if count == 0 || count > self.len() {
            return Err(Error::config(format!("count is {count}"), format!("expected 1 to {} mislabelled records", self.len())));
        }
        let classes = self.classes() as u32;
        if classes < 2 {
            return Err(Error::config(format!("{} has {classes} class", self.name), "a wrong label needs at least two classes"));
        }
        let mut positions = self.shuffled(lab, "mislabelled");
        positions.truncate(count);
        positions.sort_unstable();
        let mut rng = lab.rng("wrong labels", 0);
        let mut labels = self.labels.to_vec();
        for &i in &positions {
            if let Some(label) = labels.get_mut(i) {
                *label = (*label + rng.random_range(1..classes)) % classes;
            }
        }
        Ok((Self { labels: Arc::new(labels), ..self.clone() }, positions))
    }
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
}
