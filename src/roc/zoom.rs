//! The corner of a curve that matters, on linear axes beside the whole on logarithmic ones.

use super::figure::{caption, plot};
use super::tpr_at::percent;
use super::{Roc, RocSet};
use crate::display::{Figure, Plot, Show};
use crate::{Error, Result};

impl Roc {
    /// The whole curve on log-log axes and, beside it, false positive rates up to `max_fpr` on linear ones.
    ///
    /// # Errors
    /// [`Error::Config`] unless 0 < `max_fpr` ≤ 1.
    ///
    /// # Example
    /// ```
    /// use freelunch::roc::Roc;
    /// let roc = Roc::new(&[0.9, 0.8, 0.7, 0.1], &[true, false, true, false])?;
    /// assert!(roc.zoomed(0.5)?.to_svg()?.contains("up to 50 %"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn zoomed(&self, max_fpr: f64) -> Result<Figure> {
        zoomed(std::slice::from_ref(self), max_fpr)
    }
}

impl RocSet {
    /// All curves on log-log axes and, beside them, false positive rates up to `max_fpr` on linear ones.
    ///
    /// # Errors
    /// As [`Roc::zoomed`].
    pub fn zoomed(&self, max_fpr: f64) -> Result<Figure> {
        zoomed(self.curves(), max_fpr)
    }
}

fn zoomed(curves: &[Roc], max_fpr: f64) -> Result<Figure> {
    if !(max_fpr > 0.0 && max_fpr <= 1.0) {
        return Err(Error::config(format!("max_fpr is {max_fpr}"), "expected a rate above 0 and at most 1, such as 0.01"));
    }
    let mut warnings: Vec<String> = vec![];
    let mut most = 0.0f64;
    let mut corner = Plot::new(&format!("False positive rates up to {}", percent(max_fpr)))
        .x_label("false positive rate")
        .y_label("true positive rate")
        .x_range(0.0, max_fpr);
    for roc in curves {
        let (line, band) = staircase(roc, max_fpr);
        most = band.iter().map(|edge| edge.2).fold(most, f64::max);
        corner = corner.band(&roc.name, &band).line(&roc.name, &line);
        warnings.extend(roc.tpr_at(max_fpr).warning.filter(|text| !warnings.contains(text)));
    }
    let corner = corner.y_range(0.0, (1.05 * most.max(max_fpr)).min(1.0)).diagonal();
    let warned = warnings.iter().map(|text| format!(" At {}: {text}.", percent(max_fpr))).collect::<String>();
    Ok(Figure::row([plot(curves).caption("").figure(), corner.figure()]).captioned(&format!("{}{warned}", caption(curves))))
}

/// Points `(x, y)` of a line.
type Line = Vec<(f64, f64)>;
/// Edges `(x, low, high)` of an interval.
type Band = Vec<(f64, f64, f64)>;

/// The rate at every step of the curve up to a bound, as a line with corners, and its interval.
fn staircase(roc: &Roc, max_fpr: f64) -> (Line, Band) {
    /// More steps than a picture has pixels.
    const MOST: usize = 400;
    let n0 = roc.non_members;
    let last = (max_fpr * n0 as f64 + 1e-9).floor() as usize;
    let stride = (last / MOST).max(1);
    let (mut line, mut band) = (vec![], vec![]);
    for count in (0..=last).step_by(stride) {
        // Half a trial above, so that rounding does not lose the step.
        let rate = roc.tpr_at((count as f64 + 0.5) / n0 as f64).rate;
        let (from, to) = (count as f64 / n0 as f64, ((count + stride) as f64 / n0 as f64).min(max_fpr));
        for x in [from, to] {
            line.push((x, rate.value()));
            band.push((x, rate.low, rate.high));
        }
    }
    (line, band)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100 members and 1000 non-members; 20 members are above all, the others below.
    fn roc() -> Roc {
        let scores: Vec<f64> = (0..1100)
            .map(|i| {
                if i < 20 {
                    5000.0
                } else if i < 100 {
                    -5000.0
                } else {
                    f64::from(i)
                }
            })
            .collect();
        let truth: Vec<bool> = (0..1100).map(|i| i < 100).collect();
        Roc::new(&scores, &truth).unwrap().named("LiRA").with_note("seed 3")
    }

    #[test]
    fn the_corner_has_a_step_for_every_false_positive() {
        let (line, band) = staircase(&roc(), 0.01);
        assert_eq!((line.len(), line[0], line[line.len() - 1]), (22, (0.0, 0.2), (0.01, 0.2)));
        assert!(band.iter().all(|edge| edge.1 < 0.2 && edge.2 > 0.2));
        let steps = Roc::new(&[4.0, 3.0, 2.0, 1.0], &[false, true, false, true]).unwrap();
        let (line, _) = staircase(&steps, 1.0);
        assert_eq!(line, [(0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (1.0, 1.0)]);
    }

    #[test]
    fn both_views_are_there_with_trials_seed_and_interval() {
        let svg = roc().zoomed(0.01).unwrap().to_svg().unwrap();
        for part in ["up to 1 %", "Membership inference", "100 members, 1,000 non-members; seed 3", "Clopper-Pearson"] {
            assert!(svg.contains(part), "{part}");
        }
        // Nothing can be measured between 0 and 1/n₀.
        assert!(roc().zoomed(0.0005).unwrap().to_text().contains("At 0.05 %"));
        assert_eq!(Roc::compare([roc(), roc()]).zoomed(0.1).unwrap().to_text().matches("line LiRA #2").count(), 2);
    }

    #[test]
    fn impossible_bounds_are_named() {
        for bound in [0.0, -1.0, 1.5, f64::NAN] {
            assert!(roc().zoomed(bound).unwrap_err().to_string().contains("max_fpr is"));
        }
    }
}
