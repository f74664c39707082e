//! What a condensed set, a model, an encoder or a generator promises, by its event.

use super::{CRITIQUE, DEFINITION, DWORK, Explain, Explanation, count, percent, promise, short, texts};
use crate::Dataset;
use crate::generate::{Autoencoder, Encoder, MeanEmbeddingGenerator, VaeGenerator};
use crate::privacy::Event;
use crate::train::Model;

const SGD: &str = "Abadi et al. 2016, arXiv 1607.00133";
const CHEN: &str = "Chen et al. 2018, arXiv 1812.02274";

/// What follows from a history, in the words that every release shares.
fn limits(event: &Event) -> &'static str {
    match event {
        Event::NoOp => {
            "ε = 0 holds because the records were declared public: that is a statement by whoever declared it, nothing was checked."
        }
        _ if event.is_non_private() => {
            "ε = ∞ is not a measured leak: it says that nothing was proven. That an attack fails, or that pictures look strange, proves \
                 nothing either."
        }
        _ => {
            "ε bounds what this one release tells of one record, not facts about a class, nor several releases together; event.epsilon(δ) \
                 states it for another δ. It holds only if the code does what was counted."
        }
    }
}

impl Explain for Dataset {
    fn explain(&self) -> Explanation {
        let origin = self.origin();
        let (records, method) = (count(self.len(), "record"), short(&origin.method));
        let seeds = origin.started_from.iter().filter(|starts| !starts.is_empty()).count();
        let (title, means, changes, references) = match (self.event(), origin.is_real()) {
            (Event::NoOp, _) => (
                "Public records",
                format!("{records} in {}, declared public: using them costs nobody's privacy, ε = 0.", count(self.classes(), "class")),
                "Taking the declaration back: if one of them is private, whatever was made from the set has no guarantee.".to_string(),
                texts(&[DWORK]),
            ),
            (_, true) => (
                "Original records",
                format!(
                    "{records} in {}, as they were read. Publishing them as they are has no guarantee: ε = ∞.",
                    count(self.classes(), "class")
                ),
                "A mechanism: what is synthesised with noise carries an event of its own, and ε is asked there.".to_string(),
                texts(&[DWORK]),
            ),
            (event, false) if event.is_non_private() => (
                "A synthetic set without a guarantee",
                format!(
                    "{records} made by {method}: ε = ∞, no guarantee. {}",
                    if seeds == 0 {
                        "None of them is known to have begun as a real record, and still they may give real ones away.".to_string()
                    } else {
                        format!("{seeds} of them began as real records and may still show them.")
                    }
                ),
                "Differential privacy: a private method (generate), or DP-SGD on the records. Another start (noise, public) lowers what \
                     is measured, not ε."
                    .to_string(),
                texts(&["the claim: Dong, Zhao, Lyu 2022, arXiv 2206.00240", CRITIQUE, "Zhao, Zhang 2025, arXiv 2502.12976"]),
            ),
            (event, false) => (
                "A synthetic set with a guarantee",
                format!("{records} made by {method}; promise: {}. Whatever is computed from them alone keeps it.", promise(event)),
                "More noise, fewer steps, a smaller sampling rate; another δ. Using the real records once more (to choose a set, say) \
                     costs more ε."
                    .to_string(),
                texts(&[DWORK, SGD]),
            ),
        };
        Explanation {
            title: format!("{title}: {}", short(self.name())),
            means,
            does_not_mean: limits(self.event()).into(),
            would_change: changes,
            formula: DEFINITION.into(),
            references,
        }
    }
}

impl Explain for Model {
    fn explain(&self) -> Explanation {
        let parameters: usize = self.weights().iter().map(Vec::len).sum();
        let tested = self.history().iter().rev().find_map(|epoch| epoch.test_accuracy);
        let tested = tested.map_or(String::new(), |accuracy| format!(" Last test accuracy: {}.", percent(accuracy)));
        Explanation {
            title: format!("A trained model: {}", short(&self.train().arch.name())),
            means: format!(
                "{parameters} weights after {}; what their release promises: {}.{tested}",
                count(self.history().len(), "epoch"),
                promise(self.event())
            ),
            does_not_mean: limits(self.event()).into(),
            would_change: "DP-SGD (noise, sampling rate, steps) changes ε; less overfitting changes what attacks find, not ε. A test \
                 accuracy that was watched to choose settings is optimistic."
                .into(),
            formula: DEFINITION.into(),
            references: texts(&[SGD, "leaks by loss: Yeom et al. 2018, arXiv 1709.01604"]),
        }
    }
}

