//! The integration tests: one binary, one link.

#![allow(clippy::unwrap_used)] // helper functions of tests too

mod audits;
mod catalogue;
mod contract;
mod devices;
mod game;
mod golden_attacks;
mod golden_lira;
mod pipeline;
