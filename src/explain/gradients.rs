//! Gradient leakage: records from an update.

use super::{Explain, Explanation, count, most, number, share, short, texts};
use crate::gradient_leakage::{LeakageByNoiseReport, LeakageScore, Recovered};

const DLG: &str = "Zhu, Liu, Han 2019, arXiv 1906.08935";
const IDLG: &str = "Zhao, Mopuri, Bilen 2020, arXiv 2001.02610";
const INVERTING: &str = "Geiping et al. 2020, arXiv 2003.14053";
const SEARCH: &str = "min over x of D(∇θ L(x, y), g*) + α TV(x)";
const PIXELS: &str = "PSNR = −10 log₁₀ MSE dB, after the pairing with the least total squared error";

impl Explain for Recovered {
    fn explain(&self) -> Explanation {
        let began = self.curve().first().map_or(f64::NAN, |(_, distance)| *distance);
        Explanation {
            title: "Records recovered from a gradient".into(),
            means: format!(
                "{} whose gradient matches the client's: the distance went from {} to {} in {}.",
                count(self.data().len(), "record"),
                number(began),
                number(self.objective()),
                count(self.iterations(), "step")
            ),
            does_not_mean: "A matching gradient is not yet the client's records: many batches have nearly the same one. Only judge, with \
                 the truth and a public control beside it, says how much was recovered."
                .into(),
            would_change: "Batch size, a trained instead of a fresh network, ReLU, noise on the update: each usually makes it harder. \
                 More restarts and steps make the attack stronger."
                .into(),
            formula: SEARCH.into(),
            references: texts(&[DLG, IDLG, INVERTING]),
        }
    }
}

impl Explain for LeakageScore {
    fn explain(&self) -> Explanation {
        let controls: Vec<f64> = self.records().iter().filter_map(|record| record.nearest_public.map(|found| found.psnr)).collect();
        let control = if controls.is_empty() {
            "no public control".to_string()
        } else {
            format!("the nearest public record reaches {} dB", number(controls.iter().sum::<f64>() / controls.len() as f64))
        };
        let ssim = self.ssim().map_or(String::new(), |ssim| format!(", SSIM {}", number(ssim)));
        Explanation {
            title: "How much of a batch came back".into(),
            means: format!(
                "{} recovered at {} dB PSNR{ssim} ({control}); labels right: {}.",
                count(self.records().len(), "record"),
                number(self.psnr()),
                share(&self.labels())
            ),
            does_not_mean: "PSNR and SSIM are not privacy: below the control nothing of the record need be lost, yet label or class may \
                 be; blurred images can score well. One that cannot be recognised may still identify somebody."
                .into(),
            would_change: "Other batches (this is one), another network, more restarts. The control is chosen with the truth in hand: the \
                 best that any public record can do."
                .into(),
            formula: PIXELS.into(),
            references: texts(&[DLG, INVERTING, "SSIM: Wang et al. 2004"]),
        }
    }
}

impl Explain for LeakageByNoiseReport {
    fn explain(&self) -> Explanation {
        let best = most(self.rows(), |row| row.psnr_to_raw.mean);
        let least = most(self.rows(), |row| -row.psnr_to_raw.mean);
        Explanation {
            title: "Gradient leakage against defences".into(),
            means: match best.zip(least) {
                None => "0 rows: no defence was tried.".into(),
                Some((best, least)) => format!(
                    "Nearest to raw records: {} data, defence {}: {} dB (ε {} for one release); least near: {} data, defence {}: {} dB. \
                         The nearest public record: {} dB.",
                    best.source,
                    short(&best.defence.to_string()),
                    number(best.psnr_to_raw.mean),
                    number(best.epsilon),
                    least.source,
                    short(&least.defence.to_string()),
                    number(least.psnr_to_raw.mean),
                    number(best.nearest_public.mean)
                ),
            },
            does_not_mean: "A failed attack is not a guarantee: only raw data with noise have a finite ε, and that for one release; a \
                 training makes many. Condensed data have ε = ∞ whatever the PSNR."
                .into(),
            would_change: format!(
                "An attacker who knows the defence and its clipping, more batches (now {}), other networks. Clipping alone bounds \
                     influence and hides nothing.",
                best.map_or(0, |row| row.psnr.n)
            ),
            formula: PIXELS.into(),
            references: texts(&[INVERTING, "noise: Abadi et al. 2016, arXiv 1607.00133"]),
        }
    }
}
