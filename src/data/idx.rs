//! IDX, the format of MNIST and its relatives: one file of images and one of labels, plain or gzipped.
//!
//! A file is big-endian: two zero bytes, the type of its values (8 = unsigned byte, the only one read here), the number of
//! dimensions, each dimension in 4 bytes, then the values: `[n, h, w]` for images, `[n]` for labels.
//!
//! # References
//! Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits.

use super::{Dataset, gzip};
use crate::interchange::provenance;
use crate::{Error, Result};
use std::path::Path;

const UNSIGNED_BYTE: u8 = 8;
const FETCH_AGAIN: &str = "fetch the file again, it is damaged or cut short";

impl Dataset {
    /// Greyscale images and labels from a pair of IDX files of unsigned bytes; pixels 0..255 become 0..1.
    ///
    /// Files may be gzipped. Classes are called "0", "1", .. up to the largest label (at least two of them); give them names with
    /// [`Dataset::with_class_names`].
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; [`Error::Data`] with file and byte when one is not what the format promises, or
    /// when the two files differ in length.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let folder = std::env::temp_dir();
    /// let (images, labels) = (folder.join("doc-images"), folder.join("doc-labels"));
    /// std::fs::write(&images, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255, 51, 0])?;
    /// std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 1, 0])?;
    /// let data = Dataset::from_idx(&images, &labels)?.with_class_names(["dark", "bright"])?;
    /// assert_eq!(data.shape(), [1, 1, 2]);
    /// assert_eq!(data.record(0), [0.0, 1.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_idx(images: impl AsRef<Path>, labels: impl AsRef<Path>) -> Result<Self> {
        Self::from_idx_scaled(images, labels, 255.0)
    }

    /// As [`Dataset::from_idx`] for pixels 0..`largest` instead of 0..255.
    ///
    /// # Errors
    /// As [`Dataset::from_idx`]; also [`Error::Config`] unless `largest` is positive and [`Error::Data`] when a pixel exceeds it.
    pub fn from_idx_scaled(images: impl AsRef<Path>, labels: impl AsRef<Path>, largest: f32) -> Result<Self> {
        let (images, labels) = (images.as_ref(), labels.as_ref());
        let (pixels, classes) = (gzip::read(images)?, gzip::read(labels)?);
        let (image_file, label_file) = (images.display().to_string(), labels.display().to_string());
        provenance::restored(images, decode(&gzip::stem(images), (&image_file, &pixels), (&label_file, &classes), largest)?)
    }

    /// The same records under these class names, in label order; there may be more names than labels in use.
    ///
    /// # Errors
    /// [`Error::Config`] when a name is missing for a label that occurs, or when a name occurs twice.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let data = Dataset::toy().with_class_names(["row", "column", "diagonal", "blob"])?;
    /// assert_eq!(data.class_names()[3], "blob");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn with_class_names(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if let Some(at) = self.labels.iter().position(|&label| label as usize >= names.len()) {
            let label = self.labels.get(at).copied().unwrap_or_default();
            let what = format!("{} class names, but record {at} of {} has label {label}", names.len(), self.name);
            return Err(Error::config(what, "give a name to every label, starting with label 0"));
        }
        if let Some(name) = (1..names.len()).find_map(|i| names.get(i).filter(|name| names.iter().take(i).any(|other| other == *name))) {
            return Err(Error::config(format!("class name {name:?} occurs twice"), "give every class a name of its own"));
        }
        self.class_names = names;
        Ok(self)
    }
}

/// Images and labels, each a file name for messages and the unpacked bytes.
pub(super) fn decode(name: &str, images: (&str, &[u8]), labels: (&str, &[u8]), largest: f32) -> Result<Dataset> {
    if !(largest.is_finite() && largest > 0.0) {
        return Err(Error::config(format!("largest is {largest}"), "expected the largest pixel value, a positive number"));
    }
    let ([n, height, width], start, pixels) = values::<3>(images.0, images.1)?;
    let ([n_labels], _, classes) = values::<1>(labels.0, labels.1)?;
    if n != n_labels {
        let what = format!("{n_labels} labels for the {n} images of {}", images.0);
        return Err(Error::data(labels.0, "byte 4", what, "give the two files of the same set (train with train, test with test)"));
    }
    if let Some(at) = pixels.iter().position(|&pixel| f32::from(pixel) > largest) {
        let what = format!("pixel {} above the largest, {largest}", pixels.get(at).copied().unwrap_or_default());
        return Err(Error::data(images.0, format!("byte {}", start + at), what, "pass the format's largest pixel value, 255 as a rule"));
    }
    let x = pixels.iter().map(|&pixel| f32::from(pixel) / largest).collect();
    let count = classes.iter().max().map_or(0, |&label| usize::from(label) + 1).max(2);
    let class_names = (0..count).map(|class| class.to_string()).collect();
    Dataset::images(name, x, [1, height, width], classes.iter().map(|&label| u32::from(label)).collect(), class_names)
}

