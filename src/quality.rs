//! How good condensed sets are, measured as the condensation literature does: fresh networks learn each of several condensations.
//!
//! 1. Every method condenses the training set s times, with a seed of its own each time.
//! 2. On each condensed set r fresh networks of every architecture learn, and are tested.
//! 3. A random subset of the same size goes through the same, and the whole training set is learned, too.
//!
//! The mean accuracy has a 95 % Student interval: over the s condensations (each the mean of its networks) when there are at least
//! two, else over the r networks of the only one, which does not count how condensations differ; the table says which.
//! Published numbers stand beside, with their source and never as a measurement.
//!
//! # References
//! The protocol of arXiv 2006.05929: 5 condensations, 20 networks each.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! let lab = Lab::new()?.quiet();
//! let toy = Dataset::toy();
//! let split = Split { train: toy.clone(), test: toy };
//! let quality = Quality::new(&[Arch::Logistic]).with_networks(2).with_epochs(5).of(Herding::new(1));
//! let report = quality.measure(&split, &lab)?;
//! assert_eq!(report.rows().len(), 3); // a random subset, herding, and the whole set
//! # Ok::<(), Error>(())
//! ```

pub mod published;
mod report;

pub use published::{Published, published};
pub use report::{QualityReport, QualityRow};

use crate::condense::RandomSubset;
use crate::data::Split;
use crate::nn::Arch;
use crate::stats::{MeanInterval, mean};
use crate::synthesize::Synthesize;
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use std::sync::Arc;
use std::time::Instant;

/// The evaluation protocol with the methods under test.
#[derive(Debug, Clone)]
pub struct Quality {
    /// r, fresh networks for each condensed set and architecture, at least 2; 20 in the literature.
    pub networks: usize,
    /// s, condensations of each method; 5 in the literature.
    pub condensations: usize,
    /// How networks learn condensed sets, whatever their architecture.
    pub recipe: Train,
    /// How one network of the first architecture learns the whole training set; `None` leaves it out.
    pub whole: Option<Train>,
    archs: Vec<Arch>,
    methods: Vec<Arc<dyn Synthesize>>,
}

impl Quality {
    /// Three condensations of five networks each, on these architectures: the first is the one people condense with, the others show
    /// whether the set serves networks it was not made for. Condensed sets are learned as the literature does
    /// ([`Train::on_condensed`]), the whole set in 3 epochs.
    #[must_use]
    pub fn new(archs: &[Arch]) -> Self {
        let first = archs.first().cloned().unwrap_or_else(Arch::conv_net);
        Self {
            networks: 5,
            condensations: 3,
            recipe: Train::on_condensed(first.clone()),
            whole: Some(Train::new(first).with_epochs(3)),
            archs: archs.to_vec(),
            methods: vec![],
        }
    }

    /// The same with another number of networks.
    #[must_use]
    pub fn with_networks(mut self, networks: usize) -> Self {
        self.networks = networks;
        self
    }

    /// The same with another number of condensations.
    #[must_use]
    pub fn with_condensations(mut self, condensations: usize) -> Self {
        self.condensations = condensations;
        self
    }

    /// The same with another recipe for condensed sets (its architecture is replaced by each of those under test).
    #[must_use]
    pub fn with_recipe(mut self, recipe: Train) -> Self {
        self.recipe = recipe;
        self
    }

