//! The scores of members and non-members over each other: what a threshold has to part.

use super::Scores;
use crate::display::{Figure, Plot, Show};

impl Scores {
    /// Histograms of the scores of member and non-member trials with the same bins, as densities. Bins cover the central 99 % of all
    /// scores where the rest would flatten the picture; the caption says how many trials lie outside.
    ///
    /// # Example
    /// ```
    /// use freelunch::attack::{LossThreshold, Manifest, Scores, Signals};
    /// let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
    /// let logits = vec![2.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0];
    /// let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 1], manifest)?;
    /// assert!(Scores::of(&LossThreshold::new(), &signals)?.histogram().to_html().contains("non-members"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn histogram(&self) -> Figure {
        histogram(self)
    }
}

/// Bins `(left, right, density)` of one side.
type Bins = Vec<(f64, f64, f64)>;

fn histogram(scores: &Scores) -> Figure {
    let side = |member: bool| -> Vec<f64> {
        scores.values().iter().zip(scores.membership()).filter(|trial| *trial.1 == member).map(|trial| *trial.0).collect()
    };
    let (members, others) = (side(true), side(false));
    let edges = edges(scores.values());
    let (inside, outside) = (densities(&members, &edges), densities(&others, &edges));
    let cut = |(_, out): &(Bins, usize)| *out;
    let mut caption = format!(
        "{} member and {} non-member trials ({} models × {} records, seed {}), {} bins each. Densities: each area is the share of its trials \
         in view; no interval is drawn.",
        members.len(),
        others.len(),
        scores.models(),
        scores.len(),
        scores.seed(),
        edges.len().saturating_sub(1)
    );
    if cut(&inside) + cut(&outside) > 0 {
        caption.push_str(&format!(" Outside the picture: {} of members, {} of non-members.", cut(&inside), cut(&outside)));
    }
    let top = inside.0.iter().chain(&outside.0).map(|bin| bin.2).fold(1e-9, f64::max);
    Plot::new(&format!("Scores of {}", scores.attack()))
        .x_label("score (higher: member)")
        .y_label("density")
        .y_range(0.0, 1.05 * top)
        .histogram("members", &inside.0)
        .histogram("non-members", &outside.0)
        .caption(&caption)
        .figure()
}

/// Edges of equal bins: Freedman and Diaconis' width 2 · IQR / n^⅓, at least 8 bins and at most 60, over the scores or their central 99 %.
fn edges(scores: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted.get(((sorted.len().saturating_sub(1)) as f64 * share).round() as usize).copied().unwrap_or(0.0);
    let (mut low, mut high) = (at(0.0), at(1.0));
    // Twice as wide as the bulk: the few scores outside would take half of the picture.
    if high - low > 2.0 * (at(0.995) - at(0.005)) && at(0.005) < at(0.995) {
        (low, high) = (at(0.005), at(0.995));
    }
    if low >= high {
        let around = 0.5 * low.abs().max(1e-9);
        return vec![low - around, low + around];
    }
    let width = 2.0 * (at(0.75) - at(0.25)) / (sorted.len() as f64).cbrt();
    let bins = if width > 0.0 { ((high - low) / width).ceil().clamp(8.0, 60.0) as usize } else { 30 };
    (0..=bins).map(|i| low + (high - low) * i as f64 / bins as f64).collect()
}

/// The density in each bin, and how many values lie in none. The last bin holds its right edge.
fn densities(values: &[f64], edges: &[f64]) -> (Bins, usize) {
    let bins = edges.len().saturating_sub(1);
    let (Some(&low), Some(&high)) = (edges.first(), edges.last()) else {
        return (vec![], values.len());
    };
    let mut counts = vec![0usize; bins];
    let mut outside = 0;
    for &value in values {
        if value < low || value > high || value.is_nan() {
            outside += 1;
        } else {
            counts[edges.partition_point(|edge| *edge <= value).clamp(1, bins) - 1] += 1;
        }
    }
    let all = values.len().max(1) as f64;
    let bin = |i: usize| (edges[i], edges[i + 1], counts[i] as f64 / (all * (edges[i + 1] - edges[i])));
    ((0..bins).map(bin).collect(), outside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::{LossThreshold, Manifest, Signals};

    fn area(bins: &Bins) -> f64 {
        bins.iter().map(|bin| (bin.1 - bin.0) * bin.2).sum()
    }

    #[test]
    fn each_area_is_the_share_in_view() {
        let values: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 0.37).sin()).collect();
        let (bins, outside) = densities(&values, &edges(&values));
        assert!((area(&bins) - 1.0).abs() < 1e-12 && outside == 0 && bins.len() >= 8);
        let (bins, outside) = densities(&[0.0, 0.5, 1.0, 7.0], &[0.0, 0.5, 1.0]);
        assert_eq!((bins, outside), (vec![(0.0, 0.5, 0.5), (0.5, 1.0, 1.0)], 1));
    }

    #[test]
    fn a_few_far_scores_do_not_flatten_the_picture() {
        let mut values: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        values.push(1e6);
        let edges = edges(&values);
        assert!(edges[edges.len() - 1] < 1.1);
        assert_eq!(densities(&values, &edges).1, 10, "five below, four above, and the far one");
        assert_eq!(super::edges(&[3.0, 3.0]).len(), 2);
    }

    #[test]
    fn the_figure_has_both_sides_with_n_and_seed() {
        let manifest = Manifest::new(serde_json::Value::Null, 7, "no data");
        let logits = vec![2.0_f32, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0];
        let signals = Signals::new(logits, [2, 2, 1, 2], vec![true, false, false, true], vec![0, 1], manifest).unwrap();
        let text = histogram(&Scores::of(&LossThreshold::new(), &signals).unwrap()).to_text();
        assert!(text.contains("2 member and 2 non-member trials (2 models × 2 records, seed 7)"), "{text}");
        assert!(text.contains("histogram members") && text.contains("histogram non-members"));
    }
}
