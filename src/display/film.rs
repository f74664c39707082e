//! How a condensation went: pictures of the same records at several steps, and a strip of them for a running cell.
//!
//! A kernel of this kind shows rich output only when a cell ends; what a running cell can show is text. So a watched run prints a
//! strip of coloured characters as it goes, and the film stays with the data set for a cell of its own.

use super::animation::Animation;
use super::{Figure, ImageGrid, Plot, Show, show_inline};
use crate::data::Snapshot;
use crate::{Dataset, Result};

/// The film of a watched condensation, see [`Dataset::film`].
#[derive(Debug, Clone)]
pub struct Film {
    title: String,
    frames: Vec<(Snapshot, Vec<Vec<f32>>)>,
    shape: [usize; 3],
    classes: Vec<String>,
    trace: Vec<(usize, f64)>,
    seed: u64,
}

impl Dataset {
    /// The first record of each class at the steps that [`Lab::watch`](crate::Lab::watch) asked for, and the loss; without pictures when
    /// the run was not watched or the records are no images.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, condense::DistributionMatching, display::Show, nn::Arch, synthesize::Synthesize};
    /// let matching = DistributionMatching::new(1).with_arch(Arch::mlp()).with_steps(6);
    /// let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.watch(3)?.quiet())?;
    /// assert!(small.film().figure().to_html().contains("step 3"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn film(&self) -> Film {
        let frames = self.origin().film.iter().map(|s| (s.clone(), natural(self, &s.x).unwrap_or_default())).collect();
        Film {
            title: self.name().to_string(),
            frames,
            shape: self.shape(),
            classes: self.class_names().to_vec(),
            trace: self.origin().trace.clone(),
            seed: self.origin().seed,
        }
    }
}

/// Normalised values as images in natural units.
fn natural(data: &Dataset, x: &[f32]) -> Result<Vec<Vec<f32>>> {
    Ok(data.normalization().undo(x, data.shape()).chunks(data.features()).map(<[f32]>::to_vec).collect())
}

impl Film {
    /// Frames of one picture; more are thinned evenly.
    const MOST_FRAMES: usize = 12;
    /// Frames of a moving picture; more are thinned evenly.
    const MOST_MOVING: usize = 60;
    /// Classes side by side.
    const MOST_CLASSES: usize = 20;

    /// The film as a moving picture, a frame for each step that was watched; the last one stands where pictures do not move (paper, SVG,
    /// PNG). A run without pictures shows its loss.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, condense::DistributionMatching, nn::Arch, synthesize::Synthesize};
    /// let matching = DistributionMatching::new(1).with_arch(Arch::mlp()).with_steps(6);
    /// let small = matching.synthesize(&Dataset::toy(), &Lab::new()?.watch(3)?.quiet())?;
    /// assert!(small.film().animated().to_html().contains("alt=\"animation"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn animated(&self) -> Figure {
        if !self.has_pictures() {
            return self.figure();
        }
        let stride = self.frames.len().div_ceil(Self::MOST_MOVING).max(1);
        let last = self.frames.len() - 1;
        let names: Vec<&str> = self.classes.iter().take(Self::MOST_CLASSES).map(String::as_str).collect();
        let mut frames = vec![];
        for (_, (snapshot, images)) in self.frames.iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last) {
            let row = (format!("step {}", snapshot.step), images.iter().take(Self::MOST_CLASSES).cloned().collect());
            frames.push(ImageGrid::new(vec![row], self.shape).column_captions(&names));
        }
        let caption =
            format!("{} of {} watched steps, the first record of each class, seed {}", frames.len(), self.frames.len(), self.seed);
        Figure::of_animation(Animation::new(frames)).titled(&format!("Film of {}", self.title)).captioned(&caption)
    }

    fn has_pictures(&self) -> bool {
        let [channels, height, width] = self.shape;
        height * width > 1 && (channels == 1 || channels == 3) && !self.frames.is_empty()
    }

    fn grid(&self) -> ImageGrid {
        let stride = self.frames.len().div_ceil(Self::MOST_FRAMES).max(1);
        let last = self.frames.len().saturating_sub(1);
        let shown = self.frames.iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
        let rows =
            shown.map(|(_, (s, images))| (format!("step {}", s.step), images.iter().take(Self::MOST_CLASSES).cloned().collect())).collect();
        let names: Vec<&str> = self.classes.iter().take(Self::MOST_CLASSES).map(String::as_str).collect();
        ImageGrid::new(rows, self.shape).column_captions(&names)
    }
}

