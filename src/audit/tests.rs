//! Bounds against golden values, and their confidence by simulation.

use super::selection::best;
use super::*;
use crate::attack::{Coins, LikelihoodRatio, LossThreshold, Manifest};
use crate::privacy::{Accountant, Event, ExactGaussian};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().seed(5).quiet()
}

fn golden(name: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    text.lines().skip(1).map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect()
}

const REPEATS: usize = 400;

/// 5 % of the repetitions and three standard errors.
const MOST_ABOVE: usize = 33;

/// n outputs of the Laplace mechanism with scale 1, shifted: ε is the distance of the shifts, whatever the threshold beyond them.
fn laplace(n: usize, shift: f64, rng: &mut crate::lab::Rng) -> Vec<f64> {
    let mut one = || {
        let magnitude = -libm::log(1.0 - rng.random::<f64>());
        shift + if rng.random::<bool>() { magnitude } else { -magnitude }
    };
    (0..n).map(|_| one()).collect()
}

fn normal(n: usize, shift: f64, rng: &mut crate::lab::Rng) -> Vec<f64> {
    (0..n).map(|_| shift + <StandardNormal as Distribution<f64>>::sample(&StandardNormal, rng)).collect()
}

/// The forbidden number: the largest bound over all thresholds, each at full confidence. Of those between two non-members the lowest
/// is best, and beyond the 25th non-member the worlds are told apart no better.
fn uncorrected(with: &[f64], without: &[f64]) -> f64 {
    let falling = |scores: &[f64]| {
        let mut sorted = scores.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        sorted
    };
    let (with, without) = (falling(with), falling(without));
    let bound = |fp: usize| {
        let tp = with.partition_point(|&score| score > without[fp]);
        ClopperPearson::bound((tp, with.len()), (fp, without.len()), 0.0, 0.95).unwrap()
    };
    (0..25).map(bound).fold(0.0, f64::max)
}

#[test]
fn clopper_pearson_agrees_with_an_independent_program() {
    for row in golden("clopper_pearson.csv") {
        let [tp, n_in, fp, n_out] = [0, 1, 2, 3].map(|at| row[at] as usize);
        let bound = ClopperPearson::bound((tp, n_in), (fp, n_out), row[8], 1.0 - 2.0 * row[4]).unwrap();
        assert!((bound - row[7]).abs() < 1e-6, "{row:?}: {bound}");
    }
}

#[test]
fn one_run_agrees_with_an_independent_program() {
    for row in golden("one_run_audit.csv") {
        let [m, r, v] = [0, 1, 2].map(|at| row[at] as usize);
        let bound = OneRun::bound(m, r, v, row[3], 1.0 - row[4]).unwrap();
        assert!((bound - row[5]).abs() < 1e-6, "{row:?}: {bound}");
        let p = OneRun::p_value(m, r, v, row[3], 1.0).unwrap();
        assert!((p - row[6]).abs() <= 1e-6 * row[6], "{row:?}: {p}");
    }
}

#[test]
fn a_hundred_thousand_canaries_prove_what_they_nearly_show() {
    for (r, v) in [(100_000, 60_000), (100_000, 99_990), (20_000, 19_000), (100_000, 50_200)] {
        let bound = OneRun::bound(100_000, r, v, 1e-6, 0.95).unwrap();
        let observed = libm::log(v as f64 / (r - v) as f64);
        assert!(bound > 0.8 * observed - 0.01 && bound < observed, "{bound} of {observed}");
    }
}

