//! The GAN attack in a federation: the class, or more than the class?

use super::{Explain, Explanation, count, most, number, percent, promise, share, short, texts};
use crate::gan_attack::{GanAttackReport, GanAttackResult, GanAttackTable};

const HITAJ: &str = "Hitaj, Ateniese, Perez-Cruz 2017, arXiv 1702.07464";
const OBJECTIVE: &str = "L(G) = −E log D_target(G(z)), z ~ N(0, I), D the shared model";
const TEST: &str = "p = share of exchanges of the victim's and the held-out records that bring the images as near to the victim's";

impl Explain for GanAttackResult {
    fn explain(&self) -> Explanation {
        let warning = if self.warning().is_some() { " The attacker owned records of the class: they may be what is seen." } else { "" };
        Explanation {
            title: "Images of a GAN attack".into(),
            means: match self.rounds().last() {
                None => format!("{} images of a generator that played no round.", self.images().len()),
                Some(last) => format!(
                    "After {} the shared model takes {} of the generator's images for the target class, with mean confidence {}.",
                    count(self.rounds().len(), "round"),
                    share(&last.taken),
                    number(last.confidence)
                ),
            },
            does_not_mean: format!(
                "The shared model's opinion is what was optimised: others may see nothing. It shows a class as the model knows it, not a \
                     record, and not who took part.{warning}"
            ),
            would_change: "A judge that took no part, and held-out records of the class (judge). More rounds; injected images, which make \
                 the honest clients sharpen the class."
                .into(),
            formula: OBJECTIVE.into(),
            references: texts(&[HITAJ]),
        }
    }
}

impl Explain for GanAttackReport {
    fn explain(&self) -> Explanation {
        let near = self.relative_distance().map_or_else(|| "undefined".to_string(), number);
        let p = self.distances().p_value;
        Explanation {
            title: "Is it the class, or a record?".into(),
            means: format!(
                "A model that took no part takes {} of the images for the class. Their distance to the victim's records is {near} times \
                     that of other records of the class. That they are nearer to them than chance explains: p = {}.",
                share(&self.recognised()),
                number(p)
            ),
            does_not_mean: if p < 0.05 {
                "A small p says that more than the class is lost, if both sets are drawn from one population; it says neither which \
                     record nor that images look like it. One p of many small ones is expected by chance."
                    .into()
            } else {
                "This finding is about the class, which privacy of records never promised to hide; it does not show that no record is \
                     lost. A large p is not a proof: few records give little power."
                    .into()
            },
            would_change: format!(
                "More records of the victim and held out; another judge. If one participant is the whole class, privacy of clients is the \
                     guarantee that counts. Proven here: {}.",
                promise(self.event())
            ),
            formula: format!("{TEST}; {OBJECTIVE}"),
            references: texts(&[HITAJ]),
        }
    }
}

impl Explain for GanAttackTable {
    fn explain(&self) -> Explanation {
        let more = self.rows().iter().filter(|row| row.report.distances().p_value < 0.05).count();
        let best = most(self.rows(), |row| row.report.recognised().value());
        Explanation {
            title: "GAN attacks beside each other".into(),
            means: match best {
                None => "0 rows: no attack was judged yet.".into(),
                Some(row) => format!(
                    "Of {} the best recognised images are those of \"{}\": {} (shared model's accuracy {}). In {more} the images are \
                         nearer to the victim's records than chance explains (p < 0.05).",
                    count(self.rows().len(), "row"),
                    short(&row.name),
                    share(&row.report.recognised()),
                    percent(row.accuracy.value())
                ),
            },
            does_not_mean: "An unrecognised class may be a model that learned nothing: read the accuracy beside. With k rows about k/20 \
                 small p come by chance. Recognition is about the class, not about records."
                .into(),
            would_change: "Equal accuracy for all defences, the same judge, more records of the victim. The published privacy that this \
                 attack first broke was per parameter, not per record."
                .into(),
            formula: TEST.into(),
            references: texts(&[HITAJ, "per parameter: Shokri, Shmatikov, CCS 2015"]),
        }
    }
}
