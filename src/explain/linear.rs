//! The linear case: convergence, influence, reconstruction.

use super::{CRITIQUE, Explain, Explanation, count, most, number, texts};
use crate::condense::linear_matching::{Convergence, InfluenceBySize, Reconstructions};

const CLAIM: &str = "influence taken for privacy: Dong, Zhao, Lyu 2022, arXiv 2206.00240";
const MATCHING: &str = "Zhao, Bilen 2023, arXiv 2110.04181";

impl Explain for Convergence {
    fn explain(&self) -> Explanation {
        let ends = self.distances().first().zip(self.distances().last());
        Explanation {
            title: "Distribution matching runs into a formula".into(),
            means: match ends {
                None => "0 points: nothing was measured.".into(),
                Some(((from, first), (to, last))) => format!(
                    "Root mean square distance from the closed form: {} after {from} steps, {} after {to}. What the steps approach can be \
                         written down beforehand.",
                    number(*first),
                    number(*last)
                ),
            },
            does_not_mean: "The formula is that of linear networks only. Reaching the formula is not privacy; it means that the result is \
                 a fixed function of the records and the start."
                .into(),
            would_change: "More steps, up to 32-bit rounding; the learning rate; more random features in each step. With other networks \
                 the formula need not hold."
                .into(),
            formula: "s_i* = s_i⁰ + mean(T) − mean(S⁰), class by class".into(),
            references: texts(&[MATCHING, CLAIM]),
        }
    }
}

impl Explain for InfluenceBySize {
    fn explain(&self) -> Explanation {
        let ends = most(self.points(), |(n, _)| -(*n as f64)).zip(most(self.points(), |(n, _)| *n as f64));
        Explanation {
            title: "Small influence of one record".into(),
            means: match ends {
                None => "0 sizes: nothing was measured.".into(),
                Some(((few, first), (many, last))) => format!(
                    "One record moves every synthetic record by {} among {few} of its class, and by {} among {many}: about as 1/n.",
                    number(*first),
                    number(*last)
                ),
            },
            does_not_mean: "Small influence is not privacy: without noise the shift is exact, and whoever knows the other records \
                 computes this one from the release at every n. ε = ∞ at every point of the curve."
                .into(),
            would_change: "More records of the class, or a record nearer to their mean. Noise calibrated to the largest shift that any \
                 record can cause would give a finite ε."
                .into(),
            formula: "‖s*(T) − s*(T without x_n)‖ = ‖x_n − mean(rest)‖ / n".into(),
            references: texts(&[CLAIM, CRITIQUE]),
        }
    }
}

impl Explain for Reconstructions {
    fn explain(&self) -> Explanation {
        let errors = self.errors();
        let worst = most(errors.iter().copied(), |error| *error);
        Explanation {
            title: "Records computed from the release".into(),
            means: match worst {
                None => "0 records were attempted.".into(),
                Some(worst) => format!(
                    "{} computed from the release and all others of the class; the largest error of any value is {}.",
                    count(errors.len(), "record"),
                    number(worst)
                ),
            },
            does_not_mean: "Not an attack by an outsider: the adversary knows every other record, as the one that differential privacy \
                 defends against may. That others could not find it in practice is not a proof."
                .into(),
            would_change: "Noise in the release, or an adversary who knows less. The error grows with n and with rounding (release in 32 \
                 bits), not with the start or the seed."
                .into(),
            formula: "x_n = n · mean(S*) − Σ rest".into(),
            references: texts(&[CLAIM, CRITIQUE, MATCHING]),
        }
    }
}
