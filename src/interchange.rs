//! Exchange with Python: data sets, signals of attacks and models, in formats that numpy, PyTorch, torchvision and pandas read.
//!
//! | what | out | in |
//! |---|---|---|
//! | data set, arrays | [`Dataset::save_npz`], [`Dataset::save_safetensors`] | [`Dataset::from_npz`], [`Dataset::from_safetensors`] |
//! | data set, files | [`Dataset::save_images`], [`Dataset::save_idx`], [`Dataset::save_parquet`] | [`Dataset::from_folder`], [`Dataset::from_idx`], [`Dataset::from_parquet`] |
//! | logits and membership of models | [`Signals::save_npz`] | [`Signals::from_npz`] |
//! | model | [`Model::save_pytorch_safetensors`], [`Model::pytorch_code`] | [`Model::from_pytorch_safetensors`], [`Model::from_reference_conv_net`] |
//!
//! # Privacy
//! None: copies of what is there. No ε gets lost on the way and none is invented: the history of a set travels with it, in the file or beside it as
//! `<path>.json`, tied to the records by their digest; without it, records count as read and models as not private.
//!
//! # Example
//! ```
//! use freelunch::Dataset;
//! let path = std::env::temp_dir().join(format!("interchange-{}.npz", std::process::id()));
//! Dataset::toy().save_npz(&path)?;
//! assert_eq!(Dataset::from_npz(&path)?.name(), Dataset::toy().name());
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```
//!
//! [`Dataset::save_npz`]: crate::Dataset::save_npz
//! [`Dataset::save_safetensors`]: crate::Dataset::save_safetensors
//! [`Dataset::from_npz`]: crate::Dataset::from_npz
//! [`Dataset::from_safetensors`]: crate::Dataset::from_safetensors
//! [`Dataset::save_images`]: crate::Dataset::save_images
//! [`Dataset::save_idx`]: crate::Dataset::save_idx
//! [`Dataset::save_parquet`]: crate::Dataset::save_parquet
//! [`Dataset::from_folder`]: crate::Dataset::from_folder
//! [`Dataset::from_idx`]: crate::Dataset::from_idx
//! [`Dataset::from_parquet`]: crate::Dataset::from_parquet
//! [`Signals::save_npz`]: crate::attack::Signals::save_npz
//! [`Signals::from_npz`]: crate::attack::Signals::from_npz
//! [`Model::save_pytorch_safetensors`]: crate::train::Model::save_pytorch_safetensors
//! [`Model::pytorch_code`]: crate::train::Model::pytorch_code
//! [`Model::from_pytorch_safetensors`]: crate::train::Model::from_pytorch_safetensors
//! [`Model::from_reference_conv_net`]: crate::train::Model::from_reference_conv_net

pub mod dataset;
pub mod files;
pub mod model;
mod npy;
mod npz;
pub(crate) mod provenance;
mod pytorch;
pub mod signals;
mod zip;

#[cfg(test)]
mod tests;
