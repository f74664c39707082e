//! What every accountant must keep.

use super::golden::{accounting, event, sampled};
use super::{Accountant, AccountantKind, Adjacency, Event, ExactGaussian, Pld, Rdp, Recommended};

fn all() -> Vec<Box<dyn Accountant>> {
    let mut all: Vec<Box<dyn Accountant>> = AccountantKind::ALL.map(AccountantKind::build).into();
    all.push(Box::new(Rdp::new().with_adjacency(Adjacency::ReplaceOne)));
    all.push(Box::new(Pld::new().with_adjacency(Adjacency::ReplaceOne)));
    all.push(Box::new(ExactGaussian::new().with_adjacency(Adjacency::ReplaceOne)));
    all.push(Box::new(Recommended::new().with_adjacency(Adjacency::ReplaceOne)));
    all
}

/// ε, where the accountant counts such an event.
fn epsilon(accountant: &dyn Accountant, event: &Event, delta: f64) -> Option<f64> {
    accountant.epsilon(event, delta).ok().map(|found| found.value)
}

#[test]
fn nothing_read_costs_nothing_and_no_mechanism_promises_nothing() {
    let mixed = Event::Sequence { parts: vec![Event::gaussian(1.0).unwrap(), Event::NonPrivate] };
    let empty = Event::Repeat { times: 0, of: Box::new(Event::gaussian(1.0).unwrap()) };
    for accountant in all() {
        assert_eq!(accountant.epsilon(&Event::NoOp, 1e-5).unwrap().value, 0.0, "{accountant:?}");
        assert_eq!(accountant.epsilon(&empty, 0.5).unwrap().value, 0.0, "{accountant:?}");
        assert_eq!(accountant.epsilon(&Event::NonPrivate, 1e-5).unwrap().value, f64::INFINITY, "{accountant:?}");
        assert_eq!(accountant.epsilon(&mixed, 1e-5).unwrap().value, f64::INFINITY, "{accountant:?}");
    }
}

#[test]
fn a_delta_that_promises_nothing_and_a_broken_event_are_refused() {
    let broken = Event::Gaussian { sigma: -1.0 };
    for accountant in all() {
        for delta in [0.0, 1.0, -1e-5, f64::NAN] {
            let error = accountant.epsilon(&Event::gaussian(1.0).unwrap(), delta).unwrap_err().to_string();
            assert!(error.contains("delta is"), "{accountant:?}: {error}");
        }
        assert!(accountant.epsilon(&broken, 1e-5).unwrap_err().to_string().contains("sigma is -1"), "{accountant:?}");
    }
}

#[test]
fn epsilon_falls_with_delta_and_noise_and_rises_with_steps_and_rate() {
    for accountant in all() {
        for rate in [1.0, 0.05] {
            let base = epsilon(&*accountant, &sampled(rate, 1.5, 100), 1e-5);
            let others = [
                (epsilon(&*accountant, &sampled(rate, 1.5, 100), 1e-6), "a smaller delta"),
                (epsilon(&*accountant, &sampled(rate, 1.2, 100), 1e-5), "less noise"),
                (epsilon(&*accountant, &sampled(rate, 1.5, 150), 1e-5), "more steps"),
                (epsilon(&*accountant, &sampled(rate.min(0.5) * 2.0, 1.5, if rate < 1.0 { 100 } else { 101 }), 1e-5), "a larger rate"),
            ];
            for (other, what) in others {
                assert!(base.is_none() == other.is_none() && (base.is_none() || other > base), "{accountant:?} {rate} {what}");
            }
        }
    }
}

#[test]
fn the_order_of_events_does_not_matter() {
    let (a, b, c) = (sampled(0.01, 1.0, 300), Event::gaussian(6.0).unwrap(), sampled(0.02, 2.0, 50));
    let (one, other) = (a.clone().and(b.clone()).and(c.clone()), c.and(a).and(b));
    for accountant in all() {
        if let (Some(one), Some(other)) = (epsilon(&*accountant, &one, 1e-5), epsilon(&*accountant, &other, 1e-5)) {
            // Sums in another order round differently; PLD looks for its tilt with a finite accuracy.
            assert!((one - other).abs() < 1e-6 * one, "{accountant:?}: {one} and {other}");
        }
    }
}

