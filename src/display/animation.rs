//! Pictures one after the other: an animated PNG in HTML, the last of them where nothing moves.

use super::ImageGrid;
use super::html::{data_uri, escape};
use super::pen::{self, Resolution};
use crate::{Error, Result};
use image::{Rgb, RgbImage};

/// Grids of the same images at several moments.
#[derive(Clone)]
pub(super) struct Animation {
    frames: Vec<ImageGrid>,
}

impl Animation {
    /// Milliseconds that a frame, and the last one, is shown.
    const FRAME: u16 = 350;
    const LAST: u16 = 2000;

    pub(super) fn new(frames: Vec<ImageGrid>) -> Self {
        Self { frames }
    }

    /// The picture where nothing moves: the last frame.
    pub(super) fn still(&self) -> Result<&ImageGrid> {
        self.frames.last().ok_or_else(|| Error::config("an animation of 0 frames", "watch the run: Lab::watch(every)"))
    }

    /// The same with every frame changed.
    pub(super) fn each(&self, change: impl Fn(ImageGrid) -> ImageGrid) -> Self {
        Self { frames: self.frames.iter().cloned().map(change).collect() }
    }

    pub(super) fn in_words(&self) -> String {
        let label = |grid: Option<&ImageGrid>| grid.map_or(String::new(), |grid| grid.labels().join(", "));
        let still = self.frames.last().map_or(String::new(), ImageGrid::in_words);
        format!(
            "animation of {} frames, {} to {}; the last: {still}",
            self.frames.len(),
            label(self.frames.first()),
            label(self.frames.last())
        )
    }

    pub(super) fn html(&self) -> Result<String> {
        let frames = self.rasters()?;
        let (width, height) = frames.last().map_or((1, 1), RgbImage::dimensions);
        let (address, words) = (data_uri(&animated_png(&frames)?), escape(&self.in_words()));
        Ok(format!(
            "<img src=\"{address}\" width=\"{width}\" height=\"{height}\" alt=\"{words}\" \
             style=\"display:block;image-rendering:pixelated;max-width:100%;height:auto\">"
        ))
    }

    /// All frames at one size: labels of different width would move the images, which are aligned on the right.
    fn rasters(&self) -> Result<Vec<RgbImage>> {
        let drawn: Vec<RgbImage> = self.frames.iter().map(|grid| pen::raster(grid, Resolution::Screen)).collect::<Result<_>>()?;
        let width = drawn.iter().map(RgbImage::width).max().unwrap_or(1);
        let height = drawn.iter().map(RgbImage::height).max().unwrap_or(1);
        let placed = |image: RgbImage| {
            let mut sheet = RgbImage::from_pixel(width, height, Rgb([255; 3]));
            image::imageops::replace(&mut sheet, &image, i64::from(width - image.width()), 0);
            sheet
        };
        Ok(drawn.into_iter().map(placed).collect())
    }
}

/// An animated PNG of frames of one size. Its default image, for viewers that do not animate, is the last frame.
fn animated_png(frames: &[RgbImage]) -> Result<Vec<u8>> {
    let failed = |e: png::EncodingError| Error::figure("an animated PNG", e);
    let last = frames.last().ok_or_else(|| Error::figure("an animated PNG", "it has no frame"))?;
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, last.width(), last.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::Filter::NoFilter);
    encoder.set_animated(frames.len() as u32, 0).map_err(failed)?;
    encoder.set_sep_def_img(true).map_err(failed)?;
    encoder.set_frame_delay(Animation::FRAME, 1000).map_err(failed)?;
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(last.as_raw()).map_err(failed)?;
    for (i, frame) in frames.iter().enumerate() {
        if i + 1 == frames.len() {
            writer.set_frame_delay(Animation::LAST, 1000).map_err(failed)?;
        }
        writer.write_image_data(frame.as_raw()).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(level: u8) -> RgbImage {
        RgbImage::from_pixel(3, 2, Rgb([level; 3]))
    }

    #[test]
    fn an_animated_png_has_every_frame_and_stands_still_on_the_last() {
        let bytes = animated_png(&[grey(1), grey(2), grey(3)]).unwrap();
        // A reader that knows nothing of animations.
        assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), grey(3));
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (3, 0));
        let mut levels = vec![];
        let mut buffer = vec![0; 18];
        while reader.next_frame(&mut buffer).is_ok() {
            levels.push(buffer[0]);
        }
        assert_eq!(levels, [3, 1, 2, 3], "the default image, then the frames");
        assert!(animated_png(&[]).is_err());
    }

    #[test]
    fn images_do_not_move_when_a_label_grows() {
        let frame = |label: &str| ImageGrid::new(vec![(label.to_string(), vec![vec![0.5; 4]])], [1, 2, 2]);
        let rasters = Animation::new(vec![frame("step 1"), frame("step 1000")]).rasters().unwrap();
        assert_eq!(rasters[0].dimensions(), rasters[1].dimensions());
        let right = rasters[0].width() - 12;
        assert_eq!((rasters[0].get_pixel(right, 12), rasters[1].get_pixel(right, 12)), (&Rgb([128; 3]), &Rgb([128; 3])));
    }
}
