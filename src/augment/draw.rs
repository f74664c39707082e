//! Draws at work: the operations of one draw prepared for one shape, and the draws of one batch.

use super::parameters::Parameters;
use super::step::Step;

/// One draw: operations in a row, ready for images of one shape.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    shape: [usize; 3],
    steps: Vec<Step>,
}

impl Draw {
    pub(super) fn new(parameters: Vec<Parameters>, shape: [usize; 3]) -> Self {
        let steps = parameters.iter().filter_map(|parameters| Step::new(parameters, shape)).collect();
        Self { shape, steps }
    }

    /// A x + b for each of the images in `x`.
    pub(crate) fn apply(&self, x: &[f32]) -> Vec<f32> {
        let mut y = x.to_vec();
        let mut scratch = vec![0.0; self.features()];
        y.chunks_exact_mut(self.features()).for_each(|image| self.apply_to(image, &mut scratch));
        y
    }

    /// Aᵀ g for each of the images in `grad`: the gradient in the output becomes the one in the input.
    #[cfg(test)]
    pub(crate) fn adjoint(&self, grad: &[f32]) -> Vec<f32> {
        let mut g = grad.to_vec();
        let mut scratch = vec![0.0; self.features()];
        g.chunks_exact_mut(self.features()).for_each(|image| self.adjoint_to(image, &mut scratch));
        g
    }

    fn features(&self) -> usize {
        self.shape.iter().product()
    }

    // All steps of one image before the next image, so that it stays in the cache.
    fn apply_to(&self, image: &mut [f32], scratch: &mut [f32]) {
        self.steps.iter().for_each(|step| step.apply(image, scratch, self.shape));
    }

    fn adjoint_to(&self, image: &mut [f32], scratch: &mut [f32]) {
        self.steps.iter().rev().for_each(|step| step.adjoint(image, scratch, self.shape));
    }
}

/// The draws of one batch: one for all its images, or one for each.
#[derive(Debug, Clone)]
pub(crate) struct Draws(Vec<Draw>);

impl Draws {
    /// One operation with known parameters, for tests.
    #[cfg(test)]
    pub(crate) fn known(operation: &serde_json::Value, shape: [usize; 3]) -> Self {
        Self(vec![Draw::new(vec![serde_json::from_value(operation.clone()).unwrap()], shape)])
    }

    /// `draws[i]` is for image i; a single one is for all.
    pub(super) fn new(draws: Vec<Draw>) -> Self {
        Self(draws)
    }

    /// The images in `x`, each changed by its draw.
    pub(crate) fn apply(&self, x: &[f32]) -> Vec<f32> {
        self.each(x, Draw::apply_to)
    }

    /// The gradients in the outputs carried back to the inputs.
    pub(crate) fn adjoint(&self, grad: &[f32]) -> Vec<f32> {
        self.each(grad, Draw::adjoint_to)
    }

    fn each(&self, x: &[f32], change: impl Fn(&Draw, &mut [f32], &mut [f32])) -> Vec<f32> {
        let mut y = x.to_vec();
        let features = self.0.first().map_or(1, Draw::features);
        let mut scratch = vec![0.0; features];
        // Cycling makes a single draw serve every image.
        for (image, draw) in y.chunks_exact_mut(features).zip(self.0.iter().cycle()) {
            change(draw, image, &mut scratch);
        }
        y
    }
}
