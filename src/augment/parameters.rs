//! The random parameters of one operation, and the ranges they come from.

use super::Operation;
use crate::lab::Rng;
use rand::RngExt as _;

/// One operation as drawn.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(test, derive(serde::Serialize, serde::Deserialize), serde(tag = "operation", content = "parameters", rename_all = "lowercase"))]
pub(super) enum Parameters {
    Color { brightness: f64, saturation: f64, contrast: f64 },
    Crop { dy: isize, dx: isize },
    Cutout { side_y: usize, side_x: usize, cy: usize, cx: usize },
    Flip { flip: bool },
    Scale { sx: f64, sy: f64 },
    Rotate { degrees: f64 },
}

impl Parameters {
    pub(super) fn draw(operation: Operation, strength: f64, [_, h, w]: [usize; 3], rng: &mut Rng) -> Self {
        match operation {
            Operation::Color => Self::Color {
                brightness: strength * (uniform(rng) - 0.5),
                // A negative factor would turn an image into its negative, which no strength is meant to do.
                saturation: (1.0 + strength * (2.0 * uniform(rng) - 1.0)).max(0.0),
                contrast: (1.0 + strength * (uniform(rng) - 0.5)).max(0.0),
            },
            Operation::Crop => Self::Crop { dy: shift(h, strength, rng), dx: shift(w, strength, rng) },
            Operation::Cutout => {
                let ratio = (0.5 * strength).min(1.0);
                let (side_y, side_x) = (part(h, ratio), part(w, ratio));
                Self::Cutout { side_y, side_x, cy: centre(h, side_y, rng), cx: centre(w, side_x, rng) }
            }
            Operation::Flip => Self::Flip { flip: uniform(rng) < 0.5 },
            Operation::Scale => {
                let most = 1.0 + 0.2 * strength;
                let mut factor = || 1.0 / most + uniform(rng) * (most - 1.0 / most);
                Self::Scale { sx: factor(), sy: factor() }
            }
            Operation::Rotate => Self::Rotate { degrees: 15.0 * strength * (2.0 * uniform(rng) - 1.0) },
        }
    }
}

fn uniform(rng: &mut Rng) -> f64 {
    rng.random::<f64>()
}

fn part(side: usize, ratio: f64) -> usize {
    (side as f64 * ratio + 0.5) as usize
}

fn shift(side: usize, strength: f64, rng: &mut Rng) -> isize {
    let most = part(side, 0.125 * strength).min(side) as i64;
    rng.random_range(-most..=most) as isize
}

fn centre(side: usize, hole: usize, rng: &mut Rng) -> usize {
    rng.random_range(0..=side - hole % 2)
}