#[test]
fn nesting_that_means_the_same_gives_the_same() {
    let step = sampled(0.02, 1.1, 1);
    let repeated = step.clone().repeat(6);
    let listed = Event::Sequence { parts: vec![step.clone(); 6] };
    let nested = Event::Repeat { times: 2, of: Box::new(Event::Repeat { times: 3, of: Box::new(step.clone()) }) };
    let twice = Event::gaussian(1.1).unwrap().poisson(0.2).unwrap().poisson(0.1).unwrap().repeat(6);
    let parted = Event::parallel(vec![repeated.clone(), Event::NoOp]);
    for accountant in all() {
        let Some(one) = epsilon(&*accountant, &repeated, 1e-5) else { continue };
        for other in [&listed, &nested, &twice, &parted] {
            let other = epsilon(&*accountant, other, 1e-5).unwrap();
            assert!((one - other).abs() < 1e-7, "{accountant:?}: {one} and {other}");
        }
    }
}

#[test]
fn rdp_is_never_below_pld_and_replacing_costs_more_than_adding() {
    for row in accounting() {
        let (event, delta) = (event(&row), row.number("delta").unwrap());
        if row.text("id") == "G29" {
            continue; // Its grid of a million points takes long.
        }
        let pld = Pld::new().epsilon(&event, delta).unwrap().value;
        assert!(Rdp::new().epsilon(&event, delta).unwrap().value > pld, "{}", row.text("id"));
    }
    let event = sampled(0.1, 2.0, 100);
    let pld = [Adjacency::AddOrRemoveOne, Adjacency::ReplaceOne].map(|a| Pld::new().with_adjacency(a).epsilon(&event, 1e-5).unwrap().value);
    assert!(pld[1] > 1.5 * pld[0] && pld[1] < 2.5 * pld[0]);
}

#[test]
fn a_value_says_what_it_is() {
    let text = |kind: AccountantKind, event: &Event| kind.build().epsilon(event, 1e-5).unwrap().to_string();
    let (plain, step) = (Event::gaussian(5.0).unwrap(), sampled(0.04, 1.5, 2250));
    assert_eq!(text(AccountantKind::ExactGaussian, &plain), "ε = 0.7255 (δ = 1e-5, add-or-remove-one, exact Gaussian)");
    assert_eq!(text(AccountantKind::Rdp, &step), "ε ≤ 7.329 (δ = 1e-5, add-or-remove-one, RDP)");
    assert_eq!(text(AccountantKind::Pld, &step), "ε ≤ 6.769 (δ = 1e-5, add-or-remove-one, PLD)");
    assert_eq!(text(AccountantKind::CentralLimit, &step), "ε ≈ 6.602 (δ = 1e-5, add-or-remove-one, GDP central limit)");
    let replaced = Recommended::new().with_adjacency(Adjacency::ReplaceOne).epsilon(&plain, 1e-5).unwrap();
    assert!(replaced.to_string().contains("replace-one"));
    let kind = serde_json::to_string(&AccountantKind::Pld).unwrap();
    assert_eq!((kind.as_str(), serde_json::from_str::<AccountantKind>(&kind).unwrap()), ("\"Pld\"", AccountantKind::Pld));
}

#[test]
fn events_of_no_parts_take_nothing_away_from_a_release() {
    let none = Event::Parallel { parts: vec![] };
    let listed = Event::Sequence { parts: vec![] };
    let sample = |of: &Event| Event::Poisson { rate: 0.5, of: Box::new(of.clone()) };
    let again = |of: &Event| Event::Repeat { times: 3, of: Box::new(of.clone()) };
    let nested = Event::Parallel { parts: vec![none.clone(), listed.clone()] };
    let empty = [none.clone(), listed, sample(&none), again(&none), nested, serde_json::from_str(r#"{"Parallel":{"parts":[]}}"#).unwrap()];
    for accountant in all() {
        for release in [sampled(1.0, 2.0, 4), sampled(0.05, 1.5, 20)] {
            let Some(one) = epsilon(&*accountant, &release, 1e-5) else { continue };
            for nothing in &empty {
                assert_eq!(epsilon(&*accountant, nothing, 1e-5), Some(0.0), "{accountant:?} {nothing}");
                for both in [vec![release.clone(), nothing.clone()], vec![nothing.clone(), release.clone()]] {
                    for event in [Event::Sequence { parts: both.clone() }, Event::Parallel { parts: both }] {
                        let found = epsilon(&*accountant, &event, 1e-5).unwrap();
                        assert!((found - one).abs() < 1e-9, "{accountant:?} {event}: {found} for {one}");
                    }
                }
            }
        }
    }
}
