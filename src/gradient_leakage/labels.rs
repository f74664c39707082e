//! The labels of a batch, read off the gradient of the last layer's bias.
//!
//! For cross-entropy the gradient of bias i is g_i = (1/n) Σ_j (p_ji − \[y_j = i\]). Of one record it is negative for its class alone,
//! because p < 1: the label, exactly (iDLG uses the weights' signs to the same end; every linear layer here has a bias). Of a batch:
//!
//! 1. every class with g_i < 0 is surely there, once (most negative first);
//! 2. its number of records is n (p̄_i − g_i), with p̄ the mean probability; the attacker takes that of noise for it, which is close for
//!    an untrained network. The rest of the n labels go, one by one, where most is left.
//!
//! GradInversion (arXiv 2104.07586) takes the n most negative classes, which is right only where no class is there twice.

use crate::train::Model;
use crate::{Dataset, Lab, Result};
use rand::RngExt;

/// Records of noise that p̄ is taken over.
const PROBES: usize = 64;

/// The labels, sorted.
pub(super) fn recovered(model: &Model, bias: &[f32], records: usize, lab: &Lab) -> Result<Vec<u32>> {
    let lowest = |values: &[f64]| {
        let order = values.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
        order.map_or(0, |(class, _)| class)
    };
    let slopes: Vec<f64> = bias.iter().map(|&g| f64::from(g)).collect();
    if records == 1 {
        return Ok(vec![lowest(&slopes) as u32]);
    }
    let mean = mean_probabilities(model, lab)?;
    let mut left: Vec<f64> = slopes.iter().zip(&mean).map(|(g, p)| records as f64 * (p - g)).collect();
    let mut sure: Vec<usize> = (0..slopes.len()).filter(|&class| slopes[class] < 0.0).collect();
    sure.sort_by(|&a, &b| slopes[a].total_cmp(&slopes[b]));
    let mut labels: Vec<u32> = vec![];
    for &class in sure.iter().take(records) {
        labels.push(class as u32);
        left[class] -= 1.0;
    }
    while labels.len() < records {
        let negated: Vec<f64> = left.iter().map(|count| -count).collect();
        let class = lowest(&negated);
        labels.push(class as u32);
        left[class] -= 1.0;
    }
    labels.sort_unstable();
    Ok(labels)
}

/// The model's mean probabilities on uniform noise.
fn mean_probabilities(model: &Model, lab: &Lab) -> Result<Vec<f64>> {
    let (d, k) = (model.shape().iter().product::<usize>(), model.class_names().len());
    let mut rng = lab.rng("gradient leakage probes", 0);
    let x = (0..PROBES * d).map(|_| rng.random::<f32>()).collect();
    let noise = Dataset::images("noise", x, model.shape(), vec![0; PROBES], model.class_names().to_vec())?;
    let logits = model.logits(&noise)?;
    let mut mean = vec![0.0; k];
    for row in logits.chunks_exact(k) {
        let row: Vec<f64> = row.iter().map(|&z| f64::from(z)).collect();
        let total = crate::stats::log_sum_exp(&row);
        mean.iter_mut().zip(&row).for_each(|(m, z)| *m += libm::exp(z - total) / PROBES as f64);
    }
    Ok(mean)
}
