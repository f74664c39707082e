//! Several searches beside each other: methods and initialisations.

use super::{LeakageReport, Quantiles};
use crate::Result;
use crate::display::{Cell, Figure, Plot, Show, Table};
use crate::stats::Rate;
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Reports by name, as a table, a figure and a polars frame.
///
/// # Example
/// ```
/// use freelunch::leakage::{Leakage, LeakageSummary, Metric};
/// use freelunch::prelude::*;
/// let (lab, real) = (Lab::new()?.quiet(), Dataset::toy());
/// let mut summary = LeakageSummary::new("toy");
/// for init in [Init::Noise, Init::Real] {
///     let released = DistributionMatching::new(1).with_arch(Arch::mlp()).with_steps(2).with_init(init.clone()).synthesize(&real, &lab)?;
///     summary.add(&init.name(), &Leakage::new(Metric::L2).measure(&released, &real, &lab)?);
/// }
/// assert_eq!(summary.frame().height(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct LeakageSummary {
    title: String,
    rows: Vec<Row>,
}

/// One report in numbers.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    name: String,
    metric: String,
    records: usize,
    searched: usize,
    seed: u64,
    closest: Quantiles,
    closer: Option<Rate>,
    closer_by_chance: Option<f64>,
    closer_at_equal_sizes: Option<Rate>,
    reidentified: Option<Rate>,
    chance: f64,
    chance_in_class: f64,
}