#[test]
fn more_evidence_proves_more() {
    let rates = |tp: usize, fp: usize| ClopperPearson::bound((tp, 1000), (fp, 1000), 1e-5, 0.95).unwrap();
    assert!(rates(300, 10) < rates(310, 10) && rates(300, 10) > rates(300, 12));
    assert!(ClopperPearson::bound((3000, 10_000), (100, 10_000), 1e-5, 0.95).unwrap() > rates(300, 10));
    assert!(ClopperPearson::bound((300, 1000), (10, 1000), 1e-5, 0.99).unwrap() < rates(300, 10));
    // Members without a false alarm and non-members without a miss are the same evidence in the mirror.
    assert!((rates(700, 0) - rates(1000, 300)).abs() < 1e-9);
    let one_run = |m: usize, v: usize, delta: f64| OneRun::bound(m, 100, v, delta, 0.95).unwrap();
    assert!(one_run(1000, 80, 1e-5) < one_run(1000, 81, 1e-5));
    assert!(one_run(1000, 95, 1e-4) < one_run(1000, 95, 1e-5) && one_run(2000, 95, 1e-4) < one_run(1000, 95, 1e-4));
    let gaussian = |tp: usize| GaussianBound::bound((tp, 1000), (10, 1000), 1e-5, 0.95).unwrap();
    assert!(gaussian(300).0 < gaussian(310).0 && gaussian(300).1 < gaussian(310).1 && gaussian(5) == (0.0, 0.0));
}

#[test]
fn the_best_of_all_thresholds_is_no_bound_and_the_offered_ones_are() {
    // Laplace with ε = 4 and δ = 0: every threshold beyond the shifts has exactly e⁴ between its rates.
    let mut above = [0; 4];
    let mirrored = |scores: &[f64]| scores.iter().map(|score| -score).collect::<Vec<f64>>();
    for repeat in 0..REPEATS {
        let mut rng = lab().rng("laplace", repeat as u64);
        let (with, without) = (laplace(1000, 4.0, &mut rng), laplace(1000, 0.0, &mut rng));
        let epsilon = |selection: Selection| {
            let audit = ClopperPearson::new(selection).with_delta(0.0);
            audit.audit_worlds(&with, &without, &lab().seed(repeat as u64)).unwrap().epsilon
        };
        let bounds = [
            uncorrected(&with, &without).max(uncorrected(&mirrored(&without), &mirrored(&with))),
            epsilon(Selection::Fixed(4.0)),
            epsilon(Selection::Split { share: 0.5 }),
            epsilon(Selection::Bonferroni { candidates: 12 }),
        ];
        for (count, bound) in above.iter_mut().zip(bounds) {
            *count += usize::from(bound > 4.0);
        }
    }
    assert!(above[1..].iter().all(|&count| count <= MOST_ABOVE), "{above:?}");
    // 10 % when this was written: twice the promised 5 %, and an auditor also has attacks and canaries to choose from.
    assert!(above[0] > MOST_ABOVE, "{above:?}");
}

#[test]
fn both_sides_count_as_two_tests() {
    // Two equal worlds: whatever is proven is wrong.
    let mut above = 0;
    for repeat in 0..REPEATS {
        let mut rng = lab().rng("alike", repeat as u64);
        let (with, without) = (normal(300, 0.0, &mut rng), normal(300, 0.0, &mut rng));
        let selection = if repeat % 2 == 0 { Selection::Split { share: 0.5 } } else { Selection::Bonferroni { candidates: 10 } };
        above += usize::from(distinguish(&with, &without, 0.0, selection, &lab()).unwrap().epsilon > 0.0);
    }
    assert!(above <= MOST_ABOVE, "{above}");
}

#[test]
fn bounds_of_the_gaussian_mechanism_stay_below_its_exact_epsilon() {
    let delta = 1e-3;
    let exact = ExactGaussian::new().epsilon(&Event::gaussian(1.0).unwrap(), delta).unwrap().value;
    let (mut above, mut sums) = ([0; 3], [0.0; 3]);
    for repeat in 0..REPEATS {
        let mut rng = lab().rng("gaussian", repeat as u64);
        let (with, without) = (normal(300, 1.0, &mut rng), normal(300, 0.0, &mut rng));
        let lab = lab().seed(repeat as u64);
        let split = ClopperPearson::new(Selection::Split { share: 0.5 }).with_delta(delta);
        let fixed = ClopperPearson::new(Selection::Fixed(0.5)).with_delta(delta);
        let bounds = [
            split.audit_worlds(&with, &without, &lab).unwrap().epsilon,
            GaussianBound::new(split).audit_worlds(&with, &without, &lab).unwrap().epsilon,
            GaussianBound::new(fixed).audit_worlds(&with, &without, &lab).unwrap().epsilon,
        ];
        for at in 0..3 {
            above[at] += usize::from(bounds[at] > exact);
            sums[at] += bounds[at] / REPEATS as f64;
        }
    }
    assert!(above.iter().all(|&count| count <= MOST_ABOVE), "{above:?}");
    // Through μ the same rates prove far more than alone.
    assert!(sums[0] > 0.2 && sums[2] > 2.0 * sums[0] && sums[2] > 0.5 * exact, "{sums:?}");
}

