//! What is kept: files that are written whole or not at all, tensors with a JSON header, the files of a report.

use crate::display::Figure;
use crate::{Error, Result};
use polars::prelude::{CsvWriter, DataFrame, SerWriter};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Error as IoError, Write as _};
use std::path::Path;

/// A name as a part of file names: letters and digits in lower case, hyphens for the rest.
pub(crate) fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// The first 16 hexadecimal digits of the SHA-256 of these parts: another key for other parts.
pub(crate) fn key_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Writes beside the place and renames: a reader sees the old file or the new one, whenever the process is killed.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = File::create(&partial)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|source| {
        // What was written of it is of no use; the error that matters is the first one.
        fs::remove_file(&partial).ok();
        Error::io("write", path, source, "check that the folder exists, is writable and has space")
    })
}

/// Writes named tensors of f32 as safetensors, with `about` as JSON under `key` in the header.
pub(crate) fn write_tensors(path: &Path, tensors: &[(String, Vec<usize>, &[f32])], key: &str, about: &impl Serialize) -> Result<()> {
    let impossible = |e: String| Error::io("write", path, IoError::other(e), "give tensors that fit their shapes");
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let mut views = vec![];
    for ((name, shape, _), bytes) in tensors.iter().zip(&bytes) {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(|e| impossible(e.to_string()))?));
    }
    let json = serde_json::to_string(about).map_err(|e| impossible(e.to_string()))?;
    let file = safetensors::serialize(views, Some(HashMap::from([(key.to_string(), json)]))).map_err(|e| impossible(e.to_string()))?;
    write_whole(path, &file)
}

/// Numbers from their bytes.
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

/// Writes `stem`.csv, .svg, .png and .html and the value as JSON under `json` into a folder, which is made if needed.
pub(crate) fn save_report(
    folder: &Path,
    stem: &str,
    json: &str,
    mut frame: DataFrame,
    value: &impl Serialize,
    figure: &Figure,
) -> Result<()> {
    let unwritable = |e| Error::io("write", folder, e, "check the path and the free space");
    fs::create_dir_all(folder).map_err(unwritable)?;
    let mut csv = vec![];
    CsvWriter::new(&mut csv).finish(&mut frame).map_err(|e| Error::table(stem, e))?;
    fs::write(folder.join(format!("{stem}.csv")), csv).map_err(unwritable)?;
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::table(json, e))?;
    fs::write(folder.join(json), text).map_err(unwritable)?;
    for kind in ["svg", "png", "html"] {
        figure.save(folder.join(format!("{stem}.{kind}")))?;
    }
    Ok(())
}
