//! ROC curves: how many members for how many false accusations.

use super::{Explain, Explanation, LIRA, count, most, number, percent, share, short, texts};
use crate::roc::{Roc, RocSet, TprAt};

pub(super) const RATES: &str = "TPR(τ) = #{members: score ≥ τ} / #members; FPR(τ) the same of non-members; AUC = P[s₁ > s₀] + ½ P[s₁ = s₀]";
const DELONG: &str = "DeLong, DeLong, Clarke-Pearson, Biometrics 44, 1988";

/// A bound on the false positive rate that most samples here can carry.
pub(super) const BOUND: f64 = 0.01;

impl Explain for Roc {
    fn explain(&self) -> Explanation {
        let (auc, found) = (self.auc(), self.tpr_at(BOUND));
        let resolution = if self.non_members() < 1000 {
            format!(
                "With {} non-member trials no FPR below {} can be seen",
                self.non_members(),
                percent(1.0 / self.non_members().max(1) as f64)
            )
        } else {
            format!("At an FPR of 0.1 % only {} of the non-member trials decide", self.non_members() / 1000)
        };
        Explanation {
            title: format!("ROC curve of {}", short(self.name())),
            means: format!(
                "A random member scores above a random non-member with probability {} (AUC, ties half; 95 %: {} to {}; 0.5 is guessing). \
                     Accusing at most 1 % of the non-members it finds {} of the members.",
                number(auc.value),
                number(auc.low),
                number(auc.high),
                share(&found.rate)
            ),
            does_not_mean:
                "AUC near 0.5 is not \"private\": an average hides the few records that are found with certainty. One attack that fails \
                     proves nothing about a stronger one, and no upper bound on ε follows."
                    .into(),
            would_change: format!(
                "{resolution}: read TPR with its interval. A stronger attack (LiRA's shadow models know the whole pipeline), canaries, \
                     more runs. Trials that share models make intervals too narrow."
            ),
            formula: RATES.into(),
            references: texts(&[LIRA, DELONG]),
        }
    }
}

impl Explain for RocSet {
    fn explain(&self) -> Explanation {
        let best = most(self.curves(), |roc| roc.tpr_at(BOUND).rate.value());
        let least = most(self.curves(), |roc| -roc.auc().value);
        Explanation {
            title: format!("{} beside each other", count(self.curves().len(), "ROC curve")),
            means: match best.zip(least) {
                None => "0 curves: nothing was compared yet.".into(),
                Some((best, least)) => format!(
                    "Of {}, the one with most members found at an FPR of at most 1 % is \"{}\": {}, AUC {}. The lowest AUC is {} (\"{}\").",
                    count(self.curves().len(), "curve"),
                    short(best.name()),
                    share(&best.tpr_at(BOUND).rate),
                    number(best.auc().value),
                    number(least.auc().value),
                    short(least.name())
                ),
            },
            does_not_mean: "A low curve is not a private method: it may be a weak attack. Curves whose intervals overlap are not shown to \
                 differ by this figure, and the best one, chosen after looking, looks better than it is."
                .into(),
            would_change: "Judge each method by its strongest attack, on the same records and with equal numbers of runs; more runs; more \
                 non-members for the left end."
                .into(),
            formula: RATES.into(),
            references: texts(&[LIRA, DELONG]),
        }
    }
}

impl Explain for TprAt {
    fn explain(&self) -> Explanation {
        let weak = self.warning.as_ref().map_or(String::new(), |warning| format!(" Here: {warning}."));
        Explanation {
            title: format!("True positives at an FPR of at most {}", percent(self.at_most)),
            means: format!(
                "At the best threshold that accuses at most {} of the non-members ({} of {} were accused), the attack finds {} of the \
                     members; 95 %: {} to {}.",
                percent(self.at_most),
                self.false_positives,
                self.non_members,
                share(&self.rate),
                percent(self.rate.low),
                percent(self.rate.high)
            ),
            does_not_mean:
                "Not the chance that an accusation is right: that depends on how many of those asked about are members. The interval \
                     takes trials as independent and the threshold as given, though it was chosen with the truth in hand."
                    .into(),
            would_change: format!("More non-members: {} accused ones decide this number.{weak}", self.false_positives),
            formula: "TPR at b = max over τ of TPR(τ) with FPR(τ) ≤ b".into(),
            references: texts(&[LIRA]),
        }
    }
}
