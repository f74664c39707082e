//! The integration tests: one binary, one link.

mod catalogue;
mod contract;
mod golden_lira;
mod pipeline;
