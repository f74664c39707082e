//! What accuracy costs: every pipeline at its accuracy and at what the strongest attack finds of its members.

use super::{Report, Row};
use crate::display::{Figure, Plot, Show};
use crate::stats::Estimate;

impl Report {
    /// Accuracy against the members found at 0.1 % false positives, one point for each pipeline with both intervals, and the line of those
    /// that no other pipeline beats in both. Of several attacks on a pipeline the one that finds most counts. Pipelines whose game did not
    /// test have no accuracy and are left out.
    ///
    /// # Example
    /// ```
    /// use freelunch::prelude::*;
    /// let lab = Lab::new()?.quiet();
    /// let pipeline = Pipeline::direct(Train::new(Arch::Logistic).with_epochs(1));
    /// let signals = Game::new(4).with_test(&Dataset::toy()).play(&pipeline, &Dataset::toy(), &lab)?;
    /// let mut report = Report::new("toy");
    /// report.measure(&signals, &LossThreshold::new())?;
    /// assert!(report.frontier().to_html().contains("accuracy"));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn frontier(&self) -> Figure {
        frontier(&self.title, &self.rows)
    }
}

fn frontier(title: &str, rows: &[Row]) -> Figure {
    let points = strongest(rows);
    if points.is_empty() {
        return Figure::text("no pipeline with a test accuracy: play the game with a test set").titled(title);
    }
    let places: Vec<(Estimate, Estimate)> = points.iter().map(|row| place(row)).collect();
    let mut plot = Plot::new("Accuracy against leakage").x_label("TPR % at FPR ≤ 0.1 %").y_label("test accuracy (%)").size(560, 400);
    for (row, at) in points.iter().zip(&places) {
        plot = plot.crosses(&row.method, &[*at]);
    }
    let best = pareto(&places.iter().map(|(x, y)| (x.value, y.value)).collect::<Vec<_>>());
    if best.len() > 1 {
        plot = plot.line("not beaten in both", &best);
    }
    plot.vertical(0.1, "guessing").legend_below().caption(&caption(rows, &points)).figure().titled(title)
}

/// For each pipeline with an accuracy the row of the attack that finds most.
fn strongest(rows: &[Row]) -> Vec<&Row> {
    let mut points: Vec<&Row> = vec![];
    for row in rows.iter().filter(|row| row.accuracy.is_some()) {
        match points.iter_mut().find(|other| other.method == row.method) {
            Some(other) if row.tpr_at_01_percent.rate.value() > other.tpr_at_01_percent.rate.value() => *other = row,
            Some(_) => {}
            None => points.push(row),
        }
    }
    points
}

fn place(row: &Row) -> (Estimate, Estimate) {
    let rate = row.tpr_at_01_percent.rate;
    let leak = Estimate { value: 100.0 * rate.value(), low: 100.0 * rate.low, high: 100.0 * rate.high };
    let accuracy = row.accuracy.map_or(Estimate { value: f64::NAN, low: f64::NAN, high: f64::NAN }, |a| Estimate {
        value: 100.0 * a.mean,
        low: 100.0 * a.low,
        high: 100.0 * a.high,
    });
    (leak, accuracy)
}

/// The points to which no other is better in one coordinate and at least as good in the other: less leakage, more accuracy.
fn pareto(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let beaten = |p: &(f64, f64)| points.iter().any(|q| q.0 <= p.0 && q.1 >= p.1 && (q.0 < p.0 || q.1 > p.1));
    let mut best: Vec<(f64, f64)> = points.iter().filter(|p| !beaten(p)).copied().collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    best.dedup();
    best
}

