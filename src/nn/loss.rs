//! Losses of logits, with their gradients: cross-entropy, squared error, binary cross-entropy.

use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax, sigmoid};
use serde::{Deserialize, Serialize};

/// What training minimises; z are the network's outputs, t the targets (one-hot, or learned soft labels), k classes.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, nn::{Arch, Loss}, train::Train};
/// let recipe = Train::new(Arch::Logistic).with_epochs(3).with_loss(Loss::SquaredError);
/// assert!(recipe.fit(&Dataset::toy(), &Lab::new()?.quiet())?.history()[2].loss.is_some_and(|loss| loss < 0.25));
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Loss {
    /// −Σ t log softmax(z), mean over the records.
    #[default]
    CrossEntropy,
    /// (z − t)², mean over records and classes.
    SquaredError,
    /// −t log σ(z) − (1 − t) log(1 − σ(z)), mean over records and classes.
    BinaryCrossEntropy,
}

impl Loss {
    /// The loss `[1]` and its gradient in the logits. `logits` `[n, k, 1, 1]`, `targets` `[n, k]`.
    pub(crate) fn of(self, logits: Tensor<4>, targets: Tensor<2>) -> (Tensor<1>, Tensor<4>) {
        let [n, k] = targets.dims();
        let z: Tensor<2> = logits.reshape([n, k]);
        let (loss, grad) = match self {
            Self::CrossEntropy => {
                let log_p = log_softmax(z, 1);
                let loss = -(log_p.clone() * targets.clone()).sum() / n as f64;
                // Soft targets need not sum to 1.
                (loss, (log_p.exp() * targets.clone().sum_dim(1) - targets) / n as f64)
            }
            Self::SquaredError => {
                let error = z - targets;
                let count = (n * k) as f64;
                ((error.clone() * error.clone()).sum() / count, error * (2.0 / count))
            }
            Self::BinaryCrossEntropy => {
                let count = (n * k) as f64;
                // log(1 − σ(z)) = log σ(−z).
                let loss = -(targets.clone() * log_sigmoid(z.clone()) + (-targets.clone() + 1.0) * log_sigmoid(-z.clone())).sum() / count;
                (loss, (sigmoid(z) - targets) / count)
            }
        };
        (loss, grad.reshape([n, k, 1, 1]))
    }

    /// How the gradient in the logits changes when the logits move by `moved` `[n, k, 1, 1]`.
    pub(crate) fn tangent(self, logits: Tensor<4>, targets: Tensor<2>, moved: Tensor<4>) -> Tensor<4> {
        let [n, k] = targets.dims();
        let z: Tensor<2> = logits.reshape([n, k]);
        let moved: Tensor<2> = moved.reshape([n, k]);
        let change = match self {
            Self::CrossEntropy => {
                let p = log_softmax(z, 1).exp();
                let mean = (p.clone() * moved.clone()).sum_dim(1);
                p * (moved - mean) * targets.sum_dim(1) / n as f64
            }
            Self::SquaredError => moved * (2.0 / (n * k) as f64),
            Self::BinaryCrossEntropy => {
                let p = sigmoid(z);
                p.clone() * (-p + 1.0) * moved / (n * k) as f64
            }
        };
        change.reshape([n, k, 1, 1])
    }
}
