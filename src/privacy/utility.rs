//! What privacy costs: the accuracy that methods keep at each ε, on the same data, as one table and one figure.
//!
//! For every method and ε: the least noise that keeps its planned releases within (ε, δ) is found, the method runs once, `networks` networks learn what
//! came out, and are tested on real records. DP-SGD runs once per network, because each network is a release of its own; its ε is that of one.
//!
//! # Privacy
//! Each row states the ε of one release. The table as a whole, and any choice of parameters by looking at it, is not private: it is a study on records
//! whose owners agreed to that, or on public benchmarks.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, privacy::{DpSgd, PrivacyUtility}, train::Train};
//! let lab = Lab::new()?.seed(1).quiet();
//! let data = Dataset::toy();
//! let mut utility = PrivacyUtility::new("toy", &data, &data, 1e-2).with_epsilons(&[2.0, 8.0]).with_networks(2);
//! utility.training(&Train::new(Arch::Logistic).with_epochs(3).with_batch(20).with_privacy(DpSgd::new(1.0)), &lab)?;
//! assert_eq!(utility.rows().len(), 2);
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::{Epsilon, Event, Noisy, check_delta, worse};
use crate::display::number::significant;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::nn::Arch;
use crate::stats::{MeanInterval, Rate};
use crate::synthesize::Synthesize;
use crate::train::Train;
use crate::{Dataset, Error, Lab, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// Accuracy against ε, method by method.
#[derive(Clone)]
pub struct PrivacyUtility {
    title: String,
    train: Dataset,
    test: Dataset,
    delta: f64,
    epsilons: Vec<f64>,
    networks: usize,
    recipe: Train,
    rows: Vec<Row>,
}

/// One method at one ε.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// The ε of what was really released.
    pub epsilon: Epsilon,
    /// Those releases.
    pub event: Event,
    /// Test accuracy of each network, 0..1.
    pub accuracies: Vec<f64>,
    /// Records of the test.
    pub tested_on: usize,
    /// Seconds of one run of the method and one network.
    pub seconds: f64,
    /// An accuracy that others published for the method at this ε, 0..1.
    pub published: Option<f64>,
}

impl Row {
    /// The mean accuracy with the ends of its 95 % interval: Student's over the networks, Clopper-Pearson's over the records where there is but one.
    ///
    /// # Errors
    /// [`Error::Config`] when there is no accuracy.
    pub fn accuracy(&self) -> Result<(f64, f64, f64)> {
        if let [only] = self.accuracies[..] {
            let rate = Rate::new((only * self.tested_on as f64).round() as usize, self.tested_on)?;
            return Ok((only, rate.low, rate.high));
        }
        let mean = MeanInterval::new(&self.accuracies)?;
        Ok((mean.mean, mean.low.max(0.0), mean.high.min(1.0)))
    }
}

impl PrivacyUtility {
    /// For these records at δ; ε is 1 and 10, three networks of width 32 learn each released set.
    #[must_use]
    pub fn new(title: &str, train: &Dataset, test: &Dataset, delta: f64) -> Self {
        let arch = if train.schema().is_some() { Arch::mlp() } else { Arch::conv_net().with_width(32) };
        Self {
            title: title.to_string(),
            train: train.clone(),
            test: test.clone(),
            delta,
            epsilons: vec![1.0, 10.0],
            networks: 3,
            recipe: Train::on_condensed(arch),
            rows: vec![],
        }
    }

    /// Other values of ε.
    #[must_use]
    pub fn with_epsilons(mut self, epsilons: &[f64]) -> Self {
        self.epsilons = epsilons.to_vec();
        self
    }

    /// Another number of networks for each released set.
    #[must_use]
    pub fn with_networks(mut self, networks: usize) -> Self {
        self.networks = networks;
        self
    }

    /// Another recipe for what learns the released sets.
    #[must_use]
    pub fn with_recipe(mut self, recipe: Train) -> Self {
        self.recipe = recipe;
        self
    }

    /// Measures a generator or private condenser at every ε.
    ///
    /// # Errors
    /// What the method, training and accountants answer.
    pub fn synthesis<M: Synthesize + Noisy>(&mut self, method: &M, lab: &Lab) -> Result<()> {
        self.check()?;
        for epsilon in self.epsilons.clone() {
            let start = Instant::now();
            let study = lab.simulation("synthesis", 0);
            let released = method.to_epsilon(epsilon, self.delta, &self.train)?.synthesize(&self.train, &study)?;
            let seconds = start.elapsed().as_secs_f64();
            let start = Instant::now();
            let mut accuracies = vec![];
            for network in 0..self.networks {
                let model = self.recipe.fit(&released, &lab.simulation("network", network as u64))?;
                accuracies.push(model.accuracy(&self.test)?.value());
            }
            let seconds = seconds + start.elapsed().as_secs_f64() / self.networks as f64;
            self.add(&method.name(), released.event(), accuracies, seconds)?;
        }
        Ok(())
    }

