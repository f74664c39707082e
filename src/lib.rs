#![doc = include_str!("../README.md")]

pub mod attack;
pub mod audit;
pub mod augment;
pub mod catalogue;
pub mod condense;
pub mod data;
pub mod device;
pub mod display;
pub mod error;
pub mod explain;
pub mod federated;
mod file;
pub mod gan_attack;
pub mod generate;
pub mod gradient_leakage;
pub mod interchange;
pub mod inversion;
pub mod job;
mod kernel;
pub mod lab;
pub mod leakage;
pub mod nn;
pub mod prelude;
pub mod privacy;
pub mod quality;
pub mod released;
pub mod report;
pub mod roc;
pub mod service;
mod simd;
pub mod stats;
pub mod synthesize;
pub mod train;

pub use data::Dataset;
pub use device::Device;
pub use error::{Error, Result};
pub use lab::Lab;

pub use burn;
pub use plotters;
pub use polars;

// The page's programs are compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/adding.md")]
mod adding {}