fn caption(rows: &[Row], points: &[&Row]) -> String {
    let trials =
        super::distinct(points.iter().map(|row| format!("{} member and {} non-member trials", row.roc.members(), row.roc.non_members())));
    let runs = super::distinct(points.iter().map(|row| row.runs.to_string()));
    let seeds = super::distinct(points.iter().map(|row| row.seed.to_string()));
    let mut caption = format!(
        "Each point: {trials}, {runs} shadow runs, seed {seeds}. Accuracy: mean and 95 % Student interval over the runs. TPR: 95 % \
         Clopper-Pearson, trials taken as independent. The line joins estimates; their intervals may overlap."
    );
    if points.len() < rows.iter().filter(|row| row.accuracy.is_some()).count() {
        caption.push_str(" Of several attacks the one that finds most is shown, its interval not corrected for that choice.");
    }
    let without = super::distinct(rows.iter().filter(|row| row.accuracy.is_none()).map(|row| row.method.clone()));
    if !without.is_empty() {
        caption.push_str(&format!(" Without a test accuracy and left out: {without}."));
    }
    let warnings = super::distinct(points.iter().filter_map(|row| row.tpr_at_01_percent.warning.clone()));
    if !warnings.is_empty() {
        caption.push_str(&format!(" At 0.1 %: {warnings}."));
    }
    caption
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{ClopperPearson, Selection};
    use crate::roc::Roc;
    use crate::stats::MeanInterval;
    use crate::{Device, Lab};

    /// A report's row with this accuracy that finds so many of 1000 members before the first of 2000 non-members.
    fn row(method: &str, attack: &str, accuracy: Option<f64>, found: usize) -> Row {
        let scores: Vec<f64> = (0..3000)
            .map(|i| {
                if (i as usize) < found {
                    9e3
                } else if i < 1000 {
                    -9e3
                } else {
                    f64::from(i)
                }
            })
            .collect();
        let truth: Vec<bool> = (0..3000).map(|i| i < 1000).collect();
        let roc = Roc::new(&scores, &truth).unwrap();
        let lower = ClopperPearson::new(Selection::Bonferroni { candidates: 10 });
        Row {
            method: method.to_string(),
            accuracy: accuracy.map(|a| MeanInterval::new(&[a - 0.01, a, a + 0.01]).unwrap()),
            epsilon: f64::INFINITY,
            lower: lower.audit(&scores, &truth, &Lab::on(Device::Cpu).unwrap().quiet()).unwrap(),
            attack: attack.to_string(),
            auc: roc.auc(),
            tpr_at_1_percent: roc.tpr_at(0.01),
            tpr_at_01_percent: roc.tpr_at(0.001),
            runs: 16,
            seconds: 1.0,
            seed: 7,
            counted: "all records".to_string(),
            pipeline: serde_json::Value::Null,
            game: serde_json::Value::Null,
            roc,
        }
    }

    fn rows() -> Vec<Row> {
        vec![
            row("none", "LiRA", Some(0.9), 100),
            row("none", "loss", Some(0.9), 300),
            row("DP", "LiRA", Some(0.6), 1),
            row("DM", "LiRA", Some(0.8), 40),
            row("worse", "LiRA", Some(0.7), 200),
            row("untested", "LiRA", None, 5),
        ]
    }

    #[test]
    fn the_line_holds_what_no_other_pipeline_beats() {
        let points = [(30.0, 90.0), (0.1, 60.0), (4.0, 80.0), (20.0, 70.0), (4.0, 75.0), (5.0, 80.0)];
        assert_eq!(pareto(&points), [(0.1, 60.0), (4.0, 80.0), (30.0, 90.0)]);
        assert_eq!(pareto(&[(1.0, 1.0), (1.0, 1.0)]), [(1.0, 1.0)]);
    }

    #[test]
    fn a_pipeline_stands_where_its_strongest_attack_puts_it() {
        let rows = rows();
        let points = strongest(&rows);
        let found: Vec<(&str, &str)> = points.iter().map(|row| (row.method.as_str(), row.attack.as_str())).collect();
        assert_eq!(found, [("none", "loss"), ("DP", "LiRA"), ("DM", "LiRA"), ("worse", "LiRA")]);
        let (leak, accuracy) = place(points[0]);
        assert!((leak.value - 30.0).abs() < 1e-9 && leak.low < 30.0 && leak.high > 30.0 && (accuracy.value - 90.0).abs() < 1e-9);
    }

    #[test]
    fn the_caption_says_n_seed_intervals_and_what_is_missing() {
        let text = frontier("Toy", &rows()).to_text();
        for part in
            ["1000 member and 2000 non-member trials", "seed 7", "Student", "Clopper-Pearson", "left out: untested", "Of several attacks"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(frontier("Toy", &[row("a", "b", None, 3)]).to_text().contains("no pipeline with a test accuracy"));
    }
}
