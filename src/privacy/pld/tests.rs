//! Against dp_accounting, the PRV accountant and closed forms.

use super::*;
use crate::privacy::ExactGaussian;
use crate::privacy::golden::{accounting, event, rows, sampled};

fn epsilon(pld: Pld, event: &Event, delta: f64) -> f64 {
    pld.epsilon(event, delta).unwrap().value
}

#[test]
fn epsilon_matches_dp_accounting_and_is_never_below_the_prv_interval() {
    for row in accounting() {
        if row.text("id") == "G29" {
            continue; // A grid of a million points: below, coarser.
        }
        let found = epsilon(Pld::new(), &event(&row), row.number("delta").unwrap());
        let gold = row.number("eps_pld_dp_accounting").unwrap();
        // The same grid and the same rounding: what differs is numerical, and the file has six decimals.
        assert!((found - gold).abs() < 2e-6, "{}: {found} for {gold}", row.text("id"));
        assert!(row.number("eps_prv_lower").is_none_or(|lower| found > lower), "{}", row.text("id"));
    }
}

#[test]
fn little_noise_and_a_coarse_grid_still_give_a_close_bound() {
    // G29: σ = 0.3, ε = 106.1759.
    let found = epsilon(Pld::new().with_discretisation(1e-3), &sampled(0.1, 0.3, 100), 1e-5);
    assert!(found > 106.1758 && found < 106.186, "{found}");
    let event = sampled(0.05, 1.0, 400);
    let by_width = [1e-2, 1e-3, 1e-4].map(|d| epsilon(Pld::new().with_discretisation(d), &event, 1e-3));
    assert!(by_width[0] > by_width[1] && by_width[1] > by_width[2] && by_width[0] < by_width[2] + 0.02, "{by_width:?}");
}

#[test]
fn different_releases_compose_as_in_dp_accounting() {
    for row in rows("heterogeneous.csv") {
        let mut event = Event::NoOp;
        for release in row.text("mechanisms (q,sigma,steps);..").split(';') {
            let numbers: Vec<f64> = release.trim_matches(['(', ')']).split(", ").map(|number| number.parse().unwrap()).collect();
            event = event.and(sampled(numbers[0], numbers[1], numbers[2] as u64));
        }
        let (found, gold) = (epsilon(Pld::new(), &event, row.number("delta").unwrap()), row.number("eps_pld").unwrap());
        assert!((found - gold).abs() < 2e-6, "{found} for {gold}");
    }
}

#[test]
fn both_relations_match_dp_accounting() {
    for row in rows("adjacency.csv") {
        let (event, delta) = (event(&row), row.number("delta").unwrap());
        let added = epsilon(Pld::new(), &event, delta);
        let replaced = epsilon(Pld::new().with_adjacency(Adjacency::ReplaceOne), &event, delta);
        assert!((added - row.number("eps_pld_add_remove").unwrap()).abs() < 2e-6, "{added}");
        assert!((replaced - row.number("eps_pld_replace_one").unwrap()).abs() < 2e-6, "{replaced}");
    }
}

#[test]
fn a_sample_of_almost_all_records_approaches_the_closed_form() {
    // The path by Fourier transforms must meet the exact Gaussian as q → 1, from below up to the error of the grid.
    for (sigma, steps, delta) in [(2.0, 4, 1e-5), (10.0, 100, 1e-9), (1.0, 1, 1e-3)] {
        let plain = Event::gaussian(sigma).unwrap().repeat(steps);
        let exact = ExactGaussian::new().epsilon(&plain, delta).unwrap().value;
        let found = epsilon(Pld::new(), &sampled(1.0 - 1e-9, sigma, steps), delta);
        assert!((found - exact).abs() < 1e-6, "{sigma} {steps}: {found} for {exact}");
        let bound = Pld::new().delta(&sampled(1.0 - 1e-9, sigma, steps), exact).unwrap();
        assert!((bound / delta - 1.0).abs() < 1e-5, "{sigma} {steps}: {bound:e} for {delta:e}");
    }
}

#[test]
fn one_sampled_release_has_the_delta_of_its_closed_form_however_small() {
    let (rate, sigma) = (0.1, 1.0);
    for exponent in [3, 5, 8, 12, 20, 40] {
        let delta = 10f64.powi(-exponent);
        let epsilon = epsilon(Pld::new(), &sampled(rate, sigma, 1), delta);
        // δ = q (Φ(1 − t) − e^ε' Φ(−t)) with the loss of the unsampled release at ε' = ln(1 + (e^ε − 1)/q).
        let inner = libm::log1p(libm::expm1(epsilon) / rate);
        let exact = rate * gaussian_delta(1.0 / sigma, inner);
        assert!(exact <= delta * (1.0 + 1e-9) && exact > delta * (1.0 - 1e-5), "{exponent}: {exact:e}");
    }
}