#[test]
fn one_run_of_randomised_response_stays_below_its_epsilon_but_not_its_best_of_many_guesses() {
    // Each coin is told rightly with probability e/(1 + e): ε = 1, and every set of guesses is as good as any other.
    let (mut above, mut uncorrected) = ([0; 3], 0);
    for repeat in 0..REPEATS {
        let mut rng = lab().rng("response", repeat as u64);
        let coins: Vec<bool> = (0..300).map(|_| rng.random()).collect();
        let right = 1f64.exp() / (1.0 + 1f64.exp());
        let scores: Vec<f64> = coins
            .iter()
            .map(|&coin| {
                let told = if rng.random::<f64>() < right { coin } else { !coin };
                // The size of a score says nothing about the coin.
                (1.0 + rng.random::<f64>()) * if told { 1.0 } else { -1.0 }
            })
            .collect();
        let epsilon = |guesses: Guesses| {
            let audit = OneRun::new(guesses).with_delta(0.0);
            audit.audit(&scores, &coins, &lab().seed(repeat as u64)).unwrap().epsilon
        };
        let offered =
            [Guesses::Fixed { members: 60, non_members: 60 }, Guesses::Split { share: 0.5 }, Guesses::Bonferroni { candidates: 12 }];
        for (count, guesses) in above.iter_mut().zip(offered) {
            *count += usize::from(epsilon(guesses) > 1.0);
        }
        let sizes = [0, 8, 15, 30, 60, 120];
        let pairs = sizes.iter().flat_map(|&a| sizes.iter().map(move |&b| (a, b))).filter(|&(a, b)| a + b > 0);
        let most = pairs.map(|(members, non_members)| epsilon(Guesses::Fixed { members, non_members })).fold(0.0, f64::max);
        uncorrected += usize::from(most > 1.0);
    }
    assert!(above.iter().all(|&count| count <= MOST_ABOVE), "{above:?}");
    assert!(uncorrected > 2 * MOST_ABOVE, "{uncorrected}");
}

#[test]
fn a_test_tells_its_direction_and_threshold_in_the_scores_own_sign() {
    let (low, high): (Vec<f64>, Vec<f64>) = (0..500).map(|i| (f64::from(i), f64::from(i) + 400.0)).unzip();
    let found =
        |with: &[f64], without: &[f64], threshold: f64| distinguish(with, without, 0.0, Selection::Fixed(threshold), &lab()).unwrap();
    let [a, b] = [found(&high, &low, 500.0), found(&low, &high, 399.0)];
    assert_eq!((a.direction, a.threshold), (Some(Direction::MembersAbove), Some(500.0)));
    assert_eq!((b.direction, b.threshold), (Some(Direction::MembersBelow), Some(399.0)));
    let b = found(&low, &high, 499.0);
    assert_eq!((b.direction, b.threshold), (Some(Direction::NonMembersAbove), Some(499.0)));
    assert_eq!(a.evidence, "400 of 500 with, 0 of 500 without, at 500");
    let nothing = found(&low, &low, 300.0);
    assert_eq!((nothing.epsilon, nothing.direction, nothing.threshold, nothing.trials), (0.0, None, None, 1000));
}

#[test]
fn equal_scores_move_together_and_negative_zero_is_zero() {
    let scores = [0.0, -0.0, 0.0, -0.0];
    let coins = [true, false, false, true];
    let one = OneRun::new(Guesses::Fixed { members: 1, non_members: 1 }).audit(&scores, &coins, &lab()).unwrap();
    assert_eq!(one.evidence, "1 of 2 guesses right, 4 canaries");
    let same = best((&[0.0, -0.0], &[-0.0]), Selection::Fixed(0.0), Side::High, 0.95, &lab(), |ends| 1.0 - ends.fpr_high).unwrap();
    assert_eq!(same.value, 0.0); // the only non-member reaches the threshold
}

