//! The server's part of a round: the average of the answers, in 64 bits and in the order of the clients.

use super::client_privacy::Mechanism;
use super::{Federation, Weighting};

/// What a client answers.
pub(super) struct Answer {
    pub(super) client: usize,
    pub(super) records: usize,
    pub(super) weights: Vec<Vec<f32>>,
    pub(super) loss: Option<f64>,
}

/// Moves the global weights: by the mean update, or by the noisy sum over the expected number of answers. `participants` answer always.
pub(super) fn average(
    federation: &Federation,
    global: &mut [Vec<f32>],
    answers: &[Answer],
    mechanism: Option<&mut Mechanism>,
    clients: usize,
    participants: usize,
) {
    let before: Vec<f64> = global.iter().flatten().map(|&w| f64::from(w)).collect();
    let update = |answer: &Answer| answer.weights.iter().flatten().zip(&before).map(|(&w, b)| f64::from(w) - b).collect::<Vec<f64>>();
    let change: Vec<f64> = match mechanism {
        Some(mechanism) => {
            let expected = federation.fraction * clients as f64 * (1.0 - federation.dropout) + participants as f64;
            let updates: Vec<Vec<f64>> = answers.iter().map(update).collect();
            mechanism.release(&updates, before.len()).into_iter().map(|value| value / expected).collect()
        }
        None => {
            let weight = |answer: &Answer| match federation.weighting {
                Weighting::Records => answer.records as f64,
                Weighting::Equal => 1.0,
            };
            let total: f64 = answers.iter().map(weight).sum();
            let mut mean = vec![0.0; before.len()];
            for answer in answers {
                let share = weight(answer) / total;
                mean.iter_mut().zip(update(answer)).for_each(|(mean, value)| *mean += share * value);
            }
            mean
        }
    };
    let changed = global.iter_mut().flatten().zip(&before).zip(change);
    changed.for_each(|((w, before), change)| *w = (before + federation.server_rate * change) as f32);
}