/// Dimensions, position of the first value, and values of an IDX file with `RANK` dimensions.
fn values<'a, const RANK: usize>(file: &str, bytes: &'a [u8]) -> Result<([usize; RANK], usize, &'a [u8])> {
    let wanted = if RANK == 1 { "labels (1 dimension)" } else { "images (3 dimensions: n, height, width)" };
    let Some((&[zero, zero_too, kind, rank], mut rest)) = bytes.split_first_chunk::<4>() else {
        return Err(Error::data(file, format!("byte {}", bytes.len()), "the file ends inside its header", FETCH_AGAIN));
    };
    if zero != 0 || zero_too != 0 {
        let what = format!("begins with bytes {zero:#04x} {zero_too:#04x}, an IDX file with 0x00 0x00");
        return Err(Error::data(file, "byte 0", what, "give an IDX file, as MNIST has them"));
    }
    if kind != UNSIGNED_BYTE {
        let what = format!("values of type {kind:#04x}, expected 0x08 (unsigned bytes)");
        return Err(Error::data(file, "byte 2", what, "convert the file to unsigned bytes"));
    }
    if usize::from(rank) != RANK {
        let what = format!("{rank} dimensions, expected {wanted}");
        return Err(Error::data(file, "byte 3", what, "give the file of images first, then the file of labels"));
    }
    let mut sides = [0; RANK];
    for side in &mut sides {
        let Some((four, tail)) = rest.split_first_chunk::<4>() else {
            return Err(Error::data(file, format!("byte {}", bytes.len()), "the file ends inside its header", FETCH_AGAIN));
        };
        *side = u32::from_be_bytes(*four) as usize;
        rest = tail;
    }
    let start = bytes.len() - rest.len();
    let Some(expected) = sides.iter().try_fold(1usize, |product, &side| product.checked_mul(side)) else {
        return Err(Error::data(file, "byte 4", format!("dimensions {sides:?} are too large for any file"), FETCH_AGAIN));
    };
    if expected == 0 {
        return Err(Error::data(file, "byte 4", format!("dimensions {sides:?} hold no value"), "give a file with at least one record"));
    }
    if rest.len() < expected {
        let what = format!("the file ends after {} of {expected} values", rest.len());
        return Err(Error::data(file, format!("byte {}", bytes.len()), what, FETCH_AGAIN));
    }
    if rest.len() > expected {
        let what = format!("{} bytes after the last of {expected} values", rest.len() - expected);
        return Err(Error::data(file, format!("byte {}", start + expected), what, FETCH_AGAIN));
    }
    Ok((sides, start, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images(sides: [u32; 3], pixels: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3];
        sides.iter().for_each(|side| bytes.extend(side.to_be_bytes()));
        bytes.extend(pixels);
        bytes
    }

    fn labels(values: &[u8]) -> Vec<u8> {
        [&[0, 0, 8, 1], (values.len() as u32).to_be_bytes().as_slice(), values].concat()
    }

    fn read(images: &[u8], labels: &[u8]) -> Result<Dataset> {
        decode("set", ("images", images), ("labels", labels), 255.0)
    }

    fn message(images: &[u8], labels: &[u8]) -> String {
        read(images, labels).unwrap_err().to_string()
    }

    #[test]
    fn pixels_become_0_to_1_and_labels_stay() {
        let data = read(&images([2, 1, 2], &[0, 255, 51, 102]), &labels(&[3, 0])).unwrap();
        assert_eq!(data.x(), [0.0, 1.0, 0.2, 0.4]);
        assert_eq!((data.shape(), data.labels()), ([1, 1, 2], [3, 0].as_slice()));
        assert_eq!(data.class_names(), ["0", "1", "2", "3"]);
    }

    #[test]
    fn there_are_at_least_two_classes() {
        assert_eq!(read(&images([1, 1, 1], &[7]), &labels(&[0])).unwrap().classes(), 2);
    }

    #[test]
    fn plain_and_gzipped_files_read_the_same() {
        let folder = std::env::temp_dir().join(format!("freelunch-idx-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (plain, packed, classes) = (folder.join("a"), folder.join("a.gz"), folder.join("l"));
        std::fs::write(&plain, images([2, 1, 1], &[5, 9])).unwrap();
        std::fs::write(&packed, gzip::pack(&images([2, 1, 1], &[5, 9]))).unwrap();
        std::fs::write(&classes, labels(&[0, 1])).unwrap();
        let first = Dataset::from_idx(&plain, &classes).unwrap();
        let second = Dataset::from_idx(&packed, &classes).unwrap();
        assert_eq!((first.digest(), first.name()), (second.digest(), second.name()));
        std::fs::write(&packed, &gzip::pack(&images([2, 1, 1], &[5, 9]))[..20]).unwrap();
        let message = Dataset::from_idx(&packed, &classes).unwrap_err().to_string();
        assert!(message.contains("a.gz, byte ") && message.contains("broken gzip"), "{message}");
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = Dataset::from_idx("no-such-images", "no-such-labels").unwrap_err().to_string();
        assert!(message.contains("no-such-images"), "{message}");
    }

    #[test]
    fn every_truncation_is_an_error_that_names_file_and_byte() {
        let (full, classes) = (images([2, 2, 2], &[1; 8]), labels(&[0, 1]));
        for end in 0..full.len() {
            let message = message(&full[..end], &classes);
            assert!(message.starts_with(&format!("images, byte {end}: the file ends")), "{message}");
        }
        for end in 0..classes.len() {
            let message = message(&full, &classes[..end]);
            assert!(message.starts_with(&format!("labels, byte {end}: the file ends")), "{message}");
        }
    }

    #[test]
    fn bytes_after_the_last_value_are_an_error() {
        let message = message(&images([1, 1, 2], &[1, 2, 3]), &labels(&[0]));
        assert!(message.starts_with("images, byte 18: 1 bytes after the last of 2 values"), "{message}");
    }

    #[test]
    fn wrong_magic_type_and_rank_are_told_apart() {
        let good = labels(&[0]);
        let png = b"\x89PNG\r\n\x1a\n";
        assert!(message(png, &good).starts_with("images, byte 0: begins with bytes 0x89 0x50"));
        assert!(message(&[0, 0, 0x0d, 3], &good).starts_with("images, byte 2: values of type 0x0d"));
        let swapped = message(&good, &good);
        assert!(swapped.starts_with("images, byte 3: 1 dimensions, expected images") && swapped.contains("images first"), "{swapped}");
        assert!(message(&images([1, 1, 1], &[0]), &images([1, 1, 1], &[0])).starts_with("labels, byte 3: 3 dimensions"));
    }

    #[test]
    fn images_and_labels_must_be_equally_many() {
        let message = message(&images([2, 1, 1], &[0, 0]), &labels(&[0, 1, 1]));
        assert!(message.starts_with("labels, byte 4: 3 labels for the 2 images of images"), "{message}");
    }

    #[test]
    fn dimensions_that_overflow_or_are_zero_are_errors() {
        assert!(message(&images([u32::MAX; 3], &[]), &labels(&[0])).contains("too large for any file"));
        assert!(message(&images([u32::MAX, u32::MAX, 1], &[]), &labels(&[0])).contains("the file ends after 0"));
        assert!(message(&images([0, 28, 28], &[]), &labels(&[0])).contains("hold no value"));
        assert!(message(&images([1, 0, 28], &[]), &labels(&[0])).contains("hold no value"));
    }

    #[test]
    fn a_pixel_above_the_largest_is_an_error_and_so_is_a_useless_scale() {
        let (pixels, classes) = (images([1, 1, 2], &[16, 17]), labels(&[0]));
        let read = |largest| decode("set", ("images", &pixels), ("labels", &classes), largest);
        assert!(read(16.0).unwrap_err().to_string().starts_with("images, byte 17: pixel 17 above the largest, 16"));
        assert!(read(0.0).unwrap_err().to_string().starts_with("largest is 0"));
        assert!(read(f32::NAN).unwrap_err().to_string().starts_with("largest is NaN"));
        assert_eq!(read(17.0).unwrap().x()[1], 1.0);
    }

    #[test]
    fn a_label_without_a_class_name_is_an_error() {
        let data = || read(&images([2, 1, 1], &[0, 0]), &labels(&[0, 2])).unwrap();
        let message = data().with_class_names(["a", "b"]).unwrap_err().to_string();
        assert!(message.starts_with("2 class names, but record 1 of set has label 2"), "{message}");
        assert!(data().with_class_names(["a", "b", "a"]).unwrap_err().to_string().contains("\"a\" occurs twice"));
        assert_eq!(data().with_class_names(vec!["a".to_string(), "b".into(), "c".into(), "d".into()]).unwrap().classes(), 4);
    }
}
