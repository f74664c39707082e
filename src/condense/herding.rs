//! Herding: real records chosen one after the other so that the mean of the chosen stays close to the mean of their class.
//!
//! With φ the representation (normalised pixels, or the embedding of a random ConvNet) and μ the class mean, record k is
//! argmin over the unchosen x of ‖ μ − (φ(x) + Σ_{j<k} φ(x_j)) / k ‖.
//!
//! # Privacy
//! None: the chosen records are published as they are.
//!
//! # References
//! Welling, "Herding dynamical weights to learn" (ICML 2009); as a coreset of exemplars: arXiv 1611.07725.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::Herding, synthesize::Synthesize};
//! let small = Herding::new(2).synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert_eq!(small.len(), 2 * small.classes());
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::selected;
use crate::nn::{Arch, Net};
use crate::synthesize::Synthesize;
use crate::train::model::forward_rows;
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What herding measures distances in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Space {
    /// Normalised values (pixels, columns).
    Values,
    /// The embedding of a freshly drawn network, before its last layer.
    RandomNetwork {
        /// The network.
        arch: Arch,
    },
}

/// `per_class` real records of each class, chosen by herding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Herding {
    /// Records per class (ipc), at least 1.
    pub per_class: usize,
    /// Where distances are measured; normalised values by default.
    pub space: Space,
}

impl Herding {
    /// Herding in the space of normalised values.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        Self { per_class, space: Space::Values }
    }

    /// The same in another space.
    #[must_use]
    pub fn with_space(mut self, space: Space) -> Self {
        self.space = space;
        self
    }

    /// φ of every record, row-major, with its width.
    fn represent(&self, real: &Dataset, lab: &Lab) -> Result<(Vec<f32>, usize)> {
        let x = real.normalized();
        let Space::RandomNetwork { arch } = &self.space else { return Ok((x, real.features())) };
        let layers = arch.layers(real.shape(), real.classes())?;
        crate::device::guarded(lab.device(), || {
            let net = Net::new(layers, &mut lab.rng("herding", 0), &lab.open()?).features();
            let rows = forward_rows(&net, &x, real.shape(), lab.device())?;
            let width = rows.len() / real.len();
            Ok((rows, width))
        })
    }
}

impl Synthesize for Herding {
    fn name(&self) -> String {
        "herding".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let start = Instant::now();
        real.require_per_class(self.per_class)?;
        let (rows, width) = self.represent(real, lab)?;
        let mut positions = vec![];
        for class in 0..real.classes() {
            let members = real.of_class(class);
            positions.extend(herd(&rows, width, &members, self.per_class));
        }
        selected(self, real, &positions, lab, start)
    }
}

/// Greedy choice of `count` of `members` by the formula of the module.
fn herd(rows: &[f32], width: usize, members: &[usize], count: usize) -> Vec<usize> {
    let row = |i: usize| rows[i * width..(i + 1) * width].iter().map(|&v| f64::from(v));
    let mut mean = vec![0.0; width];
    for &i in members {
        mean.iter_mut().zip(row(i)).for_each(|(m, v)| *m += v / members.len() as f64);
    }
    let mut sum = vec![0.0; width];
    let mut chosen: Vec<usize> = vec![];
    for k in 1..=count {
        let distance = |i: usize| -> f64 { mean.iter().zip(&sum).zip(row(i)).map(|((m, s), v)| (m - (s + v) / k as f64).powi(2)).sum() };
        let free = members.iter().copied().filter(|i| !chosen.contains(i));
        let Some((best, _)) = free.map(|i| (i, distance(i))).min_by(|a, b| a.1.total_cmp(&b.1)) else { break };
        sum.iter_mut().zip(row(best)).for_each(|(s, v)| *s += v);
        chosen.push(best);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_choice_is_nearest_to_the_mean_and_the_second_balances_it() {
        // Points 0, 1, 2, 7 on a line: mean 2.5, so 2 comes first; then (2 + v) / 2 nearest 2.5 is v = 1 (1.5) or 7 (4.5): 1.
        let rows = [0.0, 1.0, 2.0, 7.0];
        assert_eq!(herd(&rows, 1, &[0, 1, 2, 3], 3), vec![2, 1, 3]);
    }

    #[test]
    fn no_record_is_chosen_twice() {
        let rows = [1.0; 5];
        let mut chosen = herd(&rows, 1, &[0, 1, 2, 3, 4], 5);
        chosen.sort_unstable();
        assert_eq!(chosen, vec![0, 1, 2, 3, 4]);
    }
}
