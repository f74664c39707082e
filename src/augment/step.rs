//! One operation with its parameters, forward and transposed, in place on one image.

use super::parameters::Parameters;
use super::warp::Warp;
use std::ops::Range;

/// What is known of an operation before an image comes.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Color { brightness: f32, saturation: f32, contrast: f32 },
    Crop { dy: isize, dx: isize },
    Cutout { rows: Range<usize>, columns: Range<usize> },
    Flip,
    Warp(Warp),
}

impl Step {
    /// None when nothing would change.
    pub(super) fn new(parameters: &Parameters, shape: [usize; 3]) -> Option<Self> {
        let [_, h, w] = shape;
        Some(match *parameters {
            Parameters::Color { brightness, saturation, contrast } => {
                Self::Color { brightness: brightness as f32, saturation: saturation as f32, contrast: contrast as f32 }
            }
            Parameters::Crop { dy: 0, dx: 0 } | Parameters::Flip { flip: false } => return None,
            Parameters::Crop { dy, dx } => Self::Crop { dy, dx },
            Parameters::Cutout { side_y, side_x, cy, cx } => Self::Cutout { rows: hole(cy, side_y, h), columns: hole(cx, side_x, w) },
            Parameters::Flip { flip: true } => Self::Flip,
            Parameters::Scale { sx, sy } => Self::Warp(Warp::new([[sx, 0.0], [0.0, sy]], h, w)),
            Parameters::Rotate { degrees } => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                Self::Warp(Warp::new([[cos, -sin], [sin, cos]], h, w))
            }
        })
    }

    /// `scratch` is as long as the image.
    pub(super) fn apply(&self, image: &mut [f32], scratch: &mut [f32], shape: [usize; 3]) {
        match self {
            Self::Color { brightness, saturation, contrast } => color(image, scratch, shape, *brightness, *saturation, *contrast),
            Self::Crop { dy, dx } => crop(image, scratch, shape, *dy, *dx),
            Self::Cutout { rows, columns } => cutout(image, shape, rows, columns),
            Self::Flip => flip(image, shape),
            Self::Warp(warp) => warp.apply(image, scratch),
        }
    }

    pub(super) fn adjoint(&self, grad: &mut [f32], scratch: &mut [f32], shape: [usize; 3]) {
        match self {
            // Taking means is a symmetric projection, and the two commute: the linear part is its own transpose.
            Self::Color { saturation, contrast, .. } => color(grad, scratch, shape, 0.0, *saturation, *contrast),
            Self::Crop { dy, dx } => crop(grad, scratch, shape, -dy, -dx),
            Self::Cutout { rows, columns } => cutout(grad, shape, rows, columns),
            Self::Flip => flip(grad, shape),
            Self::Warp(warp) => warp.adjoint(grad, scratch),
        }
    }
}

/// Pixels `centre - side / 2` up to `side` further, cut at the border.
fn hole(centre: usize, side: usize, size: usize) -> Range<usize> {
    let first = centre as isize - (side / 2) as isize;
    let cut = |at: isize| at.clamp(0, size as isize) as usize;
    cut(first)..cut(first + side as isize)
}

/// Brightness b, saturation s and contrast k in one: k s x + k (1 − s) m + (1 − k) M + b with m the pixel's and M the image's mean.
/// The three weights sum to 1, so that b comes out as it went in; saturation does not change M.
fn color(image: &mut [f32], scratch: &mut [f32], [c, h, w]: [usize; 3], brightness: f32, saturation: f32, contrast: f32) {
    let plane = h * w;
    let mean = (image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64) as f32;
    let offset = (1.0 - contrast) * mean + brightness;
    if c == 1 {
        image.iter_mut().for_each(|v| *v = contrast * *v + offset); // a grey pixel is its own mean
        return;
    }
    let means = &mut scratch[..plane];
    means.fill(0.0);
    for channel in image.chunks_exact(plane) {
        means.iter_mut().zip(channel).for_each(|(m, v)| *m += v / c as f32);
    }
    for channel in image.chunks_exact_mut(plane) {
        for (v, m) in channel.iter_mut().zip(&*means) {
            *v = contrast * (saturation * *v + (1.0 - saturation) * m) + offset;
        }
    }
}

/// out[i, j] = in[i + dy, j + dx]; the transpose shifts back.
fn crop(image: &mut [f32], scratch: &mut [f32], [_, h, w]: [usize; 3], dy: isize, dx: isize) {
    scratch.copy_from_slice(image);
    image.fill(0.0);
    let (Some(columns), Some(from)) = (overlap(w, dx), overlap(w, -dx)) else { return };
    let Some(rows) = overlap(h, dy) else { return };
    for (out, source) in image.chunks_exact_mut(h * w).zip(scratch.chunks_exact(h * w)) {
        for i in rows.clone() {
            let row = i.saturating_add_signed(dy) * w;
            out[i * w + columns.start..i * w + columns.end].copy_from_slice(&source[row + from.start..row + from.end]);
        }
    }
}

/// The i in 0..size for which i + shift is in it, too.
fn overlap(size: usize, shift: isize) -> Option<Range<usize>> {
    let first = (-shift).max(0) as usize;
    let end = size.checked_sub(shift.max(0) as usize)?;
    (first < end).then_some(first..end)
}

fn cutout(image: &mut [f32], [_, h, w]: [usize; 3], rows: &Range<usize>, columns: &Range<usize>) {
    for plane in image.chunks_exact_mut(h * w) {
        plane.chunks_exact_mut(w).skip(rows.start).take(rows.len()).for_each(|row| row[columns.clone()].fill(0.0));
    }
}

fn flip(image: &mut [f32], [_, _, w]: [usize; 3]) {
    image.chunks_exact_mut(w).for_each(<[f32]>::reverse);
}
