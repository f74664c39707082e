//! Tables that put methods beside each other.

use super::{CRITIQUE, Explain, Explanation, LIRA, count, most, number, percent, promise, share, short, texts};
use crate::condense::RandomSubset;
use crate::generate::{Control, EncoderReport};
use crate::quality::{QualityReport, QualityRow};
use crate::report::{Report, Summary};
use crate::synthesize::Synthesize;

const FORMULA: &str = "TPR at b = max over τ of TPR(τ) with FPR(τ) ≤ b; audit ≤ ε ≤ accountant";
const NOT: &str = "A low TPR is not a guarantee and ε = ∞ is not a leak: one is an attack that failed, the other a proof that is missing. \
     The largest of several attacks, chosen after looking, is a little optimistic.";

/// The bound from above in words.
fn proven(epsilon: f64) -> String {
    if epsilon.is_finite() {
        format!("ε is proven to be at most {}", number(epsilon))
    } else {
        "no bound on ε is proven (ε = ∞)".into()
    }
}

impl Explain for Report {
    fn explain(&self) -> Explanation {
        let worst = most(self.rows(), |row| row.tpr_at_1_percent.rate.value());
        Explanation {
            title: "Accuracy, proof and leakage".into(),
            means: match worst {
                None => "0 rows: no pipeline was measured yet.".into(),
                Some(row) => format!(
                    "Of {} the strongest: {} on {} finds {} at an FPR of at most 1 %, AUC {}. There, at δ = {}, {}; by audit \
                         ε is at least {}.",
                    count(self.rows().len(), "row"),
                    short(&row.attack),
                    short(&row.method),
                    share(&row.tpr_at_1_percent.rate),
                    number(row.auc.value),
                    number(row.lower.delta),
                    proven(row.epsilon),
                    number(row.lower.epsilon)
                ),
            },
            does_not_mean: NOT.into(),
            would_change: "More runs, canaries, stronger attacks. Compare at equal accuracy, and with a random subset and DP-SGD beside. \
                 Audits take trials as independent, which those of a game are not quite."
                .into(),
            formula: FORMULA.into(),
            references: texts(&[LIRA, CRITIQUE, "Aerni, Zhang, Tramèr 2024, arXiv 2404.17399"]),
        }
    }
}

impl Explain for Summary {
    fn explain(&self) -> Explanation {
        let found = || self.methods().iter().filter_map(|method| method.strongest().map(|found| (method, found)));
        let worst = most(found(), |(_, found)| found.tpr_at_1_percent.rate.value());
        let least = most(found(), |(_, found)| -found.tpr_at_1_percent.rate.value());
        Explanation {
            title: "Methods by their strongest attack".into(),
            means: match worst.zip(least) {
                None => "0 methods: nothing was measured yet.".into(),
                Some(((worst, most_found), (least, least_found))) => format!(
                    "Of {} under {}, {} gives away most: {} at an FPR of at most 1 % (proven ε: {}).{}",
                    count(self.methods().len(), "method"),
                    count(self.attacks().len(), "attack"),
                    short(&worst.method),
                    share(&most_found.tpr_at_1_percent.rate),
                    number(worst.epsilon),
                    if least.method == worst.method {
                        String::new()
                    } else {
                        format!(" Least: {}, {}.", short(&least.method), share(&least_found.tpr_at_1_percent.rate))
                    }
                ),
            },
            does_not_mean: NOT.into(),
            would_change: "Equal accuracy for all: a worse model leaks less. More runs, canaries, an attack that knows the method. \
                 Overlapping intervals do not rank methods."
                .into(),
            formula: FORMULA.into(),
            references: texts(&[LIRA, CRITIQUE]),
        }
    }
}

impl Explain for QualityReport {
    fn explain(&self) -> Explanation {
        let told = |row: &QualityRow| {
            let accuracy = &row.accuracy;
            format!("{} (95 %: {} to {})", percent(accuracy.mean), percent(accuracy.low), percent(accuracy.high))
        };
        let random = RandomSubset::new(1).name();
        let condensed = self.rows().iter().filter(|row| row.per_class.is_some() && row.method != random);
        let best = most(condensed, |row| row.accuracy.mean);
        let control = best.and_then(|best| {
            self.rows().iter().find(|row| row.method == random && row.per_class == best.per_class && row.arch == best.arch)
        });
        Explanation {
            title: "How much a small set teaches".into(),
            means: match best {
                None => format!("{}, no condensed set among them.", count(self.rows().len(), "row")),
                Some(row) => format!(
                    "Best condenser of {}: {} with {} per class teaches {} an accuracy of {}. As many random real records: {}.",
                    count(self.rows().len(), "row"),
                    short(&row.method),
                    count(row.per_class.unwrap_or(0), "record"),
                    short(&row.arch),
                    told(row),
                    control.map_or_else(|| "not measured".to_string(), told)
                ),
            },
            does_not_mean: "Accuracy says nothing about privacy, and a set that teaches this network may teach another badly. Published \
                 numbers beside are of other code and often more steps: no reproduction is claimed."
                .into(),
            would_change: "More steps, more records per class, augmentation, another test network. With one condensation the interval \
                 counts networks only, not how condensations differ."
                .into(),
            formula: "mean over s condensations × r networks of the test accuracy ± Student's t".into(),
            references: texts(&["Zhao, Mopuri, Bilen 2021, arXiv 2006.05929"]),
        }
    }
}

impl Explain for EncoderReport {
    fn explain(&self) -> Explanation {
        let size = self.rows().iter().map(|row| row.records).max().unwrap_or(0);
        let controls = || self.rows().iter().filter(|row| row.records == size && row.control != Control::Private);
        let own = self.row(Control::Private, size);
        let best = most(controls(), |row| row.accuracy.mean);
        Explanation {
            title: "Did the private records help?".into(),
            means: match own.zip(best) {
                None => format!("{}: the private encoder and a control at one size are needed.", count(self.rows().len(), "row")),
                Some((own, best)) => format!(
                    "With {size} public records: private encoder {} ({} to {}); best control, {}: {} ({} to {}). {}.",
                    percent(own.accuracy.mean),
                    percent(own.accuracy.low),
                    percent(own.accuracy.high),
                    best.control,
                    percent(best.accuracy.mean),
                    percent(best.accuracy.low),
                    percent(best.accuracy.high),
                    if own.accuracy.low > best.accuracy.high { "The private records helped here" } else { "That they helped is not shown" }
                ),
            },
            does_not_mean: format!(
                "High accuracy behind the encoder is not its merit if a control reaches it. The study itself promises: {}.",
                promise(self.event())
            ),
            would_change: "Fewer public records (then an encoder can help more), more seeds, a larger ε, a tuned classifier. All seeds \
                 share the test set."
                .into(),
            formula: "gain = accuracy(private encoder) − max over controls of accuracy(control), means over seeds".into(),
            references: texts(&["the method: Chen et al. 2018, arXiv 1812.02274"]),
        }
    }
}
