//! Gradients of functions of gradients.
//!
//! With g(x, θ) = ∇θ loss(x, θ) and a fixed direction v, the product ⟨g(x, θ), v⟩ is a number; its gradients in x and θ are all that
//! gradient matching (d/dx of a distance of gradients, with v the derivative of the distance in g) and trajectory matching
//! (a step θ − η g(x, θ) pulled back) need. Second derivatives commute, so the product's gradient in x is the change of ∇x loss when θ
//! moves along v: one moved forward and backward pass ([`Net::traced`]). Where a layer does not know how it moves, burn's autodiff runs
//! over the layers' backward passes, which are made of ordinary tensor operations.

use super::{Loss, Net};
use burn::tensor::Tensor;

/// Which gradients of the product are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Input,
    InputAndWeights,
}

/// What [`gradient_product`] finds.
pub(crate) struct Product {
    /// g, in the order of the weights.
    pub(crate) gradients: Vec<Tensor<1>>,
    /// ∇x ⟨g, v⟩.
    pub(crate) in_input: Tensor<4>,
    /// ∇θ ⟨g, v⟩, empty unless wanted.
    pub(crate) in_weights: Vec<Tensor<1>>,
}

/// Computes g, asks `direction` for v, and differentiates ⟨g, v⟩ with v held fixed. A direction of `None` does not count.
pub(crate) fn gradient_product<E>(
    net: &Net,
    loss: Loss,
    x: Tensor<4>,
    targets: Tensor<2>,
    wanted: Wanted,
    direction: impl FnOnce(&[Tensor<1>]) -> Result<Vec<Option<Tensor<1>>>, E>,
) -> Result<Product, E> {
    if let Some(traced) = net.traced(loss, x.clone(), targets.clone()) {
        let directions = direction(&traced.gradients)?;
        let v: Vec<Tensor<1>> = directions.into_iter().zip(&net.weights).map(|(v, w)| v.unwrap_or_else(|| w.zeros_like())).collect();
        let (in_input, in_weights) = traced.along(&v, wanted == Wanted::InputAndWeights);
        return Ok(Product { gradients: traced.gradients, in_input, in_weights });
    }
    by_autodiff(net, loss, x, targets, wanted, direction)
}

/// The same by a reverse pass over the reverse pass.
fn by_autodiff<E>(
    net: &Net,
    loss: Loss,
    x: Tensor<4>,
    targets: Tensor<2>,
    wanted: Wanted,
    direction: impl FnOnce(&[Tensor<1>]) -> Result<Vec<Option<Tensor<1>>>, E>,
) -> Result<Product, E> {
    let track = |w: &Tensor<1>| {
        let w = w.clone().autodiff();
        if wanted == Wanted::InputAndWeights { w.require_grad() } else { w }
    };
    let tracked = Net::on(net.layers().to_vec(), net.weights.iter().map(track).collect(), false);
    let x = x.autodiff().require_grad();
    let (logits, tape) = tracked.forward_saving(x.clone());
    let (_, grad) = loss.of(logits, targets.autodiff());
    let gradients = tracked.weight_gradients(&tape, grad);
    let plain: Vec<Tensor<1>> = gradients.iter().map(|g| g.clone().inner()).collect();
    let directions = direction(&plain)?;
    let mut product: Option<Tensor<1>> = None;
    for (g, v) in gradients.into_iter().zip(directions) {
        let Some(v) = v else { continue };
        let term = (g * v.autodiff()).sum();
        product = Some(match product {
            Some(sum) => sum + term,
            None => term,
        });
    }
    let zeros = |w: &Tensor<1>| w.zeros_like().inner();
    let Some(product) = product else {
        let in_weights = if wanted == Wanted::InputAndWeights { tracked.weights.iter().map(zeros).collect() } else { vec![] };
        return Ok(Product { gradients: plain, in_input: x.zeros_like().inner(), in_weights });
    };
    let found = product.backward();
    let in_input = x.grad(&found).unwrap_or_else(|| x.zeros_like().inner());
    let in_weights = match wanted {
        Wanted::Input => vec![],
        Wanted::InputAndWeights => tracked.weights.iter().map(|w| w.grad(&found).unwrap_or_else(|| zeros(w))).collect(),
    };
    Ok(Product { gradients: plain, in_input, in_weights })
}

#[cfg(test)]
mod tests;
