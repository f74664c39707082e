//! Parts of a data set: chosen records or classes, random samples, members and non-members, and what is left without duplicates.

use super::Dataset;
use crate::{Error, Lab, Result};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;

/// Members and non-members of a training set, disjoint and without duplicates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Membership {
    /// Records to train on.
    pub members: Dataset,
    /// Records held out.
    pub non_members: Dataset,
}

impl Dataset {
    /// The records at these positions, in this order.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request or a position outside the set.
    pub fn subset(&self, positions: &[usize]) -> Result<Self> {
        if positions.is_empty() {
            return Err(Error::config("subset of 0 records", "ask for at least one position"));
        }
        if let Some(bad) = positions.iter().find(|&&i| i >= self.len()) {
            return Err(Error::config(format!("position {bad} of {}", self.name), format!("expected positions below {}", self.len())));
        }
        let mut x = Vec::with_capacity(positions.len() * self.features());
        let mut labels = Vec::with_capacity(positions.len());
        for &i in positions {
            x.extend_from_slice(self.record(i));
            labels.push(self.labels[i]);
        }
        let mut origin = self.origin.clone();
        if !origin.started_from.is_empty() {
            origin.started_from = positions.iter().map(|&i| self.origin.started_from.get(i).cloned().unwrap_or_default()).collect();
        }
        let distinct: HashSet<&usize> = positions.iter().collect();
        if distinct.len() < positions.len() && origin.is_real() {
            // A record that is there twice counts twice in every sum, which no event would know.
            origin.config = serde_json::json!({ "repeated": positions.len() - distinct.len() });
        }
        let k = self.classes();
        let soft_labels = self
            .soft_labels()
            .map(|targets| Arc::new(positions.iter().flat_map(|&i| targets[i * k..(i + 1) * k].iter().copied()).collect()));
        Ok(Self { x: Arc::new(x), labels: Arc::new(labels), soft_labels, origin, ..self.clone() })
    }

    /// Only the records of these classes, which are renumbered 0, 1, .. in the order given.
    ///
    /// # Errors
    /// [`Error::Config`] for an empty request, a class that does not exist, one named twice, or one without records.
    pub fn only(&self, classes: &[usize]) -> Result<Self> {
        if classes.is_empty() {
            return Err(Error::config("0 classes asked for", "name at least one class"));
        }
        let mut new_label = vec![None; self.classes()];
        for (new, &class) in classes.iter().enumerate() {
            match new_label.get_mut(class) {
                Some(slot @ None) => *slot = Some(new as u32),
                Some(Some(_)) => return Err(Error::config(format!("class {class} named twice"), "name each class once")),
                None => return Err(Error::config(format!("class {class}"), format!("expected classes below {}", self.classes()))),
            }
        }
        let positions: Vec<usize> = (0..self.len()).filter(|&i| new_label[self.labels[i] as usize].is_some()).collect();
        let mut kept = self.subset(&positions)?;
        kept.soft_labels = None; // targets of classes that are gone would not sum as they did
        kept.labels = Arc::new(kept.labels.iter().filter_map(|&label| new_label[label as usize]).collect());
        kept.class_names = classes.iter().map(|&class| self.class_names[class].clone()).collect();
        Ok(kept)
    }

    /// `per_class` random records of each class, class by class.
    ///
    /// # Errors
    /// [`Error::Data`] when a class has fewer records, [`Error::Config`] when `per_class` is 0.
    pub fn sample_per_class(&self, per_class: usize, lab: &Lab) -> Result<Self> {
        self.subset(&self.draw_per_class(per_class, lab)?)
    }

    pub(crate) fn draw_per_class(&self, per_class: usize, lab: &Lab) -> Result<Vec<usize>> {
        self.require_per_class(per_class)?;
        let mut rng = lab.rng("sample_per_class", 0);
        let mut positions = vec![];
        for class in 0..self.classes() {
            let mut members = self.of_class(class);
            members.shuffle(&mut rng);
            positions.extend_from_slice(&members[..per_class]);
        }
        Ok(positions)
    }

    pub(crate) fn require_per_class(&self, per_class: usize) -> Result<()> {
        if per_class == 0 {
            return Err(Error::config("per_class is 0", "expected at least 1 record per class"));
        }
        for (class, count) in self.per_class().into_iter().enumerate() {
            if count < per_class {
                let what = format!("{count} records, {per_class} asked for");
                let class = format!("class {class} ({})", self.class_names[class]);
                return Err(Error::data(&self.name, class, what, "ask for fewer per class, or leave the class out with `only`"));
            }
        }
        Ok(())
    }

