//! Images in folders: one sub-folder per class, PNG and JPEG files in it.

use super::{Dataset, gzip, table};
use crate::interchange::provenance;
use crate::{Error, Result};
use image::{DynamicImage, ImageReader};
use std::path::{Path, PathBuf};

impl Dataset {
    /// Images from `path/class name/*.png|jpg|jpeg`, all of one size; values 0..1.
    ///
    /// Classes are sorted by folder name (by number when all names are numbers), images by file name. Images stay at one channel
    /// when all of them are grey, otherwise all have red, green and blue; transparency is dropped. Hidden files and files beside
    /// the class folders are ignored.
    ///
    /// # Errors
    /// [`Error::Io`] when a folder or file cannot be read; [`Error::Data`] when there is no class folder, a class is empty, or a
    /// file is no image or has another size.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let folder = std::env::temp_dir().join("doc-folder");
    /// for (class, pixel) in [("dark", 0), ("light", 255)] {
    ///     std::fs::create_dir_all(folder.join(class))?;
    ///     image::GrayImage::from_pixel(2, 2, image::Luma([pixel])).save(folder.join(class).join("one.png"))?;
    /// }
    /// let data = Dataset::from_folder(&folder)?;
    /// assert_eq!((data.shape(), data.class_names()[1].as_str()), ([1, 2, 2], "light"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_folder(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let folders: Vec<String> = visible(path)?.into_iter().filter(|name| path.join(name).is_dir()).collect();
        let class_names = table::sorted(folders);
        if class_names.is_empty() {
            let remedy = "make one folder per class and put its PNG or JPEG files there";
            return Err(Error::data(path.display().to_string(), "folder", "no sub-folder", remedy));
        }
        let (mut images, mut labels) = (vec![], vec![]);
        for (class, label) in class_names.iter().zip(0..) {
            for image in images_of(&path.join(class))? {
                images.push(image);
                labels.push(label);
            }
        }
        let (x, shape) = pixels(&images)?;
        provenance::restored(path, Self::images(&gzip::stem(path), x, shape, labels, class_names)?)
    }
}

struct Picture {
    file: PathBuf,
    image: DynamicImage,
}

/// Names in a folder that are not hidden, sorted.
fn visible(folder: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).map_err(|source| gzip::refused(folder, source))? {
        let entry = entry.map_err(|source| gzip::refused(folder, source))?;
        match entry.file_name().into_string() {
            Ok(name) if !name.starts_with('.') => names.push(name),
            Ok(_) => {}
            Err(name) => {
                let what = format!("the name {name:?} is not UTF-8");
                return Err(Error::data(folder.display().to_string(), "folder", what, "rename it"));
            }
        }
    }
    names.sort();
    Ok(names)
}

fn images_of(class: &Path) -> Result<Vec<Picture>> {
    let mut images = vec![];
    for name in visible(class)? {
        let file = class.join(name);
        let extension = file.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if !matches!(extension.as_str(), "png" | "jpg" | "jpeg") {
            let remedy = "convert it to PNG or JPEG, or move it out of the class folder";
            return Err(Error::data(file.display().to_string(), "name", "not a PNG or JPEG file", remedy));
        }
        let reader = ImageReader::open(&file).and_then(ImageReader::with_guessed_format);
        let image = reader.map_err(|source| gzip::refused(&file, source))?.decode().map_err(|cause| {
            let what = format!("cannot be decoded: {cause}");
            Error::data(file.display().to_string(), "content", what, "replace or remove the file")
        })?;
        images.push(Picture { file, image });
    }
    if images.is_empty() {
        let remedy = "put at least one image there, or remove the folder";
        return Err(Error::data(class.display().to_string(), "folder", "no image in this class", remedy));
    }
    Ok(images)
}

/// All pixels 0..1 as `[n, c, h, w]`, and `[c, h, w]`.
fn pixels(pictures: &[Picture]) -> Result<(Vec<f32>, [usize; 3])> {
    let size = |picture: &Picture| (picture.image.width() as usize, picture.image.height() as usize);
    let Some((first, (width, height))) = pictures.first().map(|first| (first, size(first))) else {
        return Err(Error::config("0 images", "expected at least one"));
    };
    let channels = if pictures.iter().all(|picture| !picture.image.color().has_color()) { 1 } else { 3 };
    let mut x = vec![];
    for picture in pictures {
        if size(picture) != (width, height) {
            let (other_width, other_height) = size(picture);
            let what = format!("{other_width}x{other_height} pixels, {} has {width}x{height}", first.file.display());
            return Err(Error::data(picture.file.display().to_string(), "size", what, "bring all images to one size first"));
        }
        let interleaved = interleaved(&picture.image, channels); // [h, w, c]
        for channel in 0..channels {
            x.extend(interleaved.iter().skip(channel).step_by(channels)); // [c, h, w]
        }
    }
    Ok((x, [channels, height, width]))
}

/// Values 0..1 at the file's own depth: converting between grey and colour in floats would not give back the file's values.
fn interleaved(image: &DynamicImage, channels: usize) -> Vec<f32> {
    let color = image.color();
    let deep = color.bits_per_pixel() > 8 * u16::from(color.channel_count());
    match (deep, channels) {
        (false, 1) => scaled(&image.to_luma8(), 255.0),
        (false, _) => scaled(&image.to_rgb8(), 255.0),
        (true, 1) => scaled(&image.to_luma16(), 65535.0),
        (true, _) => scaled(&image.to_rgb16(), 65535.0),
    }
}

