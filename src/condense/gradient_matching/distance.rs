//! The distance of two sets of weight gradients, and its derivative.

use crate::nn::Layer;
use burn::tensor::Tensor;

/// Layer by layer and output unit by output unit (a row of the weight gradient): Σ 1 − ⟨g, s⟩ / (‖g‖ ‖s‖ + 1e-6). Biases and norm
/// parameters do not count. Returns the distance `[1]` and its derivative in s, one entry per parameter vector.
pub(crate) fn cosine(layers: &[Layer], real: &[Tensor<1>], synthetic: &[Tensor<1>]) -> (Option<Tensor<1>>, Vec<Option<Tensor<1>>>) {
    const EPSILON: f64 = 1e-6;
    let mut total: Option<Tensor<1>> = None;
    let mut derivatives = vec![];
    let mut at = 0;
    for layer in layers {
        let count = layer.parameters().len();
        if let Some(rows) = layer.rows() {
            let matrix = |g: &Tensor<1>| -> Tensor<2> {
                let [len] = g.dims();
                g.clone().reshape([rows, len / rows])
            };
            let (g, s) = (matrix(&real[at]), matrix(&synthetic[at]));
            let norm = |m: &Tensor<2>| (m.clone() * m.clone()).sum_dim(1).sqrt(); // [rows, 1]
            let (g_norm, s_norm) = (norm(&g), norm(&s));
            let dot = (g.clone() * s.clone()).sum_dim(1);
            let scale = g_norm.clone() * s_norm.clone() + EPSILON;
            let distance = (-(dot.clone() / scale.clone()) + 1.0).sum();
            // d/ds of −dot / (|g| |s| + ε); where s is 0 its norm has no slope, and 0 is as good as any.
            let unit = s / s_norm.clamp_min(1e-30);
            let derivative = -(g / scale.clone()) + unit * (dot * g_norm / (scale.clone() * scale));
            derivatives.push(Some(derivative.reshape([-1])));
            total = Some(match total {
                Some(sum) => sum + distance,
                None => distance,
            });
        }
        derivatives.resize(at + count, None);
        at += count;
    }
    (total, derivatives)
}