    /// The same with another number of epochs on condensed sets.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.recipe.epochs = epochs;
        self
    }

    /// The same with another recipe for the whole set.
    #[must_use]
    pub fn with_whole(mut self, recipe: Train) -> Self {
        self.whole = Some(recipe);
        self
    }

    /// The same without the whole set, which can take longer than everything else.
    #[must_use]
    pub fn without_whole(mut self) -> Self {
        self.whole = None;
        self
    }

    /// The same with one more method under test.
    #[must_use]
    pub fn of(mut self, method: impl Synthesize + 'static) -> Self {
        self.methods.push(Arc::new(method));
        self
    }

    fn check(&self) -> Result<()> {
        for (name, value, least) in [("networks", self.networks, 2), ("condensations", self.condensations, 1)] {
            if value < least {
                return Err(Error::config(format!("{name} is {value}"), format!("expected at least {least}")));
            }
        }
        if self.archs.is_empty() {
            return Err(Error::config("quality on 0 architectures", "name at least one: Quality::new(&[Arch::conv_net()])"));
        }
        if self.methods.is_empty() {
            return Err(Error::config("quality of 0 methods", "add one with `.of(DistributionMatching::small(10))`"));
        }
        self.recipe.check()
    }

    /// Condenses, trains and tests.
    ///
    /// # Errors
    /// [`Error::Config`] for a protocol that cannot work, and what condensing and training answer.
    pub fn measure(&self, split: &Split, lab: &Lab) -> Result<QualityReport> {
        self.check()?;
        split.train.same_kind(&split.test)?;
        let mut rows = vec![];
        let mut sizes = vec![];
        let mut progress = lab.progress("quality", self.methods.len() + 1);
        for (i, method) in self.methods.iter().enumerate() {
            let sets = self.condense(method.as_ref(), &split.train, lab)?;
            let per_class = sets.first().map_or(0, |set| set.per_class().into_iter().max().unwrap_or(0));
            if !sizes.contains(&per_class) {
                sizes.push(per_class);
                let random = self.condense(&RandomSubset::new(per_class), &split.train, lab)?;
                self.rows(&random, per_class, split, lab, &mut rows)?;
            }
            self.rows(&sets, per_class, split, lab, &mut rows)?;
            progress.step(i + 1, &method.name());
        }
        if let Some(whole) = &self.whole {
            rows.push(self.whole_row(whole, split, lab)?);
        }
        Ok(QualityReport::new(&split.train, split.test.len(), rows, lab.seed_value()))
    }

    fn condense(&self, method: &dyn Synthesize, train: &Dataset, lab: &Lab) -> Result<Vec<Dataset>> {
        let seeded = |i: usize| lab.simulation("condensation", i as u64);
        (0..self.condensations).map(|i| method.synthesize(train, &seeded(i))).collect()
    }

    /// One row for each architecture.
    fn rows(&self, sets: &[Dataset], per_class: usize, split: &Split, lab: &Lab, rows: &mut Vec<QualityRow>) -> Result<()> {
        let Some(first) = sets.first() else { return Ok(()) };
        for arch in &self.archs {
            let recipe = Train { arch: arch.clone(), ..self.recipe.clone() };
            let mut all = vec![];
            for (i, set) in sets.iter().enumerate() {
                let mut accuracies = vec![];
                for network in 0..self.networks {
                    let lab = lab.simulation("condensation", i as u64).child("network", network as u64).quiet();
                    accuracies.push(recipe.fit(set, &lab)?.accuracy(&split.test)?.value());
                }
                all.push(accuracies);
            }
            let means: Vec<f64> = all.iter().map(|values| mean(values)).collect();
            let accuracy = if means.len() > 1 { MeanInterval::new(&means)? } else { MeanInterval::new(&all[0])? };
            let method = first.origin().method.clone();
            rows.push(QualityRow {
                published: published(split.train.name(), &method, per_class),
                config: first.origin().config.clone(),
                method,
                per_class: Some(per_class),
                arch: arch.name(),
                accuracy,
                networks: self.networks,
                condensations: sets.len(),
                seconds: sets.iter().map(|set| set.origin().seconds).sum::<f64>() / sets.len() as f64,
            });
        }
        Ok(())
    }

    /// The whole training set, learned by two networks.
    fn whole_row(&self, whole: &Train, split: &Split, lab: &Lab) -> Result<QualityRow> {
        let start = Instant::now();
        let mut accuracies = vec![];
        for network in 0..2 {
            let model = whole.fit(&split.train, &lab.simulation("whole", network))?;
            accuracies.push(model.accuracy(&split.test)?.value());
        }
        Ok(QualityRow {
            method: "whole set".into(),
            per_class: None,
            arch: whole.arch.name(),
            accuracy: MeanInterval::new(&accuracies)?,
            networks: 2,
            condensations: 1,
            seconds: start.elapsed().as_secs_f64() / 2.0,
            published: published(split.train.name(), "whole set", 0),
            config: serde_json::json!(whole),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condense::{DistributionMatching, Herding};
    use crate::display::Show;

    fn split() -> Split {
        let toy = Dataset::toy();
        let (train, test): (Vec<usize>, Vec<usize>) = (0..toy.len()).partition(|i| i % 3 > 0);
        Split { train: toy.subset(&train).unwrap(), test: toy.subset(&test).unwrap() }
    }

    fn lab() -> Lab {
        Lab::on(crate::Device::Cpu).unwrap().seed(3).quiet()
    }

    #[test]
    fn every_method_stands_beside_a_random_subset_of_its_size_and_the_whole_set() {
        let matching = |n| DistributionMatching::new(n).with_arch(Arch::mlp()).with_steps(2);
        let archs = [Arch::Logistic, Arch::Mlp { hidden: vec![8] }];
        let quality = Quality::new(&archs).with_networks(2).with_epochs(3).of(matching(1)).of(Herding::new(1)).of(matching(3));
        let report = quality.measure(&split(), &lab()).unwrap();
        let names: Vec<(String, Option<usize>)> = report.rows().iter().step_by(2).map(|r| (r.method.clone(), r.per_class)).collect();
        let expected = [("random subset", 1), ("DM, real init", 1), ("herding", 1), ("random subset", 3), ("DM, real init", 3)];
        for ((name, size), (wanted, n)) in names.iter().zip(expected) {
            assert_eq!((name.as_str(), *size), (wanted, Some(n)));
        }
        assert_eq!(report.rows().len(), 11);
        assert_eq!(report.rows().last().unwrap().method, "whole set");
        assert_eq!(report.frame().height(), 11);
        assert!(report.to_markdown().lines().count() == 13 && report.bundle().html.contains("whole set"));
        let again = quality.measure(&split(), &lab()).unwrap();
        assert!(report.rows().iter().zip(again.rows()).all(|(a, b)| a.accuracy == b.accuracy), "same seed, same numbers");
    }

    #[test]
    fn the_interval_is_over_condensations_where_there_are_several() {
        let quality = Quality::new(&[Arch::Logistic]).with_networks(2).with_epochs(2).without_whole().of(RandomSubset::new(2));
        let several = quality.clone().with_condensations(3).measure(&split(), &lab()).unwrap();
        assert_eq!(several.rows()[0].accuracy.n, 3);
        let one = quality.with_condensations(1).with_networks(4).measure(&split(), &lab()).unwrap();
        assert_eq!(one.rows()[0].accuracy.n, 4);
    }

    #[test]
    fn protocols_that_cannot_work_are_refused() {
        let message = |quality: Quality| quality.measure(&split(), &lab()).unwrap_err().to_string();
        assert!(message(Quality::new(&[Arch::Logistic])).contains("0 methods"));
        assert!(message(Quality::new(&[]).of(Herding::new(1))).contains("0 architectures"));
        assert!(message(Quality::new(&[Arch::Logistic]).with_networks(1).of(Herding::new(1))).contains("networks is 1"));
    }
}
