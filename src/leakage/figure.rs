//! How a search shows itself: its numbers, the distances, and the pairs themselves.

use super::LeakageReport;
use crate::display::{Cell, Figure, ImageGrid, Plot, Show, Table};
use crate::stats::Rate;

/// Pairs that a report shows by itself.
const PAIRS: usize = 5;

impl LeakageReport {
    /// The `n` synthetic records with the smallest distance beside their nearest real record, the absolute difference of the two
    /// (black where they are equal) and the first record they began as. A table of positions where records are no pictures.
    #[must_use]
    pub fn gallery(&self, n: usize) -> Figure {
        let [channels, height, width] = self.released.shape();
        let figure = if height * width > 1 && matches!(channels, 1 | 3) { self.pictures(n) } else { self.positions(n) };
        figure.captioned(&format!(
            "The {} of {} synthetic records nearest to a real one, by {}. {}",
            n.min(self.records.len()),
            self.records.len(),
            self.metric,
            self.provenance()
        ))
    }

    /// Positions of the synthetic records, smallest distance first.
    fn order(&self, n: usize) -> Vec<usize> {
        let distances = self.distances();
        let mut order: Vec<usize> = (0..distances.len()).collect();
        order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
        order.truncate(n);
        order
    }

    fn pictures(&self, n: usize) -> Figure {
        let distances = self.distances();
        let mut rows = vec![];
        for i in self.order(n) {
            let (made, twin) = (self.released.record(i), self.twins.record(i));
            let difference = made.iter().zip(twin).map(|(a, b)| (a - b).abs()).collect();
            let mut images = vec![made.to_vec(), twin.to_vec(), difference];
            images.extend(self.starts.get(i).filter(|start| !start.is_empty()).cloned());
            let found = if self.records[i].start_rank == Some(1) { ", its start" } else { "" };
            rows.push((format!("#{i}: {}{found}", Cell::from(distances[i])), images));
        }
        ImageGrid::new(rows, self.released.shape())
            .column_captions(&["synthetic", "nearest", "difference", "began as"])
            .at_most(400)
            .figure()
    }

    fn positions(&self, n: usize) -> Figure {
        let mut table = Table::new(["synthetic", "nearest real", "distance", "began as"]);
        for i in self.order(n) {
            let record = &self.records[i];
            let began = record.started_from.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let nearest = record.nearest.first();
            table = table.row([
                Cell::from(i),
                Cell::from(nearest.map(|neighbour| neighbour.record)),
                Cell::from(nearest.map(|neighbour| neighbour.distance)),
                Cell::from(began),
            ]);
        }
        table.figure()
    }

    /// n and seeds, for captions.
    pub(super) fn provenance(&self) -> String {
        format!(
            "{} synthetic records by {} (seed {}) against {} of {}.",
            self.records.len(),
            self.released.origin().method,
            self.released.origin().seed,
            self.searched(),
            self.real_name
        )
    }

    fn numbers(&self) -> Table {
        let q = self.closest();
        let number = |value: f64| Cell::from(value).to_string();
        let rate = |rate: Option<Rate>, none: &str| rate.map_or(none.to_string(), |rate| rate.to_string());
        let share = |share: f64| number(share);
        let mut table = Table::new(["", "measured", "when nothing leaks"])
            .row([format!("distance to the closest record ({}), least", self.metric), number(q.min), String::new()])
            .row(["5 % · 25 % · median".to_string(), [q.p5, q.p25, q.median].map(number).join(" · "), String::new()])
            .row(["75 % · 95 % · largest".to_string(), [q.p75, q.p95, q.max].map(number).join(" · "), String::new()])
            .row(["mean of the minimum distances".to_string(), number(q.mean), String::new()]);
        if let Some(holdout) = &self.holdout {
            let nearer = |found: Option<Rate>| rate(found, "all equally near");
            let expected = self.closer_by_chance().map_or(String::new(), share);
            table = table.row(["nearer to the training set than to the hold-out".into(), nearer(self.closer_to_training()), expected]);
            if holdout.records != self.searched() {
                let what = format!("the same among {} records of each", holdout.each);
                table = table.row([what, nearer(self.closer_at_equal_sizes()), share(0.5)]);
            }
        }
        let most = self.neighbours();
        for k in if most > 1 { vec![1, most] } else { vec![1] } {
            let what = if k == 1 { "nearest real record is the start".into() } else { format!("start among the {k} nearest") };
            let guessing = format!("{} (in its class {})", share(self.chance(k)), share(self.chance_in_class(k)));
            table = table.row([what, rate(self.found_within(k), "began as no single record"), guessing]);
        }
        table
    }

