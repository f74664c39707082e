//! A trained network with everything needed to use it again.

use super::{Evaluation, Rows, Train, chunk_of, evaluation};
use crate::data::Normalization;
use crate::device::guarded;
use crate::display::{Figure, Plot, Show, show_inline};
use crate::file::{floats, write_tensors};
use crate::nn::{Loss, Net, to_host, to_tensor};
use crate::privacy::Event;
use crate::stats::Rate;
use crate::{Dataset, Device, Error, Lab, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// What [`Train::fit`] returns: recipe, weights on the host, learning curve, privacy event.
#[derive(Clone, Serialize, Deserialize)]
pub struct Model {
    train: Train,
    shape: [usize; 3],
    class_names: Vec<String>,
    normalization: Normalization,
    weights: Vec<Vec<f32>>,
    history: Vec<Epoch>,
    event: Event,
    trained_on: String,
    records: usize,
    seed: u64,
    device: Device,
}

/// One point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// 1, 2, ..
    pub epoch: usize,
    /// Mean training loss of the epoch; none with privacy, because no ε covers it.
    pub loss: Option<f64>,
    /// Accuracy on the watched test set, 0..1, if there was one.
    pub test_accuracy: Option<f64>,
}

impl Model {
    const KEY: &str = "freelunch_model";

    pub(crate) fn new(train: Train, data: &Dataset, event: Event, net: &Net, history: Vec<Epoch>, lab: &Lab) -> Result<Self> {
        Ok(Self {
            train,
            shape: data.shape(),
            class_names: data.class_names().to_vec(),
            normalization: data.normalization().clone(),
            weights: net.host_weights()?,
            history,
            event,
            trained_on: data.name().to_string(),
            records: data.len(),
            seed: lab.seed_value(),
            device: lab.device().clone(),
        })
    }

    /// The recipe.
    #[must_use]
    pub fn train(&self) -> &Train {
        &self.train
    }

    /// Loss and test accuracy epoch by epoch.
    #[must_use]
    pub fn history(&self) -> &[Epoch] {
        &self.history
    }

    /// What was done to the privacy of the records: the event of the data it was trained on, or of DP-SGD.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// The parameter vectors, in layer order.
    #[must_use]
    pub fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// The shape of the records it takes, `[c, h, w]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The classes it tells apart.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// What was subtracted from and divided into its training records.
    pub(crate) fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// The same model computing on another device: one that was trained on a GPU and loaded on a machine without.
    ///
    /// # Errors
    /// [`Error::Device`] when that device's backend is not compiled in.
    pub fn on_device(mut self, device: &Device) -> Result<Self> {
        device.check()?;
        self.device = device.clone();
        Ok(self)
    }

    /// The logits of every record, row-major `[n, classes]`. The records are normalised as the training set was.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the records have another shape or number of classes, [`Error::Device`] when the device fails.
    pub fn logits(&self, data: &Dataset) -> Result<Vec<f32>> {
        self.on(data, |net, data| logits(&net, data, &self.device))
    }

    /// The network at work on records that are normalised as the training set was.
    fn on(&self, data: &Dataset, work: impl FnOnce(Net, &Dataset) -> Result<Vec<f32>>) -> Result<Vec<f32>> {
        if data.shape() != self.shape || data.classes() != self.class_names.len() {
            let what = format!("records {:?} in {} classes", data.shape(), data.classes());
            return Err(Error::mismatch(what, format!("the model was trained on {:?} in {}", self.shape, self.class_names.len())));
        }
        let data = data.clone().with_normalization(self.normalization.clone());
        guarded(&self.device, || {
            let layers = self.train.arch.layers(self.shape, self.class_names.len())?;
            let net = Net::with_weights(layers, &self.weights, &self.device.open()?)?;
            work(net, &data)
        })
    }

    /// What the network makes of every record before its last layer, row-major `[n, features]`: a space to compare records in.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn embeddings(&self, data: &Dataset) -> Result<Vec<f32>> {
        self.on(data, |net, data| logits(&net.features(), data, &self.device))
    }

    /// The length of the gradient of every record's own cross-entropy in all weights: how hard the record would pull the model. What
    /// differentially private training clips.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn gradient_norms(&self, data: &Dataset) -> Result<Vec<f32>> {
        self.on(data, |net, data| {
            let x = data.normalized();
            let rows = Rows { x: &x, labels: data.labels(), soft: None, shape: data.shape(), classes: data.classes() };
            let recipe = Train { loss: Loss::CrossEntropy, ..self.train.clone() };
            let lab = Lab::on(self.device.clone())?;
            let positions: Vec<usize> = (0..data.len()).collect();
            let chunk = chunk_of(&self.device).min(data.len());
            let parts: Result<Vec<Vec<f32>>> =
                positions.par_chunks(chunk).map(|part| rows.gradient_norms(&recipe, &net, part, &lab)).collect();
            Ok(parts?.concat())
        })
    }

    /// Share of records whose largest logit is at their label, with a 95 % Clopper-Pearson interval over the records.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn accuracy(&self, data: &Dataset) -> Result<Rate> {
        Ok(Rate::counted(evaluation::hits(&self.logits(data)?, data), data.len()))
    }

    /// Accuracy, accuracy per class, and the confusion matrix.
    ///
    /// # Errors
    /// As [`Model::logits`].
    pub fn evaluate(&self, data: &Dataset) -> Result<Evaluation> {
        Ok(Evaluation::new(&self.logits(data)?, data))
    }

    /// Writes the weights as safetensors (`0`, `1`, .. in layer order) with everything else as JSON in the header.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let tensors: Vec<(String, Vec<usize>, &[f32])> =
            self.weights.iter().enumerate().map(|(i, w)| (i.to_string(), vec![w.len()], w.as_slice())).collect();
        write_tensors(path, &tensors, Self::KEY, &Self { weights: vec![], ..self.clone() })
    }

    /// Reads what [`Model::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Data`] when it is not a saved model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e, "check the path"))?;
        let broken = |what: String| Error::data(path.display().to_string(), "header", what, "expected a file written by Model::save");
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(e.to_string()))?;
        let json = header.metadata().as_ref().and_then(|m| m.get(Self::KEY)).ok_or_else(|| broken("not a model".into()))?;
        let mut model: Self = serde_json::from_str(json).map_err(|e| broken(e.to_string()))?;
        let tensors = safetensors::SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
        model.event.check().map_err(|e| broken(e.to_string()))?;
        let layers = model.train.arch.layers(model.shape, model.class_names.len())?;
        for (i, len) in layers.iter().flat_map(crate::nn::Layer::parameters).enumerate() {
            let view = tensors.tensor(&i.to_string()).map_err(|e| broken(e.to_string()))?;
            let values = floats(view.data());
            if values.len() != len {
                return Err(broken(format!("tensor {i} has {} values, the architecture needs {len}", values.len())));
            }
            model.weights.push(values);
        }
        Ok(model)
    }
}

