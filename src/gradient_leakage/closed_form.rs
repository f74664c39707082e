//! One record from the gradient of a first fully connected layer, without any search.

use super::{ClientUpdate, labels, made};
use crate::nn::Layer;
use crate::train::Model;
use crate::{Dataset, Error, Lab, Result};

/// The record behind the update of a single one, where the network begins with a fully connected layer: y = W x + b gives ∂L/∂W_i = x
/// ∂L/∂b_i, so x is the quotient, of the unit with the largest ∂L/∂b_i, up to rounding. None when the network begins otherwise, the update
/// is of several records (the quotient is then a mixture of them), or the gradient is all zero. With noise the quotient holds noise.
///
/// # Errors
/// [`Error::Mismatch`] when the update is not of this model, [`Error::Diverged`] when it holds NaN.
///
/// # References
/// Phong, Aono, Hayashi, Wang and Moriai, "Privacy-Preserving Deep Learning via Additively Homomorphic Encryption", IEEE TIFS 13 (2018).
///
/// # Example
/// ```
/// use freelunch::gradient_leakage::{ClientUpdate, analytic_first_layer, untrained};
/// use freelunch::{Dataset, Lab, nn::Arch};
/// let lab = Lab::new()?.seed(1).quiet();
/// let model = untrained(Arch::mlp(), &Dataset::toy(), &lab)?;
/// let record = Dataset::toy().subset(&[7])?;
/// let found = analytic_first_layer(&model, &ClientUpdate::gradient(&model, &record, &lab)?, &lab)?;
/// assert!(found.is_some_and(|found| found.x().iter().zip(record.x()).all(|(a, b)| (a - b).abs() < 1e-3)));
/// # Ok::<(), freelunch::Error>(())
/// ```
pub fn analytic_first_layer(model: &Model, update: &ClientUpdate, lab: &Lab) -> Result<Option<Dataset>> {
    update.check_finite()?;
    update.check_model(model)?;
    let layers = model.train().arch.layers(model.shape(), model.class_names().len())?;
    let first = layers.iter().find(|layer| !matches!(layer, Layer::Flatten | Layer::Dropout(_)));
    let (Some(Layer::Linear(first)), 1, [weight, bias, ..]) = (first, update.records(), update.parts()) else { return Ok(None) };
    let Some((unit, slope)) = bias.iter().enumerate().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())) else { return Ok(None) };
    if *slope == 0.0 {
        return Ok(None);
    }
    let row = weight.get(unit * first.inputs..(unit + 1) * first.inputs).unwrap_or(&[]);
    let x: Vec<f32> = row.iter().map(|&g| (f64::from(g) / f64::from(*slope)) as f32).collect();
    if x.iter().any(|value| !value.is_finite()) {
        return Err(Error::Diverged { what: "the quotient of the first layer's gradients".into(), step: 0, value: f64::INFINITY });
    }
    let found = labels::recovered(model, update.last_bias(), 1, lab)?;
    Ok(Some(made(model, x, found, "closed form of the first layer", serde_json::json!({}), lab)?))
}
