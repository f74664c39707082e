//! Linear matching: what distribution matching comes to when its networks are linear, without a single step.
//!
//! With ψ_θ(x) = θ x the loss E_θ ‖ θ (mean(T) − mean(S)) ‖² is least where the means agree, and its gradient is the same vector for
//! every synthetic record of a class. So gradient descent moves all of them by one offset, and ends at
//!
//! s_i* = s_i⁰ + mean(T) − mean(S⁰), class by class.
//!
//! [`LinearMatching::convergence`] lets the real [`DistributionMatching`] run into this formula. Two things follow, which together
//! are the lesson: [`influence`] of one record is ‖x_n − mean(rest)‖ / n, as small as one likes; and mean(S*) = mean(T), so
//! [`reconstruct`] finds the record, exactly: x_n = n mean(S*) − Σ rest. Small influence is not privacy.
//!
//! # Privacy
//! None ([`Event::NonPrivate`]): given the start, the result is a function of the records, and from
//! real records as a start it is these records plus one common offset.
//!
//! # References
//! The linear case of arXiv 2110.04181, whose influence of O(1/n) arXiv 2206.00240 takes for privacy; criticised in arXiv 2209.14987.
//!
//! # Example
//! ```
//! use freelunch::condense::linear_matching::{influence, reconstruct_each};
//! use freelunch::prelude::*;
//! let real = Dataset::toy();
//! let released = LinearMatching::new(2).with_init(Init::Noise).synthesize(&real, &Lab::new()?.quiet())?;
//! assert!(influence(&real, 7)? < 0.1); // the record moves the release by less than a tenth ..
//! let found = reconstruct_each(&released, &real, &[7])?;
//! assert!(found.errors()[0] < 1e-4); // .. and can be read from it
//! # Ok::<(), Error>(())
//! ```

mod convergence;
mod reconstruction;

pub use convergence::Convergence;
pub use reconstruction::{InfluenceBySize, Reconstructions, influence, influence_by_size, reconstruct, reconstruct_each};

use super::DistributionMatching;
use super::init::{Init, Start};
use crate::data::Origin;
use crate::nn::{Arch, Layer, Linear};
use crate::privacy::{Event, guard};
use crate::synthesize::{Synthesize, origin};
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The closed form of distribution matching with linear networks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[doc(alias = "linear DM")]
pub struct LinearMatching {
    /// Synthetic records per class (ipc), at least 1.
    pub per_class: usize,
    /// The first synthetic records; real, as in the literature.
    pub init: Init,
}

impl LinearMatching {
    /// The end of linear distribution matching from real records.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        Self { per_class, init: Init::Real }
    }

    /// The same from another start.
    #[must_use]
    pub fn with_init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// Distribution matching that goes where this method is: random linear networks with `features` outputs, all records of a class in
    /// every step, no momentum.
    ///
    /// With k features of d values one step removes, at this learning rate, about the share (k/d)/(1 + k/d) of the squared distance:
    /// the gradient is (2/per_class) θᵀθ times the difference of the means, and the entries of θ have variance 1/(3d).
    ///
    /// # Errors
    /// [`Error::Config`] when `features` or `steps` is 0.
    ///
    /// # Example
    /// ```
    /// use freelunch::prelude::*;
    /// let real = Dataset::toy();
    /// let made = LinearMatching::new(1).by_descent(&real, 16, 5)?.synthesize(&real, &Lab::new()?.quiet())?;
    /// assert_eq!(made.origin().trace.len(), 5);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn by_descent(&self, real: &Dataset, features: usize, steps: usize) -> Result<DistributionMatching> {
        if features == 0 || steps == 0 {
            return Err(Error::config(format!("{features} features and {steps} steps"), "expected at least 1 of each"));
        }
        let (d, classes) = (real.features(), real.classes());
        let linear = |inputs, outputs| Layer::Linear(Linear { inputs, outputs });
        let arch = Arch::Custom { layers: vec![Layer::Flatten, linear(d, features), linear(features, classes)] };
        let rate = 1.5 * self.per_class as f64 / (1.0 + features as f64 / d as f64);
        let matching = DistributionMatching::new(self.per_class).with_arch(arch).with_init(self.init.clone());
        Ok(DistributionMatching { momentum: 0.0, ..matching.with_rate(rate).with_steps(steps).with_batch(real.len()) })
    }

    /// How far [`LinearMatching::by_descent`] is from the closed form after each of these numbers of steps (0: the start), from the
    /// same start. Every number is a run of its own.
    ///
    /// # Errors
    /// [`Error::Config`] for no steps or no features, and what the methods answer.
    ///
    /// # Example
    /// ```
    /// use freelunch::prelude::*;
    /// let method = LinearMatching::new(1).with_init(Init::Noise);
    /// let found = method.convergence(&Dataset::toy(), 16, &[0, 10, 30], &Lab::new()?.quiet())?;
    /// assert!(found.distances()[2].1 < 0.2 * found.distances()[0].1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn convergence(&self, real: &Dataset, features: usize, steps: &[usize], lab: &Lab) -> Result<Convergence> {
        Convergence::measure(self, real, features, steps, lab)
    }
}

