//! What the library has: every condenser, generator, attack, audit, data set and device with its defaults and source.

use crate::attack::{
    BayesianLikelihoodRatio, CalibratedLoss, LabelOnly, LikelihoodRatio, LossThreshold, PredictionEntropy, RelativeLikelihood,
    ShadowClassifier,
};
use crate::audit::{ClopperPearson, GaussianBound, Guesses, OneRun, Selection};
use crate::augment::Augment;
use crate::condense::{
    DistributionMatching, GradientMatching, Herding, KMeans, KernelInducingPoints, LinearMatching, RandomSubset, TrajectoryMatching,
};
use crate::data::Whitening;
use crate::display::{Figure, Show, Table, show_inline};
use crate::federated::{ClientPrivacy, FederatedMembership, Federation};
use crate::gan_attack::GanAttack;
use crate::generate::{
    MeanEmbedding, NoisyGroupMeans, PrivateAutoencoder, PrivateDistributionMatching, PrivateGradientMatching, PrivateVae,
};
use crate::gradient_leakage::GradientLeakage;
use crate::inversion::ModelInversion;
use crate::nn::Arch;
use crate::privacy::{CentralLimit, DpSgd, ExactGaussian, Pld, Rdp};
use crate::released::{
    DecoderLikelihood, DensityRatio, ModelLoss, NearestNeighbour, ReconstructionError, ReleaseAttack, SeedMembership, TrainedModelLoss,
};
use crate::service::CopyAttack;
use crate::train::Train;
use crate::{Device, condense::Init};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One member of the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `condenser`, `generator`, `mechanism`, `accountant`, `initialisation`, `augmentation`, `leakage`, `attack`, `release attack`, `audit`, `reconstruction`, `service`, `federated`, `dataset` or `device`.
    pub kind: String,
    /// The name in the code.
    pub name: String,
    /// What papers call it.
    pub aliases: Vec<String>,
    /// The source: an arXiv id, a venue, or a licence and origin for data.
    pub reference: String,
    /// Its parameters as `new` sets them.
    pub defaults: Value,
    /// `ready`, or what is missing in this build.
    pub status: String,
}

/// All members of the library, as a table in a notebook.
///
/// # Example
/// ```
/// let all = freelunch::catalogue::catalogue();
/// assert!(all.entries().iter().any(|entry| entry.aliases.contains(&"LiRA".to_string())));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