#[test]
fn delta_inverts_epsilon_and_the_curve_falls() {
    let event = sampled(0.02, 1.2, 500);
    for delta in [1e-2, 1e-5, 1e-10] {
        let epsilon = epsilon(Pld::new(), &event, delta);
        let back = Pld::new().delta(&event, epsilon).unwrap();
        assert!((back / delta - 1.0).abs() < 1e-4, "{back:e} for {delta:e}");
    }
    let curve = Pld::new().delta_curve(&event, &[0.0, 0.5, 1.0, 2.0, 4.0]).unwrap();
    assert!(curve.windows(2).all(|pair| pair[1] < pair[0]) && curve[0] < 1.0, "{curve:?}");
    // One release whose loss in one direction ends at ln(1/0.9), below some of the ε asked for.
    for epsilon in [0.0, 0.05, 0.2, 0.5, 0.7, 1.0, 5.0] {
        let exact = 0.1 * gaussian_delta(1.0, libm::log1p(libm::expm1(epsilon) / 0.1));
        let found = Pld::new().delta(&sampled(0.1, 1.0, 1), epsilon).unwrap();
        assert!(found >= exact * (1.0 - 1e-12) && found < exact * (1.0 + 1e-5), "{epsilon}: {found:e} for {exact:e}");
    }
    assert_eq!(Pld::new().delta(&Event::NonPrivate, 1.0).unwrap(), 1.0);
    assert_eq!(Pld::new().delta(&Event::NoOp, 0.0).unwrap(), 0.0);
    assert!(Pld::new().delta(&event, -1.0).unwrap_err().to_string().contains("epsilon is -1"));
}

#[test]
fn parts_cost_the_most_expensive_one_or_for_an_exchange_a_pair() {
    let (cheap, dear) = (sampled(0.05, 2.0, 50), sampled(0.05, 1.5, 50));
    let parts = Event::parallel(vec![cheap.clone(), dear.clone(), cheap.clone()]);
    assert_eq!(epsilon(Pld::new(), &parts, 1e-5), epsilon(Pld::new(), &dear, 1e-5));
    let exchange = Pld::new().with_adjacency(Adjacency::ReplaceOne);
    let (inside, any) = (epsilon(exchange, &dear, 1e-5), epsilon(exchange, &parts, 1e-5));
    assert!(any >= inside);
    // Unsampled: 4 within the dearest part, 1 + 1 across.
    let plain = Event::parallel(vec![Event::gaussian(1.0).unwrap(), Event::gaussian(1.0).unwrap()]);
    let exact = ExactGaussian::new().with_adjacency(Adjacency::ReplaceOne).epsilon(&plain, 1e-5).unwrap().value;
    assert!((epsilon(exchange, &plain, 1e-5) - exact).abs() < 1e-9);
}

#[test]
fn a_record_that_leaves_one_part_and_joins_another_composes_both_directions() {
    // One leaving and one joining, each of 50 steps, lies between 50 and 100 steps of either.
    let step = sampled(0.05, 1.5, 50);
    let way = |changes: &[Change]| {
        let mut all = History::default();
        for change in changes {
            all.sampled.extend(histories(&step, *change).unwrap()[0].sampled.clone());
        }
        Pld::new().composed(&all, 1e-5, &mut 1e9).unwrap().0
    };
    let (one, both) = (way(&[Change::Leaves]), way(&[Change::Leaves, Change::Joins]));
    let twice = epsilon(Pld::new(), &step.clone().repeat(2), 1e-5);
    assert!(one < both && both < twice + 1e-9, "{one} {both} {twice}");
    assert!((way(&[Change::Joins]) - one).abs() < 1e-9);
}

#[test]
fn what_cannot_be_counted_or_does_not_fit_is_an_error_that_names_it() {
    let sample_of_steps = sampled(0.1, 1.0, 5).poisson(0.5).unwrap();
    let error = Pld::new().epsilon(&sample_of_steps, 1e-5).unwrap_err().to_string();
    assert!(error.contains("Poisson(0.5, 5 × Poisson(0.1, Gaussian(σ = 1)))"), "{error}");
    let error = Pld::new().epsilon(&sampled(0.5, 1e-3, 1), 1e-5).unwrap_err().to_string();
    assert!(error.contains("spread over") && error.contains("Rdp"), "{error}");
    assert!(
        Pld::new().with_discretisation(0.0).epsilon(&sampled(0.5, 1.0, 1), 1e-5).unwrap_err().to_string().contains("discretisation is 0")
    );
}