    /// `n` random records.
    ///
    /// # Errors
    /// [`Error::Config`] when `n` is 0 or larger than the set.
    pub fn sample(&self, n: usize, lab: &Lab) -> Result<Self> {
        if n == 0 || n > self.len() {
            return Err(Error::config(format!("sample of {n} records"), format!("expected 1 to {}", self.len())));
        }
        self.subset(&self.shuffled(lab, "sample")[..n])
    }

    /// Two disjoint random halves for a membership experiment: `n` members and `n` non-members. Exact duplicates are removed
    /// first, so that no non-member is also a member.
    ///
    /// # Errors
    /// [`Error::Config`] when fewer than `2 n` distinct records exist or `n` is 0.
    pub fn members(&self, n: usize, lab: &Lab) -> Result<Membership> {
        let distinct = self.distinct();
        if n == 0 || 2 * n > distinct.len() {
            let remedy = format!("expected 1 to {} (half of the {} distinct records)", distinct.len() / 2, distinct.len());
            return Err(Error::config(format!("members of {n} records"), remedy));
        }
        let order = distinct.shuffled(lab, "members");
        Ok(Membership { members: distinct.subset(&order[..n])?, non_members: distinct.subset(&order[n..2 * n])? })
    }

    /// The set without exact duplicates (same values); the first of each stays.
    #[must_use]
    pub fn distinct(&self) -> Self {
        self.without(&[])
    }

    /// The set without exact duplicates and without records that occur in `others`.
    #[must_use]
    pub fn without(&self, others: &[&Dataset]) -> Self {
        let key = |record: &[f32]| record.iter().map(|v| v.to_bits()).collect::<Vec<u32>>();
        let mut seen: HashSet<Vec<u32>> = others.iter().flat_map(|set| (0..set.len()).map(|i| key(set.record(i)))).collect();
        let kept: Vec<usize> = (0..self.len()).filter(|&i| seen.insert(key(self.record(i)))).collect();
        // An empty result would not be a data set; it can only happen when `others` covers everything.
        self.subset(&kept).unwrap_or_else(|_| self.clone())
    }

    pub(super) fn shuffled(&self, lab: &Lab, label: &str) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.shuffle(&mut lab.rng(label, 0));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(2)
    }

    #[test]
    fn members_and_non_members_share_no_record_even_when_the_set_has_duplicates() {
        let toy = Dataset::toy();
        let mut twice: Vec<usize> = (0..toy.len()).collect();
        twice.extend(0..toy.len());
        let doubled = toy.subset(&twice).unwrap();
        assert_eq!(doubled.distinct().len(), toy.distinct().len());
        let Membership { members, non_members } = doubled.members(50, &lab()).unwrap();
        assert_eq!((members.len(), non_members.len()), (50, 50));
        assert_eq!(non_members.without(&[&members]).len(), 50);
        let message = doubled.members(toy.len(), &lab()).unwrap_err().to_string();
        assert!(message.contains("distinct records"), "{message}");
    }

    #[test]
    fn classes_are_renumbered_and_what_does_not_exist_is_refused() {
        let toy = Dataset::toy();
        let two = toy.only(&[3, 1]).unwrap();
        assert_eq!((two.classes(), two.per_class()), (2, vec![30, 30]));
        assert_eq!(two.class_names()[0], toy.class_names()[3]);
        for wrong in [&[][..], &[9], &[1, 1]] {
            assert!(toy.only(wrong).is_err(), "{wrong:?}");
        }
        assert!(toy.subset(&[]).is_err() && toy.subset(&[toy.len()]).is_err());
        assert!(toy.sample(0, &lab()).is_err() && toy.sample(toy.len() + 1, &lab()).is_err());
        let message = toy.sample_per_class(31, &lab()).unwrap_err().to_string();
        assert!(message.contains("30 records, 31 asked for"), "{message}");
    }

    #[test]
    fn samples_follow_the_seed() {
        let toy = Dataset::toy();
        let digest = |seed| toy.sample(20, &lab().seed(seed)).unwrap().digest();
        assert_eq!(digest(5), digest(5));
        assert_ne!(digest(5), digest(6));
    }
}
