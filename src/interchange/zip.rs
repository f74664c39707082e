//! Zip archives as numpy writes and reads them: stored or deflated entries, up to 4 GiB, no encryption.
//!
//! # References
//! PKWARE, APPNOTE.TXT 6.3, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end).

use flate2::{Compression, Crc, read::DeflateDecoder, write::DeflateEncoder};
use std::io::{Read, Write};

const LOCAL: &[u8; 4] = b"PK\x03\x04";
const CENTRAL: &[u8; 4] = b"PK\x01\x02";
const END: &[u8; 4] = b"PK\x05\x06";
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 1 January 1980: the same contents make the same file.
const DATE: u16 = 0x0021;

/// Every entry's name and contents, in the order of the central directory; or what is wrong with the archive, as a sentence.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    // A comment of up to 64 KiB may follow the end record.
    let end = (bytes.len().saturating_sub(22 + 0xffff)..=bytes.len().saturating_sub(22)).rev().find(|&at| bytes[at..].starts_with(END));
    let Some(end) = end else { return Err("it has no zip directory: it is no .npz file, or cut short".into()) };
    let (count, mut at) = (u16_at(bytes, end + 10)?, u32_at(bytes, end + 16)? as usize);
    let mut entries = vec![];
    for _ in 0..count {
        if !bytes.get(at..).unwrap_or_default().starts_with(CENTRAL) {
            return Err(format!("no directory entry at byte {at}: it is larger than 4 GiB, or damaged"));
        }
        let (flags, method, crc) = (u16_at(bytes, at + 8)?, u16_at(bytes, at + 10)?, u32_at(bytes, at + 16)?);
        let (packed, size) = (u32_at(bytes, at + 20)? as usize, u32_at(bytes, at + 24)? as usize);
        let sides = [u16_at(bytes, at + 28)?, u16_at(bytes, at + 30)?, u16_at(bytes, at + 32)?].map(usize::from);
        let local = u32_at(bytes, at + 42)? as usize;
        let name = String::from_utf8_lossy(part(bytes, at + 46, sides[0])?).into_owned();
        if flags & 1 == 1 {
            return Err(format!("entry {name} is encrypted"));
        }
        // The local header repeats the name and has extra fields of its own length; its sizes may be missing.
        let start = local + 30 + usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let contents = inflate(part(bytes, start, packed)?, method, size).map_err(|cause| format!("entry {name}: {cause}"))?;
        if checksum(&contents) != crc {
            return Err(format!("entry {name} is damaged: its checksum differs"));
        }
        entries.push((name, contents));
        at += 46 + sides.iter().sum::<usize>();
    }
    Ok(entries)
}

fn inflate(packed: &[u8], method: u16, size: usize) -> Result<Vec<u8>, String> {
    let mut contents = vec![];
    match method {
        STORED => contents.extend_from_slice(packed),
        // One byte more than promised is enough to know that the promise is broken.
        DEFLATED => {
            DeflateDecoder::new(packed).take(size as u64 + 1).read_to_end(&mut contents).map_err(|cause| cause.to_string())?;
        }
        other => return Err(format!("compression method {other}, expected stored or deflated")),
    }
    if contents.len() == size { Ok(contents) } else { Err(format!("{} bytes, expected {size}", contents.len())) }
}

/// An archive of these entries, deflated; or why there cannot be one, as a sentence.
pub(crate) fn pack(entries: &[(String, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let (mut out, mut directory) = (vec![], vec![]);
    for (name, contents) in entries {
        let mut encoder = DeflateEncoder::new(vec![], Compression::default());
        let packed = encoder.write_all(contents).and_then(|()| encoder.finish()).map_err(|cause| cause.to_string())?;
        let mut common = vec![];
        for number in [20, 0, DEFLATED, 0, DATE] {
            common.extend(u16::to_le_bytes(number));
        }
        for number in [checksum(contents), below_4_gib(packed.len())?, below_4_gib(contents.len())?] {
            common.extend(number.to_le_bytes());
        }
        let name_length = u16::try_from(name.len()).map_err(|_| format!("a name of {} bytes", name.len()))?;
        common.extend(name_length.to_le_bytes());
        common.extend([0, 0]); // no extra field
        directory.extend(CENTRAL.iter().chain(&[20, 0]).chain(&common));
        directory.extend([0; 10]); // no comment, first disk, no attributes
        directory.extend(below_4_gib(out.len())?.to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(LOCAL.iter().chain(&common).chain(name.as_bytes()).chain(&packed));
    }
    let (start, count) = (below_4_gib(out.len())?, u16::try_from(entries.len()).map_err(|cause| cause.to_string())?);
    let length = below_4_gib(directory.len())?;
    out.extend(directory);
    out.extend(END.iter().chain(&[0; 4]).chain(&count.to_le_bytes()).chain(&count.to_le_bytes()));
    out.extend(length.to_le_bytes().iter().chain(&start.to_le_bytes()).chain(&[0; 2]));
    Ok(out)
}

fn below_4_gib(length: usize) -> Result<u32, String> {
    u32::try_from(length).ok().filter(|&length| length < u32::MAX).ok_or_else(|| "it would exceed 4 GiB".to_string())
}

fn checksum(contents: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(contents);
    crc.sum()
}

fn part(bytes: &[u8], start: usize, length: usize) -> Result<&[u8], String> {
    let end = start.checked_add(length).ok_or("a length that overflows")?;
    bytes.get(start..end).ok_or_else(|| format!("{} bytes, expected at least {end}", bytes.len()))
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    let two = part(bytes, at, 2)?;
    Ok(u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    Ok(u32::from(u16_at(bytes, at)?) | u32::from(u16_at(bytes, at + 2)?) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<(String, Vec<u8>)> {
        vec![("a.npy".into(), (0..=255).cycle().take(3000).collect()), ("empty".into(), vec![]), ("ä".into(), vec![7; 9])]
    }

    #[test]
    fn what_was_packed_comes_back() {
        assert_eq!(unpack(&pack(&entries()).unwrap()).unwrap(), entries());
        assert!(unpack(&pack(&[]).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn every_truncation_and_every_changed_byte_of_the_contents_is_refused_without_a_panic() {
        let whole = pack(&entries()).unwrap();
        for end in 0..whole.len() {
            assert!(unpack(&whole[..end]).is_err(), "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x41;
            // Dates and versions may change, names too: the contents may not.
            if let Ok(found) = unpack(&damaged) {
                for ((_, contents), (_, expected)) in found.iter().zip(entries()) {
                    assert_eq!(*contents, expected, "byte {at}");
                }
            }
        }
    }
}