/// Models of one query and two classes; φ is the first logit, and every record's label is the first class.
fn game(models: usize, n: usize, gap: f64) -> Signals {
    let mut rng = lab().rng("game", 0);
    let membership: Vec<bool> = (0..models * n).map(|_| rng.random()).collect();
    let noise = normal(models * n, 0.0, &mut rng);
    let logits = membership.iter().zip(noise).flat_map(|(&member, noise)| [noise as f32 + if member { gap as f32 } else { 0.0 }, 0.0]);
    let manifest = Manifest::new(serde_json::Value::Null, 5, "none");
    let signals = Signals::new(logits.collect::<Vec<f32>>(), [models, n, 1, 2], membership, vec![0; n], manifest).unwrap();
    signals.with_marked((0..n).map(|i| i % 2 == 0).collect()).unwrap()
}

#[test]
fn audits_of_a_game_count_its_canaries_and_state_their_premises() {
    let signals = game(24, 200, 3.0);
    let pooled = ClopperPearson::new(Selection::Split { share: 0.5 }).pooled(&signals, &LossThreshold::new(), &lab()).unwrap();
    assert!(pooled.epsilon > 1.0 && pooled.premise == Some(Premise::IndependentTrials), "{pooled}");
    // Half of 24 models with 100 canaries; each world is halved for itself.
    assert!((1199..=1201).contains(&pooled.trials), "{pooled:?}");
    let audit = OneRun::new(Guesses::Fixed { members: 25, non_members: 25 });
    let alone = audit.of_model(&signals, &LossThreshold::new(), 3, &lab()).unwrap();
    assert!(alone.epsilon > 1.0 && alone.trials == 100 && alone.premise.is_none(), "{alone}");
    let shadowed = audit.of_model(&signals, &LikelihoodRatio::online(), 3, &lab()).unwrap();
    assert_eq!(shadowed.premise, Some(Premise::UnrelatedShadows));
    assert!(shadowed.to_string().ends_with("; if the shadows tell nothing of the coins)"), "{shadowed}");
    assert!(audit.of_model(&signals, &LossThreshold::new(), 24, &lab()).is_err());
    let manifest = Manifest { game: serde_json::json!({ "coins": Coins::Independent }), ..signals.manifest().clone() };
    let coins = signals.membership().to_vec();
    let signals = Signals::new(signals.logits().clone(), [24, 200, 1, 2], coins, vec![0; 200], manifest).unwrap();
    let marked = signals.with_marked((0..200).map(|i| i % 2 == 0).collect()).unwrap();
    let free = audit.of_model(&marked, &LikelihoodRatio::online(), 3, &lab()).unwrap();
    assert_eq!((free.epsilon, free.premise), (shadowed.epsilon, None));
}

