//! Data sets as files that every tool reads: PNG images in folders, the IDX pair of MNIST, Parquet tables.
//!
//! What such a file has no place for (names, normalisation, soft labels, the history with its privacy event) is written beside it as `<path>.json`,
//! and taken back by [`Dataset::from_folder`], [`Dataset::from_idx`] and [`Dataset::from_parquet`] when it is there.
//!
//! # Privacy
//! None: copies of what is there.
//!
//! # Example
//! ```
//! use freelunch::Dataset;
//! let folder = std::env::temp_dir().join(format!("doc-png-{}", std::process::id()));
//! let change = Dataset::toy().save_images(&folder)?; // in Python: torchvision.datasets.ImageFolder(folder)
//! assert!(change <= 0.5 / 255.0 + 1e-6); // what rounding to 8 bits costs at most, for pixels 0..1
//! # std::fs::remove_dir_all(folder).ok();
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::provenance::Provenance;
use crate::data::{Column, Schema};
use crate::file::{slug, write_whole};
use crate::{Dataset, Error, Result};
use flate2::{Compression, GzBuilder};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use polars::prelude::{ParquetReader, ParquetWriter, SerReader};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Error as IoError, Write};
use std::path::Path;

impl Dataset {
    /// Writes images as `folder/class/number.png` of 8 bits, one folder per class, and the rest to `<folder>.json`. Returns the largest change that a
    /// value suffered: 0 for data of 8 bits, more for synthetic images, whose values are rounded and cut to 0..1.
    ///
    /// Folders carry the class names, or `00-name`, `01-name`, .. where those would not be file names in the order of the labels. Records are written
    /// class by class, the order in which [`Dataset::from_folder`] reads them.
    ///
    /// # Errors
    /// [`Error::Config`] for a table, for other than 1 or 3 channels, for a class without records, or when the folder already holds other images;
    /// [`Error::Io`] when a file cannot be written.
    ///
    /// # Example
    /// See [`crate::interchange::files`].
    pub fn save_images(&self, folder: impl AsRef<Path>) -> Result<f32> {
        let folder = folder.as_ref();
        let [channels, height, width] = self.shape();
        let color = match (self.schema(), channels) {
            (None, 1) => ExtendedColorType::L8,
            (None, 3) => ExtendedColorType::Rgb8,
            _ => return Err(Error::config(format!("{} has records of shape {:?}", self.name(), self.shape()), "expected 1 or 3 channels")),
        };
        if let Some(class) = self.per_class().iter().position(|&count| count == 0) {
            let what = format!("class {} has no record", self.class_names()[class]);
            return Err(Error::config(what, "leave the class out with `only`: an empty folder is no class"));
        }
        let order: Vec<usize> = (0..self.classes()).flat_map(|class| self.of_class(class)).collect();
        let (data, bytes, change) = eight_bits(&self.subset(&order)?)?;
        let (names, digits) = (folder_names(self.class_names()), data.len().to_string().len());
        let files: Vec<String> = (0..data.len()).map(|i| format!("{}/{i:0digits$}.png", names[data.labels()[i] as usize])).collect();
        refuse_others(folder, &files)?;
        let plane = height * width;
        for (file, pixels) in files.iter().zip(bytes.chunks(data.features())) {
            let interleaved: Vec<u8> = (0..plane).flat_map(|at| (0..channels).map(move |c| pixels[c * plane + at])).collect(); // [h, w, c]
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(|cause| refused(&path, cause))?;
            let mut png = vec![];
            let written = PngEncoder::new(&mut png).write_image(&interleaved, width as u32, height as u32, color);
            written.map_err(|cause| refused(&path, IoError::other(cause)))?;
            fs::write(&path, png).map_err(|cause| refused(&path, cause))?;
        }
        Provenance::of(&data).save_beside(folder)?;
        Ok(change)
    }

    /// Writes grey images as the gzipped IDX pair `prefix-images-idx3-ubyte.gz` and `prefix-labels-idx1-ubyte.gz`, and the rest to
    /// `prefix-images-idx3-ubyte.gz.json`. Returns the largest change that a value suffered by rounding to 8 bits and cutting to 0..1.
    ///
    /// # Errors
    /// [`Error::Config`] for a table, for more than 1 channel or more than 256 classes; [`Error::Io`] when a file cannot be written.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let folder = std::env::temp_dir().join(format!("doc-idx-{}", std::process::id()));
    /// Dataset::toy().save_idx(&folder, "toy")?;
    /// let files = ["toy-images-idx3-ubyte.gz", "toy-labels-idx1-ubyte.gz"].map(|file| folder.join(file));
    /// assert_eq!(Dataset::from_idx(&files[0], &files[1])?.labels(), Dataset::toy().labels());
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn save_idx(&self, folder: impl AsRef<Path>, prefix: &str) -> Result<f32> {
        let folder = folder.as_ref();
        let [channels, height, width] = self.shape();
        let labels: Option<Vec<u8>> = self.labels().iter().map(|&label| u8::try_from(label).ok()).collect();
        let (Some(labels), 1, None) = (labels, channels, self.schema()) else {
            let what = format!("{} has records of shape {:?} in {} classes", self.name(), self.shape(), self.classes());
            return Err(Error::config(what, "expected grey images in at most 256 classes; save_images takes colour, save_parquet tables"));
        };
        let (data, pixels, change) = eight_bits(self)?;
        fs::create_dir_all(folder).map_err(|cause| refused(folder, cause))?;
        let images = folder.join(format!("{prefix}-images-idx3-ubyte.gz"));
        write_idx(&images, &[data.len(), height, width], &pixels)?;
        write_idx(&folder.join(format!("{prefix}-labels-idx1-ubyte.gz")), &[data.len()], &labels)?;
        Provenance::of(&data).save_beside(&images)?;
        Ok(change)
    }

