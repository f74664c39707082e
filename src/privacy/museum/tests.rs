//! The audit against the counts of an independent program, and every exhibit against the exact ε of its claim.

use super::*;
use crate::stats::normal_cdf;

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().seed(11).quiet()
}

/// The smallest ε ≥ 0 with δ(ε) ≤ `delta`, for a decreasing δ(ε).
fn solve(delta: f64, of: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 200.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if of(middle) > delta { low = middle } else { high = middle }
    }
    high
}

/// Exact for Gaussians after each other, with μ² = Σ 1 / σ² (Balle and Wang, arXiv 1805.06530), and for one Gaussian on a Poisson
/// sample, where the likelihood ratio 1 − q + q e^((2x − 1) / 2σ²) exceeds e^ε above one point.
fn exact_epsilon(event: &Event, delta: f64) -> f64 {
    let gaussian = |mu: f64| move |e: f64| normal_cdf(-e / mu + mu / 2.0) - e.exp() * normal_cdf(-e / mu - mu / 2.0);
    match event {
        Event::NonPrivate => f64::INFINITY,
        Event::Gaussian { sigma } => solve(delta, gaussian(1.0 / sigma)),
        Event::Repeat { times, of } => match **of {
            Event::Gaussian { sigma } => solve(delta, gaussian((*times as f64).sqrt() / sigma)),
            _ => panic!("{event}"),
        },
        Event::Poisson { rate, of } => match **of {
            Event::Gaussian { sigma } => solve(delta, |e| {
                let from = sigma * sigma * ((e.exp() - 1.0 + rate) / rate).ln() + 0.5;
                (1.0 - rate - e.exp()) * normal_cdf(-from / sigma) + rate * normal_cdf((1.0 - from) / sigma)
            }),
            _ => panic!("{event}"),
        },
        _ => panic!("{event}"),
    }
}

const DELTA: f64 = 1e-5;
const RUNS: usize = 40_000;

#[test]
fn exact_values_agree_with_the_golden_ones() {
    // Single Gaussians of the accounting table: σ = 1 and σ = 5 at δ = 1e-5.
    for (sigma, expected) in [(1.0, 4.377_178_10), (5.0, 0.725_521_75)] {
        let found = exact_epsilon(&Event::gaussian(sigma).unwrap(), DELTA);
        // The normal probabilities carry about ten digits.
        assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
        let all = Event::Poisson { rate: 1.0, of: Box::new(Event::gaussian(sigma).unwrap()) };
        assert!((exact_epsilon(&all, DELTA) - expected).abs() < 1e-6, "a sample of everything");
    }
}

#[test]
fn an_audit_finds_four_of_the_five_mistakes() {
    let reachable = Exhibit::ALL.into_iter().filter(|&exhibit| exhibit != Exhibit::OneMoreIteration);
    for exhibit in reachable {
        let (claimed, actual) = (exact_epsilon(&exhibit.claimed(), DELTA), exact_epsilon(&exhibit.actual(), DELTA));
        let found = exhibit.empirical_epsilon(false, RUNS, DELTA, &lab()).unwrap();
        assert!(found > claimed, "{}: {found} against the claimed {claimed}", exhibit.name());
        assert!(found < actual, "{}: {found} against the true {actual}", exhibit.name());
    }
}

#[test]
fn right_versions_stay_below_their_claim() {
    for exhibit in Exhibit::ALL {
        let claimed = exact_epsilon(&exhibit.claimed(), DELTA);
        let found = exhibit.empirical_epsilon(true, RUNS, DELTA, &lab()).unwrap();
        assert!(found < claimed, "{}: {found} against {claimed}", exhibit.name());
    }
}

#[test]
fn one_more_iteration_is_found_by_counting_alone() {
    let exhibit = Exhibit::OneMoreIteration;
    let (claimed, actual) = (exact_epsilon(&exhibit.claimed(), DELTA), exact_epsilon(&exhibit.actual(), DELTA));
    assert!(actual > claimed && actual < claimed + 0.01, "{claimed} to {actual}");
    assert!(exhibit.empirical_epsilon(false, RUNS, DELTA, &lab()).unwrap() < claimed);
    assert_eq!(exhibit.actual().releases(), exhibit.claimed().releases() + 1);
}

#[test]
fn the_noise_of_each_version_is_what_its_event_says() {
    let variance = |exhibit: Exhibit, correct: bool| {
        let outputs: Vec<f64> = (0..4_000).map(|run| exhibit.release(false, correct, &lab(), run)).collect();
        crate::stats::deviation(&outputs).powi(2)
    };
    let cases = [
        (Exhibit::ReNoisedCache, true, 16.0),
        (Exhibit::ReNoisedCache, false, 16.0 / 20.0),
        (Exhibit::UnclippedSum, true, 16.0),
        (Exhibit::UnclippedSum, false, 16.0),
        (Exhibit::OneMoreIteration, true, 100.0 * 1600.0),
        (Exhibit::OneMoreIteration, false, 101.0 * 1600.0),
        // The right version's mean also has that of the sample, 9 · 0.9 · 0.1, over B².
        (Exhibit::RandomDenominator, true, (4.0 + 0.81) / 81.0),
        (Exhibit::RandomDenominator, false, 4.0 / 81.0),
    ];
    for (exhibit, correct, expected) in cases {
        let found = variance(exhibit, correct);
        // The deviation of a variance from 4,000 numbers is 2.2 %; five of them.
        assert!((found / expected - 1.0).abs() < 0.12, "{} {correct}: {found} against {expected}", exhibit.name());
    }
}

#[test]
fn runs_repeat_with_the_seed_and_differ_between_worlds_and_versions() {
    for exhibit in Exhibit::ALL {
        let draw = |with: bool, correct: bool, run: u64| exhibit.release(with, correct, &lab(), run);
        assert_eq!(draw(true, true, 3), draw(true, true, 3));
        let mut drawn = vec![draw(true, true, 3), draw(true, true, 4), draw(false, true, 3), draw(true, false, 3), draw(false, false, 3)];
        drawn.sort_unstable_by(f64::total_cmp);
        drawn.dedup();
        assert_eq!(drawn.len(), 5, "{}", exhibit.name());
    }
}

#[test]
fn bad_settings_are_named() {
    let message = |runs: usize, delta: f64| Exhibit::RealStart.empirical_epsilon(true, runs, delta, &lab()).unwrap_err().to_string();
    assert!(message(99, DELTA).contains("99 runs"));
    assert!(message(RUNS, 0.0).contains("delta is 0"));
}

#[test]
fn the_table_shows_claims_beside_what_happens() {
    let text = museum().figure().to_text();
    for exhibit in Exhibit::ALL {
        assert!(text.contains(exhibit.name()), "{text}");
        exhibit.claimed().check().unwrap();
        exhibit.actual().check().unwrap();
    }
    assert!(text.contains("100 × Gaussian(σ = 40)") && text.contains("101 × Gaussian(σ = 40)"), "{text}");
    let json = serde_json::to_string(&museum()).unwrap();
    assert_eq!(serde_json::from_str::<Museum>(&json).unwrap(), museum());
}
