//! The three convolutions of a block, image by image: forward, its adjoint, and the gradient of the weights. Each takes the way that is faster for its
//! channels: sums as they are written ([`kernel`](super::kernel)), or fewer products ([`winograd`](super::winograd)).

use super::ConvBlock;
use super::buffer::Buffer;
use super::kernel::{Correlation, WeightGradient};
use super::winograd::{Planes, Winograd};
use pulp::Simd;

impl ConvBlock {
    /// Whether fewer products pay for turning images into them and back: not between few channels. They want images channels last.
    fn in_squares(&self) -> bool {
        const CHANNELS: usize = 16;
        self.follows && self.padding == 1 && self.inputs >= CHANNELS && self.outputs >= CHANNELS
    }
}

/// A correlation with packed weights, and memory for one image.
pub(super) struct Convolution<'a> {
    block: &'a ConvBlock,
    /// Whether gradients go in, and come out as images.
    adjoint: bool,
    correlation: Correlation<'a>,
    packed: Buffer,
    way: Way,
}

enum Way {
    Sums { pad: Buffer },
    Squares { winograd: Winograd, planes: Planes },
}

impl<'a> Convolution<'a> {
    /// From images to what the norm takes. `correlation` may take several images' channels side by side.
    #[inline(always)]
    pub(super) fn forward<S: Simd>(simd: S, block: &'a ConvBlock, correlation: Correlation<'a>) -> Self {
        Self::new(simd, block, false, correlation)
    }

    /// From gradients `[h, w, outputs]` to gradients in the block's input, channels last.
    #[inline(always)]
    pub(super) fn adjoint<S: Simd>(simd: S, block: &'a ConvBlock, correlation: Correlation<'a>) -> Self {
        Self::new(simd, block, true, correlation)
    }

    #[inline(always)]
    fn new<S: Simd>(simd: S, block: &'a ConvBlock, adjoint: bool, correlation: Correlation<'a>) -> Self {
        let Correlation { height, width, inputs, outputs, weights, .. } = correlation;
        let (packed, way) = if block.in_squares() {
            let winograd = Winograd::new::<S>([height, width], inputs, outputs);
            (winograd.pack(simd, weights), Way::Squares { planes: winograd.planes(), winograd })
        } else {
            (correlation.pack::<S>(), Way::Sums { pad: Buffer::zeros((height + 2) * (width + 2) * inputs) })
        };
        Self { block, adjoint, correlation, packed, way }
    }

    /// What the images, whose channels follow each other, become.
    #[inline(always)]
    pub(super) fn run<S: Simd>(&mut self, simd: S, images: &[&[f32]], out: &mut [f32]) {
        let Correlation { height, width, inputs, bias, .. } = self.correlation;
        match &mut self.way {
            Way::Squares { winograd, planes } => winograd.run(simd, &self.packed, images, bias, planes, out),
            Way::Sums { pad } => {
                let border = 2 * self.block.padding;
                for (n, image) in images.iter().enumerate() {
                    let place = [inputs, n * (inputs / images.len())];
                    if self.adjoint {
                        self.block.pad_gradient(image, [height, width], pad, place);
                    } else {
                        self.block.pad(image, [height + 2 - border, width + 2 - border], pad, place);
                    }
                }
                self.correlation.run(simd, &self.packed, pad, out);
            }
        }
    }
}

/// Gradients of the weights, and memory for one image.
pub(super) struct WeightSums<'a> {
    block: &'a ConvBlock,
    way: WaySums,
}

enum WaySums {
    Sums { kernel: WeightGradient, size: [usize; 2], pad: Buffer, scratch: Vec<f32> },
    Squares { winograd: Winograd, planes: Planes, products: Buffer },
}

impl<'a> WeightSums<'a> {
    /// For images of `size` and gradients `[h, w, outputs]`.
    #[inline(always)]
    pub(super) fn new<S: Simd>(_: S, block: &'a ConvBlock, size: [usize; 2], [h, w]: [usize; 2]) -> Self {
        let ConvBlock { inputs, outputs, .. } = *block;
        let way = if block.in_squares() {
            let winograd = Winograd::new::<S>(size, inputs, outputs);
            WaySums::Squares { planes: winograd.planes(), products: winograd.products(), winograd }
        } else {
            let kernel = WeightGradient { height: h, width: w, inputs, outputs };
            WaySums::Sums { kernel, size, pad: Buffer::zeros((h + 2) * (w + 2) * inputs), scratch: vec![] }
        };
        Self { block, way }
    }

    /// Adds the gradient of one image to `sum` `[3, inputs, 3, outputs]`, where it is complete after [`WeightSums::finish`].
    #[inline(always)]
    pub(super) fn add<S: Simd>(&mut self, simd: S, image: &[f32], z: &[f32], sum: &mut [f32]) {
        match &mut self.way {
            WaySums::Squares { winograd, planes, products } => winograd.gradient(simd, image, z, planes, products),
            WaySums::Sums { kernel, size, pad, scratch } => {
                self.block.pad(image, *size, pad, [self.block.inputs, 0]);
                kernel.run(simd, pad, z, scratch, sum);
            }
        }
    }

    /// Brings what was added since the last time to `sum`.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(&mut self, simd: S, sum: &mut [f32]) {
        if let WaySums::Squares { winograd, products, .. } = &mut self.way {
            winograd.unpack(simd, products, sum);
        }
    }
}
