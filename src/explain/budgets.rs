//! ε from above: what was proven, spent, and what it costs.

use super::{DEFINITION, DWORK, Explain, Explanation, count, most, number, percent, short, texts};
use crate::privacy::utility::Row;
use crate::privacy::{AccountantKind, Adjacency, Epsilon, EpsilonCurve, Kind, Ledger, PrivacyUtility};

const MOMENTS: &str = "Abadi et al. 2016, arXiv 1607.00133";

impl Explain for Epsilon {
    fn explain(&self) -> Explanation {
        let neighbours = match self.adjacency {
            Adjacency::AddOrRemoveOne => "one record more or less",
            Adjacency::ReplaceOne => "one record replaced",
        };
        let factor = if self.value > 50.0 { "e^ε".to_string() } else { number(self.value.exp()) };
        let means = if self.value.is_infinite() {
            format!("ε = ∞ at δ = {}: nothing is proven, outputs may tell with certainty whether a record was in.", number(self.delta))
        } else {
            let stands = match self.kind {
                Kind::Approximation => "This would hold against any attacker, were it a bound: it is an approximation.",
                _ => "This holds against any attacker, whatever it knows.",
            };
            format!("{self}: with {neighbours}, no set of outputs becomes more than {factor} times as likely, up to δ. {stands}")
        };
        Explanation {
            title: if self.value.is_infinite() { "No guarantee".into() } else { "A guarantee from above".into() },
            means,
            does_not_mean: if self.value.is_infinite() {
                "Not a measured leak: it says that nothing was proven. An attack that fails against it proves nothing either, and a \
                     larger δ does not help."
                    .into()
            } else {
                "Not the leakage that attacks find, which can be far less (ε is for the worst case), and not a promise about facts of a \
                     class or of a whole person with many records. δ is not the chance of an attack's success. It holds only if the code \
                     does what was counted."
                    .into()
            },
            would_change: format!(
                "More noise, fewer releases, a smaller sampling rate. Another δ (it should be well below 1/records), another adjacency: \
                     replacing a record instead of adding one doubles what a clipped sum may move. Another accountant than {}.",
                short(&self.accountant)
            ),
            formula: DEFINITION.into(),
            references: texts(&[DWORK, MOMENTS]),
        }
    }
}

impl Explain for EpsilonCurve {
    fn explain(&self) -> Explanation {
        let exact = self.rows().iter().filter(|row| row.accountant != AccountantKind::CentralLimit);
        let values = || exact.clone().filter_map(|row| row.epsilon.as_ref().map(|epsilon| (row.at, epsilon)));
        let ends = most(values(), |(at, _)| -at).zip(most(values(), |(at, _)| *at));
        Explanation {
            title: "ε along one quantity".into(),
            means: match ends {
                None => format!("{}, and no bound that could be counted.", count(self.rows().len(), "value")),
                Some(((from, first), (to, last))) => {
                    format!("From {} to {} on the horizontal axis the bound goes from {first} to {last}.", number(from), number(to))
                }
            },
            does_not_mean: "Each point is a run of its own: running several and keeping the best costs more. Differences between \
                 accountants are differences of the proof, not of the mechanism. The central limit can lie below the true ε."
                .into(),
            would_change: "Noise, steps, sampling rate, δ: all but one are fixed along the curve. Accountants that bound more tightly \
                 lower it; the mechanism stays as private as it was."
                .into(),
            formula: "ε(δ) = min{ε: M is (ε, δ)-differentially private}, bounded by an accountant; steps × Poisson(q, Gaussian(σ))".into(),
            references: texts(&[MOMENTS, "Mironov 2017, arXiv 1702.07476", "central limit: Bu et al. 2019, arXiv 1911.11607"]),
        }
    }
}

impl Explain for Ledger {
    fn explain(&self) -> Explanation {
        let spent = self.epsilon().map_or_else(|_| "an ε that cannot be counted".to_string(), |epsilon| epsilon.to_string());
        let open = self.entries().iter().filter(|entry| !entry.finished).count();
        Explanation {
            title: "A privacy budget".into(),
            means: format!(
                "{} recorded ({open} not ended, counted as planned) together cost {spent}, of a budget of ε = {}. A run that does not fit \
                     is refused.",
                count(self.entries().len(), "run"),
                number(self.budget())
            ),
            does_not_mean: "It knows only the runs it was told of, not others on the same records. Choosing settings by looking at \
                 private results is not counted. What is left of ε is not what may be lost safely: the budget is yours to justify."
                .into(),
            would_change: "Further runs: releases compose, they never get cheaper. A run that made fewer releases than planned gives the \
                 rest back. Runs on disjoint records may have a ledger each."
                .into(),
            formula: "ε(event₁ and event₂ and …; δ) ≤ budget, all releases composed by one accountant".into(),
            references: texts(&[DWORK, MOMENTS]),
        }
    }
}

impl Explain for PrivacyUtility {
    fn explain(&self) -> Explanation {
        let accuracy = |row: &Row| row.accuracy().map_or(f64::NAN, |(mean, _, _)| mean);
        let strict = self.rows().iter().map(|row| row.epsilon.value).fold(f64::INFINITY, f64::min);
        let private = most(self.rows().iter().filter(|row| row.epsilon.value == strict), |row| accuracy(row));
        let best = most(self.rows(), |row| accuracy(row));
        let told = |row: &Row| {
            let (mean, low, high) = row.accuracy().unwrap_or((f64::NAN, f64::NAN, f64::NAN));
            let name = short(&row.method);
            format!("{name} at ε = {} with {} (95 %: {} to {})", number(row.epsilon.value), percent(mean), percent(low), percent(high))
        };
        Explanation {
            title: "What privacy costs".into(),
            means: match private.zip(best) {
                None => "0 rows: no method was measured yet.".into(),
                Some((private, best)) => format!(
                    "{} at δ = {}. Most accurate at the smallest ε: {}; of all: {}.",
                    count(self.rows().len(), "row"),
                    number(best.epsilon.delta),
                    told(private),
                    told(best)
                ),
            },
            does_not_mean: "Each ε is of one release, counted by itself: the table as a whole, and choosing settings by looking at it, is \
                 not private. Published numbers beside it were not measured here. For synthetic sets the interval does not cover new \
                 draws of the release."
                .into(),
            would_change: "More releases of each method, tuned settings (at a cost in ε), more records: the same noise weighs less. \
                 Compare methods only at equal ε, δ and adjacency."
                .into(),
            formula: "noise = least σ with ε(planned releases; δ) ≤ target; accuracy = mean over networks, tested on real records".into(),
            references: texts(&[MOMENTS, "sets: Chen, Kerkouche, Fritz 2022, arXiv 2211.04446"]),
        }
    }
}