    fn caption(&self) -> String {
        let holdout = self.holdout.as_ref().map_or(String::new(), |holdout| {
            let cut =
                if holdout.records == self.searched() { String::new() } else { format!(" Cut to equal sizes with seed {}.", self.seed) };
            format!(" Hold-out: {} records of {}.{cut}", holdout.records, holdout.name)
        });
        format!("{}{holdout} Intervals: 95 % Clopper-Pearson. A large distance proves nothing.", self.provenance())
    }

    /// How many synthetic records are how far from the closest real one.
    fn histogram(&self) -> Plot {
        let mut series = vec![(format!("nearest of {} real", self.searched()), self.distances())];
        if let Some(holdout) = &self.holdout {
            let at_equal_sizes = |k: usize| {
                self.records.iter().filter_map(|record| record.outside.map(|outside| outside.equal_sizes[k])).collect::<Vec<f64>>()
            };
            if holdout.each < self.searched() {
                series.push((format!("nearest of {} of these", holdout.each), at_equal_sizes(0)));
            }
            series.push((format!("nearest of {} hold-out", holdout.each), at_equal_sizes(1)));
        }
        let largest = series.iter().flat_map(|(_, values)| values).copied().fold(0.0, f64::max);
        let bins = (2 * self.records.len().isqrt()).clamp(8, 30);
        let reach = if largest > 0.0 { largest } else { 1.0 };
        let width = reach / bins as f64;
        let mut plot = Plot::new("Distance to the closest record").x_label(&self.metric).y_label("synthetic records");
        for (name, values) in &series {
            let mut counts = vec![0.0; bins];
            values.iter().for_each(|value| counts[((value / width) as usize).min(bins - 1)] += 1.0);
            let edges: Vec<(f64, f64, f64)> =
                counts.iter().enumerate().flat_map(|(i, &n)| [(i as f64 * width, 0.0, n), ((i + 1) as f64 * width, 0.0, n)]).collect();
            let outline: Vec<(f64, f64)> = edges.iter().map(|&(x, _, high)| (x, high)).collect();
            plot = plot.band(name, &edges).line(name, &outline);
        }
        plot
    }
}

impl Show for LeakageReport {
    fn figure(&self) -> Figure {
        let pictures = Figure::row([self.histogram().figure(), self.gallery(PAIRS).captioned("")]);
        let title = format!("What the eye can see: {}", self.released.name());
        Figure::column([self.numbers().figure(), pictures]).titled(&title).captioned(&self.caption())
    }
}

crate::display::show_inline!(LeakageReport);

#[cfg(test)]
mod tests {
    use super::super::{Leakage, Metric};
    use super::*;
    use crate::condense::RandomSubset;
    use crate::synthesize::Synthesize;
    use crate::{Dataset, Device, Lab};

    fn report(real: &Dataset) -> LeakageReport {
        let lab = Lab::on(Device::Cpu).unwrap().seed(4).quiet();
        let halves = real.members(real.len() / 3, &lab).unwrap();
        let released = RandomSubset::new(2).synthesize(real, &lab).unwrap();
        Leakage::new(Metric::L2).with_holdout(&halves.non_members).measure(&released, real, &lab).unwrap()
    }

    #[test]
    fn the_figure_holds_numbers_chance_n_seed_and_a_warning() {
        let text = report(&Dataset::toy()).figure().to_text();
        for part in [
            "L2 per value",
            "when nothing leaks",
            "0.75",
            "the same among 40 records of each",
            "start among the 5 nearest",
            "nearest of 120 real",
            "8 synthetic records by random subset (seed 4) against 120 of toy",
            "Cut to equal sizes with seed 4",
            "A large distance proves nothing",
        ] {
            assert!(text.contains(part), "{text}\nlacks {part}");
        }
    }

    #[test]
    fn a_gallery_shows_twins_as_pictures_and_tables_as_positions() {
        let html = report(&Dataset::toy()).gallery(3).to_html();
        assert!(html.contains("12 grey images of 8 x 8 pixels in 3 rows") && html.contains("its start"), "{html}");
        let table = report(&Dataset::toy_table());
        assert!(table.gallery(2).to_text().contains("nearest real"));
        assert!(table.figure().to_svg().unwrap().starts_with("<svg"));
        let html = report(&Dataset::toy()).gallery(0).to_html();
        assert!(html.contains("could not be shown"), "{html}");
    }
}
