//! Pixels: enlarged to blocks, averaged, and as the bytes of a PNG file.

use super::pen::Resolution;
use crate::{Error, Result};
use image::RgbImage;

/// Every pixel becomes a square block: no smoothing.
pub(super) fn enlarged(image: &RgbImage, zoom: u32) -> RgbImage {
    RgbImage::from_fn(image.width() * zoom, image.height() * zoom, |x, y| *image.get_pixel(x / zoom, y / zoom))
}

/// Every block of `times` x `times` pixels becomes its mean.
pub(super) fn averaged(image: &RgbImage, times: u32) -> RgbImage {
    let cells = times * times;
    RgbImage::from_fn(image.width() / times, image.height() / times, |x, y| {
        let mut sums = [0u32; 3];
        for dy in 0..times {
            for dx in 0..times {
                let pixel = image.get_pixel(x * times + dx, y * times + dy);
                for (sum, &value) in sums.iter_mut().zip(&pixel.0) {
                    *sum += u32::from(value);
                }
            }
        }
        image::Rgb(sums.map(|sum| ((sum + cells / 2) / cells) as u8))
    })
}

/// The bytes of a PNG file. That of print says that it has 300 dots per inch.
pub(super) fn png(image: &RgbImage, resolution: Resolution) -> Result<Vec<u8>> {
    // Dots per metre, the only unit the format knows.
    const DOTS: u32 = 11_811;
    let mut bytes = vec![];
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Flat colours and enlarged pixels compress best unfiltered.
    encoder.set_filter(png::Filter::NoFilter);
    if resolution == Resolution::Print {
        encoder.set_pixel_dims(Some(png::PixelDimensions { xppu: DOTS, yppu: DOTS, unit: png::Unit::Meter }));
    }
    let mut writer = encoder.write_header().map_err(|e| Error::figure("a PNG", e))?;
    writer.write_image_data(image.as_raw()).and_then(|()| writer.finish()).map_err(|e| Error::figure("a PNG", e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn print_says_300_dots_per_inch() {
        let image = RgbImage::from_fn(31, 20, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let bytes = png(&image, Resolution::Print).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&bytes)).read_info().unwrap();
        let dims = reader.info().pixel_dims.unwrap();
        assert_eq!(dims.unit, png::Unit::Meter);
        // A metre has 39.37 inches; the format holds whole dots per metre only.
        assert!((f64::from(dims.xppu) * 0.0254 - 300.0).abs() < 0.01 && dims.xppu == dims.yppu);
        let screen = png(&image, Resolution::Screen).unwrap();
        assert!(png::Decoder::new(std::io::Cursor::new(&screen)).read_info().unwrap().info().pixel_dims.is_none());
    }

    #[test]
    fn a_png_decodes_to_what_was_encoded() {
        let image = RgbImage::from_fn(31, 20, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let decoded = image::load_from_memory(&png(&image, Resolution::Screen).unwrap()).unwrap().to_rgb8();
        assert_eq!(decoded, image);
    }
}
