//! Bilinear resampling on transformed coordinates: scale and rotate.

/// For each pixel of the output the four pixels of the input it mixes, computed once for all images and channels.
#[derive(Debug, Clone)]
pub(super) struct Warp {
    taps: Vec<Tap>,
}

#[derive(Debug, Clone, Copy)]
struct Tap {
    at: [u32; 4],
    /// 0 for a pixel outside of the image, whose `at` is then 0.
    weight: [f32; 4],
}

impl Warp {
    /// Coordinates run from −1 to 1 between the outer edges of the image (corners not aligned); output pixel (u, v) is the
    /// input's value at `matrix` · (u, v).
    pub(super) fn new(matrix: [[f64; 2]; 2], h: usize, w: usize) -> Self {
        let mut taps = Vec::with_capacity(h * w);
        for i in 0..h {
            for j in 0..w {
                let u = (2 * j + 1) as f64 / w as f64 - 1.0;
                let v = (2 * i + 1) as f64 / h as f64 - 1.0;
                let column = ((matrix[0][0] * u + matrix[0][1] * v + 1.0) * w as f64 - 1.0) / 2.0;
                let row = ((matrix[1][0] * u + matrix[1][1] * v + 1.0) * h as f64 - 1.0) / 2.0;
                taps.push(Tap::new(row, column, h, w));
            }
        }
        Self { taps }
    }

    pub(super) fn apply(&self, image: &mut [f32], scratch: &mut [f32]) {
        scratch.copy_from_slice(image);
        let plane = self.taps.len();
        for (out, source) in image.chunks_exact_mut(plane).zip(scratch.chunks_exact(plane)) {
            for (out, tap) in out.iter_mut().zip(&self.taps) {
                let value = |k: usize| tap.weight[k] * source[tap.at[k] as usize];
                *out = (value(0) + value(1)) + (value(2) + value(3));
            }
        }
    }

    pub(super) fn adjoint(&self, grad: &mut [f32], scratch: &mut [f32]) {
        scratch.copy_from_slice(grad);
        grad.fill(0.0);
        let plane = self.taps.len();
        for (out, source) in grad.chunks_exact_mut(plane).zip(scratch.chunks_exact(plane)) {
            for (source, tap) in source.iter().zip(&self.taps) {
                for k in 0..4 {
                    out[tap.at[k] as usize] += tap.weight[k] * source;
                }
            }
        }
    }
}

impl Tap {
    fn new(row: f64, column: f64, h: usize, w: usize) -> Self {
        let (top, left) = (row.floor(), column.floor());
        let (down, right) = (row - top, column - left);
        let corners = [
            (top, left, (1.0 - down) * (1.0 - right)),
            (top, left + 1.0, (1.0 - down) * right),
            (top + 1.0, left, down * (1.0 - right)),
            (top + 1.0, left + 1.0, down * right),
        ];
        let mut tap = Self { at: [0; 4], weight: [0.0; 4] };
        for (k, (i, j, weight)) in corners.into_iter().enumerate() {
            if (0.0..h as f64).contains(&i) && (0.0..w as f64).contains(&j) {
                tap.at[k] = (i as usize * w + j as usize) as u32;
                tap.weight[k] = weight as f32;
            }
        }
        tap
    }
}