/// Lists every member of the library.
#[must_use]
pub fn catalogue() -> Catalogue {
    let condenser = |name: &str, aliases: &[&str], reference: &str, defaults: Value| entry("condenser", name, aliases, reference, defaults);
    let generator = |name: &str, aliases: &[&str], reference: &str, defaults: Value| entry("generator", name, aliases, reference, defaults);
    let init = |name: &str, aliases: &[&str], reference: &str, defaults: Value| entry("initialisation", name, aliases, reference, defaults);
    let mut entries = vec![
        condenser("GradientMatching::new", &["DC"], "arXiv 2006.05929", json!(GradientMatching::new(10))),
        condenser("GradientMatching::siamese", &["DSA"], "arXiv 2102.08259", json!(GradientMatching::siamese(10))),
        condenser("DistributionMatching", &["DM"], "arXiv 2110.04181", json!(DistributionMatching::new(10))),
        condenser("KernelInducingPoints", &["KIP"], "arXiv 2011.00050", json!(KernelInducingPoints::new(10))),
        condenser("TrajectoryMatching", &["MTT"], "arXiv 2203.11932", json!(TrajectoryMatching::new(10))),
        condenser("LinearMatching", &["linear DM"], "closed form of arXiv 2110.04181", json!(LinearMatching::new(10))),
        condenser("KMeans", &["k-means centres"], "baseline; seeding of Arthur and Vassilvitskii, SODA 2007", json!(KMeans::new(10))),
        condenser("Herding", &[], "Welling, ICML 2009; arXiv 1611.07725", json!(Herding::new(10))),
        condenser("RandomSubset", &["random real"], "baseline", json!(RandomSubset::new(10))),
        generator("PrivateAutoencoder", &["DP-AuGM"], "arXiv 1812.02274", json!(PrivateAutoencoder::new(64, 1.0))),
        generator("PrivateVae", &["DP-VaeGM"], "arXiv 1812.02274", json!(PrivateVae::new(10, 1.0))),
        generator(
            "PrivateDistributionMatching",
            &["NDPDC"],
            "as the code at SecMLSys/NDPDC",
            json!(PrivateDistributionMatching::new(10, 1.0)),
        ),
        generator("PrivateGradientMatching", &["PSG"], "arXiv 2211.04446", json!(PrivateGradientMatching::new(10, 1.0))),
        generator("MeanEmbedding", &["DP-MERF"], "arXiv 2002.11603", json!(MeanEmbedding::new(10, 1.0))),
        generator("NoisyGroupMeans", &["LDPDC"], "as the code at SecMLSys/NDPDC, clipped", json!(NoisyGroupMeans::new(10, 1.0))),
        init("Init::Noise", &["noise"], "arXiv 2006.05929", json!(Init::Noise)),
        init("Init::Real", &["real"], "arXiv 2110.04181", json!(Init::Real)),
        init("Init::ClassMean", &["class mean"], "baseline", json!(Init::ClassMean)),
        init("Init::RealPlusNoise", &["real plus noise"], "control of KT", json!(Init::RealPlusNoise { sigma: 0.3 })),
        init("Init::Mixture", &["mixture"], "control of KT", json!(Init::Mixture { records: 3 })),
        init("Init::Other", &["out of distribution", "public"], "arXiv 2502.12976", json!("another set")),
        init("Init::Kaleidoscope", &["KT"], "openreview ckabXglfiT; an empirical defence", json!(Init::kaleidoscope(3))),
        entry("augmentation", "Augment::dsa", &["DSA"], "arXiv 2102.08259", json!(Augment::dsa())),
        entry("augmentation", "Whitening", &["ZCA"], "arXiv 2203.11932", json!({ "epsilon": Whitening::EPSILON })),
        entry("leakage", "Metric::L2", &["nearest record", "DCR"], "distance to the closest record", json!("root mean square")),
        entry("leakage", "Metric::Ssim", &["SSIM"], "Wang et al. 2004", json!("11x11 Gaussian window, sigma 1.5")),
        entry("leakage", "Metric::Features", &["feature distance"], "a trained network's embedding", json!("Euclidean")),
        entry("leakage", "Metric::Lpips", &["LPIPS"], "arXiv 1801.03924; weights are yours", json!("AlexNet, version 0.1")),
        entry("mechanism", "DpSgd", &["DP-SGD"], "arXiv 1607.00133", json!(DpSgd::new(1.0))),
        entry("accountant", "Rdp", &["moments accountant"], "arXiv 1908.10530, 2004.00010", json!({ "orders": Rdp::new().orders.len() })),
        entry("accountant", "Pld", &["privacy loss distribution"], "arXiv 1906.03049, 2207.04380", json!(Pld::new())),
        entry("accountant", "ExactGaussian", &["analytic Gaussian", "GDP"], "arXiv 1805.06530", json!(ExactGaussian::new())),
        entry("accountant", "CentralLimit", &["GDP-CLT"], "arXiv 1911.11607; an approximation, no bound", json!(CentralLimit::new())),
        entry("attack", "LossThreshold", &["Yeom"], "arXiv 1709.01604", json!(LossThreshold::default())),
        entry("attack", "PredictionEntropy", &["modified entropy"], "arXiv 2003.10595", json!(PredictionEntropy::modified())),
        entry("attack", "LabelOnly", &["gap attack"], "arXiv 1709.01604, 2007.14321", json!(LabelOnly::gap())),
        entry("attack", "ShadowClassifier", &["Shokri"], "arXiv 1610.05820", json!(ShadowClassifier::mlp())),
        entry("attack", "CalibratedLoss", &["Watson"], "arXiv 2111.08440", json!(CalibratedLoss::new())),
        entry("attack", "LikelihoodRatio", &["LiRA"], "arXiv 2112.03570", json!(LikelihoodRatio::default())),
        entry("attack", "BayesianLikelihoodRatio", &["BaVarIA"], "arXiv 2603.11799", json!(BayesianLikelihoodRatio::online())),
        entry("attack", "RelativeLikelihood", &["RMIA"], "arXiv 2312.03262", json!(RelativeLikelihood::offline())),
    ];
    let on_release = |name: &str, aliases: &[&str], reference: &str, attack: &dyn ReleaseAttack| {
        entry("release attack", name, aliases, reference, attack.config())
    };
    entries.extend([
        on_release("NearestNeighbour", &["GAN-Leaks"], "arXiv 1909.03935", &NearestNeighbour::pixels()),
        on_release("SeedMembership", &[], "this library", &SeedMembership::new()),
        on_release("DensityRatio", &["DOMIAS"], "arXiv 2302.12580", &DensityRatio::new()),
        on_release("ReconstructionError", &[], "arXiv 1909.03935", &ReconstructionError::new()),
        on_release("DecoderLikelihood", &[], "arXiv 1909.03935", &DecoderLikelihood::new()),
        on_release("ModelLoss", &["Yeom"], "arXiv 1709.01604", &ModelLoss::new()),
        on_release("TrainedModelLoss", &[], "arXiv 1709.01604", &TrainedModelLoss::new(Train::on_condensed(Arch::mlp()))),
    ]);
    let clopper_pearson = ClopperPearson::new(Selection::Split { share: 0.5 });
    entries.extend([
        entry("audit", "ClopperPearson", &[], "arXiv 2006.07709", json!(clopper_pearson)),
        entry("audit", "OneRun", &["one-run audit"], "arXiv 2305.08846", json!(OneRun::new(Guesses::Split { share: 0.5 }))),
        entry(
            "audit",
            "GaussianBound",
            &["GDP audit"],
            "arXiv 2302.07956; for Gaussian trade-offs",
            json!(GaussianBound::new(clopper_pearson)),
        ),
    ]);
    let other =
        |kind: &str, name: &str, aliases: &[&str], reference: &str, defaults: Value| entry(kind, name, aliases, reference, defaults);
    entries.extend([
        other("reconstruction", "ModelInversion", &["MIFace"], "Fredrikson, Jha, Ristenpart, CCS 2015", ModelInversion::new().config()),
        other("reconstruction", "GradientLeakage::dlg", &["DLG"], "arXiv 1906.08935", json!(GradientLeakage::dlg())),
        other("reconstruction", "GradientLeakage::idlg", &["iDLG"], "arXiv 2001.02610", json!(GradientLeakage::idlg())),
        other(
            "reconstruction",
            "GradientLeakage::inverting",
            &["inverting gradients"],
            "arXiv 2003.14053",
            json!(GradientLeakage::inverting()),
        ),
        other("reconstruction", "GanAttack", &["GAN attack"], "arXiv 1702.07464", json!(GanAttack::new(0))),
        other("service", "Service", &["MLaaS"], "arXiv 1610.05820", json!({ "defences": [] })),
        other("service", "MembershipByService", &["black-box membership"], "arXiv 1610.05820", json!({})),
        other("service", "CopyAttack", &["model extraction"], "arXiv 1609.02943", json!(CopyAttack::new(Train::new(Arch::mlp())))),
        other("federated", "Federation", &["FedAvg", "FedSGD"], "arXiv 1602.05629", json!(Federation::new(Train::new(Arch::mlp()), 10))),
        other("federated", "ClientPrivacy", &["client-level DP"], "arXiv 1710.06963", json!(ClientPrivacy::new(1.0, 1.0))),
        other("federated", "FederatedMembership", &["insider"], "arXiv 1812.00910", json!(FederatedMembership::participant())),
    ]);
    let data = |name: &str, aliases: &[&str], reference: &str, train: usize, test: usize, shape: Value| {
        entry("dataset", name, aliases, reference, json!({ "train": train, "test": test, "shape": shape }))
    };
    entries.extend([
        data("Dataset::fashion_mini", &["Fashion-MNIST mini"], "arXiv 1708.07747; MIT; bundled", 5_000, 1_000, json!([1, 28, 28])),
        data("Dataset::digits", &["optdigits"], "UCI; CC BY 4.0; bundled", 3_823, 1_797, json!([1, 8, 8])),
        data("Dataset::adult", &["Census Income"], "UCI; CC BY 4.0; bundled", 32_561, 16_281, json!("14 columns")),
        data("Dataset::breast_cancer", &["WDBC"], "UCI; CC BY 4.0; bundled", 427, 142, json!("30 columns")),
        data("Dataset::mnist", &["MNIST"], "LeCun et al. 1998; fetched", 60_000, 10_000, json!([1, 28, 28])),
        data("Dataset::fashion_mnist", &["Fashion-MNIST"], "arXiv 1708.07747; fetched", 60_000, 10_000, json!([1, 28, 28])),
        data("Dataset::cifar10", &["CIFAR-10"], "Krizhevsky 2009; fetched", 50_000, 10_000, json!([3, 32, 32])),
    ]);
    for kind in Device::kinds() {
        let feature = kind.feature;
        let status = if kind.compiled { "ready".into() } else { format!("not compiled in: needs the feature `{feature}`") };
        let defaults = json!({ "feature": feature });
        entries.push(Entry { status, ..entry("device", &format!("Device::{}", kind.name), &[], "burn 0.22", defaults) });
    }
    Catalogue { entries }
}

