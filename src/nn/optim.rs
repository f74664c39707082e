//! Optimisers over flat parameter vectors.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How parameters follow their gradients.
///
/// # Example
/// ```
/// use freelunch::nn::Optimizer;
/// let sgd = Optimizer::sgd(0.1);
/// assert_eq!(sgd, Optimizer::Sgd { rate: 0.1, momentum: 0.9, weight_decay: 5e-4 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Optimizer {
    /// v ← μ v + g + λ w, w ← w − η v (momentum as PyTorch defines it).
    Sgd {
        /// η, the learning rate, positive.
        rate: f64,
        /// μ in [0, 1).
        momentum: f64,
        /// λ ≥ 0, added to the gradient of every parameter.
        weight_decay: f64,
    },
    /// Adam with bias correction (arXiv 1412.6980).
    Adam {
        /// η, the learning rate, positive.
        rate: f64,
        /// β₁ in [0, 1).
        beta1: f64,
        /// β₂ in [0, 1).
        beta2: f64,
    },
}

impl Optimizer {
    const ADAM_EPSILON: f64 = 1e-8;

    /// SGD with momentum 0.9 and weight decay 5e-4.
    #[must_use]
    pub fn sgd(rate: f64) -> Self {
        Self::Sgd { rate, momentum: 0.9, weight_decay: 5e-4 }
    }

    /// Adam with β = (0.9, 0.999).
    #[must_use]
    pub fn adam(rate: f64) -> Self {
        Self::Adam { rate, beta1: 0.9, beta2: 0.999 }
    }

    pub(crate) fn check(&self) -> crate::Result<()> {
        let expect = |name: &str, value: f64, ok: bool, wanted: &str| {
            if ok { Ok(()) } else { Err(crate::Error::config(format!("{name} is {value}"), format!("expected {wanted}"))) }
        };
        match *self {
            Self::Sgd { rate, momentum, weight_decay } => {
                expect("rate", rate, rate > 0.0 && rate.is_finite(), "a positive number")?;
                expect("momentum", momentum, (0.0..1.0).contains(&momentum), "0 up to, not including, 1")?;
                expect("weight_decay", weight_decay, weight_decay >= 0.0 && weight_decay.is_finite(), "a number of at least 0")
            }
            Self::Adam { rate, beta1, beta2 } => {
                expect("rate", rate, rate > 0.0 && rate.is_finite(), "a positive number")?;
                expect("beta1", beta1, (0.0..1.0).contains(&beta1), "0 up to, not including, 1")?;
                expect("beta2", beta2, (0.0..1.0).contains(&beta2), "0 up to, not including, 1")
            }
        }
    }

    pub(crate) fn start(self) -> Steps {
        Steps { optimizer: self, step: 0, first: vec![], second: vec![] }
    }
}

/// The sums of gradients, parameter by parameter.
pub(crate) fn added(sum: Vec<Tensor<1>>, part: Vec<Tensor<1>>) -> Vec<Tensor<1>> {
    sum.into_iter().zip(part).map(|(a, b)| a + b).collect()
}

/// An optimiser at work: its moments for every parameter.
pub(crate) struct Steps {
    optimizer: Optimizer,
    step: i32,
    first: Vec<Tensor<1>>,
    second: Vec<Tensor<1>>,
}

impl Steps {
    /// One step; `factor` multiplies the learning rate (a schedule).
    pub(crate) fn step(&mut self, weights: &mut [Tensor<1>], gradients: Vec<Tensor<1>>, factor: f64) {
        self.step += 1;
        for (i, (weight, gradient)) in weights.iter_mut().zip(gradients).enumerate() {
            let change = match self.optimizer {
                Optimizer::Sgd { rate, momentum, weight_decay } => {
                    let decayed = if weight_decay > 0.0 { gradient + weight.clone() * weight_decay } else { gradient };
                    let velocity = if momentum > 0.0 { Self::blend(&mut self.first, i, momentum, decayed, 1.0) } else { decayed };
                    velocity * (rate * factor)
                }
                Optimizer::Adam { rate, beta1, beta2 } => {
                    let first = Self::blend(&mut self.first, i, beta1, gradient.clone(), 1.0 - beta1);
                    let second = Self::blend(&mut self.second, i, beta2, gradient.clone() * gradient, 1.0 - beta2);
                    let first = first / (1.0 - beta1.powi(self.step));
                    let second = second / (1.0 - beta2.powi(self.step));
                    first / (second.sqrt() + Optimizer::ADAM_EPSILON) * (rate * factor)
                }
            };
            *weight = weight.clone() - change;
        }
    }

    /// moment ← keep · moment + share · value
    fn blend(moments: &mut Vec<Tensor<1>>, i: usize, keep: f64, value: Tensor<1>, share: f64) -> Tensor<1> {
        let scaled = if share == 1.0 { value } else { value * share };
        match moments.get_mut(i) {
            Some(moment) => *moment = moment.clone() * keep + scaled,
            None => moments.push(scaled),
        }
        moments[i].clone()
    }
}
