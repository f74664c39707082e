//! How large a diagram is, and its letters.

use super::frame::Frame;
use super::{Direction, Plot};
use crate::Result;
use crate::display::{Preset, font};

impl Plot {
    /// Size and letters for where the diagram will be shown.
    #[must_use]
    pub fn sized(mut self, preset: Preset) -> Self {
        (self.size, self.font) = (preset.plot(), preset.em());
        self
    }

    /// The same diagram in other letters.
    pub(in crate::display) fn lettered(mut self, em: f64) -> Self {
        self.font = em;
        self
    }

    /// The same diagram `room` wide, its shape kept as far as the height `most` allows.
    pub(in crate::display) fn fitted(mut self, room: u32, most: u32, em: f64) -> Self {
        let (width, height) = self.size;
        let shaped = (f64::from(room) * f64::from(height) / f64::from(width)).round() as u32;
        (self.size, self.font) = ((room, shaped.min(most).max(90)), em);
        // In a narrow diagram a box of names would cover what it names.
        self.key_below |= f64::from(room) < 40.0 * em && self.names().len() > 2;
        // Rows with names keep the height they need, as lying bars do.
        let lines = |line: &str| font::broken(line, em, Frame::name_room(&self), 2).map_or(1, |lines| lines.len());
        let row = |name: &String| 0.7 + 1.2 * name.lines().map(lines).sum::<usize>() as f64;
        let rows = self.y_names.iter().map(row).sum::<f64>();
        if rows > 0.0 {
            self.size.1 = self.size.1.max(((rows + 6.0) * em) as u32);
        }
        self
    }

    /// The height without the caption: as asked for, or more where lying bars would run into each other.
    pub(super) fn height(&self) -> Result<u32> {
        if self.bars_lie == Direction::Up {
            return Ok(self.size.1);
        }
        let mut lines = 1;
        for bar in &self.bars {
            lines = lines.max(font::broken(&bar.label, self.font, Frame::name_room(self), 2)?.len());
        }
        let slot = 0.7 + 1.2 * lines as f64;
        Ok(self.size.1.max(((self.bars.len() as f64 * slot + 6.0) * self.font) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::pen::Drawing;

    #[test]
    fn a_paper_s_column_is_85_millimetres() {
        let (width, _) = Plot::new("ROC").sized(Preset::Column).extent().unwrap();
        assert!((f64::from(width) / 96.0 * 25.4 - 85.0).abs() < 0.2);
        let (width, _) = Plot::new("ROC").sized(Preset::TwoColumns).extent().unwrap();
        assert!((f64::from(width) / 96.0 * 25.4 - 178.0).abs() < 0.3);
    }

    #[test]
    fn many_bars_make_a_taller_picture() {
        let bars: Vec<_> = (0..30).map(|i| ("a method", f64::from(i), 0.0, 0.0)).collect();
        assert!(Plot::new("").bars(&bars).extent().unwrap().1 > 500);
        assert_eq!(Plot::new("").bars(&bars[..5]).extent().unwrap().1, 360);
    }
}
