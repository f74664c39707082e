//! Files as bytes; those that begin with the gzip magic number are unpacked, whatever they are called.

use crate::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).map_err(|source| refused(path, source))?;
    unpack(&path.display().to_string(), bytes)
}

/// Says where relative paths start: in a notebook that is rarely where the user thinks.
pub(super) fn refused(path: &Path, source: std::io::Error) -> Error {
    let here = std::env::current_dir().map(|folder| folder.display().to_string()).unwrap_or_default();
    Error::io("read", path, source, format!("check the path (relative paths start in {here})"))
}

pub(super) fn unpack(file: &str, bytes: Vec<u8>) -> Result<Vec<u8>> {
    if !bytes.starts_with(&MAGIC) {
        return Ok(bytes);
    }
    let mut decoder = MultiGzDecoder::new(bytes.as_slice());
    let mut out = vec![];
    match decoder.read_to_end(&mut out) {
        Ok(_) => Ok(out),
        Err(cause) => {
            let at = bytes.len() - decoder.get_ref().len();
            let what = format!("broken gzip: {cause}");
            Err(Error::data(file, format!("byte {at}"), what, "fetch the file again, it is damaged or cut short"))
        }
    }
}

/// The file's name without folders and without `.gz`.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.strip_suffix(".gz").unwrap_or(&name).to_string()
}

#[cfg(test)]
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_recognised_by_content_and_plain_bytes_pass_through() {
        assert_eq!(unpack("f", b"plain".to_vec()).unwrap(), b"plain");
        assert_eq!(unpack("f", pack(b"packed")).unwrap(), b"packed");
        assert_eq!(unpack("f", [pack(b"two "), pack(b"members")].concat()).unwrap(), b"two members");
        assert!(unpack("f", vec![]).unwrap().is_empty());
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_of_a_gzip_is_an_error_or_harmless() {
        let content: Vec<u8> = (0..2000u32).map(|i| (i * i % 251) as u8).collect();
        let packed = pack(&content);
        for end in 2..packed.len() {
            let message = unpack("f.gz", packed[..end].to_vec()).unwrap_err().to_string();
            assert!(message.contains("f.gz, byte ") && message.contains("broken gzip"), "{message}");
        }
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x55;
            // Header fields without meaning for the content (time, system) may change; the content may not.
            if let (true, Ok(out)) = (at >= 2, unpack("f.gz", damaged)) {
                assert_eq!(out, content, "byte {at}");
            }
        }
    }

    #[test]
    fn a_missing_file_names_its_path_and_the_working_folder() {
        let message = read(Path::new("no/such/file")).unwrap_err().to_string();
        assert!(message.contains("cannot read no/such/file") && message.contains("relative paths start in /"), "{message}");
    }
}