fn entry(kind: &str, name: &str, aliases: &[&str], reference: &str, defaults: Value) -> Entry {
    Entry {
        kind: kind.into(),
        name: name.into(),
        aliases: aliases.iter().map(ToString::to_string).collect(),
        reference: reference.into(),
        defaults,
        status: "ready".into(),
    }
}

impl Catalogue {
    /// The members.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The members as JSON: an array of objects with `kind`, `name`, `aliases`, `reference`, `defaults` and `status`.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&self.entries).unwrap_or_default()
    }

    /// The members as a Markdown table: what the README shows.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut lines = vec!["| kind | name | also called | source |".to_string(), "|---|---|---|---|".to_string()];
        for e in &self.entries {
            lines.push(format!("| {} | `{}` | {} | {} |", e.kind, e.name, e.aliases.join(", "), e.reference));
        }
        lines.join("\n")
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Catalogue({} entries)", self.entries.len())
    }
}

impl Show for Catalogue {
    fn figure(&self) -> Figure {
        let mut table = Table::new(["kind", "name", "also called", "source", "defaults", "status"]);
        for e in &self.entries {
            let row = [&e.kind, &e.name, &e.aliases.join(", "), &e.reference, &e.defaults.to_string(), &e.status];
            table = table.row(row.map(String::clone));
        }
        table.figure()
    }
}

show_inline!(Catalogue);