fn scaled<T: Copy + Into<f32>>(values: &[T], largest: f32) -> Vec<f32> {
    values.iter().map(|&value| value.into() / largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage, RgbaImage};

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("freelunch-folder-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }

        fn message(&self) -> String {
            Dataset::from_folder(&self.0).unwrap_err().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn grey(pixel: u8) -> GrayImage {
        GrayImage::from_pixel(3, 2, Luma([pixel]))
    }

    #[test]
    fn grey_images_keep_one_channel_and_classes_sort_by_number() {
        let folder = Folder::new("grey");
        grey(51).save(folder.file("10/b.png")).unwrap();
        grey(0).save(folder.file("10/a.PNG")).unwrap();
        grey(255).save(folder.file("2/c.png")).unwrap();
        std::fs::write(folder.file("README.txt"), "not a class").unwrap();
        std::fs::write(folder.file("2/.hidden"), "not an image").unwrap();
        let data = Dataset::from_folder(&folder.0).unwrap();
        assert_eq!((data.shape(), data.labels(), data.class_names().join(" ")), ([1, 2, 3], [0, 1, 1].as_slice(), "2 10".to_string()));
        assert_eq!([data.record(0)[0], data.record(1)[0], data.record(2)[5]], [1.0, 0.0, 0.2]);
    }

    #[test]
    fn one_colour_image_makes_all_have_three_planes() {
        let folder = Folder::new("colour");
        RgbImage::from_pixel(3, 2, Rgb([255, 51, 0])).save(folder.file("a/1.png")).unwrap();
        grey(102).save(folder.file("b/1.png")).unwrap();
        RgbaImage::from_pixel(3, 2, image::Rgba([0, 255, 0, 7])).save(folder.file("b/2.png")).unwrap();
        let data = Dataset::from_folder(&folder.0).unwrap();
        assert_eq!(data.shape(), [3, 2, 3]);
        assert_eq!(data.record(0).chunks(6).map(|plane| plane[0]).collect::<Vec<_>>(), [1.0, 0.2, 0.0]);
        assert!(data.record(1).iter().all(|&value| value == 0.4));
        assert_eq!(data.record(2).chunks(6).map(|plane| plane[5]).collect::<Vec<_>>(), [0.0, 1.0, 0.0]);
    }

    #[test]
    fn sixteen_bit_images_keep_their_depth() {
        let folder = Folder::new("deep");
        image::ImageBuffer::from_pixel(1, 1, Luma([257u16])).save(folder.file("a/1.png")).unwrap();
        grey(255).save(folder.file("a/2.png")).unwrap();
        assert!(folder.message().contains("2.png, size: 3x2"));
        std::fs::remove_file(folder.file("a/2.png")).unwrap();
        assert_eq!(Dataset::from_folder(&folder.0).unwrap().x(), [257.0 / 65535.0]);
    }

    #[test]
    fn jpeg_is_read_too() {
        let folder = Folder::new("jpeg");
        grey(128).save(folder.file("a/1.jpg")).unwrap();
        let value = Dataset::from_folder(&folder.0).unwrap().record(0)[0];
        // JPEG keeps a constant image up to rounding.
        assert!((value - 128.0 / 255.0).abs() < 0.02, "{value}");
    }

    #[test]
    fn a_missing_folder_and_one_without_classes_are_errors() {
        assert!(Dataset::from_folder("no-such-folder").unwrap_err().to_string().contains("no-such-folder"));
        assert!(Folder::new("none").message().contains("no sub-folder"));
    }

    #[test]
    fn an_empty_class_is_named() {
        let folder = Folder::new("empty");
        grey(1).save(folder.file("full/1.png")).unwrap();
        std::fs::create_dir_all(folder.0.join("void")).unwrap();
        let message = folder.message();
        assert!(message.contains("void, folder: no image in this class"), "{message}");
    }

    #[test]
    fn another_size_names_both_files() {
        let folder = Folder::new("sizes");
        grey(1).save(folder.file("a/1.png")).unwrap();
        GrayImage::new(4, 4).save(folder.file("a/2.png")).unwrap();
        let message = folder.message();
        assert!(message.contains("2.png, size: 4x4 pixels") && message.contains("1.png has 3x2"), "{message}");
    }

    #[test]
    fn damaged_images_and_other_files_are_named() {
        let folder = Folder::new("damaged");
        grey(1).save(folder.file("a/1.png")).unwrap();
        let bytes = std::fs::read(folder.file("a/1.png")).unwrap();
        for content in [&bytes[..bytes.len() / 2], b"", b"text"] {
            std::fs::write(folder.file("a/2.png"), content).unwrap();
            let message = folder.message();
            assert!(message.contains("2.png, content: cannot be decoded"), "{message}");
        }
        std::fs::rename(folder.file("a/2.png"), folder.file("a/2.bmp")).unwrap();
        assert!(folder.message().contains("2.bmp, name: not a PNG or JPEG"));
    }
}