impl Show for Film {
    fn figure(&self) -> Figure {
        let points: Vec<(f64, f64)> = self.trace.iter().map(|&(step, loss)| (step as f64, loss)).collect();
        let loss = Plot::new("Loss").x_label("step").y_label("loss").line("loss", &points).figure();
        let parts = if self.has_pictures() { vec![self.grid().figure(), loss] } else { vec![loss] };
        Figure::column(parts).titled(&format!("Film of {}", self.title))
    }
}

show_inline!(Film);

/// Images side by side as lines of coloured half blocks, two pixels a character, each image at most `side` pixels wide: what a running
/// cell or a terminal shows.
pub(crate) fn strip(images: &[Vec<f32>], [channels, height, width]: [usize; 3], side: usize) -> String {
    let step = height.max(width).div_ceil(side.max(2)).max(1);
    let (rows, columns) = (height / step, width / step);
    // The mean of a square of pixels, as red, green and blue.
    let colour = |image: &[f32], row: usize, column: usize| -> [u8; 3] {
        std::array::from_fn(|c| {
            let plane = &image[c.min(channels - 1) * height * width..];
            let mut sum = 0.0;
            for y in row * step..(row + 1) * step {
                sum += plane[y * width + column * step..][..step].iter().sum::<f32>();
            }
            (255.0 * (sum / (step * step) as f32).clamp(0.0, 1.0)) as u8
        })
    };
    let mut lines = vec![];
    for row in (0..rows).step_by(2) {
        let mut line = String::new();
        for image in images {
            for column in 0..columns {
                let [r, g, b] = colour(image, row, column);
                let [s, h, c] = if row + 1 < rows { colour(image, row + 1, column) } else { [0; 3] };
                line.push_str(&format!("\u{1b}[38;2;{r};{g};{b};48;2;{s};{h};{c}m\u{2580}"));
            }
            line.push_str("\u{1b}[0m ");
        }
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_has_two_pixels_a_character_and_the_right_colours() {
        // A 2×2 image: white over black on the left, black over white on the right.
        let strip = strip(&[vec![1.0, 0.0, 0.0, 1.0]], [1, 2, 2], 14);
        assert_eq!(strip.matches('\u{2580}').count(), 2);
        assert!(strip.contains("38;2;255;255;255;48;2;0;0;0m") && strip.contains("38;2;0;0;0;48;2;255;255;255m"), "{strip:?}");
    }

    #[test]
    fn a_film_moves_in_html_and_stands_still_elsewhere() {
        let frame = |step: usize| (Snapshot { step, loss: 1.0, x: vec![] }, vec![vec![step as f32 / 200.0; 4]; 2]);
        let film = Film {
            title: "DM".into(),
            frames: (0..100).map(|i| frame(2 * i)).collect(),
            shape: [1, 2, 2],
            classes: vec!["a".into(), "b".into()],
            trace: vec![],
            seed: 7,
        };
        let figure = film.animated();
        let html = figure.to_html();
        assert!(
            html.contains("alt=\"animation of 51 frames, step 0 to step 198") && html.contains("seed 7"),
            "{}",
            &html[html.len() - 300..]
        );
        assert!(figure.to_svg().unwrap().contains(">step 198</text>") && figure.to_png().is_ok());
        let still = Film { shape: [1, 1, 1], ..film };
        assert!(!still.animated().to_html().contains("animation"));
    }

    #[test]
    fn a_strip_is_shrunk_by_whole_steps_and_keeps_the_mean() {
        let image: Vec<f32> = (0..28 * 28).map(|i| if i % 28 < 14 { 1.0 } else { 0.0 }).collect();
        let strip = strip(&[image.clone(), image], [1, 28, 28], 14);
        assert_eq!((strip.lines().count(), strip.matches('\u{2580}').count()), (7, 2 * 14 * 7));
        assert!(strip.contains("38;2;255;255;255") && strip.contains("38;2;0;0;0"));
    }
}
