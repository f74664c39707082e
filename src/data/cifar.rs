//! The binary batches of CIFAR-10: records of 3,073 bytes, one label and the 1,024 red, green and blue pixels of a 32×32 image.
//!
//! # References
//! A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.

use super::{Dataset, gzip};
use crate::{Error, Result};
use std::path::Path;

const SHAPE: [usize; 3] = [3, 32, 32];
const RECORD: usize = 1 + 3 * 32 * 32;
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

impl Dataset {
    /// Colour images, 3×32×32 with values 0..1, from one or more binary batches of CIFAR-10 (plain or gzipped), in the order given.
    ///
    /// # Errors
    /// [`Error::Config`] without a path, [`Error::Io`] when a file cannot be read, [`Error::Data`] when a file is empty, is not a
    /// whole number of records or holds a label above 9.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let batch = std::env::temp_dir().join("doc-batch.bin");
    /// std::fs::write(&batch, [vec![3u8], vec![255; 3072]].concat())?;
    /// let data = Dataset::from_cifar10(&[&batch])?;
    /// assert_eq!(data.shape(), [3, 32, 32]);
    /// assert_eq!(data.class_names()[data.labels()[0] as usize], "cat");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_cifar10(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let mut batches = vec![];
        for path in paths {
            batches.push((path.as_ref().display().to_string(), gzip::read(path.as_ref())?));
        }
        decode("CIFAR-10", &batches)
    }
}

/// Batches, each a file name for messages and the unpacked bytes.
pub(super) fn decode(name: &str, batches: &[(String, Vec<u8>)]) -> Result<Dataset> {
    if batches.is_empty() {
        return Err(Error::config("0 CIFAR-10 batches", "name at least one file, data_batch_1.bin say"));
    }
    let (mut x, mut labels) = (vec![], vec![]);
    for (file, bytes) in batches {
        if bytes.is_empty() || bytes.len() % RECORD != 0 {
            let at = bytes.len() - bytes.len() % RECORD;
            let what = format!("{} bytes are not a whole number of {RECORD}-byte records", bytes.len());
            return Err(Error::data(file, format!("byte {at}"), what, "give a binary batch of CIFAR-10, or fetch it again"));
        }
        for (i, record) in bytes.chunks_exact(RECORD).enumerate() {
            let Some((&label, pixels)) = record.split_first().filter(|(label, _)| usize::from(**label) < CLASSES.len()) else {
                let what = format!("label {} in record {i}", record.first().copied().unwrap_or_default());
                let remedy = "expected labels 0 to 9: give a binary batch of CIFAR-10 (not CIFAR-100)";
                return Err(Error::data(file, format!("byte {}", i * RECORD), what, remedy));
            };
            labels.push(u32::from(label));
            x.extend(pixels.iter().map(|&pixel| f32::from(pixel) / 255.0));
        }
    }
    Dataset::images(name, x, SHAPE, labels, CLASSES.map(String::from).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(label: u8) -> Vec<u8> {
        [vec![label], vec![255; 1024], vec![51; 1024], vec![0; 1024]].concat()
    }

    fn read(bytes: Vec<u8>) -> Result<Dataset> {
        decode("set", &[("batch".to_string(), bytes)])
    }

    #[test]
    fn planes_are_red_green_blue() {
        let data = read([record(1), record(9)].concat()).unwrap();
        assert_eq!(data.labels(), [1, 9]);
        assert_eq!([data.record(1)[0], data.record(1)[1024], data.record(1)[3071]], [1.0, 0.2, 0.0]);
        assert_eq!(data.class_names()[9], "truck");
    }

    #[test]
    fn batches_follow_each_other() {
        let data = decode("set", &[("a".to_string(), record(4)), ("b".to_string(), record(2))]).unwrap();
        assert_eq!(data.labels(), [4, 2]);
    }

    #[test]
    fn a_file_of_another_size_is_an_error() {
        for size in [0, 1, RECORD - 1, RECORD + 1] {
            let message = read(vec![0; size]).unwrap_err().to_string();
            assert!(message.contains(&format!("{size} bytes are not a whole number")), "{message}");
        }
        assert!(read(vec![0; RECORD + 1]).unwrap_err().to_string().starts_with("batch, byte 3073"));
    }

    #[test]
    fn a_label_above_9_is_an_error() {
        let message = read([record(0), record(10)].concat()).unwrap_err().to_string();
        assert!(message.starts_with("batch, byte 3073: label 10 in record 1"), "{message}");
    }

    #[test]
    fn no_batch_and_a_missing_batch_are_errors() {
        assert!(Dataset::from_cifar10(&[] as &[&str]).unwrap_err().to_string().starts_with("0 CIFAR-10 batches"));
        assert!(Dataset::from_cifar10(&["no-such-batch"]).unwrap_err().to_string().contains("no-such-batch"));
    }
}
