//! How good a model is: accuracy with its interval, per class, and which classes it confuses.

use crate::Dataset;
use crate::display::{Figure, Plot, Show, Table, show_inline};
use crate::stats::Rate;
use serde::{Deserialize, Serialize};

/// Accuracy, accuracy per class, and the confusion matrix of one model on one set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of records classified correctly, with a 95 % Clopper-Pearson interval.
    pub accuracy: Rate,
    /// The same for each class.
    pub per_class: Vec<Rate>,
    /// `confusion[label][prediction]` counts records.
    pub confusion: Vec<Vec<usize>>,
    /// The classes' names.
    pub class_names: Vec<String>,
}

impl Evaluation {
    pub(super) fn new(logits: &[f32], data: &Dataset) -> Self {
        let k = data.classes();
        let mut confusion = vec![vec![0; k]; k];
        for (row, &label) in logits.chunks_exact(k).zip(data.labels()) {
            confusion[label as usize][largest(row)] += 1;
        }
        let per_class = confusion.iter().enumerate().map(|(c, row)| Rate::counted(row[c], row.iter().sum())).collect();
        Self { accuracy: Rate::counted(hits(logits, data), data.len()), per_class, confusion, class_names: data.class_names().to_vec() }
    }
}

impl Evaluation {
    /// The confusion matrix as a heat map: a row for each true class, shaded by the share of its records, with their number.
    ///
    /// # Example
    /// ```
    /// use freelunch::prelude::*;
    /// let (data, lab) = (Dataset::toy(), Lab::new()?.quiet());
    /// let model = Train::new(Arch::Logistic).with_epochs(1).fit(&data, &lab)?;
    /// assert!(model.evaluate(&data)?.confusion_map().to_html().contains("predicted class"));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn confusion_map(&self) -> Figure {
        let names: Vec<&str> = self.class_names.iter().map(String::as_str).collect();
        let share = |row: &Vec<usize>| -> Vec<f64> {
            let all = row.iter().sum::<usize>().max(1) as f64;
            row.iter().map(|&count| count as f64 / all).collect()
        };
        let shares: Vec<Vec<f64>> = self.confusion.iter().map(share).collect();
        let counts: Vec<Vec<String>> = self.confusion.iter().map(|row| row.iter().map(usize::to_string).collect()).collect();
        let k = self.class_names.len() as u32;
        let caption = format!(
            "n = {} records; accuracy {} (95 % Clopper-Pearson). Numbers: records; shade: share of the true class.",
            self.accuracy.of, self.accuracy
        );
        Plot::new("Confusion matrix")
            .x_label("predicted class")
            .y_label("true class")
            .heat_map(&names, &names, &shares, &counts)
            .size(480, (28 * k + 90).max(360))
            .caption(&caption)
            .figure()
    }
}

/// Number of records whose largest logit is at their label.
pub(super) fn hits(logits: &[f32], data: &Dataset) -> usize {
    logits.chunks_exact(data.classes()).zip(data.labels()).filter(|(row, label)| largest(row) == **label as usize).count()
}

fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = i;
        }
    }
    best
}

impl Show for Evaluation {
    fn figure(&self) -> Figure {
        let mut headers = vec!["class".to_string(), "accuracy [95 %]".to_string()];
        headers.extend(self.class_names.iter().map(|name| format!("→ {name}")));
        let mut table = Table::new(headers);
        for (c, row) in self.confusion.iter().enumerate() {
            let mut cells = vec![self.class_names[c].clone(), self.per_class[c].to_string()];
            cells.extend(row.iter().map(usize::to_string));
            table = table.row(cells);
        }
        table.figure().titled(&format!("Accuracy {}", self.accuracy)).captioned("rows: true class; columns: prediction")
    }
}

show_inline!(Evaluation);

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation() -> Evaluation {
        // Logits that say 0, 1, 0, .. whatever the label.
        let data = Dataset::toy();
        let k = data.classes();
        let logits: Vec<f32> = (0..data.len() * k).map(|at| f32::from(u8::from(at % k == at / k % 2))).collect();
        Evaluation::new(&logits, &data)
    }

    #[test]
    fn the_map_has_every_count_once_and_its_caption_n_and_the_interval() {
        let evaluation = evaluation();
        let words = evaluation.confusion_map().to_text();
        let rows: Vec<String> =
            evaluation.confusion.iter().map(|row| row.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")).collect();
        assert!(words.contains(&rows.join(" / ")), "{words}");
        assert!(words.contains(&format!("n = {} records; accuracy {}", Dataset::toy().len(), evaluation.accuracy)));
        assert_eq!(evaluation.confusion.iter().flatten().sum::<usize>(), Dataset::toy().len());
    }

    #[test]
    fn the_map_names_all_classes_on_both_axes() {
        let svg = evaluation().confusion_map().to_svg().unwrap();
        for name in Dataset::toy().class_names() {
            let last = name.split(' ').next_back().unwrap();
            assert!(svg.matches(&format!("{last}</text>")).count() >= 2, "{name}");
        }
    }
}
