//! Games, scores and what they say of single records.

use super::curves::{BOUND, RATES};
use super::{Explain, Explanation, LIRA, count, most, number, percent, share, short, texts};
use crate::attack::{Calibrated, Signals, Sliced, Stability, Vulnerability};

impl Explain for Signals {
    fn explain(&self) -> Explanation {
        let (mut sums, mut counts) = ([0.0, 0.0], [0.0, 0.0]);
        for model in 0..self.models() {
            let (Ok(losses), Ok(members)) = (self.loss(model), self.members_of(model)) else { continue };
            for (loss, &member) in losses.iter().zip(members) {
                sums[usize::from(member)] += loss;
                counts[usize::from(member)] += 1.0;
            }
        }
        Explanation {
            title: "Signals of a membership game".into(),
            means: format!(
                "{} under {}, {}: what an attacker with shadow models works from. Mean loss: members {}, non-members {}.",
                count(self.len(), "record"),
                count(self.models(), "model"),
                if self.queries() == 1 { "asked once".to_string() } else { format!("each asked {} times", self.queries()) },
                number(sums[1] / counts[1]),
                number(sums[0] / counts[0])
            ),
            does_not_mean: "Not an attack's result yet. Equal mean losses do not mean that nobody is found: LiRA compares each record \
                 with itself over the runs. Its shadow models know the whole pipeline and records of the same population."
                .into(),
            would_change: format!(
                "More models{}; more queries for each record; canaries. The whole pipeline must run anew in each run, or the attack \
                     misses what a fixed set gives away.",
                if self.models() < 64 {
                    format!(" (with {}, one variance for all records is the steadier estimate)", self.models())
                } else {
                    String::new()
                }
            ),
            formula: "φ = ln(p / (1 − p)), p the probability of the label; Λ = N(φ; μ_in, σ_in) / N(φ; μ_out, σ_out), record by \
                 record"
                .into(),
            references: texts(&[LIRA, "Yeom et al. 2018, arXiv 1709.01604"]),
        }
    }
}

impl Explain for Sliced {
    fn explain(&self) -> Explanation {
        let curves = || self.slices().iter().filter_map(|slice| slice.roc.as_ref().map(|roc| (slice, roc)));
        let worst = most(curves(), |(_, roc)| roc.auc().value);
        let without = self.slices().len() - curves().count();
        Explanation {
            title: "An attack, slice by slice".into(),
            means: match worst {
                None => format!("{} and no curve: each has members only or non-members only.", count(self.slices().len(), "slice")),
                Some((slice, roc)) => format!(
                    "Of {} the highest AUC is {} in \"{}\" ({} member and {} non-member trials), where {} of members are found at an FPR \
                         of at most 1 %.",
                    count(self.slices().len(), "slice"),
                    number(roc.auc().value),
                    short(&slice.name),
                    slice.members,
                    slice.non_members,
                    share(&roc.tpr_at(BOUND).rate)
                ),
            },
            does_not_mean:
                "The worst slice, chosen after looking, looks worse than it is. Slices by canary or by start record are known to the \
                     experimenter only: they measure, they are no attack."
                    .into(),
            would_change: format!(
                "More runs: intervals of small slices are wide{}. The same slice with other seeds tells a finding from luck.",
                if without > 0 { format!(", {without} here have no curve") } else { String::new() }
            ),
            formula: RATES.into(),
            references: texts(&["start records apart: Zhao, Zhang 2025, arXiv 2502.12976", LIRA]),
        }
    }
}

impl Explain for Calibrated {
    fn explain(&self) -> Explanation {
        let right = self.precision(0.01).map_or(f64::NAN, |precision| precision.value);
        Explanation {
            title: format!("{} with a threshold fixed beforehand", short(self.attack())),
            means: format!(
                "Threshold from shadow models alone, for an FPR of {}: reached {}; it finds {} of members. Where 1 in 100 is a member, an \
                     accusation is right with probability {}.",
                percent(self.asked()),
                share(&self.false_positives()),
                share(&self.true_positives()),
                number(right)
            ),
            does_not_mean:
                "Not the best point of a ROC curve, which is drawn with the truth in hand. Low precision at a low prior is not privacy: \
                     whoever already suspects a record has another prior."
                    .into(),
            would_change: format!(
                "The prior, above all. More shadow models and non-members: the FPR that is reached may miss the one asked for.{}",
                if self.warning().is_some() { " The sample is small for it." } else { "" }
            ),
            formula: "PPV(π) = π · TPR / (π · TPR + (1 − π) · FPR), π the share of members".into(),
            references: texts(&["Jayaraman et al. 2021, arXiv 2005.10881", LIRA]),
        }
    }
}

impl Explain for Vulnerability {
    fn explain(&self) -> Explanation {
        let first = most(self.records(), |exposed| exposed.separation);
        Explanation {
            title: "Who is exposed".into(),
            means: match first {
                None => "0 records: nobody was ranked.".into(),
                Some(first) => format!(
                    "Of {} the most exposed is record {}: separation {}, its own AUC {}; found in {} of the runs that saw it, at the \
                         threshold that accuses 1 % of all non-member trials.",
                    count(self.records().len(), "record"),
                    first.record,
                    number(first.separation),
                    number(first.auc),
                    share(&first.found)
                ),
            },
            does_not_mean: "The top of a list is partly luck: each record has few runs. A record low on it is not safe from other \
                 attacks, and the ranks are of this pipeline only."
                .into(),
            would_change: "More runs; other seeds: only what stays on top is a property of the records (see Stability). Canaries say how \
                 bad the worst case is."
                .into(),
            formula: "separation = (μ₁ − μ₀) / (σ₁ + σ₀), φ of the record over the runs with (1) and without (0) it".into(),
            references: texts(&[LIRA]),
        }
    }
}

impl Explain for Stability {
    fn explain(&self) -> Explanation {
        let (overlap, chance) = self.overlap();
        let auc = self.auc();
        Explanation {
            title: "What stays with other seeds".into(),
            means: format!(
                "Over {} games AUC is {} (95 %: {} to {}). Two games share {} of their most exposed tenth (chance {}); their ranks \
                     correlate by {}.",
                auc.n,
                number(auc.mean),
                number(auc.low),
                number(auc.high),
                percent(overlap),
                percent(chance),
                number(self.rank_correlation())
            ),
            does_not_mean: "A stable AUC does not say that the same people are exposed, and an unstable list does not say that nobody is. \
                 The interval is over seeds: data set and pipeline stayed the same."
                .into(),
            would_change: format!("More games than {}, and more runs in each: noise within a game lowers overlap and correlation.", auc.n),
            formula: "overlap = |top_a ∩ top_b| / |top|; Spearman's ρ of the separations; both averaged over pairs of games".into(),
            references: texts(&[LIRA, "Spearman, American Journal of Psychology 15, 1904"]),
        }
    }
}
