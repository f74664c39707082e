//! The report as a table, a figure and a polars frame.

use super::GanAttackReport;
use super::Similarity;
use crate::display::{Figure, ImageGrid, Show, Table, show_inline};
use crate::leakage::Quantiles;
use crate::stats::Rate;
use crate::{Error, Result};
use polars::prelude::{Column, DataFrame};
use std::path::Path;

impl GanAttackReport {
    /// One row as a polars table: shares between 0 and 1 with the ends of their intervals, distances per value.
    ///
    /// # Errors
    /// [`Error::Table`] when polars refuses.
    pub fn frame(&self) -> Result<DataFrame> {
        let columns = self.numbers().into_iter().map(|(name, value)| Column::new(name.into(), vec![value])).collect();
        DataFrame::new(1, columns).map_err(|e| Error::table("GAN attack", e))
    }

    /// Every number with its name.
    pub(in crate::gan_attack) fn numbers(&self) -> Vec<(&'static str, Option<f64>)> {
        let d = &self.distances;
        let ssim = |value: fn(&Similarity) -> f64| self.similarity.as_ref().ok().map(value);
        let untrained = self.untrained;
        let mut all = vec![
            ("recognised", Some(self.recognised.value())),
            ("recognised_low", Some(self.recognised.low)),
            ("recognised_high", Some(self.recognised.high)),
            ("recognised_untrained", untrained.map(|rate| rate.value())),
            ("recognised_untrained_low", untrained.map(|rate| rate.low)),
            ("recognised_untrained_high", untrained.map(|rate| rate.high)),
            ("relative_distance", self.relative_distance()),
            ("nearer", d.nearer.map(|rate| rate.value())),
        ];
        all.extend([
            ("nearer_by_chance", Some(d.nearer_by_chance)),
            ("p_value", Some(d.p_value)),
            ("to_victim_median", Some(d.to_victim.median)),
            ("to_held_out_median", Some(d.to_held_out.median)),
            ("held_out_to_victim_median", Some(d.held_out_to_victim.median)),
            ("ssim_to_class_mean", ssim(|s| s.to_class_mean)),
            ("ssim_to_victim", ssim(|s| s.to_victim)),
            ("ssim_to_held_out", ssim(|s| s.to_held_out)),
            ("ssim_held_out_to_victim", ssim(|s| s.held_out_to_victim)),
            ("spread", self.spread),
            ("images", Some(self.recognised.of as f64)),
            ("victim_records", Some(self.victims as f64)),
            ("held_out_records", Some(self.held_out as f64)),
            ("seed", Some(self.seed as f64)),
        ]);
        all
    }

    /// Writes `gan_report.csv`, `gan_report.svg`, `gan_report.png`, `gan_report.html` and `gan_report.json` into a folder, which is made if
    /// needed.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder cannot be written, [`Error::Figure`] when the figure cannot be drawn.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        crate::file::save_report(folder.as_ref(), "gan_report", "gan_report.json", self.frame()?, self, &self.figure())
    }

    fn table(&self) -> Table {
        let d = &self.distances;
        let share = |rate: Option<Rate>| rate.map_or_else(|| "all equally near".to_string(), |rate| format!("{:.3}", rate.value()));
        let mut table = Table::new(["measure", "images", "control", "what the control is"]);
        let control = self.untrained.map_or_else(String::new, |rate| rate.to_string());
        table = table.row(["taken for the class by others".into(), self.recognised.to_string(), control, "the untrained generator".into()]);
        let median = |q: &Quantiles| format!("{:.4}", q.median);
        let rows = [
            ("distance to the victim's nearest", median(&d.to_victim), median(&d.held_out_to_victim), "held-out records of the class"),
            ("distance to the nearest held-out", median(&d.to_held_out), String::new(), ""),
            ("nearer to the victim's", share(d.nearer), format!("{:.3}", d.nearer_by_chance), "when only the class is known"),
            ("p of that nearness", format!("{:.3}", d.p_value), String::new(), "random exchanges of both sets"),
        ];
        for (name, value, control, what) in rows {
            table = table.row([name.to_string(), value, control, what.to_string()]);
        }
        if let Ok(s) = &self.similarity {
            let three = |value: f64| format!("{value:.3}");
            table = table.row(["SSIM with the victim's class mean".into(), three(s.to_class_mean), String::new(), String::new()]);
            let control = three(s.held_out_to_victim);
            table =
                table.row(["SSIM with the victim's nearest".into(), three(s.to_victim), control, "held-out records of the class".into()]);
            table = table.row(["SSIM with the nearest held-out".into(), three(s.to_held_out), String::new(), String::new()]);
        }
        let spread = self.spread.map_or_else(String::new, |spread| format!("{spread:.2}"));
        table.row(["spread".into(), spread, "1".into(), "held-out records of the class".to_string()])
    }

    fn caption(&self) -> String {
        let missing = self.similarity.as_ref().err().map_or_else(String::new, |why| format!(" No SSIM: {why}."));
        let warning = self.result.warning().map_or_else(String::new, |text| format!(" Warning: {text}."));
        format!(
            "{} {} images, {} records of the victim and {} held out, all of class {}; seed {}. Distances: medians, root mean square per \
             value. Intervals: 95 % Clopper-Pearson over the images of this one generator; p: 999 exchanges. Proven: {}.{missing}{warning}",
            self.finding(),
            self.recognised.of,
            self.victims,
            self.held_out,
            self.class,
            self.seed,
            self.event()
        )
    }
}

impl Show for GanAttackReport {
    fn figure(&self) -> Figure {
        let [c, h, w] = self.result.images().shape();
        let names = ["generated", "victim's nearest", "held-out nearest"];
        let rows = names.iter().map(ToString::to_string).zip(self.twins.iter().cloned()).collect();
        let picture = (h * w > 1 && matches!(c, 1 | 3)).then(|| ImageGrid::new(rows, [c, h, w]).figure());
        Figure::column(picture.into_iter().chain([self.table().figure()]))
            .titled(&format!("What the GAN attack shows of class {}", self.class))
            .captioned(&self.caption())
    }
}

show_inline!(GanAttackReport);