/// The logits of normalised records, row-major `[n, classes]`, in chunks on all cores.
pub(super) fn logits(net: &Net, data: &Dataset, kind: &Device) -> Result<Vec<f32>> {
    let x = data.normalized();
    forward_rows(net, &x, data.shape(), kind)
}

/// The network's output for row-major records, one row per record.
pub(crate) fn forward_rows(net: &Net, x: &[f32], [c, h, w]: [usize; 3], kind: &Device) -> Result<Vec<f32>> {
    let device = kind.open()?;
    let d = c * h * w;
    let rows = chunk_of(kind).min(x.len() / d).max(1);
    let parts: Result<Vec<Vec<f32>>> =
        x.par_chunks(rows * d).map(|part| to_host(net.forward(to_tensor(part.to_vec(), [part.len() / d, c, h, w], &device)))).collect();
    Ok(parts?.concat())
}

impl Show for Model {
    fn figure(&self) -> Figure {
        let loss: Vec<(f64, f64)> = self.history.iter().filter_map(|e| e.loss.map(|loss| (e.epoch as f64, loss))).collect();
        let accuracy: Vec<(f64, f64)> = self.history.iter().filter_map(|e| e.test_accuracy.map(|a| (e.epoch as f64, 100.0 * a))).collect();
        let caption = format!("{}, {} records of {}, seed {}", self.train.arch.name(), self.records, self.trained_on, self.seed);
        let curve = |title: &str, y: &str, points: &[(f64, f64)]| {
            let name = y.split(" (").next().unwrap_or_default();
            (!points.is_empty()).then(|| Plot::new(title).x_label("epoch").y_label(y).line(name, points).caption(&caption).figure())
        };
        let loss = curve("Learning curve", "training loss", &loss);
        let accuracy = curve("Test accuracy", "test accuracy (%)", &accuracy);
        Figure::row(loss.into_iter().chain(accuracy))
    }
}

show_inline!(Model);

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({}, {} epochs on {} records of {})", self.train.arch.name(), self.history.len(), self.records, self.trained_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Arch;

    #[test]
    fn the_gradient_norm_of_logistic_regression_is_its_closed_form() {
        // ∇W = (p − t) xᵀ, ∇b = p − t, so the norm is |p − t| √(|x|² + 1).
        let data = Dataset::toy();
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let model = Train::new(Arch::Logistic).with_epochs(2).fit(&data, &lab).unwrap();
        let (norms, logits, x) = (model.gradient_norms(&data).unwrap(), model.logits(&data).unwrap(), data.normalized());
        let k = data.classes();
        for i in [0, 31, 32, 119] {
            let z = &logits[i * k..(i + 1) * k];
            let total: f32 = z.iter().map(|z| z.exp()).sum();
            let error: f32 = (0..k).map(|c| (z[c].exp() / total - f32::from(u8::from(c == data.labels()[i] as usize))).powi(2)).sum();
            let length: f32 = x[i * data.features()..(i + 1) * data.features()].iter().map(|v| v * v).sum();
            let expected = (error * (length + 1.0)).sqrt();
            assert!((norms[i] / expected - 1.0).abs() < 1e-3, "{i}: {} against {expected}", norms[i]);
        }
    }

    #[test]
    fn embeddings_are_what_the_last_layer_sees() {
        let data = Dataset::toy();
        let lab = Lab::on(Device::Cpu).unwrap().quiet();
        let model = Train::new(Arch::Mlp { hidden: vec![5] }).with_epochs(1).fit(&data, &lab).unwrap();
        let (embeddings, logits) = (model.embeddings(&data).unwrap(), model.logits(&data).unwrap());
        let [weight, bias] = [&model.weights()[2], &model.weights()[3]];
        let expected: f32 = bias[1] + (0..5).map(|i| weight[5 + i] * embeddings[7 * 5 + i]).sum::<f32>();
        assert!((logits[7 * data.classes() + 1] - expected).abs() < 1e-4);
    }
}
