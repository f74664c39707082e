//! Heat maps: cells shaded by a share, with their numbers in them.

use super::frame::Frame;
use super::mark::Mark;
use super::{Plot, curves};
use crate::Result;
use crate::display::font;
use crate::display::palette::contrast;
use crate::display::pen::{Anchor, Lettering, Pen, opaque};
use plotters::backend::DrawingBackend;
use plotters::style::{BLACK, RGBAColor, WHITE};

impl Plot {
    /// A heat map: a row of cells for each name on the vertical axis, from the top, shaded by a share between 0 and 1, with a text in each.
    ///
    /// # Example
    /// ```
    /// use freelunch::display::Plot;
    /// let shares = [vec![0.9, 0.1], vec![0.3, 0.7]];
    /// let texts = [vec!["9".into(), "1".into()], vec!["3".into(), "7".into()]];
    /// let map = Plot::new("Confusion").x_label("predicted").y_label("true").heat_map(&["cat", "dog"], &["cat", "dog"], &shares, &texts);
    /// assert!(map.to_svg()?.contains(">9</text>"));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    #[must_use]
    pub fn heat_map(mut self, rows: &[&str], columns: &[&str], shares: &[Vec<f64>], texts: &[Vec<String>]) -> Self {
        self.x_names = columns.iter().map(ToString::to_string).collect();
        self.x.range = Some((0.5, columns.len().max(1) as f64 + 0.5));
        self.y_names(rows).with(Mark::Cells { shares: shares.to_vec(), texts: texts.to_vec() })
    }
}

/// White for 0, the first colour for 1.
fn shade(share: f64) -> RGBAColor {
    let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
    let RGBAColor(red, green, blue, _) = curves::color(0);
    let mix = |channel: u8| (255.0 + share * (f64::from(channel) - 255.0)).round() as u8;
    RGBAColor(mix(red), mix(green), mix(blue), 1.0)
}

/// Black or white, whichever can be read better: the lesser grey of other texts would be too pale on middle shades.
fn ink_on(share: f64) -> RGBAColor {
    let ground = rgb(shade(share));
    let better = contrast(ground, [0; 3]) > contrast(ground, [255; 3]);
    opaque(if better { BLACK } else { WHITE })
}

fn rgb(RGBAColor(red, green, blue, _): RGBAColor) -> [u8; 3] {
    [red, green, blue]
}

pub(super) fn draw<DB: DrawingBackend>(frame: &Frame, pen: &Pen<DB>, shares: &[Vec<f64>], texts: &[Vec<String>]) -> Result<()> {
    let n = shares.len();
    for (i, row) in shares.iter().enumerate() {
        for (j, &share) in row.iter().enumerate() {
            let (x, y) = (j as f64 + 1.0, (n - i) as f64);
            let place = |dx: f64, dy: f64| frame.place((frame.x.at(x + dx).clamp(0.0, 1.0), frame.y.at(y + dy).clamp(0.0, 1.0)));
            let (from, to) = (place(-0.5, -0.5), place(0.5, 0.5));
            pen.rectangle(from, to, shade(share))?;
            let text = texts.get(i).and_then(|row| row.get(j)).map_or("", String::as_str);
            let look = Lettering::new(0.88 * frame.font).anchored(Anchor::Middle).colored(ink_on(share));
            // A number that does not fit is left to the table and to the words of the picture.
            if font::width(text, look.size, look.weight)? < to.0 - from.0 && look.size < from.1 - to.1 {
                pen.text(((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0 + 0.31 * frame.font), text, look)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::svg;

    #[test]
    fn every_number_can_be_read_on_its_shade() {
        for i in 0..=100 {
            let share = f64::from(i) / 100.0;
            // WCAG asks 4.5 of text.
            let found = contrast(rgb(shade(share)), rgb(ink_on(share)));
            assert!(found >= 4.5, "{found} at {share}");
        }
    }

    #[test]
    fn every_cell_stands_at_its_names_with_its_text() {
        let texts = [vec!["11".to_string(), "12".into(), "13".into()], vec!["21".into(), "22".into(), "23".into()]];
        let plot = Plot::new("").heat_map(&["top", "low"], &["a", "b", "c"], &[vec![1.0, 0.0, 0.5], vec![0.2, 0.9, f64::NAN]], &texts);
        let drawn = svg(&plot, (0, 0)).unwrap();
        let at = |text: &str, side: &str| -> f64 {
            let tag = drawn.split("<text").find(|tag| tag.contains(&format!(">{text}</text>"))).unwrap();
            tag.split(&format!(" {side}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!((at("13", "x") - at("c", "x")).abs() < 15.0 && (at("21", "x") - at("a", "x")).abs() < 15.0);
        assert!((at("23", "y") - at("low", "y")).abs() < 30.0 && at("11", "y") < at("21", "y"));
        assert_eq!(drawn.matches("<rect").count(), 1 + 6, "the ground and six cells");
    }
}
