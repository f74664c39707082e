//! Models for and from PyTorch: state dicts in safetensors.
//!
//! Out: [`Model::save_pytorch_safetensors`] writes the weights under the names and in the shapes of a `torch.nn.Sequential`, whose text
//! [`Model::pytorch_code`] gives. In: [`Model::from_pytorch_safetensors`] reads the state dict of such a Sequential, and
//! [`Model::from_reference_conv_net`] that of the ConvNet in the reference code of the condensation literature. In Python a state dict is written by
//! `safetensors.torch.save_file(net.state_dict(), path)`.
//!
//! # Privacy
//! None: copies of what is there. The event travels in the metadata; a model from elsewhere has none, so it counts as not private.
//!
//! # References
//! B. Zhao, K. Mopuri, H. Bilen, arXiv 2006.05929, with the code VICO-UoE/DatasetCondensation, `networks.py` (its ConvNet with ReLU, instance
//! normalisation and average pooling).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, nn::Arch, train::{Model, Train}};
//! let (lab, data) = (Lab::new()?.seed(1).quiet(), Dataset::toy());
//! let arch = Arch::Mlp { hidden: vec![5] };
//! let model = Train::new(arch.clone()).with_epochs(1).fit(&data, &lab)?;
//! let path = std::env::temp_dir().join(format!("doc-model-{}.safetensors", std::process::id()));
//! model.save_pytorch_safetensors(&path)?;
//! let back = Model::from_pytorch_safetensors(&path, arch, &data)?;
//! assert_eq!(back.weights(), model.weights());
//! assert!(model.pytorch_code()?.contains("nn.Linear(64, 5)"));
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::pytorch::{modules, parameters, python};
use crate::device::guarded;
use crate::file::{floats, write_tensors};
use crate::nn::{Arch, Layer, Net};
use crate::privacy::Event;
use crate::train::{Model, Train};
use crate::{Dataset, Error, Lab, Result};
use safetensors::tensor::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::path::Path;

const KEY: &str = "freelunch.pytorch";

/// What a state dict has no place for.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    event: Event,
    python: String,
}

impl Model {
    /// Writes the weights as the state dict of an equivalent `torch.nn.Sequential`: `0.weight`, `0.bias`, .. in PyTorch's shapes, with the event and
    /// [`Model::pytorch_code`] in the metadata.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    ///
    /// # Example
    /// See [`crate::interchange::model`].
    pub fn save_pytorch_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let modules = modules(&layers_of(self)?, self.shape())?;
        let named = parameters(&modules).into_iter().zip(self.weights());
        let tensors: Vec<(String, Vec<usize>, &[f32])> = named.map(|((name, shape), values)| (name, shape, values.as_slice())).collect();
        write_tensors(path.as_ref(), &tensors, KEY, &About { event: self.event().clone(), python: self.pytorch_code()? })
    }

    /// Python that builds the equivalent `torch.nn.Sequential` as `net`, with `mean` and `std` of its input.
    ///
    /// # Errors
    /// [`Error::Config`] when the layers have no counterpart in PyTorch.
    ///
    /// # Example
    /// See [`crate::interchange::model`].
    pub fn pytorch_code(&self) -> Result<String> {
        let normalization = self.normalization();
        Ok(python(&modules(&layers_of(self)?, self.shape())?, &normalization.mean, &normalization.std))
    }

    /// A model from the state dict of a `torch.nn.Sequential` with the modules of `arch` (what [`Model::pytorch_code`] prints for it). Shape, classes
    /// and normalisation are those of `like`: the network must have been trained on records normalised in that way.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Data`] that names the parameter, its shape and dtype when one is missing, too many or not
    /// as expected; [`Error::Config`] when the architecture does not fit the records.
    ///
    /// # Example
    /// See [`crate::interchange::model`].
    pub fn from_pytorch_safetensors(path: impl AsRef<Path>, arch: Arch, like: &Dataset) -> Result<Self> {
        let layers = arch.layers(like.shape(), like.classes())?;
        let expected = parameters(&modules(&layers, like.shape())?);
        let state = State::read(path.as_ref())?;
        let weights = state.take(&expected)?;
        imported(&state, arch, like, layers, &weights)
    }

    /// A model from the state dict of the reference code's ConvNet (`features.0.weight`, .., `classifier.weight`); width and depth are those of the
    /// file. Its normalisation and activation must be the reference code's own (instance normalisation, ReLU, average pooling): the file does not tell.
    ///
    /// # Errors
    /// As [`Model::from_pytorch_safetensors`].
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, train::Model};
    /// assert!(Model::from_reference_conv_net("no-such.safetensors", &Dataset::toy()).is_err());
    /// ```
    pub fn from_reference_conv_net(path: impl AsRef<Path>, like: &Dataset) -> Result<Self> {
        let state = State::read(path.as_ref())?;
        // Four modules per block: convolution, normalisation, activation, pooling.
        let filters = |block: usize| state.shape_of(&format!("features.{}.weight", 4 * block)).filter(|shape| shape.len() == 4);
        let depth = (0..).take_while(|&block| filters(block).is_some()).count();
        let Some(width) = filters(0).and_then(|shape| shape.first().copied()) else {
            let what = format!("no convolution features.0.weight; the file has {}", state.names());
            return Err(Error::data(&state.file, "tensors", what, "expected the state dict of the reference code's ConvNet"));
        };
        let arch = Arch::ConvNet { width, depth };
        let layers = arch.layers(like.shape(), like.classes())?;
        let mut expected = parameters(&modules(&layers, like.shape())?);
        for (i, (name, _)) in expected.iter_mut().enumerate() {
            let part = if i % 2 == 0 { "weight" } else { "bias" };
            let (block, of_norm) = (i / 4, i / 2 % 2);
            *name = if block == depth { format!("classifier.{part}") } else { format!("features.{}.{part}", 4 * block + of_norm) };
        }
        let weights = state.take(&expected)?;
        imported(&state, arch, like, layers, &weights)
    }
}

