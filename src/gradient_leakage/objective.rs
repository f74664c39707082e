//! How far the gradient of made-up records is from the one that was sent, and which way to change them.

use super::Distance;
use crate::nn::{Loss, Net, to_host, to_tensor};
use crate::{Lab, Result};
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

/// The function that an attack makes small.
pub(super) struct Objective {
    /// With weights that autodiff may look through: no fused blocks.
    net: Net,
    /// What was sent.
    target: Vec<Tensor<1>>,
    distance: Distance,
    /// α, the weight of the total variation.
    variation: f64,
    shape: [usize; 3],
    classes: usize,
    device: burn::tensor::Device,
}

/// What the function says of some records.
#[derive(Debug)]
pub(super) struct Value {
    /// The distance of the gradients.
    pub(super) distance: f64,
    /// The distance and α · the total variation.
    pub(super) objective: f64,
    /// Its gradient in the records, row-major.
    pub(super) in_records: Vec<f32>,
    /// Its gradient in the logits of the labels, if those were free.
    pub(super) in_labels: Vec<f32>,
}

/// The labels of the made-up records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Labels<'a> {
    Fixed(&'a [u32]),
    /// t = softmax of these logits, `[n, classes]`.
    Free(&'a [f32]),
}

impl Objective {
    pub(super) fn new(
        net: &Net,
        sent: &[Vec<f32>],
        distance: Distance,
        variation: f64,
        shape: [usize; 3],
        classes: usize,
        lab: &Lab,
    ) -> Result<Self> {
        let device = lab.open()?;
        let vector = |part: &Vec<f32>| Tensor::from_data(TensorData::new(part.clone(), [part.len()]), &device).autodiff();
        let weights = net.weights.iter().map(|w| w.clone().autodiff()).collect();
        let net = Net::on(net.layers().to_vec(), weights, false);
        Ok(Self { target: sent.iter().map(vector).collect(), net, distance, variation, shape, classes, device })
    }

    pub(super) fn at(&self, x: &[f32], labels: Labels) -> Result<Value> {
        let [c, h, w] = self.shape;
        let (n, k) = (x.len() / (c * h * w), self.classes);
        let records = to_tensor(x.to_vec(), [n, c, h, w], &self.device).autodiff().require_grad();
        let table = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [n, k]), &self.device).autodiff();
        let (targets, logits) = match labels {
            Labels::Fixed(labels) => {
                let one_hot = labels.iter().flat_map(|&label| (0..k).map(move |class| f32::from(u8::from(class == label as usize))));
                (table(one_hot.collect()), None)
            }
            Labels::Free(logits) => {
                let logits = table(logits.to_vec()).require_grad();
                (softmax(logits.clone(), 1), Some(logits))
            }
        };
        let (out, tape) = self.net.forward_saving(records.clone());
        let (_, grad) = Loss::CrossEntropy.of(out, targets);
        let distance = self.between(self.net.weight_gradients(&tape, grad));
        let value = f64::from(to_host(distance.clone().inner())?.first().copied().unwrap_or(f32::NAN));
        let found = distance.backward();
        let zeros = || records.zeros_like().inner();
        let mut in_records = to_host(records.grad(&found).unwrap_or_else(zeros))?;
        let in_labels = match logits {
            Some(logits) => to_host(logits.grad(&found).unwrap_or_else(|| logits.zeros_like().inner()))?,
            None => vec![],
        };
        let mut objective = value;
        if self.variation > 0.0 {
            let (size, slope) = total_variation(x, self.shape);
            objective += self.variation * size;
            in_records.iter_mut().zip(slope).for_each(|(g, s)| *g += (self.variation * s) as f32);
        }
        Ok(Value { distance: value, objective, in_records, in_labels })
    }

    /// The distance of some gradients from those that were sent, `[1]`.
    fn between(&self, gradients: Vec<Tensor<1>>) -> Tensor<1> {
        let pairs = || gradients.iter().zip(&self.target);
        let sum = |terms: &mut dyn Iterator<Item = Tensor<1>>| {
            terms.reduce(|a, b| a + b).unwrap_or_else(|| Tensor::zeros([1], &self.device).autodiff())
        };
        match self.distance {
            Distance::Squared => sum(&mut pairs().map(|(g, s)| {
                let apart = g.clone() - s.clone();
                (apart.clone() * apart).sum()
            })),
            Distance::Cosine => {
                let dot = sum(&mut pairs().map(|(g, s)| (g.clone() * s.clone()).sum()));
                let own = sum(&mut gradients.iter().map(|g| (g.clone() * g.clone()).sum()));
                let sent = sum(&mut self.target.iter().map(|s| (s.clone() * s.clone()).sum()));
                // A gradient of zeros has no direction; it then counts as a right angle.
                -(dot / (own.clamp_min(1e-30).sqrt() * sent.clamp_min(1e-30).sqrt())) + 1.0
            }
        }
    }
}