#[test]
fn bad_input_is_named() {
    let lab = lab();
    let audit = ClopperPearson::new(Selection::Fixed(0.0));
    let message = |result: Result<LowerBound>| result.unwrap_err().to_string();
    assert!(message(audit.audit(&[1.0, 2.0], &[false, false], &lab)).contains("0 trials with the record"));
    assert!(message(audit.audit(&[1.0, f64::NAN], &[true, false], &lab)).contains("a score is NaN"));
    assert!(message(audit.audit(&[1.0], &[true, false], &lab)).contains("1 scores for 2"));
    for delta in [-0.1, 1.0, f64::NAN] {
        assert!(message(audit.with_delta(delta).audit(&[1.0, 2.0], &[true, false], &lab)).contains("delta is"));
    }
    for confidence in [0.0, 1.0, f64::NAN] {
        assert!(message(audit.with_confidence(confidence).audit(&[1.0, 2.0], &[true, false], &lab)).contains("confidence is"));
    }
    for selection in [Selection::Fixed(f64::NAN), Selection::Split { share: 1.0 }, Selection::Bonferroni { candidates: 0 }] {
        assert!(distinguish(&[1.0; 9], &[0.0; 9], 0.0, selection, &lab).is_err(), "{selection:?}");
    }
    assert!(message(distinguish(&[1.0], &[0.0; 9], 0.0, Selection::Split { share: 0.5 }, &lab)).contains("leaves nothing"));
    let gaussian = GaussianBound::new(audit.with_delta(0.0));
    assert!(message(gaussian.audit(&[1.0, 2.0], &[true, false], &lab)).contains("delta is 0"));
    let one_run = |guesses: Guesses| OneRun::new(guesses).audit(&[1.0, 2.0], &[true, false], &lab);
    assert!(message(one_run(Guesses::Fixed { members: 2, non_members: 1 })).contains("3 guesses on 2 canaries"));
    assert!(one_run(Guesses::Fixed { members: 0, non_members: 0 }).is_err());
    assert!(one_run(Guesses::Split { share: 0.1 }).is_err() && one_run(Guesses::Bonferroni { candidates: 0 }).is_err());
    assert!(OneRun::bound(10, 5, 6, 0.0, 0.95).unwrap_err().to_string().contains("6 of 5 guesses right"));
    assert!(OneRun::p_value(10, 5, 5, 0.0, f64::INFINITY).is_err() && OneRun::bound(10, 5, 5, 0.0, 1.0).is_err());
}

fn shown() -> EpsilonAxis {
    let delta = 1e-5;
    let row = |epsilon: f64, method: &str, premise: Option<Premise>| {
        let evidence = "120 of 500 with, 1 of 500 without, at 2.1".to_string();
        let (threshold, direction, method) = (None, None, method.to_string());
        LowerBound { epsilon, delta, confidence: 0.95, method, evidence, trials: 1000, threshold, direction, premise }
    };
    let mut axis = EpsilonAxis::new("Proven above, found below", delta);
    let dp_sgd = Event::gaussian(1.0).unwrap().poisson(0.01).unwrap().repeat(1000);
    axis.upper("DP-SGD", dp_sgd.epsilon(delta).unwrap()).unwrap();
    axis.lower("DP-SGD", row(0.31, "Clopper-Pearson", Some(Premise::IndependentTrials))).unwrap();
    axis.lower("DP-SGD", row(0.0, "one run", None)).unwrap();
    axis.upper("distribution matching", Event::NonPrivate.epsilon(delta).unwrap()).unwrap();
    axis.lower("distribution matching", row(3.2, "Clopper-Pearson", Some(Premise::IndependentTrials))).unwrap();
    axis.lower("distribution matching", row(2.5, "one run", None)).unwrap();
    axis.upper("re-noised cache", Event::gaussian(4.0).unwrap().epsilon(delta).unwrap()).unwrap();
    axis.lower("re-noised cache", row(2.2, "one run", None)).unwrap();
    axis
}

#[test]
fn the_axis_shows_bounds_from_both_sides_and_what_contradicts() {
    let axis = shown();
    assert_eq!(axis.rows().iter().map(AxisRow::disproved).collect::<Vec<_>>(), [false, false, true]);
    assert_eq!((axis.rows()[0].proven(), axis.rows()[1].claimed()), (0.0, f64::INFINITY));
    assert_eq!(axis.frame().shape(), (8, 8));
    let svg = axis.figure().to_svg().unwrap();
    for text in ["re-noised cache", "2.5 ≤ ε ≤ ∞", "∞", "audit: one run", "accountant: PLD"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.contains("disproved"));
    let mut other = axis.clone();
    let error = other.upper("DP-SGD", Event::NonPrivate.epsilon(1e-6).unwrap()).unwrap_err().to_string();
    assert!(error.contains("δ = 1e-6 on an axis at δ = 1e-5"), "{error}");
    let mut finite = EpsilonAxis::new("finite", 1e-5);
    finite.lower("DP-SGD", axis.rows()[0].lower[0].clone()).unwrap();
    assert_eq!(serde_json::from_str::<EpsilonAxis>(&serde_json::to_string(&finite).unwrap()).unwrap(), finite);
    assert!(EpsilonAxis::new("", 0.0).figure().to_text().contains("no bound yet"));
}
