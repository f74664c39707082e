//! The iterate of distribution matching on its way to the closed form.

use super::LinearMatching;
use crate::display::{Figure, Plot, Show};
use crate::synthesize::Synthesize;
use crate::{Dataset, Error, Lab, Result};
use serde::{Deserialize, Serialize};

/// Distance of distribution matching with linear networks from the closed form, by steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Convergence {
    distances: Vec<(usize, f64)>,
    features: usize,
    per_class: usize,
    width: usize,
    records: usize,
    name: String,
    seed: u64,
}

impl Convergence {
    pub(super) fn measure(method: &LinearMatching, real: &Dataset, features: usize, steps: &[usize], lab: &Lab) -> Result<Self> {
        if steps.is_empty() {
            return Err(Error::config("convergence at no step", "name some numbers of steps, such as &[0, 10, 100]"));
        }
        let end = method.synthesize(real, lab)?.normalized();
        let start = method.init.start(real, method.per_class, lab)?.x;
        let mut distances = vec![];
        for &steps in steps {
            let iterate =
                if steps == 0 { start.clone() } else { method.by_descent(real, features, steps)?.synthesize(real, lab)?.normalized() };
            let square: f64 = iterate.iter().zip(&end).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            distances.push((steps, (square / end.len() as f64).sqrt()));
        }
        Ok(Self {
            distances,
            features,
            per_class: method.per_class,
            width: real.features(),
            records: real.len(),
            name: real.name().to_string(),
            seed: lab.seed_value(),
        })
    }

    /// Steps and root mean square difference per normalised value.
    #[must_use]
    pub fn distances(&self) -> &[(usize, f64)] {
        &self.distances
    }
}

impl Show for Convergence {
    fn figure(&self) -> Figure {
        let points: Vec<(f64, f64)> = self.distances.iter().map(|&(step, distance)| (step as f64, distance)).collect();
        let caption = format!(
            "{} records of {}, {} per class, {} linear features of {} values, new ones in every step; seed {}. The floor is 32-bit rounding.",
            self.records, self.name, self.per_class, self.features, self.width, self.seed
        );
        Plot::new("Distribution matching runs into the closed form")
            .x_label("step")
            .y_label("distance per value")
            .log_y()
            .line("distribution matching", &points)
            .points("distribution matching", &points)
            .caption(&caption)
            .figure()
    }
}

crate::display::show_inline!(Convergence);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::condense::Init;

    #[test]
    fn distribution_matching_with_linear_networks_ends_at_the_closed_form() {
        let (real, lab) = (Dataset::toy(), Lab::on(Device::Cpu).unwrap().seed(2).quiet());
        for init in [Init::Noise, Init::Real] {
            let method = LinearMatching::new(2).with_init(init);
            let found = method.convergence(&real, 16, &[0, 20, 60, 300], &lab).unwrap();
            let distances: Vec<f64> = found.distances().iter().map(|point| point.1).collect();
            assert!(distances[0] > 0.1 && distances.windows(2).all(|pair| pair[1] < pair[0]), "{distances:?}");
            // The squared distance should shrink by (1 − 0.25/1.25) a step: to 0.11 after 20, at random; the end is f32 rounding.
            assert!(distances[1] < 0.35 * distances[0] && distances[3] < 2e-6, "{distances:?}");
        }
    }

    #[test]
    fn the_figure_says_what_was_run() {
        let (real, lab) = (Dataset::toy(), Lab::on(Device::Cpu).unwrap().seed(2).quiet());
        let text = LinearMatching::new(1).convergence(&real, 8, &[0, 2], &lab).unwrap().figure().to_text();
        assert!(text.contains("8 linear features of 64 values") && text.contains("seed 2"), "{text}");
        assert!(LinearMatching::new(1).convergence(&real, 8, &[], &lab).is_err());
        assert!(LinearMatching::new(1).convergence(&real, 0, &[1], &lab).unwrap_err().to_string().contains("0 features"));
    }
}