impl Explain for Encoder {
    fn explain(&self) -> Explanation {
        let parameters: usize = self.weights().iter().map(Vec::len).sum();
        Explanation {
            title: "A published encoder (DP-AuGM)".into(),
            means: format!(
                "{parameters} weights that turn a record into {} numbers in −1 … 1; what their release promises: {}.",
                self.code(),
                promise(self.event())
            ),
            does_not_mean: "ε covers the records it was trained on, not those that are encoded: a code can give its record back. It does \
                 not say that the private records helped: a random encoder may do as well (EncoderControls)."
                .into(),
            would_change: "More noise or fewer steps lower ε. Releasing the decoder, too, is covered by the same ε, but turns codes of \
                 records back into pictures of them."
                .into(),
            formula: "code = e(x), e trained on L(x) = ½ |x − d(e(x))|²; steps × Poisson(B/n, Gaussian(σ))".into(),
            references: texts(&[CHEN, SGD]),
        }
    }
}

impl Explain for Autoencoder {
    fn explain(&self) -> Explanation {
        let encoder = self.encoder();
        Explanation {
            title: "A published autoencoder".into(),
            means: format!(
                "Encoder and decoder with a code of {} numbers; what their release promises: {}.",
                encoder.code(),
                promise(encoder.event())
            ),
            does_not_mean: "The same ε covers both halves, for the records they were trained on. It does not cover records whose codes \
                 somebody publishes: the decoder draws them. Good pictures prove no leak, bad ones no privacy."
                .into(),
            would_change: "More noise or fewer steps lower ε and blur what comes back. A shorter code loses detail, which is no \
                 guarantee."
                .into(),
            formula: "L(x) = ½ |x − d(e(x))|²; steps × Poisson(B/n, Gaussian(σ))".into(),
            references: texts(&[CHEN, SGD]),
        }
    }
}

impl Explain for VaeGenerator {
    fn explain(&self) -> Explanation {
        Explanation {
            title: "A private generator (DP-VaeGM)".into(),
            means: format!(
                "One decoder for each of {} classes. However many records are drawn, the promise stays: {}.",
                self.class_names().len(),
                promise(self.event())
            ),
            does_not_mean: "Class sizes count as public here. Replacing a record by one of another class touches two generators, and \
                 costs more than this ε. Samples of a class vary less than its records: accuracy on them is not accuracy on people."
                .into(),
            would_change: format!(
                "More noise or fewer steps ({} releases for a class were counted). The class with the largest ε decides, usually the \
                     smallest class.",
                self.event().releases()
            ),
            formula: "L(x) = −log p(x | z) + KL(q(z | x) ‖ N(0, I)); x′ = decoder(z), z ~ N(0, I); ε = max over the classes".into(),
            references: texts(&[CHEN, "Kingma, Welling 2014, arXiv 1312.6114", SGD]),
        }
    }
}

impl Explain for MeanEmbeddingGenerator {
    fn explain(&self) -> Explanation {
        Explanation {
            title: "A private generator (DP-MERF)".into(),
            means: format!(
                "A generator fitted to one noisy mean of random features. However many records are drawn, the promise stays: \
                 {}.",
                promise(self.event())
            ),
            does_not_mean: "ε bounds what this one release tells of one record, not facts about a class; class sizes count as public. \
                 Good pictures are no leak and bad ones no privacy; accuracy on them is not accuracy on people."
                .into(),
            would_change: "More noise lowers ε; more records make the same noise weigh less. Steps of the generator cost nothing: it sees \
                 the noisy mean only."
                .into(),
            formula: "min over g of Σ_c ‖ (Σ φ(x) + σ N(0, I)) / N_c − E φ(g(z, c)) ‖², |φ(x)| = 1, over the classes c".into(),
            references: texts(&["Harder, Adamczewski, Park 2021, arXiv 2002.11603", DWORK]),
        }
    }
}