    /// Measures private training (DP-SGD) at every ε.
    ///
    /// # Errors
    /// What training and accountants answer.
    pub fn training(&mut self, recipe: &Train, lab: &Lab) -> Result<()> {
        self.check()?;
        for epsilon in self.epsilons.clone() {
            let start = Instant::now();
            let private = recipe.to_epsilon(epsilon, self.delta, &self.train)?;
            let mut accuracies = vec![];
            let mut event = Event::NoOp;
            for network in 0..self.networks {
                let model = private.fit(&self.train, &lab.simulation("network", network as u64))?;
                accuracies.push(model.accuracy(&self.test)?.value());
                event = worse(event, model.event().clone())?;
            }
            let seconds = start.elapsed().as_secs_f64() / self.networks as f64;
            self.add(&format!("DP-SGD, {}", recipe.arch.name()), &event, accuracies, seconds)?;
        }
        Ok(())
    }

    /// Adds what was measured elsewhere: the releases of one run and the accuracy of each network, 0..1.
    ///
    /// # Errors
    /// [`Error::Config`] for no accuracy or one outside 0..1; what the accountant answers.
    pub fn add(&mut self, method: &str, event: &Event, accuracies: Vec<f64>, seconds: f64) -> Result<()> {
        if accuracies.is_empty() || accuracies.iter().any(|accuracy| !(0.0..=1.0).contains(accuracy)) {
            return Err(Error::config(format!("accuracies {accuracies:?} of {method}"), "expected at least one number from 0 to 1"));
        }
        let (method, tested_on, event) = (method.to_string(), self.test.len(), event.clone());
        let epsilon = event.epsilon(self.delta)?;
        self.rows.push(Row { method, epsilon, event, accuracies, tested_on, seconds, published: None });
        Ok(())
    }

    /// Puts a published accuracy (0..1) beside the newest row.
    #[must_use]
    pub fn beside(mut self, published: f64) -> Self {
        if let Some(row) = self.rows.last_mut() {
            row.published = Some(published);
        }
        self
    }

    fn check(&self) -> Result<()> {
        check_delta(self.delta)?;
        self.train.same_kind(&self.test)?;
        if self.networks == 0 || self.epsilons.is_empty() {
            let what = format!("{} networks at {} values of epsilon", self.networks, self.epsilons.len());
            return Err(Error::config(what, "expected at least one of each"));
        }
        Ok(())
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows as a polars table: accuracies between 0 and 1.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let numbers = |name: &str, value: &dyn Fn(&Row) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let texts = |name: &str, value: &dyn Fn(&Row) -> String| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<String>>())
        };
        let columns = vec![
            texts("method", &|row| row.method.clone()),
            numbers("epsilon", &|row| Some(row.epsilon.value)),
            numbers("delta", &|row| Some(row.epsilon.delta)),
            texts("adjacency", &|row| row.epsilon.adjacency.to_string()),
            texts("accountant", &|row| row.epsilon.accountant.clone()),
            numbers("releases", &|row| Some(row.event.releases() as f64)),
            numbers("accuracy", &|row| row.accuracy().ok().map(|a| a.0)),
            numbers("accuracy_low", &|row| row.accuracy().ok().map(|a| a.1)),
            numbers("accuracy_high", &|row| row.accuracy().ok().map(|a| a.2)),
            numbers("networks", &|row| Some(row.accuracies.len() as f64)),
            numbers("seconds", &|row| Some(row.seconds)),
            numbers("published", &|row| row.published),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    const HEADERS: [&str; 7] = ["method", "ε", "accuracy % [95 %]", "networks", "releases", "minutes", "published %"];

    /// The last column is of use only where something was published.
    fn columns(&self) -> usize {
        let published = self.rows.iter().any(|row| row.published.is_some());
        Self::HEADERS.len() - usize::from(!published)
    }

    fn cells(row: &Row) -> [String; 7] {
        let accuracy = match row.accuracy() {
            Ok((mean, low, high)) => format!("{:.1} [{:.1}, {:.1}]", 100.0 * mean, 100.0 * low, 100.0 * high),
            Err(error) => error.to_string(),
        };
        [
            row.method.clone(),
            significant(row.epsilon.value, 3),
            accuracy,
            row.accuracies.len().to_string(),
            row.event.releases().to_string(),
            format!("{:.1}", row.seconds / 60.0),
            row.published.map_or(String::new(), |published| format!("{:.1}", 100.0 * published)),
        ]
    }

    /// The rows as a Markdown table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let columns = self.columns();
        let mut lines = vec![format!("| {} |", Self::HEADERS[..columns].join(" | ")), format!("|{}", "---|".repeat(columns))];
        lines.extend(self.rows.iter().map(|row| format!("| {} |", Self::cells(row)[..columns].join(" | "))));
        lines.join("\n")
    }

    /// Writes `utility.csv`, `.svg`, `.png` and `.html`, and the rows as `utility.json`, into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "utility", "utility.json", self.frame(), &self.rows, &self.figure())
    }

    fn caption(&self) -> String {
        format!(
            "{} records of {}, {} tested on; δ = {:e}, add-or-remove-one, ε of one release; intervals: 95 %. The study as a whole is not private.",
            self.train.len(),
            self.train.name(),
            self.test.len(),
            self.delta
        )
    }
}

