//! ε from below, and beside it ε from above.

use super::{DEFINITION, DWORK, Explain, Explanation, count, most, number, percent, short, texts};
use crate::audit::epsilon_axis::EpsilonAxis;
use crate::audit::{LowerBound, Premise};
use crate::privacy::museum::{Museum, MuseumAudit};

const JAGIELSKI: &str = "Jagielski, Ullman, Oprea 2020, arXiv 2006.07709";
const RATES: &str = "ε ≥ ln((TPR_low − δ) / FPR_high), the Clopper-Pearson ends of both rates; the same with the roles exchanged";

impl Explain for LowerBound {
    fn explain(&self) -> Explanation {
        let gaussian = self.premise == Some(Premise::GaussianTradeOff);
        // One run has no threshold of its own: it guesses the ends of a ranking.
        let one_run = self.method.contains("one run");
        let (formula, reference) = if gaussian {
            ("Φ⁻¹(TPR_low) − Φ⁻¹(FPR_high) = μ; δ = Φ(−ε/μ + μ/2) − e^ε Φ(−ε/μ − μ/2)", "Nasr et al. 2023, arXiv 2302.07956")
        } else if one_run {
            (
                "ε ≥ sup{ε: β + 2 m δ α < 1 − confidence}, β = P[Bin(r, e^ε / (1 + e^ε)) ≥ v]: m canaries, r guesses, v right",
                "Steinke, Nasr, Jagielski 2023, arXiv 2305.08846",
            )
        } else {
            (RATES, "Clopper, Pearson, Biometrika 26, 1934")
        };
        let premise = self.premise.map_or(String::new(), |premise| format!(", {premise}"));
        let trials = match self.premise {
            None => " It counts its trials as independent: true if each is a run or a coin of its own.",
            Some(Premise::IndependentTrials) => " Trials of a game share models, so they are not quite independent.",
            Some(_) => " Nobody has proven its premise.",
        };
        let reach = if one_run {
            "of 1000 canaries 40 guesses, all right, prove only 2.53 at δ = 1e-5"
        } else if gaussian {
            "rates of few trials have wide ends"
        } else {
            "even a perfect attack on n runs of each kind proves only about ln(n/4)"
        };
        Explanation {
            title: "An empirical lower bound on ε".into(),
            means: if self.epsilon > 0.0 {
                format!(
                    "An attack ({}, {} trials) shows with {} confidence that ε is at least {} at δ = {}{premise}.",
                    short(&self.method),
                    self.trials,
                    percent(self.confidence),
                    number(self.epsilon),
                    number(self.delta)
                )
            } else {
                format!(
                    "ε ≥ 0: the attack ({}, {} trials, δ = {}) proved nothing, neither loss nor privacy.",
                    short(&self.method),
                    self.trials,
                    number(self.delta)
                )
            },
            does_not_mean: format!(
                "Not the true ε and not an upper bound: a better attack may prove more, and only an accountant bounds from above.{trials}"
            ),
            would_change: format!(
                "More trials than {}: {reach}. Canaries at the worst place, a stronger attack. A threshold chosen on the same data \
                     without correction would void it.",
                self.trials
            ),
            formula: formula.into(),
            references: texts(&[JAGIELSKI, reference]),
        }
    }
}

impl Explain for EpsilonAxis {
    fn explain(&self) -> Explanation {
        let disproved = self.rows().iter().filter(|row| row.disproved()).count();
        let top = most(self.rows(), |row| row.proven());
        Explanation {
            title: "ε from above and from below".into(),
            means: match top {
                None => "0 mechanisms: no bound was added yet.".into(),
                Some(row) => format!(
                    "{disproved} of {} disproved: a lower bound without a premise lies above the stated ε. The largest such bound is {} \
                         (\"{}\"), where the stated ε is at most {}.",
                    count(self.rows().len(), "mechanism"),
                    number(row.proven()),
                    short(&row.name),
                    number(row.claimed())
                ),
            },
            does_not_mean: "The gap between the ends is not slack that may be spent: the attack may be weak or the account loose. A lower \
                 bound below the claim does not confirm the claim. Approximations are no bounds."
                .into(),
            would_change: "More trials and stronger attacks raise the lower end, tighter accountants lower the upper one. Each audit errs \
                 in up to 5 % of samples at 95 %: repeat a disproof before believing it."
                .into(),
            formula: "audit ≤ ε ≤ accountant at the same δ and adjacency; audit > accountant disproves".into(),
            references: texts(&[JAGIELSKI]),
        }
    }
}

impl Explain for MuseumAudit {
    fn explain(&self) -> Explanation {
        let disproved = self.findings().iter().filter(|finding| finding.disproved()).count();
        let gap = most(self.findings(), |finding| finding.wrong - finding.claimed);
        Explanation {
            title: "Published bugs under one audit".into(),
            means: match gap {
                None => "0 exhibits were audited.".into(),
                Some(gap) => format!(
                    "The audit disproves {disproved} of {} claims. Farthest: {}, claimed ε {}, audited ε ≥ {}; its right version: ε ≥ {}.",
                    self.findings().len(),
                    gap.exhibit.name(),
                    number(gap.claimed),
                    number(gap.wrong),
                    number(gap.right)
                ),
            },
            does_not_mean: "A claim that was not disproved is not proved: one iteration too many is found by counting releases, no audit \
                 is fine enough. The exhibits are small models of the mistake, not the published code."
                .into(),
            would_change: "More runs sharpen the lower bound. Other records: an exhibit's own ten may lose less than the worst case. Each \
                 bound errs with probability up to 5 %."
                .into(),
            formula: RATES.into(),
            references: texts(&[JAGIELSKI, "each exhibit names the code it was read from"]),
        }
    }
}

impl Explain for Museum {
    fn explain(&self) -> Explanation {
        let infinite = self.exhibits().iter().filter(|exhibit| exhibit.actual().is_non_private()).count();
        Explanation {
            title: "The bug museum".into(),
            means: format!(
                "{} that claim more privacy than they give; {infinite} of them give none (ε = ∞). Each stands beside its right version.",
                count(self.exhibits().len(), "mechanism")
            ),
            does_not_mean: "Not the published code: a small model that copies the mistake as the code reads. A published result may rest \
                 on another version. The list is not complete."
                .into(),
            would_change: "Counting the noisy releases that really happen, and what one added record can move: both are on paper, before \
                 any audit. An audit (museum().audit) then tests the claim."
                .into(),
            formula: DEFINITION.into(),
            references: texts(&[DWORK, JAGIELSKI]),
        }
    }
}