    /// Writes a Parquet file, and the rest to `<path>.json`: a table with its own columns (of one-hot values the largest wins), images with one
    /// float32 column per value, `pixel_0`, `pixel_1`, .. in `[c, h, w]` order, and the class name in `class`.
    ///
    /// # Errors
    /// [`Error::Table`] when two columns share a name, [`Error::Io`] when a file cannot be written.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let path = std::env::temp_dir().join(format!("doc-{}.parquet", std::process::id()));
    /// Dataset::toy_table().save_parquet(&path)?; // in Python: pandas.read_parquet(path)
    /// assert_eq!(Dataset::from_parquet(&path, "outcome")?.digest(), Dataset::toy_table().digest());
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn save_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let table = match self.schema() {
            Some(_) => self.clone(),
            None => Self::table(
                self.name(),
                self.x().to_vec(),
                pixel_columns(self.features()),
                self.labels().to_vec(),
                self.class_names().to_vec(),
            )?,
        };
        let mut frame = table.frame()?;
        let mut bytes = vec![];
        ParquetWriter::new(&mut bytes).finish(&mut frame).map_err(|cause| Error::table(self.name(), cause))?;
        let mut kept = self.clone();
        if self.schema().is_some() {
            let read = self.encode_frame(self.name(), &frame)?;
            kept = as_read(self, read.x().to_vec())?;
        }
        write_whole(path, &bytes)?;
        Provenance::of(&kept).save_beside(path)
    }
}

/// A set that [`Dataset::save_parquet`] wrote, if its history lies beside the file.
pub(crate) fn kept_parquet(path: &Path, label_column: &str) -> Result<Option<Dataset>> {
    let Some(kept) = Provenance::find_beside(path)? else { return Ok(None) };
    let schema = kept.schema.clone().unwrap_or_else(|| pixel_columns(kept.shape.iter().product()));
    if schema.label != label_column {
        let what = format!("label column {label_column:?}, but {} was saved with {:?}", path.display(), schema.label);
        return Err(Error::mismatch(what, "name that column, or delete the .json: then the records count as read, with no ε"));
    }
    let file = File::open(path).map_err(|cause| Error::io("read", path, cause, "check the path"))?;
    let frame = ParquetReader::new(file).finish().map_err(|cause| Error::table(path.display().to_string(), cause))?;
    let width = schema.width();
    let like = Dataset::table(&kept.name, vec![0.0; width], schema, vec![0], kept.class_names.clone())?;
    let read = like.encode_frame(&kept.name, &frame)?;
    kept.onto(&path.display().to_string(), read.x().to_vec(), read.labels().to_vec()).map(Some)
}

fn pixel_columns(features: usize) -> Schema {
    Schema { columns: (0..features).map(|i| Column::Numeric { name: format!("pixel_{i}") }).collect(), label: "class".into() }
}

/// The set with other values and everything else as it was.
fn as_read(data: &Dataset, x: Vec<f32>) -> Result<Dataset> {
    let made = data.synthetic(x, data.labels().to_vec(), data.origin().clone())?.named(data.name());
    match data.soft_labels() {
        Some(targets) => made.with_soft_labels(targets.to_vec()),
        None => Ok(made),
    }
}

/// The set as 8 bits give it back, the bytes, and the largest change of a value.
fn eight_bits(data: &Dataset) -> Result<(Dataset, Vec<u8>, f32)> {
    let bytes: Vec<u8> = data.x().iter().map(|value| (value.clamp(0.0, 1.0) * 255.0).round() as u8).collect();
    let x: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
    let change = x.iter().zip(data.x()).map(|(new, old)| (new - old).abs()).fold(0.0, f32::max);
    Ok((as_read(data, x)?, bytes, change))
}

/// The class names if they are file names that sort as the labels do, else numbered ones.
fn folder_names(classes: &[String]) -> Vec<String> {
    let plain = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let number = |name: &String| name.parse::<f64>().is_ok();
    let all_numbers = classes.iter().all(number);
    let ascending = classes.windows(2).all(|pair| match pair {
        [a, b] if all_numbers => a.parse::<f64>().unwrap_or(0.0) < b.parse::<f64>().unwrap_or(0.0),
        [a, b] => a < b,
        _ => true,
    });
    if ascending && classes.iter().all(plain) {
        return classes.to_vec();
    }
    let digits = classes.len().saturating_sub(1).to_string().len();
    classes.iter().enumerate().map(|(label, name)| format!("{label:0digits$}-{}", slug(name))).collect()
}

/// Images that lie in the folder already would be read together with the new ones.
fn refuse_others(folder: &Path, files: &[String]) -> Result<()> {
    let ours: HashSet<&String> = files.iter().collect();
    let classes = fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir());
    for class in classes {
        for entry in fs::read_dir(class.path()).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let name = format!("{}/{file}", class.file_name().to_string_lossy());
            if !file.starts_with('.') && !ours.contains(&name) {
                return Err(Error::config(format!("{} holds {name}", folder.display()), "give an empty folder, or delete this one"));
            }
        }
    }
    Ok(())
}

fn write_idx(path: &Path, sides: &[usize], values: &[u8]) -> Result<()> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    bytes.extend(sides.iter().flat_map(|&side| (side as u32).to_be_bytes()));
    bytes.extend(values);
    // No name and no time in the header: the same set makes the same file.
    let mut encoder = GzBuilder::new().write(vec![], Compression::default());
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish()).map_err(|cause| refused(path, cause))?;
    write_whole(path, &packed)
}

fn refused(path: &Path, cause: IoError) -> Error {
    Error::io("write", path, cause, "check that the folder is writable and has space")
}

#[cfg(test)]
mod tests;