impl LeakageSummary {
    /// An empty summary.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_string(), rows: vec![] }
    }

    /// Adds a report under a name such as "DM, real init".
    pub fn add(&mut self, name: &str, report: &LeakageReport) {
        self.rows.push(Row {
            name: name.to_string(),
            metric: report.metric().to_string(),
            records: report.records().len(),
            searched: report.searched(),
            seed: report.released.origin().seed,
            closest: report.closest(),
            closer: report.closer_to_training(),
            closer_by_chance: report.closer_by_chance(),
            closer_at_equal_sizes: report.closer_at_equal_sizes(),
            reidentified: report.reidentified(),
            chance: report.chance(1),
            chance_in_class: report.chance_in_class(1),
        });
    }

    /// The rows as a polars table: rates between 0 and 1 with the ends of their intervals, distances in the metric's units.
    #[must_use]
    pub fn frame(&self) -> DataFrame {
        let texts = |name: &str, value: &dyn Fn(&Row) -> &str| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<&str>>())
        };
        let numbers = |name: &str, value: &dyn Fn(&Row) -> Option<f64>| -> Column {
            Column::new(name.into(), self.rows.iter().map(value).collect::<Vec<Option<f64>>>())
        };
        let columns = vec![
            texts("name", &|row| &row.name),
            texts("metric", &|row| &row.metric),
            numbers("records", &|row| Some(row.records as f64)),
            numbers("searched", &|row| Some(row.searched as f64)),
            numbers("distance_min", &|row| Some(row.closest.min)),
            numbers("distance_p5", &|row| Some(row.closest.p5)),
            numbers("distance_median", &|row| Some(row.closest.median)),
            numbers("distance_p95", &|row| Some(row.closest.p95)),
            numbers("distance_mean", &|row| Some(row.closest.mean)),
            numbers("closer_to_training", &|row| row.closer.map(|rate| rate.value())),
            numbers("closer_to_training_low", &|row| row.closer.map(|rate| rate.low)),
            numbers("closer_to_training_high", &|row| row.closer.map(|rate| rate.high)),
            numbers("closer_by_chance", &|row| row.closer_by_chance),
            numbers("closer_at_equal_sizes", &|row| row.closer_at_equal_sizes.map(|rate| rate.value())),
            numbers("closer_at_equal_sizes_low", &|row| row.closer_at_equal_sizes.map(|rate| rate.low)),
            numbers("closer_at_equal_sizes_high", &|row| row.closer_at_equal_sizes.map(|rate| rate.high)),
            numbers("reidentified", &|row| row.reidentified.map(|rate| rate.value())),
            numbers("reidentified_low", &|row| row.reidentified.map(|rate| rate.low)),
            numbers("reidentified_high", &|row| row.reidentified.map(|rate| rate.high)),
            numbers("chance", &|row| Some(row.chance)),
            numbers("chance_in_class", &|row| Some(row.chance_in_class)),
            numbers("seed", &|row| Some(row.seed as f64)),
        ];
        // All columns have one value per row, so this cannot fail.
        DataFrame::new(self.rows.len(), columns).unwrap_or_default()
    }

    /// Writes `leakage.csv`, `leakage.svg`, `leakage.png`, `leakage.html` and `leakage.json` into a folder, which is made if needed.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the folder cannot be written, [`crate::Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "leakage", "leakage.json", self.frame(), self, &self.figure())
    }

    fn table(&self) -> Table {
        let mut table = Table::new([
            "released by",
            "metric",
            "n",
            "distance: least",
            "median",
            "mean",
            "nearer to training %",
            "when nothing leaks %",
            "start found %",
            "guessing %",
        ]);
        let percent = |rate: Option<Rate>| rate.map(|r| format!("{:.1} [{:.1}, {:.1}]", 100.0 * r.value(), 100.0 * r.low, 100.0 * r.high));
        for row in &self.rows {
            table = table.row([
                Cell::from(&row.name),
                Cell::from(&row.metric),
                Cell::from(row.records),
                Cell::from(row.closest.min),
                Cell::from(row.closest.median),
                Cell::from(row.closest.mean),
                Cell::from(percent(row.closer)),
                Cell::from(row.closer_by_chance.map(|chance| format!("{:.1}", 100.0 * chance))),
                Cell::from(percent(row.reidentified)),
                Cell::from(format!("{:.2}", 100.0 * row.chance)),
            ]);
        }
        table
    }

    /// The metrics, each once.
    fn metrics(&self) -> Vec<&str> {
        let mut metrics: Vec<&str> = vec![];
        self.rows.iter().for_each(|row| {
            if !metrics.contains(&row.metric.as_str()) {
                metrics.push(&row.metric)
            }
        });
        metrics
    }

    /// Bars of a rate in per cent with its interval, and what chance gives where that is one number; rows without the rate have none.
    fn rates(&self, title: &str, rate: impl Fn(&Row) -> Option<(Rate, f64)>) -> Option<Plot> {
        let several = self.metrics().len() > 1;
        let name = |row: &Row| if several { format!("{}; {}", row.name, row.metric) } else { row.name.clone() };
        let found: Vec<(String, Rate, f64)> =
            self.rows.iter().filter_map(|row| rate(row).map(|(rate, chance)| (name(row), rate, chance))).collect();
        let bars: Vec<(&str, f64, f64, f64)> =
            found.iter().map(|(name, r, _)| (name.as_str(), 100.0 * r.value(), 100.0 * r.low, 100.0 * r.high)).collect();
        let &(_, _, chance) = found.first()?;
        let plot = Plot::new(title).x_label("% of the synthetic records").x_range(0.0, 112.0).bars(&bars);
        let alike = found.iter().all(|(_, _, other)| *other == chance);
        Some(if alike { plot.vertical(100.0 * chance, "when nothing leaks") } else { plot })
    }

    /// Median distances of one metric: numbers of different metrics do not compare.
    fn distances(&self, metric: &str) -> Plot {
        let rows = self.rows.iter().filter(|row| row.metric == metric);
        let bars: Vec<(&str, f64, f64, f64)> =
            rows.map(|row| (row.name.as_str(), row.closest.median, row.closest.p5, row.closest.p95)).collect();
        Plot::new("Distance to the closest record")
            .x_label(metric)
            .bars(&bars)
            .caption("Median; whiskers: from 5 % to 95 % of the records.")
    }

    fn caption(&self) -> String {
        let mut text = String::from("Intervals: 95 % Clopper-Pearson.");
        let all = |value: &dyn Fn(&Row) -> String| {
            let mut once: Vec<String> = vec![];
            self.rows.iter().map(value).for_each(|value| {
                if !once.contains(&value) {
                    once.push(value)
                }
            });
            once.join(", ")
        };
        text.push_str(&format!(" Searched: {} real records; seed {}.", all(&|row| row.searched.to_string()), all(&|r| r.seed.to_string())));
        if self.rows.iter().any(|row| row.reidentified.is_none()) {
            text.push_str(" Start found: only records that began as one real record count.");
        }
        text + " A large distance proves nothing."
    }
}

