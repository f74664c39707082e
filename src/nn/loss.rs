//! Cross-entropy of logits, with its gradient.

use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

/// Mean cross-entropy and its gradient in the logits: (softmax − one-hot) / n.
///
/// `logits` `[n, k, 1, 1]`, `one_hot` `[n, k]`.
pub(crate) fn cross_entropy(logits: Tensor<4>, one_hot: Tensor<2>) -> (Tensor<1>, Tensor<4>) {
    let [n, k] = one_hot.dims();
    let log_p = log_softmax(logits.reshape([n, k]), 1);
    let loss = -(log_p.clone() * one_hot.clone()).sum() / n as f64;
    let grad = (log_p.exp() - one_hot) / n as f64;
    (loss, grad.reshape([n, k, 1, 1]))
}