impl Synthesize for LinearMatching {
    fn name(&self) -> String {
        format!("linear DM, {} init", self.init.name())
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let begin = Instant::now();
        guard(lab, &self.name(), real)?;
        let Start { x, labels, started_from } = self.init.start(real, self.per_class, lab)?;
        // Normalising is the same for all values of a channel, so the formula holds in natural units, too, and rounds less there.
        let start = real.normalization().undo(&x, real.shape());
        let mut x = vec![];
        for (class, start) in start.chunks(self.per_class * real.features()).enumerate() {
            let members = rows(real, &real.of_class(class));
            let start: Vec<f64> = start.iter().map(|&v| f64::from(v)).collect();
            x.extend(matched(&start, &members, real.features()).into_iter().map(|v| v as f32));
        }
        let origin = Origin { started_from, ..origin(self, lab, Event::NonPrivate, begin.elapsed().as_secs_f64()) };
        real.synthetic(x, labels, origin)
    }
}

/// s_i⁰ + mean(T) − mean(S⁰) for row-major records of `width` values.
fn matched(start: &[f64], members: &[f64], width: usize) -> Vec<f64> {
    let offset: Vec<f64> = mean(members, width).iter().zip(mean(start, width)).map(|(t, s)| t - s).collect();
    start.chunks(width).flat_map(|record| record.iter().zip(&offset).map(|(s, o)| s + o)).collect()
}

/// The mean of row-major records of `width` values.
fn mean(records: &[f64], width: usize) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for record in records.chunks(width) {
        sum.iter_mut().zip(record).for_each(|(sum, v)| *sum += v);
    }
    let n = (records.len() / width) as f64;
    sum.into_iter().map(|sum| sum / n).collect()
}

/// The records at these positions in f64.
fn rows(data: &Dataset, positions: &[usize]) -> Vec<f64> {
    positions.iter().flat_map(|&i| data.record(i)).map(|&v| f64::from(v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    #[test]
    fn every_record_moves_by_the_offset_that_makes_the_means_agree() {
        let (real, lab) = (Dataset::toy(), Lab::on(Device::Cpu).unwrap().seed(3).quiet());
        let method = LinearMatching::new(3);
        let made = method.synthesize(&real, &lab).unwrap();
        for class in 0..real.classes() {
            let mean_of = |set: &Dataset| mean(&rows(set, &set.of_class(class)), set.features());
            // Each of the two means of f32 values below 2 is right to a few 1e-7.
            assert!(mean_of(&made).iter().zip(mean_of(&real)).all(|(s, t)| (s - t).abs() < 1e-6));
            let offset = |i: usize| -> Vec<f32> {
                let from = made.origin().started_from[i][0];
                made.record(i).iter().zip(real.record(from)).map(|(s, x)| s - x).collect()
            };
            let first = offset(3 * class);
            assert!(first.iter().any(|o| o.abs() > 0.01));
            assert!((1..3).all(|i| offset(3 * class + i).iter().zip(&first).all(|(a, b)| (a - b).abs() < 1e-6)));
        }
    }

    #[test]
    fn the_closed_form_is_that_of_two_points_by_hand() {
        // mean(T) = (2, 5), mean(S⁰) = (1, 1): the offset is (1, 4).
        assert_eq!(matched(&[0.0, 0.0, 2.0, 2.0], &[1.0, 3.0, 3.0, 7.0], 2), vec![1.0, 4.0, 3.0, 6.0]);
    }
}
