//! A true positive rate at a bounded false positive rate, and how far such a number can be trusted.

use crate::stats::{CONFIDENCE, Rate, clopper_pearson};
use serde::{Deserialize, Serialize};

/// The largest true positive rate within a bound on the false positive rate.
///
/// # Example
/// ```
/// let roc = freelunch::roc::Roc::new(&[2.0, 1.0, 0.0], &[true, true, false])?;
/// let found = roc.tpr_at(0.001);
/// assert_eq!((found.rate.hits, found.rate.of, found.false_positives), (2, 2, 0));
/// assert!(found.warning.is_some_and(|text| text.starts_with("an FPR of 0.1 % needs 1,000 non-members, there are 1")));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TprAt {
    /// Members found, with the interval of that rate at the chosen threshold.
    pub rate: Rate,
    /// The bound on the false positive rate, 0 to 1.
    pub at_most: f64,
    /// Non-members taken for members at that threshold.
    pub false_positives: usize,
    /// "Member" is said from this score on; `None` where it is never said.
    pub threshold: Option<f64>,
    /// Number of member trials.
    pub members: usize,
    /// Number of non-member trials.
    pub non_members: usize,
    /// Why this number should not be leaned on, if there is a reason.
    pub warning: Option<String>,
}

/// So much does FPR · n₀ lose in rounding: 0.001 · 3000 is 3.
pub(super) const ROUNDING: f64 = 1e-9;

pub(super) fn warning(at_most: f64, false_positives: usize, non_members: usize) -> Option<String> {
    let bound = clopper_pearson(false_positives, non_members, CONFIDENCE).map_or(1.0, |ends| ends.high);
    if at_most > 0.0 && at_most * (non_members as f64) < 1.0 - ROUNDING {
        let needed = grouped((1.0 / at_most - ROUNDING).ceil() as usize);
        let text = format!("an FPR of {} needs {needed} non-members, there are {}", percent(at_most), grouped(non_members));
        return Some(format!("{text}: this is the TPR at no false positive, where the FPR may be up to {}", percent(bound)));
    }
    if false_positives < 10 {
        let text = format!("rests on {false_positives} false positives of {} non-members", grouped(non_members));
        return Some(format!("{text}: the FPR may be up to {}", percent(bound)));
    }
    None
}

/// 0.001 as "0.1 %", with three significant digits.
pub(super) fn percent(share: f64) -> String {
    let digits = if share > 0.0 { (-(100.0 * share).log10().floor() + 2.0).clamp(0.0, 12.0) as usize } else { 0 };
    let text = format!("{:.digits$}", 100.0 * share);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

/// 1000 as "1,000".
pub(super) fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_say_what_the_sample_cannot_carry() {
        let text = |at_most, false_positives, non_members| warning(at_most, false_positives, non_members).unwrap_or_default();
        assert!(text(0.001, 0, 300).starts_with("an FPR of 0.1 % needs 1,000 non-members, there are 300"));
        assert!(text(0.001, 0, 300).ends_with("may be up to 1.22 %"));
        assert!(text(0.01, 3, 300).starts_with("rests on 3 false positives of 300 non-members"));
        assert_eq!(text(0.001, 12, 12_000), "");
        assert_eq!(
            warning(0.0, 0, 1_000_000).unwrap_or_default().split(':').next(),
            Some("rests on 0 false positives of 1,000,000 non-members")
        );
        assert!(text(1e-5, 0, 99_999).contains("0.001 % needs 100,000"));
    }

    #[test]
    fn shares_and_counts_read_well() {
        assert_eq!([0.001, 0.07, 1.0, 0.012_34, 0.0].map(percent), ["0.1 %", "7 %", "100 %", "1.23 %", "0 %"]);
        assert_eq!([7, 1000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
    }
}
