//! A trained generator: samples without end, all under the event of the one release it learned from.

use super::MeanEmbedding;
use super::head::Head;
use crate::data::{Normalization, Origin, Schema};
use crate::device::guarded;
use crate::file::{floats, write_tensors};
use crate::nn::{ConvTranspose2d, Layer, LayerNorm, Linear, Net, to_host, to_tensor};
use crate::privacy::Event;
use crate::synthesize::{Synthesize, origin};
use crate::train::chunk_of;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What records look like: all that a generator keeps of the real set, and public.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kind {
    pub(super) name: String,
    pub(super) shape: [usize; 3],
    pub(super) class_names: Vec<String>,
    pub(super) schema: Option<Schema>,
    pub(super) normalization: Normalization,
}

impl Kind {
    pub(super) fn classes(&self) -> usize {
        self.class_names.len()
    }
}

/// What [`MeanEmbedding::fit`] returns.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, generate::{MeanEmbedding, MeanEmbeddingGenerator}};
/// let lab = Lab::new()?.quiet();
/// let generator = MeanEmbedding::small(1, 1.0).with_steps(3).fit(&Dataset::toy(), &lab)?;
/// let file = std::env::temp_dir().join("doc-mean-embedding.safetensors");
/// generator.save(&file)?;
/// assert_eq!(MeanEmbeddingGenerator::load(&file)?.sample(2, &lab)?.x(), generator.sample(2, &lab)?.x());
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, Serialize, Deserialize)]
pub struct MeanEmbeddingGenerator {
    config: MeanEmbedding,
    pub(super) kind: Kind,
    pub(super) weights: Vec<Vec<f32>>,
    pub(super) history: Vec<(usize, f64)>,
    event: Event,
    pub(super) seconds: f64,
}

impl MeanEmbeddingGenerator {
    const KEY: &str = "freelunch_mean_embedding";

    pub(super) fn untrained(config: &MeanEmbedding, real: &Dataset) -> Result<Self> {
        let kind = Kind {
            name: real.name().to_string(),
            shape: real.shape(),
            class_names: real.class_names().to_vec(),
            schema: real.schema().cloned(),
            normalization: real.normalization().clone(),
        };
        let event = Synthesize::event(config, real)?;
        Ok(Self { config: config.clone(), kind, weights: vec![], history: vec![], event, seconds: 0.0 })
    }

    /// The parameters.
    #[must_use]
    pub fn config(&self) -> &MeanEmbedding {
        &self.config
    }

    /// The squared distance to the noisy mean embedding at some steps.
    #[must_use]
    pub fn history(&self) -> &[(usize, f64)] {
        &self.history
    }

    /// The one release.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// `per_class` new records of each class, class by class; other labs give other records. Costs no privacy.
    ///
    /// # Errors
    /// [`Error::Config`] when `per_class` is 0, [`Error::Device`] when the device fails.
    pub fn sample(&self, per_class: usize, lab: &Lab) -> Result<Dataset> {
        if per_class == 0 {
            return Err(Error::config("per_class is 0", "expected at least 1 record per class"));
        }
        let k = self.kind.classes();
        let labels: Vec<u32> = (0..k as u32).flat_map(|class| std::iter::repeat_n(class, per_class)).collect();
        let x = guarded(lab.device(), || self.records(per_class, lab))?;
        let Kind { name, shape, class_names, schema, normalization } = self.kind.clone();
        let blank = match schema {
            None => Dataset::images(&name, x.clone(), shape, labels.clone(), class_names)?,
            Some(schema) => Dataset::table(&name, x.clone(), schema, labels.clone(), class_names)?,
        };
        let made = origin(&self.config, lab, self.event.clone(), self.seconds);
        let started_from = vec![vec![]; labels.len()];
        blank.with_public_normalization(normalization)?.synthetic(x, labels, Origin { trace: self.history.clone(), started_from, ..made })
    }

