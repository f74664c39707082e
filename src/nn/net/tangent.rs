//! How the gradients of a network change along a direction of its weights: one more forward and one more backward pass.
//!
//! With g(x, θ) = ∇θ loss(x, θ) the derivative of ∇x loss(x, θ + s v) at s = 0 is ∇x ⟨g, v⟩, and that of ∇θ loss is ∇θ ⟨g, v⟩, because
//! second derivatives commute. So no reverse pass over a reverse pass is needed (Pearlmutter 1994, "Fast exact multiplication by the
//! Hessian"), and everything runs in the fused blocks.

use super::{Kept, Net, Stage};
use crate::nn::conv_block::{BlockTangent, Wanted};
use crate::nn::{Layer, Loss, Saved};
use burn::tensor::Tensor;

/// What a stage's moved forward pass keeps.
enum Moved {
    /// The input does not move.
    Still,
    Layer(Saved),
    Block(BlockTangent),
}

/// A pass whose gradients are known and can be moved along a direction.
pub(crate) struct Traced<'a> {
    net: &'a Net,
    tape: Vec<Kept>,
    loss: Loss,
    logits: Tensor<4>,
    targets: Tensor<2>,
    /// The gradient in the output of every stage.
    grads: Vec<Tensor<4>>,
    /// g, in the order of the weights.
    pub(crate) gradients: Vec<Tensor<1>>,
}

impl Stage {
    /// Whether the stage knows how it moves: whole blocks, and layers that are linear in their input or in pieces.
    fn moves(&self) -> bool {
        match self {
            Self::Block(_) => true,
            Self::Mixed(_) => false,
            Self::Layer(layer) => matches!(
                layer,
                Layer::Linear(_)
                    | Layer::Conv2d(_)
                    | Layer::ConvTranspose2d(_)
                    | Layer::Flatten
                    | Layer::Unflatten { .. }
                    | Layer::AvgPool(_)
                    | Layer::Relu
                    | Layer::LeakyRelu { .. }
            ),
        }
    }

    /// The derivative of the output; `None` while nothing moves.
    fn forward_tangent(&self, [w, v]: [&[Tensor<1>]; 2], kept: &Kept, moved: Option<Tensor<4>>) -> (Option<Tensor<4>>, Moved) {
        match (self, kept) {
            (Self::Block(block), Kept::Block(saved)) => {
                let device = w[0].device();
                let (y, tangent) = block.forward_tangent([w, v], saved, moved, &device);
                (Some(y), Moved::Block(tangent))
            }
            (Self::Layer(layer), Kept::Layer(saved)) if layer.parameters().is_empty() => match (layer, moved) {
                (_, None) => (None, Moved::Still),
                // In pieces: what lets a gradient back lets a change through.
                (Layer::Relu | Layer::LeakyRelu { .. }, Some(moved)) => (Some(layer.input_gradient(w, saved, moved)), Moved::Still),
                (_, Some(moved)) => (Some(layer.forward(w, moved, None).0), Moved::Still),
            },
            (Self::Layer(layer), Kept::Layer(saved)) => {
                let y = layer.forward(v, saved[0].clone(), None).0;
                let Some(moved) = moved else { return (Some(y), Moved::Still) };
                let (own, saved) = layer.forward(&[w[0].clone(), w[1].zeros_like()], moved, None);
                (Some(y + own), Moved::Layer(saved))
            }
            _ => (moved, Moved::Still), // a tape of another network: cannot happen inside Net
        }
    }

    /// The derivatives of the gradients in the parameters and in the input, from the gradient in the output and its derivative.
    fn gradients_tangent(
        &self,
        [w, v]: [&[Tensor<1>]; 2],
        (kept, moved): (&Kept, &Moved),
        [grad, change]: [Tensor<4>; 2],
        wanted: Wanted,
    ) -> (Vec<Tensor<1>>, Option<Tensor<4>>) {
        let (layer, saved) = match (self, kept, moved) {
            (Self::Block(block), Kept::Block(saved), Moved::Block(tangent)) => {
                return block.gradients_tangent([w, v], saved, tangent, [grad, change], wanted);
            }
            (Self::Layer(layer), Kept::Layer(saved), _) => (layer, saved),
            _ => return (vec![], Some(change)), // a tape of another network: cannot happen inside Net
        };
        let mut weights = vec![];
        if wanted.weights && !w.is_empty() {
            weights = layer.weight_gradients(saved, change.clone());
            if let (Moved::Layer(moved), Some(weight)) = (moved, weights.first_mut()) {
                // The bias does not see the input.
                let own = layer.weight_gradients(moved, grad.clone()).swap_remove(0);
                *weight = weight.clone() + own;
            }
        }
        let input = wanted.input.then(|| {
            let along = layer.input_gradient(w, saved, change);
            if w.is_empty() { along } else { along + layer.input_gradient(v, saved, grad) }
        });
        (weights, input)
    }
}

impl Net {
    /// The loss's gradient in the weights, ready to be moved; `None` for a network with a layer that does not know how it moves.
    pub(crate) fn traced(&self, loss: Loss, x: Tensor<4>, targets: Tensor<2>) -> Option<Traced<'_>> {
        if !self.stages.iter().all(Stage::moves) {
            return None;
        }
        let (logits, tape) = self.forward_saving(x);
        let (_, mut grad) = loss.of(logits.clone(), targets.clone());
        let (mut grads, mut gradients) = (vec![], vec![]);
        let mut at = self.weights.len();
        for (stage, kept) in self.stages.iter().zip(&tape).rev() {
            grads.push(grad.clone());
            let count = stage.parameters();
            at -= count;
            let (mut own, input) =
                stage.gradients(&self.weights[at..at + count], kept, grad.clone(), Wanted { weights: true, input: at > 0 });
            own.reverse();
            gradients.extend(own);
            // Nothing before the first parameters needs the gradient here; further back it only has to have a place.
            grad = input.unwrap_or(grad);
        }
        grads.reverse();
        gradients.reverse();
        Some(Traced { net: self, tape, loss, logits, targets, grads, gradients })
    }
}

impl Traced<'_> {
    /// ∇x ⟨g, v⟩ and, if wanted, ∇θ ⟨g, v⟩.
    pub(crate) fn along(&self, v: &[Tensor<1>], weights: bool) -> (Tensor<4>, Vec<Tensor<1>>) {
        let net = self.net;
        let (mut moved, mut kept_moved) = (None, vec![]);
        let mut at = 0;
        for (stage, kept) in net.stages.iter().zip(&self.tape) {
            let range = at..at + stage.parameters();
            at = range.end;
            let (y, kept) = stage.forward_tangent([&net.weights[range.clone()], &v[range]], kept, moved);
            moved = y;
            kept_moved.push(kept);
        }
        let moved = moved.unwrap_or_else(|| self.logits.zeros_like());
        let mut change = self.loss.tangent(self.logits.clone(), self.targets.clone(), moved);
        let mut in_weights = vec![];
        let stages = net.stages.iter().zip(&self.tape).zip(kept_moved.iter().zip(&self.grads));
        for ((stage, kept), (kept_moved, grad)) in stages.rev() {
            let range = at - stage.parameters()..at;
            at = range.start;
            let pair = [&net.weights[range.clone()], &v[range]];
            let (mut own, input) =
                stage.gradients_tangent(pair, (kept, kept_moved), [grad.clone(), change.clone()], Wanted { weights, input: true });
            own.reverse();
            in_weights.extend(own);
            change = input.unwrap_or(change);
        }
        in_weights.reverse();
        (change, in_weights)
    }
}