impl Show for PrivacyUtility {
    fn figure(&self) -> Figure {
        let columns = self.columns();
        let mut table = Table::new(Self::HEADERS[..columns].to_vec());
        let mut plot = Plot::new("Accuracy against ε").x_label("ε").y_label("test accuracy (%)").log_x();
        let mut methods: Vec<&str> = self.rows.iter().map(|row| row.method.as_str()).collect();
        methods.dedup();
        let known = self.rows.iter().map(|row| row.epsilon.value).filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = known.fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        if high > 0.0 {
            plot = plot.x_range(low / 1.5, high * 1.5);
        }
        for row in &self.rows {
            table = table.row(Self::cells(row)[..columns].to_vec());
        }
        for method in methods {
            let of_method = self.rows.iter().filter(|row| row.method == method && row.epsilon.value.is_finite());
            let points: Vec<(f64, f64, f64, f64)> = of_method
                .filter_map(|row| row.accuracy().ok().map(|(mean, low, high)| (row.epsilon.value, 100.0 * mean, 100.0 * low, 100.0 * high)))
                .collect();
            let line: Vec<(f64, f64)> = points.iter().map(|point| (point.0, point.1)).collect();
            plot = plot.line(method, &line).error_bars(method, &points);
        }
        Figure::column([table.figure(), plot.figure()]).titled(&self.title).captioned(&self.caption())
    }
}

show_inline!(PrivacyUtility);

impl std::fmt::Debug for PrivacyUtility {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PrivacyUtility({}, {} rows)", self.title, self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::privacy::DpSgd;

    #[test]
    fn every_row_stays_within_its_epsilon_and_comes_close() {
        let lab = Lab::on(Device::Cpu).unwrap().seed(2).quiet();
        let data = Dataset::toy();
        let mut utility = PrivacyUtility::new("toy", &data, &data, 1e-2).with_epsilons(&[1.0, 6.0]).with_networks(2);
        utility.training(&Train::new(Arch::Logistic).with_epochs(2).with_batch(30).with_privacy(DpSgd::new(1.0)), &lab).unwrap();
        for (row, wanted) in utility.rows().iter().zip([1.0, 6.0]) {
            assert!(row.epsilon.value <= wanted && row.epsilon.value > 0.99 * wanted, "{}", row.epsilon);
        }
        assert!(utility.to_markdown().contains("DP-SGD, logistic regression"));
        assert_eq!(utility.frame().height(), 2);
        let text = utility.figure().to_text();
        assert!(text.contains("add-or-remove-one") && text.contains("not private"), "{text}");
    }

    #[test]
    fn bad_input_is_named() {
        let data = Dataset::toy();
        let mut utility = PrivacyUtility::new("toy", &data, &data, 1e-2);
        assert!(utility.add("x", &Event::NoOp, vec![1.2], 0.0).unwrap_err().to_string().contains("1.2"));
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let recipe = Train::new(Arch::Logistic).with_batch(30);
        assert!(utility.clone().with_networks(0).training(&recipe, &lab).is_err());
        let table = Dataset::toy_table();
        assert!(matches!(PrivacyUtility::new("x", &data, &table, 1e-2).training(&recipe, &lab), Err(Error::Mismatch { .. })));
    }
}