#[test]
fn many_steps_and_a_grid_that_does_not_fit_are_coarsened_and_say_so() {
    let many = Pld::new().epsilon(&sampled(1e-3, 1.0, 1_000_000), 1e-5).unwrap();
    let rdp = crate::privacy::Rdp::new().epsilon(&sampled(1e-3, 1.0, 1_000_000), 1e-5).unwrap();
    assert!(many.value > 0.9 * rdp.value && many.value < rdp.value, "{many} {rdp}");
    let wide = Pld::new().with_discretisation(1e-7).epsilon(&sampled(0.01, 2.0, 100), 1e-5).unwrap();
    assert!(wide.accountant.starts_with("PLD, grid ") && wide.accountant != "PLD, grid 1e-7", "{wide}");
}

#[test]
fn a_delta_far_below_the_top_of_the_window_does_not_make_epsilon_zero() {
    // The masses at the top of the window are e^-709 of δ and less here: 35.08 by the closed form of one release, solved for ε.
    let (rate, delta) = (0.1, 1e-300);
    let found = epsilon(Pld::new(), &sampled(rate, 1.0, 1), delta);
    let exact = libm::log1p(rate * libm::expm1(crate::privacy::gaussian::gaussian_epsilon(1.0, delta / rate)));
    assert!(found >= exact - 1e-9 && found < exact + 1e-4 && (exact - 35.08).abs() < 0.01, "{found} for {exact}");
}

#[test]
fn an_enormous_epsilon_is_found_or_refused_but_never_zero() {
    // (q, σ, steps, δ, a value below the true ε, the bound by RDP).
    for (rate, sigma, steps, delta, least, most) in
        [(0.1, 0.3, 10_000, 1e-5, 3000.0, 3674.0), (0.5, 0.5, 10_000, 1e-5, 5000.0, 7382.0), (0.01, 0.1, 1000, 0.5, 200.0, 622.0)]
    {
        let event = sampled(rate, sigma, steps);
        match Pld::new().with_discretisation(1e-2).epsilon(&event, delta) {
            Ok(found) => assert!(found.value > least && found.value < most, "{found}"),
            Err(error) => assert!(error.to_string().contains("Rdp"), "{error}"),
        }
    }
}

#[test]
fn numbers_that_are_not_finite_bound_no_epsilon() {
    let way = histories(&sampled(0.1, 1.0, 10), Change::Leaves).unwrap().remove(0);
    let composed = || Composition::new(&way, 1e-3, Target::Delta(1e-5), 1.0, 1e9).unwrap();
    assert!(composed().epsilon(1e-5).unwrap() > 0.0);
    for spoil in [compose::Spoil::Mass, compose::Spoil::Scale, compose::Spoil::Infinite] {
        let mut spoilt = composed();
        spoilt.spoil(spoil);
        assert_eq!((spoilt.epsilon(1e-5), spoilt.delta(1.0)), (Some(f64::INFINITY), 1.0), "{spoil:?}");
    }
}

#[test]
fn rounding_of_many_releases_is_allowed_for() {
    // δ at an ε far beyond every likely loss is all allowance: 1000 releases round 1000 times.
    let way = histories(&sampled(0.1, 1.0, 1000), Change::Leaves).unwrap().remove(0);
    let composed = Composition::new(&way, 1e-3, Target::Delta(1e-5), 1.0, 1e9).unwrap();
    assert!(composed.rounding() >= 40.0 * f64::EPSILON * 1000.0);
}

#[test]
fn work_is_limited_and_the_error_names_the_remedy() {
    let way = histories(&sampled(0.1, 1.0, 10), Change::Leaves).unwrap().remove(0);
    let error = Pld::new().composed(&way, 1e-5, &mut 1000.0).unwrap_err().to_string();
    assert!(error.contains("more than 1e3 points") && error.contains("Rdp"), "{error}");
    let mut left = 1e9;
    Pld::new().composed(&way, 1e-5, &mut left).unwrap();
    assert!(left < 1e9);
}

#[test]
fn tiny_rates_keep_their_closed_form() {
    for rate in [1e-6, 1e-9] {
        let delta = 1e-3 * rate;
        let exact = libm::log1p(rate * libm::expm1(crate::privacy::gaussian::gaussian_epsilon(1.0, 1e-3)));
        let found = epsilon(Pld::new(), &sampled(rate, 1.0, 1), delta);
        // The window is planned from moments that cannot be told from 1 here, so the bound is loose; it stays a bound.
        assert!(found >= exact * (1.0 - 1e-6) && found < 1e-3, "{rate:e}: {found:e} for {exact:e}");
    }
}