impl Show for LeakageSummary {
    fn figure(&self) -> Figure {
        if self.rows.is_empty() {
            return Figure::text("no report yet: summary.add(\"DM, real init\", &report)").titled(&self.title);
        }
        let found = self.rates("Nearest real record is the start", |row| row.reidentified.map(|rate| (rate, row.chance)));
        let nearer = self.rates("Nearer to training than to hold-out", |row| row.closer.zip(row.closer_by_chance));
        let metrics = self.metrics();
        let distances = metrics.iter().map(|metric| self.distances(metric));
        let plots: Vec<Figure> = found.into_iter().chain(nearer).chain(distances).map(|plot| plot.figure()).collect();
        let rows = plots.chunks(2).map(|pair| Figure::row(pair.to_vec()));
        Figure::column(std::iter::once(self.table().figure()).chain(rows)).titled(&self.title).captioned(&self.caption())
    }
}

crate::display::show_inline!(LeakageSummary);

impl fmt::Debug for LeakageSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeakageSummary({}, {} rows)", self.title, self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Leakage, Metric};
    use super::*;
    use crate::condense::{DistributionMatching, Init, RandomSubset};
    use crate::nn::Arch;
    use crate::synthesize::Synthesize;
    use crate::{Dataset, Device, Lab};

    fn summary() -> LeakageSummary {
        let lab = Lab::on(Device::Cpu).unwrap().seed(6).quiet();
        let halves = Dataset::toy().members(60, &lab).unwrap();
        let noise = DistributionMatching::new(2).with_arch(Arch::mlp()).with_steps(2).with_init(Init::Noise);
        let mut summary = LeakageSummary::new("toy");
        for (name, method) in [("DM, noise", Box::new(noise) as Box<dyn Synthesize>), ("subset", Box::new(RandomSubset::new(2)))] {
            let released = method.synthesize(&halves.members, &lab).unwrap();
            let leakage = Leakage::new(Metric::L2).with_holdout(&halves.non_members);
            summary.add(name, &leakage.measure(&released, &halves.members, &lab).unwrap());
        }
        summary
    }

    #[test]
    fn the_frame_has_one_row_per_report_and_leaves_out_what_there_is_not() {
        let frame = summary().frame();
        assert_eq!(frame.height(), 2);
        let column = |name: &str| frame.column(name).unwrap().f64().unwrap().to_vec();
        assert_eq!(column("reidentified"), vec![None, Some(1.0)]);
        assert_eq!(column("closer_to_training")[1], Some(1.0));
        assert_eq!(column("closer_by_chance"), vec![Some(0.5); 2]);
        assert_eq!(column("distance_mean")[1], Some(0.0));
    }

    #[test]
    fn the_figure_names_every_report_and_an_empty_one_says_what_to_do() {
        let text = summary().figure().to_text();
        for part in ["DM, noise", "subset", "Nearest real record is the start", "seed 6", "60 real records", "proves nothing"] {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
        assert!(LeakageSummary::new("none").figure().to_text().contains("summary.add"));
    }

    #[test]
    fn all_forms_are_saved() {
        let folder = std::env::temp_dir().join(format!("freelunch-leakage-{}", std::process::id()));
        summary().save(&folder).unwrap();
        for ending in ["csv", "svg", "png", "html", "json"] {
            assert!(folder.join(format!("leakage.{ending}")).exists(), "{ending}");
        }
        let back: LeakageSummary = serde_json::from_slice(&std::fs::read(folder.join("leakage.json")).unwrap()).unwrap();
        assert_eq!(back.frame(), summary().frame());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
