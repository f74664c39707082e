//! The workloads of `peers/WORKLOADS.md` that the library has, each timed as its Python script beside this folder times it:
//! `cargo bench --profile dev --bench peers [-- WORKLOAD] [--case NAME] [--repeats N] [--json]`.

mod accounting;
mod common;
mod dm_step;
mod dpsgd_epoch;
mod gradient_matching_step;
mod kip_step;
mod lira_score;
mod scaling;
mod service;
mod shadow_models;

use common::Options;
use freelunch::prelude::*;

fn main() -> Result<()> {
    let options = Options::read();
    if options.names("accounting") {
        accounting::run(&options)?;
    }
    if options.names("dm_step") {
        dm_step::run(&options)?;
    }
    if options.names("dpsgd_epoch") {
        dpsgd_epoch::run(&options)?;
    }
    if options.names("gradient_matching_step") {
        gradient_matching_step::run(&options)?;
    }
    if options.names("kip_step") {
        kip_step::run(&options)?;
    }
    if options.names("lira_score") {
        lira_score::run(&options)?;
    }
    scaling::run(&options)?;
    if options.names("service") {
        service::run(&options)?;
    }
    if options.names("shadow_models") {
        shadow_models::run(&options)?;
    }
    Ok(())
}