    /// In natural units.
    fn records(&self, per_class: usize, lab: &Lab) -> Result<Vec<f32>> {
        let device = lab.open()?;
        let net = Net::with_weights(self.layers()?, &self.weights, &device)?;
        let head = Head::new(&self.kind);
        let (k, d) = (self.kind.classes(), self.kind.shape.iter().product());
        let width = self.config.code + k;
        let mut rows = vec![];
        let codes = self.config.codes(k, per_class, &mut lab.rng("samples", 0));
        for part in codes.chunks(width * chunk_of(lab.device())) {
            rows.extend(to_host(head.forward(net.forward(to_tensor(part.to_vec(), [part.len() / width, width, 1, 1], &device))))?);
        }
        head.round(&mut rows, d);
        Ok(if self.kind.schema.is_some() { self.kind.normalization.undo(&rows, self.kind.shape) } else { rows })
    }

    /// Linear layers, then for images whose sides four divides two transposed convolutions, for all else a third linear layer.
    pub(super) fn layers(&self) -> Result<Vec<Layer>> {
        let [c, h, w] = self.kind.shape;
        let hidden = self.config.hidden;
        let linear = |inputs, outputs| Layer::Linear(Linear { inputs, outputs });
        let norm = |values| Layer::LayerNorm(LayerNorm { values, epsilon: 1e-5 });
        let mut layers = vec![linear(self.config.code + self.kind.classes(), hidden), norm(hidden), Layer::Relu];
        if self.kind.schema.is_some() || h % 4 != 0 || w % 4 != 0 {
            layers.extend([linear(hidden, hidden), norm(hidden), Layer::Relu, linear(hidden, c * h * w)]);
            return Ok(layers);
        }
        let (wide, narrow) = (16, 8); // channels of the authors' generator
        let inner = wide * (h / 4) * (w / 4);
        let double = |inputs, outputs| Layer::ConvTranspose2d(ConvTranspose2d { inputs, outputs, kernel: 4, stride: 2, padding: 1 });
        layers.extend([linear(hidden, inner), norm(inner), Layer::Relu, Layer::Unflatten { shape: [wide, h / 4, w / 4] }]);
        layers.extend([double(wide, narrow), Layer::Relu, double(narrow, c), Layer::Flatten]);
        Ok(layers)
    }

    /// Writes the weights as safetensors (`0`, `1`, .. in layer order) with everything else as JSON in the header.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let tensors: Vec<(String, Vec<usize>, &[f32])> =
            self.weights.iter().enumerate().map(|(i, w)| (i.to_string(), vec![w.len()], w.as_slice())).collect();
        write_tensors(path.as_ref(), &tensors, Self::KEY, &Self { weights: vec![], ..self.clone() })
    }

    /// Reads what [`MeanEmbeddingGenerator::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Data`] when it is not a saved generator.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e, "check the path"))?;
        let remedy = "expected a file written by MeanEmbeddingGenerator::save";
        let broken = |what: String| Error::data(path.display().to_string(), "header", what, remedy);
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
        let json = header.metadata().as_ref().and_then(|m| m.get(Self::KEY)).ok_or_else(|| broken("not a generator".into()))?;
        let mut generator: Self = serde_json::from_str(json).map_err(|e| broken(e.to_string()))?;
        generator.event.check()?;
        let tensors = safetensors::SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
        for (i, length) in generator.layers()?.iter().flat_map(Layer::parameters).enumerate() {
            let values = floats(tensors.tensor(&i.to_string()).map_err(|e| broken(e.to_string()))?.data());
            if values.len() != length {
                return Err(broken(format!("tensor {i} has {} values, the generator needs {length}", values.len())));
            }
            generator.weights.push(values);
        }
        Ok(generator)
    }
}

impl fmt::Debug for MeanEmbeddingGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeanEmbeddingGenerator({}, {} features, {})", self.kind.name, self.config.features, self.event)
    }
}