fn layers_of(model: &Model) -> Result<Vec<Layer>> {
    model.train().arch.layers(model.shape(), model.class_names().len())
}

fn imported(state: &State, arch: Arch, like: &Dataset, layers: Vec<Layer>, weights: &[Vec<f32>]) -> Result<Model> {
    let lab = Lab::new()?.quiet();
    // Nobody here knows what it was trained on.
    let named = like.clone().named(&format!("{}, shaped like {}", state.file, like.name()));
    guarded(lab.device(), || {
        let net = Net::with_weights(layers, weights, &lab.device().open()?)?;
        Model::new(Train::new(arch), &named, state.event.clone(), &net, vec![], &lab)
    })
}

/// A state dict.
struct State {
    file: String,
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<f32>)>,
    event: Event,
}

impl State {
    fn read(path: &Path) -> Result<Self> {
        let file = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|cause| Error::io("read", path, cause, "check the path"))?;
        let remedy = "write it with safetensors.torch.save_file(net.state_dict(), path)";
        let broken = |cause: safetensors::SafeTensorError| Error::data(&file, "contents", cause.to_string(), remedy);
        let views = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let event = match header.metadata().as_ref().and_then(|entries| entries.get(KEY)) {
            Some(text) => {
                let about: About = serde_json::from_str(text).map_err(|cause| Error::data(&file, "metadata", cause.to_string(), remedy))?;
                about.event.check()?;
                about.event
            }
            None => Event::NonPrivate,
        };
        let mut tensors: Vec<_> =
            views.iter().map(|(name, view)| (name.to_string(), view.dtype(), view.shape().to_vec(), floats(view.data()))).collect();
        // DataParallel puts a prefix before every name.
        if tensors.iter().all(|(name, ..)| name.starts_with("module.")) {
            tensors.iter_mut().for_each(|(name, ..)| *name = name.split_off("module.".len()));
        }
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { file, tensors, event })
    }

    fn names(&self) -> String {
        self.tensors.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn shape_of(&self, name: &str) -> Option<&[usize]> {
        self.tensors.iter().find(|(found, ..)| found == name).map(|(_, _, shape, _)| shape.as_slice())
    }

    /// The values of exactly these parameters, in this order.
    fn take(&self, expected: &[(String, Vec<usize>)]) -> Result<Vec<Vec<f32>>> {
        let mut out = vec![];
        for (name, shape) in expected {
            let wrong =
                |what: String| Error::data(&self.file, format!("parameter {name}"), what, format!("expected float32 of shape {shape:?}"));
            let found = self.tensors.iter().find(|(found, ..)| found == name);
            let Some((_, dtype, sides, values)) = found else { return Err(wrong(format!("missing; the file has {}", self.names()))) };
            if *dtype != Dtype::F32 || sides != shape {
                return Err(wrong(format!("shape {sides:?}, dtype {dtype:?}")));
            }
            if values.iter().any(|value| !value.is_finite()) {
                return Err(wrong("a value that is not finite".into()));
            }
            out.push(values.clone());
        }
        // A running mean, say, would change what the network computes.
        if let Some((extra, ..)) = self.tensors.iter().find(|(name, ..)| !expected.iter().any(|(wanted, _)| wanted == name)) {
            let remedy = "the architecture has no such parameter: use the one the file was made with";
            return Err(Error::data(&self.file, format!("parameter {extra}"), "too many", remedy));
        }
        Ok(out)
    }
}
