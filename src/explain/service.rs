//! A model behind an interface: what asking finds, costs and copies.

use super::{Explain, Explanation, LIRA, count, most, number, percent, share, short, texts};
use crate::service::membership::Knowledge;
use crate::service::{Answers, CopyReport, DefenceTable, ServiceLog, ServiceRoc};

const SHOKRI: &str = "Shokri et al. 2017, arXiv 1610.05820";
const TRAMER: &str = "Tramèr et al. 2016, arXiv 1609.02943";

impl Explain for ServiceRoc {
    fn explain(&self) -> Explanation {
        let (auc, found) = (self.roc.auc(), self.roc.tpr_at(0.01));
        let naive = !self.defences.is_empty() && self.knowledge == Knowledge::Nothing;
        Explanation {
            title: "Membership through a service".into(),
            means: format!(
                "With {} queries {} reaches AUC {} (95 %: {} to {}) and finds {} of members at an FPR of at most 1 %, for one target and \
                     {}.",
                self.queries,
                short(self.roc.name()),
                number(auc.value),
                number(auc.low),
                number(auc.high),
                share(&found.rate),
                match self.defences.len() {
                    0 => "no defence".to_string(),
                    n => count(n, "defence"),
                }
            ),
            does_not_mean: format!(
                "AUC near 0.5 is not \"private\": defences and budgets have no ε. {}",
                if naive {
                    "This attacker ignores the defences; one who knows them may find more."
                } else {
                    "One target: the interval does not cover another training run."
                }
            ),
            would_change: format!(
                "More shadow models, repeated queries where answers are noisy, several targets. {} non-members cannot show an FPR below \
                     {}.",
                self.roc.non_members(),
                percent(1.0 / self.roc.non_members().max(1) as f64)
            ),
            formula: "φ = ln(p / (1 − p)), p = max(answered probability, 1e-45); AUC = P[s₁ > s₀] + ½ P[s₁ = s₀]".into(),
            references: texts(&[SHOKRI, LIRA]),
        }
    }
}

impl Explain for Answers {
    fn explain(&self) -> Explanation {
        let sure = self.probabilities().chunks(self.classes().max(1)).filter(|p| p.iter().any(|&p| p >= 0.99)).count();
        Explanation {
            title: "What the service said".into(),
            means: format!(
                "{} answered over {} classes; {sure} with a probability of at least 0.99.",
                count(self.len(), "record"),
                self.classes()
            ),
            does_not_mean:
                "A high probability is not an accuracy, and its absence hides little: labels alone tell members, too. Classes that a \
                 service hides share what is left equally; rounded answers need not sum to 1."
                    .into(),
            would_change:
                "The model, the service's defences, and with noise each asking. Records the model has seen get surer answers: that is \
                 what membership inference reads."
                    .into(),
            formula: "p(class | record) = softmax of the model's logits, after the service's defences".into(),
            references: texts(&[SHOKRI, TRAMER]),
        }
    }
}

impl Explain for ServiceLog {
    fn explain(&self) -> Explanation {
        let totals = self.clients().values();
        let (answered, refused) = totals.fold((0, 0), |(answered, refused), client| (answered + client.answered, refused + client.refused));
        let busiest = most(self.clients(), |(_, totals)| totals.queries as f64);
        Explanation {
            title: "Who asked what".into(),
            means: format!(
                "{} by {}: {answered} answered, {refused} refused{}.",
                count(self.entries().len(), "request"),
                count(self.clients().len(), "client"),
                busiest.map_or(String::new(), |(name, totals)| format!("; most by {}: {} queries", short(name), totals.queries))
            ),
            does_not_mean: "Few queries are not safety: a membership test of one record may need one answer. A budget is not an ε, and \
                 one person can hold several clients. The log itself tells who asked."
                .into(),
            would_change: "Budgets bound how much is asked, not what an answer tells. With DP-SGD the model's ε holds however often it is \
                 asked."
                .into(),
            formula: "queries(client) = Σ records of its requests; refused once the budget would be exceeded".into(),
            references: texts(&[TRAMER, SHOKRI]),
        }
    }
}

impl Explain for DefenceTable {
    fn explain(&self) -> Explanation {
        let strongest = |row: &crate::service::DefenceRow| most(row.attacks.iter().map(|attack| attack.auc.value), |auc| *auc);
        let bare = self.rows().iter().find(|row| row.defences.is_empty());
        let best = most(self.rows().iter().filter(|row| !row.defences.is_empty()), |row| -strongest(row).unwrap_or(f64::NAN));
        let told = |row: &crate::service::DefenceRow| {
            let auc = strongest(row).map_or_else(|| "not attacked".to_string(), |auc| format!("AUC {}", number(auc)));
            format!("{auc}, accuracy {}", percent(row.accuracy.value()))
        };
        Explanation {
            title: "Defences beside each other".into(),
            means: format!(
                "{}. Without defence: {}.{}",
                count(self.rows().len(), "row"),
                bare.map_or_else(|| "not measured".to_string(), told),
                best.map_or(String::new(), |row| format!(
                    " The strongest attack is weakest under {}: {}.",
                    short(&crate::service::Defence::names(&row.defences)),
                    told(row)
                ))
            ),
            does_not_mean: "A row without success says that these attacks failed, not that the defence holds: hiding confidences does not \
                 stop attacks that need labels only. No row has an ε by its defence."
                .into(),
            would_change: "Attacks that know the defence and ask more often; several targets; equal accuracy for all rows. DP-SGD is the \
                 defence with a proof."
                .into(),
            formula: "agreement = share of labels as without defence; AUC = P[s₁ > s₀] + ½ P[s₁ = s₀]".into(),
            references: texts(&[SHOKRI, "label-only: Choquette-Choo et al. 2021, arXiv 2007.14321"]),
        }
    }
}

impl Explain for CopyReport {
    fn explain(&self) -> Explanation {
        Explanation {
            title: "A copied model".into(),
            means: format!(
                "After {} queries the copy says the same as the service on {}; a model that never asked does on {}. {}.",
                self.queries,
                share(&self.agreement),
                share(&self.agreement_of_control),
                if self.agreement.low > self.agreement_of_control.high { "Asking paid off" } else { "That asking paid off is not shown" }
            ),
            does_not_mean: "Agreement is not theft by itself: two good models agree without knowing each other, hence the control. The \
                 copy is not private: it learned from answers about private records."
                .into(),
            would_change: "More or better chosen queries, answers with confidences rather than labels, public records closer to the \
                 private ones. Test records and intervals are shared: both rates use the same records."
                .into(),
            formula: "agreement = #{test records: copy(x) = service(x)} / #test records".into(),
            references: texts(&[TRAMER, "Orekondy, Schiele, Fritz 2019, arXiv 1812.02766"]),
        }
    }
}
