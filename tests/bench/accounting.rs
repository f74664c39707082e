//! One ε query from a new accountant, timed as `peers/accounting.py` times it: rows G07, G21, G31 and G33 of
//! `../golden/accounting.csv` by RDP and by PLD on the grid of 1e-4.
//!
//! That the values are the same is a test of the accountants (`privacy::contract`).

use super::common::Options;
use freelunch::prelude::*;
use freelunch::privacy::{Accountant, Pld, Rdp};
use std::time::Instant;

/// Name, q, σ, steps, δ.
const ROWS: [(&str, f64, f64, u64, f64); 4] = [
    ("G07", 0.05, 1.0, 400, 1e-3),
    ("G21", 50.0 / 5421.0, 1.0, 10_000, 1e-5),
    ("G31", 256.0 / 32561.0, 0.55, 2289, 1e-5),
    ("G33", 0.04, 1.5, 2250, 1e-5),
];

pub(crate) fn run(options: &Options) -> Result<()> {
    for (row, rate, sigma, steps, delta) in ROWS {
        let event = Event::gaussian(sigma)?.poisson(rate)?.repeat(steps);
        for name in ["rdp", "pld"] {
            let case = format!("{row}/{name}");
            if !options.wants(&case) {
                continue;
            }
            let mut times = vec![];
            for repeat in 0..=options.repeats(9) {
                let start = Instant::now();
                if name == "rdp" { Rdp::new().epsilon(&event, delta) } else { Pld::new().epsilon(&event, delta) }?;
                if repeat > 0 {
                    times.push(start.elapsed().as_secs_f64() * 1e3);
                }
            }
            options.report("accounting", &case, "ms/query", times);
        }
    }
    Ok(())
}