/// The mean absolute difference of neighbours, across plus down, and its derivative (0 where neighbours are equal).
fn total_variation(x: &[f32], [c, h, w]: [usize; 3]) -> (f64, Vec<f64>) {
    let planes = x.len() / (h * w);
    let mut slope = vec![0.0; x.len()];
    let mut size = 0.0;
    let mut add = |a: usize, b: usize, count: usize| {
        let difference = f64::from(x[b]) - f64::from(x[a]);
        let share = 1.0 / count as f64;
        size += share * difference.abs();
        let turn = if difference == 0.0 { 0.0 } else { share * difference.signum() };
        slope[b] += turn;
        slope[a] -= turn;
    };
    debug_assert!(planes.is_multiple_of(c));
    for plane in 0..planes {
        for row in 0..h {
            for column in 0..w {
                let at = (plane * h + row) * w + column;
                if column + 1 < w {
                    add(at, at + 1, planes * h * (w - 1));
                }
                if row + 1 < h {
                    add(at, at + w, planes * (h - 1) * w);
                }
            }
        }
    }
    (size, slope)
}

#[cfg(test)]
mod tests {
    use super::super::networks::{network, sigmoid_conv_net, untrained};
    use super::super::{ClientUpdate, sigmoid_mlp};
    use super::*;
    use crate::{Dataset, Device};

    fn lab() -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(3).quiet()
    }

    /// Along one direction the function's central difference must be the product of gradient and direction.
    fn along(objective: &Objective, x: &[f32], labels: &[f32], free: bool, step: f32) {
        let toward: Vec<f32> = (0..x.len() + labels.len()).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
        let hard: Vec<u32> = vec![1; x.len() / 64];
        let at = |length: f32| {
            let moved =
                |values: &[f32], from: usize| -> Vec<f32> { values.iter().zip(&toward[from..]).map(|(v, d)| v + length * d).collect() };
            let (x, labels) = (moved(x, 0), moved(labels, x.len()));
            objective.at(&x, if free { Labels::Free(&labels) } else { Labels::Fixed(&hard) }).unwrap()
        };
        let numeric = (at(step).objective - at(-step).objective) / (2.0 * f64::from(step));
        let here = at(0.0);
        let own: f64 = here.in_records.iter().chain(&here.in_labels).zip(&toward).map(|(g, d)| f64::from(g * d)).sum();
        // Values in 32 bits: relative 1e-7 over a step of 1e-2, and the step's own error.
        assert!((own - numeric).abs() < 0.01 * numeric.abs().max(1e-3 * here.objective), "{own} against {numeric}");
    }

    #[test]
    fn gradients_in_records_and_labels_match_central_differences() {
        let (toy, lab) = (Dataset::toy(), lab());
        for arch in [sigmoid_mlp(&[12], &toy), sigmoid_conv_net(&toy).unwrap()] {
            let model = untrained(arch, &toy, &lab).unwrap();
            let sent = ClientUpdate::gradient(&model, &toy.subset(&[3, 8]).unwrap(), &lab).unwrap();
            let net = network(&model, &lab).unwrap();
            for (distance, variation) in [(Distance::Squared, 0.0), (Distance::Cosine, 0.0), (Distance::Cosine, 0.1)] {
                let objective = Objective::new(&net, sent.parts(), distance, variation, [1, 8, 8], 4, &lab).unwrap();
                let x: Vec<f32> = (0..128).map(|i| (i * 29 % 31) as f32 / 16.0 - 1.0).collect();
                let labels: Vec<f32> = (0..8).map(|i| i as f32 / 4.0 - 0.9).collect();
                along(&objective, &x, &labels, true, 1e-2);
                along(&objective, &x, &labels, false, 1e-2);
            }
        }
    }

    #[test]
    fn the_true_records_are_at_distance_zero() {
        let (toy, lab) = (Dataset::toy(), lab());
        let model = untrained(sigmoid_mlp(&[12], &toy), &toy, &lab).unwrap();
        let batch = toy.subset(&[5, 6]).unwrap();
        let sent = ClientUpdate::gradient(&model, &batch, &lab).unwrap();
        let net = network(&model, &lab).unwrap();
        let x = batch.with_normalization(model.normalization().clone());
        for distance in [Distance::Squared, Distance::Cosine] {
            let objective = Objective::new(&net, sent.parts(), distance, 0.0, [1, 8, 8], 4, &lab).unwrap();
            let value = objective.at(&x.normalized(), Labels::Fixed(x.labels())).unwrap();
            assert!(value.distance.abs() < 1e-6, "{distance:?}: {}", value.distance); // 32 bits
        }
    }

    #[test]
    fn the_total_variation_of_a_step_is_its_height() {
        // One jump of 2 in each of three rows of two: 3 · 2 / 3; nothing downwards.
        let (size, slope) = total_variation(&[0.0, 2.0, 0.0, 2.0, 0.0, 2.0], [1, 3, 2]);
        assert_eq!((size, slope[0], slope[1]), (2.0, -1.0 / 3.0, 1.0 / 3.0));
    }
}
