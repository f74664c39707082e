//! The networks under attack: as at the first round of a federation, and with sigmoids as deep leakage needs them.

use crate::data::Normalization;
use crate::device::guarded;
use crate::nn::{Arch, Conv2d, Layer, Linear, Net};
use crate::privacy::Event;
use crate::train::{Model, Train};
use crate::{Dataset, Error, Lab, Result};

/// A model that has learned nothing: fresh weights, as at the first round of a federation, where gradients tell most. Of `like` only
/// shape, classes and a public normalisation are used (the range of pixels, or what [`Dataset::with_public_normalization`] says).
///
/// # Errors
/// [`Error::Config`] when the architecture does not fit, or a table has no public normalisation.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, gradient_leakage::untrained, nn::Arch};
/// let model = untrained(Arch::mlp(), &Dataset::toy(), &Lab::new()?.quiet())?;
/// assert!(model.history().is_empty());
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn untrained(arch: Arch, like: &Dataset, lab: &Lab) -> Result<Model> {
    let like = like.publicly_normalized()?;
    let layers = arch.layers(like.shape(), like.classes())?;
    guarded(lab.device(), || {
        let net = Net::new(layers, &mut lab.rng("weights", 0), &lab.open()?);
        Model::new(Train::new(arch), &like, Event::NoOp, &net, vec![], lab)
    })
}

/// The network of deep leakage: three convolutions 5×5 of 12 filters, of strides 2, 2 and 1, each with a sigmoid, then linear. With ReLU
/// the gradient jumps as the image changes, and L-BFGS, which builds on curvature, gets lost.
///
/// # Errors
/// [`Error::Config`] for a table.
///
/// # Example
/// ```
/// use freelunch::{Dataset, gradient_leakage::sigmoid_conv_net};
/// let arch = sigmoid_conv_net(&Dataset::toy())?;
/// assert_eq!(arch.layers([1, 8, 8], 4)?.len(), 8);
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn sigmoid_conv_net(like: &Dataset) -> Result<Arch> {
    if like.schema().is_some() {
        return Err(Error::config(format!("convolutions on the table {}", like.name()), "use sigmoid_mlp or Arch::mlp()"));
    }
    let [channels, mut h, mut w] = like.shape();
    let (mut inputs, mut layers) = (channels, vec![]);
    for stride in [2, 2, 1] {
        let conv = Conv2d { inputs, outputs: 12, kernel: 5, stride, padding: 2 };
        (h, w) = (conv.side(h).unwrap_or(0), conv.side(w).unwrap_or(0));
        layers.extend([Layer::Conv2d(conv), Layer::Sigmoid]);
        inputs = 12;
    }
    layers.extend([Layer::Flatten, Layer::Linear(Linear { inputs: 12 * h * w, outputs: like.classes() })]);
    Ok(Arch::Custom { layers })
}

/// Fully connected layers with sigmoids between them.
///
/// # Example
/// ```
/// use freelunch::{Dataset, gradient_leakage::sigmoid_mlp};
/// assert_eq!(sigmoid_mlp(&[32], &Dataset::toy()).parameters([1, 8, 8], 4)?, 65 * 32 + 33 * 4);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[must_use]
pub fn sigmoid_mlp(hidden: &[usize], like: &Dataset) -> Arch {
    let (mut inputs, mut layers) = (like.features(), vec![Layer::Flatten]);
    for &outputs in hidden {
        layers.extend([Layer::Linear(Linear { inputs, outputs }), Layer::Sigmoid]);
        inputs = outputs;
    }
    layers.push(Layer::Linear(Linear { inputs, outputs: like.classes() }));
    Arch::Custom { layers }
}

/// The model at work, and the records as it sees them.
pub(super) fn opened(model: &Model, batch: &Dataset, lab: &Lab) -> Result<(Net, Dataset)> {
    if batch.shape() != model.shape() || batch.class_names().len() != model.class_names().len() {
        let what = format!("records {:?} in {} classes", batch.shape(), batch.classes());
        let remedy = format!("the model was made for {:?} in {}", model.shape(), model.class_names().len());
        return Err(Error::mismatch(what, remedy));
    }
    let batch = batch.clone().with_normalization(model.normalization().clone());
    Ok((network(model, lab)?, batch))
}

pub(super) fn network(model: &Model, lab: &Lab) -> Result<Net> {
    let layers = model.train().arch.layers(model.shape(), model.class_names().len())?;
    Net::with_weights(layers, model.weights(), &lab.open()?)
}

/// Where black and white of every pixel lie after normalisation, `[low, high]` for each value of a record.
pub(super) fn box_of(normalization: &Normalization, shape: [usize; 3]) -> Vec<[f32; 2]> {
    let d = shape.iter().product();
    let ends = [0.0, 1.0].map(|end| normalization.apply(&vec![end; d], shape));
    ends[0].iter().zip(&ends[1]).map(|(&low, &high)| [low.min(high), low.max(high)]).collect()
}
