//! The attacks on signals against values computed by an independent program; see `tests/golden/lira/README.md`.
#![allow(clippy::unwrap_used, clippy::panic)]

use flate2::read::GzDecoder;
use freelunch::attack::{
    Attack, BayesianLikelihoodRatio, CalibratedLoss, LabelOnly, Manifest, PredictionEntropy, RelativeLikelihood, Signals,
};
use std::fs;
use std::io::Read;
use std::path::PathBuf;

const TARGET: usize = 16;
const MODELS: usize = 17;

/// The rows of a CSV file without its header, unpacked if its name ends in `.gz`.
fn rows(name: &str) -> Vec<Vec<String>> {
    let folder = std::env::var_os("FREELUNCH_GOLDEN").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let bytes = fs::read(folder.join("lira").join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut text = String::new();
    if name.ends_with(".gz") {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    text.lines().skip(1).map(|line| line.split(',').map(str::to_string).collect()).collect()
}

fn logits(name: &str) -> Vec<f64> {
    rows(name).iter().flatten().map(|value| value.parse().unwrap()).collect()
}

fn signals() -> Signals {
    let manifest = || Manifest::new(serde_json::Value::Null, 0, "golden");
    let labels = |rows: &[Vec<String>]| -> Vec<u32> { rows.iter().map(|row| row[0].parse().unwrap()).collect() };
    let (records, population) = (rows("records.csv"), rows("population.csv"));
    let mut membership = vec![];
    for model in 0..TARGET {
        membership.extend(records.iter().map(|record| record[2].as_bytes()[model] == b'1'));
    }
    membership.extend(records.iter().map(|record| record[1] == "1"));
    let shape = [MODELS, population.len(), 1, 10];
    let never = vec![false; MODELS * population.len()];
    let population = Signals::new(logits("population_logits.csv.gz"), shape, never, labels(&population), manifest()).unwrap();
    let shape = [MODELS, records.len(), 1, 10];
    let signals = Signals::new(logits("logits.csv.gz"), shape, membership, labels(&records), manifest()).unwrap();
    signals.with_population(population).unwrap()
}

#[test]
fn golden_relative_likelihood_agrees_to_nine_digits() {
    let signals = signals();
    let header = ["rmia", "rmia_ratio"];
    let expected = rows("expected_scores.csv.gz");
    let columns = expected[0].len();
    let attack = RelativeLikelihood::offline();
    let ratios: Vec<f64> = attack.log_ratios(&signals, TARGET).unwrap().into_iter().map(f64::exp).collect();
    for (at, got) in [attack.score(&signals, TARGET).unwrap(), ratios].into_iter().enumerate() {
        for (record, got) in got.into_iter().enumerate() {
            let want: f64 = expected[record][columns - 2 + at].parse().unwrap(); // the last two columns
            assert!((got - want).abs() <= 1e-9 * want.abs(), "{}, record {record}: {got} is not {want}", header[at]);
        }
    }
}

#[test]
fn golden_scores_of_the_other_attacks_agree() {
    // Scores of the records 0, 1, 2, 123, 300 and 599, and the AUC over all, from numpy 2 and scipy 1: scipy.stats.t and norm with the
    // posterior written out, scipy.special.logsumexp for log softmax, a full comparison matrix for the shares.
    let (bayes, signals) = (BayesianLikelihoodRatio::online(), signals());
    let (offline, one_sided) = (BayesianLikelihoodRatio::offline(), BayesianLikelihoodRatio::one_sided());
    let known: [(Box<dyn Attack>, [f64; 7]); 10] = [
        (
            Box::new(bayes),
            [
                0.7387874007957307,
                0.3130111137408941,
                0.31578521998044007,
                -0.11355739515242069,
                0.008847399975661974,
                0.22763528279722145,
                0.7509222222222223,
            ],
        ),
        (
            Box::new(offline),
            [
                -0.10329087269890458,
                -0.49218483513589284,
                -0.8597949832600376,
                0.40361473219344757,
                -0.4975778003565574,
                -0.25214908136637293,
                0.6398333333333334,
            ],
        ),
        (
            Box::new(one_sided),
            [
                1.2904160083250038,
                0.045562353950824974,
                0.5151946405081276,
                -2.1894510912233778,
                0.11986106631773719,
                0.2743950072064034,
                0.7249666666666666,
            ],
        ),
        (
            Box::new(bayes.gaussian()),
            [
                0.7262064272752418,
                0.33952026916884903,
                0.3558451625638661,
                0.05054661730482479,
                -0.025405599680577318,
                0.2235697633471636,
                0.7390333333333333,
            ],
        ),
        (
            Box::new(offline.gaussian()),
            [
                0.058407284387699265,
                -0.2951931855943053,
                -0.66881143181727,
                0.5363316857441283,
                -0.2864619378385438,
                -0.06958043197657915,
                0.6384,
            ],
        ),
        (
            Box::new(one_sided.gaussian()),
            [
                1.2724533203086135,
                -0.02335158764102052,
                0.17932468611815355,
                -2.189595381894045,
                -0.1052568937293964,
                0.18751656580248743,
                0.7029555555555556,
            ],
        ),
        (
            Box::new(CalibratedLoss::new()),
            [
                0.047170637952353656,
                0.00071643666107013,
                0.00041629678052945707,
                -0.01798517227691465,
                5.181762562722625e-05,
                0.006726599712598369,
                0.6458666666666667,
            ],
        ),
        (
            Box::new(PredictionEntropy::new()),
            [
                -0.08081273164914422,
                -0.05554841004014711,
                -0.0048205756786854955,
                -0.13741997011616286,
                -0.018035863251109976,
                -0.04183279358517144,
                0.6137777777777778,
            ],
        ),
        (
            Box::new(PredictionEntropy::modified()),
            [
                -0.00013523973391040098,
                -7.411338312278468e-05,
                -2.53129243059723e-07,
                -0.0005211993126293722,
                -4.658111938029432e-06,
                -5.240212335328541e-05,
                0.6134444444444445,
            ],
        ),
        (Box::new(RelativeLikelihood::online()), [0.8475, 0.28, 0.3725, 0.1425, 0.28, 0.66, 0.7473555555555556]),
    ];
    for (attack, want) in known {
        let scores = attack.score(&signals, TARGET).unwrap();
        let auc = attack.roc_of_model(&signals, TARGET).unwrap().auc().value;
        let got = [0, 1, 2, 123, 300, 599].map(|record: usize| scores[record]);
        for (got, want) in got.into_iter().chain([auc]).zip(want) {
            // Differences of logarithms of order 1 to 10.
            assert!((got - want).abs() <= 1e-9 * want.abs() + 1e-12, "{}: {got} is not {want}", attack.name());
        }
    }
    assert!((LabelOnly::gap().roc_of_model(&signals, TARGET).unwrap().auc().value - 0.53).abs() < 1e-12);
}
