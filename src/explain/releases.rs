//! What a release shows by itself: to the eye, to distances, and to attacks on it alone.

use super::{Explain, Explanation, count, most, number, percent, promise, share, short, texts};
use crate::leakage::{LeakageReport, LeakageSummary};
use crate::released::{ReleaseReport, Released};
use crate::roc::Roc;
use polars::prelude::DataFrame;

const EYE: &str = "Zhao, Zhang 2025, arXiv 2502.12976";
const DISTANCES: &str = "LPIPS: Zhang et al. 2018, arXiv 1801.03924; SSIM: Wang et al. 2004";
const DCR: &str =
    "DCR(s) = min over the n real x of d(s, x); guessing re-identifies 1/n; a blind set lies nearer to training with n/(n + m)";
const NO_DISTANCE_IS_PRIVACY: &str = "A large distance is not privacy, whatever the metric (L2, SSIM, LPIPS): a record can be hidden from \
     one and plain in another, or be computed from noise. A small one is not yet membership: classes look alike.";

impl Explain for LeakageReport {
    fn explain(&self) -> Explanation {
        let closest = self.distances().into_iter().fold(f64::NAN, f64::min);
        let began = match self.reidentified() {
            Some(rate) => format!(" Of those that began as one real record it leads back to it for {}.", share(&rate)),
            None => " None of them is known to have begun as one real record.".to_string(),
        };
        let nearer = match (self.closer_to_training(), self.closer_by_chance()) {
            (Some(rate), Some(chance)) => {
                format!(" Nearer to training than to the hold-out: {}, {} by chance.", share(&rate), percent(chance))
            }
            _ => String::new(),
        };
        let change =
            if self.holdout().is_some() { "A larger hold-out" } else { "A hold-out from the same population, which this search lacks" };
        Explanation {
            title: format!("Nearest real records by {}", short(self.metric())),
            means: format!(
                "The closest of {} lies at distance {} from one of {} real records.{began}{nearer}",
                count(self.records().len(), "synthetic record"),
                number(closest),
                self.searched()
            ),
            does_not_mean: NO_DISTANCE_IS_PRIVACY.into(),
            would_change: format!(
                "{change}; another metric; a start other than real records. Intervals take synthetic records as independent."
            ),
            formula: DCR.into(),
            references: texts(&[EYE, DISTANCES]),
        }
    }
}

fn numbers_of(frame: &DataFrame, column: &str) -> Vec<f64> {
    let column = frame.column(column).and_then(|column| column.f64().cloned());
    column.map_or_else(|_| vec![], |values| values.iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

impl Explain for LeakageSummary {
    fn explain(&self) -> Explanation {
        let frame = self.frame();
        let names = frame.column("name").and_then(|column| column.str().cloned());
        let name = |row: usize| names.as_ref().ok().and_then(|names| names.get(row)).unwrap_or("").to_string();
        let (closest, found) = (numbers_of(&frame, "distance_min"), numbers_of(&frame, "reidentified"));
        let most_found = most(found.iter().enumerate(), |(_, share)| **share);
        let nearest = most(closest.iter().enumerate(), |(_, distance)| -**distance);
        let leads_back = most_found.map_or_else(
            || "No row is known to have begun as real records.".to_string(),
            |(row, share)| format!("The most re-identified is \"{}\" ({}).", short(&name(row)), percent(*share)),
        );
        Explanation {
            title: "Several searches for real records".into(),
            means: match nearest {
                None => "0 searches: nothing was compared yet.".into(),
                Some((row, distance)) => format!(
                    "Of {} \"{}\" comes closest to a real record, at distance {}. {leads_back}",
                    count(closest.len(), "search"),
                    short(&name(row)),
                    number(*distance)
                ),
            },
            does_not_mean: format!("{NO_DISTANCE_IS_PRIVACY} Distances of different metrics do not compare."),
            would_change: "Other metrics, a hold-out, more synthetic records: the closest of many is closer than the closest of few."
                .into(),
            formula: DCR.into(),
            references: texts(&[EYE, DISTANCES]),
        }
    }
}

impl Explain for ReleaseReport {
    fn explain(&self) -> Explanation {
        let rocs: Vec<&Roc> = self.rows().iter().filter_map(|row| row.outcome.roc()).collect();
        let best = most(rocs.iter(), |roc| roc.tpr_at(0.01).rate.value());
        Explanation {
            title: "Attacks on what is released itself".into(),
            means: match best {
                None => format!("None of {} applies; proven: {}.", count(self.rows().len(), "attack"), promise(self.event())),
                Some(best) => format!(
                    "{} of {} apply. The one that finds most at an FPR of at most 1 % is {}: {} of members, AUC {}. Proven: {}.",
                    rocs.len(),
                    count(self.rows().len(), "attack"),
                    short(best.name()),
                    share(&best.tpr_at(0.01).rate),
                    number(best.auc().value),
                    promise(self.event())
                ),
            },
            does_not_mean: "That all of them fail proves nothing: they look at one release, without shadow models, and only the event \
                 promises. The best of several, chosen after looking, looks better than it is."
                .into(),
            would_change: "More candidates; public reference records, which two attacks need; a Game, whose shadow runs repeat the whole \
                 pipeline."
                .into(),
            formula: "score s(x; released), higher = member; TPR = #{members: s ≥ τ} / #members, FPR the same of non-members".into(),
            references: texts(&["GAN-Leaks: Chen et al. 2020, arXiv 1909.03935", "DOMIAS: van Breugel et al. 2023, arXiv 2302.12580"]),
        }
    }
}

impl Explain for Released {
    fn explain(&self) -> Explanation {
        match self {
            Self::Set(set) => set.explain(),
            Self::Encoder(encoder) => encoder.explain(),
            Self::Autoencoder(autoencoder) => autoencoder.explain(),
            Self::Generator(generator) => generator.explain(),
            Self::Model(model) => model.explain(),
            Self::MeanEmbedding(generator) => generator.explain(),
        }
    }
}
