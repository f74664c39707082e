//! One array in numpy's `.npy` format: numbers, truth values or text of any shape.
//!
//! A file is `\x93NUMPY`, the version, the length of the header, the header (a Python dictionary of `descr`, `fortran_order`, `shape`,
//! padded to 64 bytes) and the values.
//!
//! # References
//! numpy, NEP 1: a simple file format for numpy arrays; versions 1.0, 2.0 and 3.0.

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Values with their shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    /// numpy's name of the type, without byte order: f4, i8, b1, ..
    pub(crate) kind: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

/// The values of an array; integers of all sizes are held in 64 bits.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Integers(Vec<i64>),
    Bool(Vec<bool>),
    Text(Vec<String>),
}

impl Array {
    pub(crate) fn new(shape: &[usize], values: Values) -> Self {
        let kind = match &values {
            Values::F32(_) => "f4".to_string(),
            Values::F64(_) => "f8".to_string(),
            Values::Integers(_) => "i8".to_string(),
            Values::Bool(_) => "b1".to_string(),
            Values::Text(words) => format!("U{}", words.iter().map(|word| word.chars().count()).max().unwrap_or(0).max(1)),
        };
        Self { kind, shape: shape.to_vec(), values }
    }

    /// One text, an array of rank 0.
    pub(crate) fn text(text: String) -> Self {
        Self::new(&[], Values::Text(vec![text]))
    }

    /// An array from the bytes of a file; or what is wrong with it, as a sentence.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let short = || "it is no .npy array, or cut short".to_string();
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(short)?;
        let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        let (length, rest) = match major {
            1 => rest.split_first_chunk::<2>().map(|(two, rest)| (usize::from(u16::from_le_bytes(*two)), rest)),
            2 | 3 => rest.split_first_chunk::<4>().map(|(four, rest)| (u32::from_le_bytes(*four) as usize, rest)),
            _ => return Err(format!("version {major} of the format, expected 1 to 3")),
        }
        .ok_or_else(short)?;
        let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
        let header = String::from_utf8_lossy(header);
        let quoted = entry(&header, "descr")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let descr = quoted.ok_or("an array of records, expected numbers, truth values or text")?.0;
        let fortran = entry(&header, "fortran_order")?.starts_with("True");
        let shape = shape(entry(&header, "shape")?)?;
        let (big, kind) = (descr.starts_with('>'), descr.trim_start_matches(['<', '>', '|', '=']));
        let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
        let width = width(kind)?;
        if count.and_then(|count| count.checked_mul(width)) != Some(data.len()) {
            return Err(format!("{} bytes of values for shape {shape:?} of dtype {kind}", data.len()));
        }
        let values = values(kind, width, big, data)?;
        let values = if fortran { values.into_row_major(&shape) } else { values };
        Ok(Self { kind: kind.to_string(), shape, values })
    }

    /// The bytes of a file of version 1.0.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let order = if self.kind == "b1" { '|' } else { '<' };
        let sides: String = self.shape.iter().map(|side| format!("{side}, ")).collect();
        let mut header = format!("{{'descr': '{order}{}', 'fortran_order': False, 'shape': ({}), }}", self.kind, sides.trim_end());
        let length = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
        header = format!("{header:<width$}\n", width = length - 1);
        let mut out = MAGIC.to_vec();
        out.extend([1, 0]);
        out.extend((length as u16).to_le_bytes());
        out.extend(header.as_bytes());
        match &self.values {
            Values::F32(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Values::F64(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Values::Integers(values) => out.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Values::Bool(values) => out.extend(values.iter().map(|&value| u8::from(value))),
            Values::Text(words) => {
                let width = self.kind.trim_start_matches('U').parse().unwrap_or(0);
                for word in words {
                    let padded = word.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
                    out.extend(padded.flat_map(u32::to_le_bytes));
                }
            }
        }
        out
    }
}

/// What follows a key of the header.
fn entry<'a>(header: &'a str, key: &str) -> Result<&'a str, String> {
    let found = header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    found.ok_or_else(|| format!("its header has no {key}"))
}

fn shape(text: &str) -> Result<Vec<usize>, String> {
    let inside = text.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or("its header has no shape")?.0;
    let sides = inside.split(',').map(str::trim).filter(|side| !side.is_empty());
    sides.map(|side| side.parse().map_err(|_| format!("a side of length {side:?}"))).collect()
}

/// Bytes of one value.
fn width(kind: &str) -> Result<usize, String> {
    let (letter, size) = kind.split_at_checked(1).unwrap_or_default();
    match (letter, size.parse::<usize>()) {
        ("f", Ok(size @ (4 | 8))) | ("i" | "u", Ok(size @ (1 | 2 | 4 | 8))) | ("b", Ok(size @ 1)) => Ok(size),
        ("U", Ok(size)) if size < 1 << 28 => Ok(4 * size),
        _ => Err(format!("dtype {kind}, expected float32, float64, an integer type, bool or unicode text")),
    }
}

fn values(kind: &str, width: usize, big: bool, data: &[u8]) -> Result<Values, String> {
    Ok(match kind {
        "f4" => Values::F32(numbers(data, big, f32::from_le_bytes)),
        "f8" => Values::F64(numbers(data, big, f64::from_le_bytes)),
        "b1" => Values::Bool(data.iter().map(|&byte| byte != 0).collect()),
        "i1" => Values::Integers(numbers(data, big, |b| i64::from(i8::from_le_bytes(b)))),
        "i2" => Values::Integers(numbers(data, big, |b| i64::from(i16::from_le_bytes(b)))),
        "i4" => Values::Integers(numbers(data, big, |b| i64::from(i32::from_le_bytes(b)))),
        "i8" => Values::Integers(numbers(data, big, i64::from_le_bytes)),
        "u1" => Values::Integers(numbers(data, big, |b| i64::from(u8::from_le_bytes(b)))),
        "u2" => Values::Integers(numbers(data, big, |b| i64::from(u16::from_le_bytes(b)))),
        "u4" => Values::Integers(numbers(data, big, |b| i64::from(u32::from_le_bytes(b)))),
        "u8" => {
            let wide: Vec<u64> = numbers(data, big, u64::from_le_bytes);
            let narrow: Result<Vec<i64>, _> = wide.into_iter().map(i64::try_from).collect();
            Values::Integers(narrow.map_err(|_| "an integer above 2^63".to_string())?)
        }
        _ => Values::Text(data.chunks_exact(width.max(1)).map(|word| text(word, big)).collect()),
    })
}

fn numbers<const N: usize, T>(bytes: &[u8], big: bool, read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let one = |chunk: &[u8; N]| {
        let mut chunk = *chunk;
        if big {
            chunk.reverse();
        }
        read(chunk)
    };
    bytes.as_chunks().0.iter().map(one).collect()
}

/// UCS-4, padded with zeros.
fn text(word: &[u8], big: bool) -> String {
    let points: Vec<u32> = numbers(word, big, u32::from_le_bytes);
    let end = points.iter().rposition(|&point| point != 0).map_or(0, |last| last + 1);
    points.into_iter().take(end).map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

impl Values {
    /// Row-major values of an array that was kept column by column.
    fn into_row_major(self, shape: &[usize]) -> Self {
        match self {
            Self::F32(values) => Self::F32(transposed(&values, shape)),
            Self::F64(values) => Self::F64(transposed(&values, shape)),
            Self::Integers(values) => Self::Integers(transposed(&values, shape)),
            Self::Bool(values) => Self::Bool(transposed(&values, shape)),
            Self::Text(values) => Self::Text(transposed(&values, shape)),
        }
    }
}

fn transposed<T: Clone>(values: &[T], shape: &[usize]) -> Vec<T> {
    let place = |mut row_major: usize| {
        let mut stride = values.len();
        let mut at = 0;
        for &side in shape.iter().rev() {
            stride /= side;
            at += row_major % side * stride;
            row_major /= side;
        }
        at
    };
    (0..values.len()).map(|i| values[place(i)].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_every_kind_come_back() {
        let words = ["", "shoe", "Käse ⚗"].map(String::from).to_vec();
        for array in [
            Array::new(&[2, 1, 3], Values::F32(vec![1.5, -0.0, 3e-40, 7.0, 8.0, f32::MAX])),
            Array::new(&[2], Values::F64(vec![0.1, f64::MIN_POSITIVE])),
            Array::new(&[0, 4], Values::Integers(vec![])),
            Array::new(&[2], Values::Integers(vec![i64::MIN, i64::MAX])),
            Array::new(&[3], Values::Bool(vec![true, false, true])),
            Array::new(&[3], Values::Text(words)),
            Array::text("{\"a\": 1}".into()),
        ] {
            let bytes = array.to_bytes();
            assert_eq!(Array::parse(&bytes).unwrap(), array);
            for end in 0..bytes.len() {
                assert!(Array::parse(&bytes[..end]).is_err(), "{array:?} cut at {end}");
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let with = |descr: &str, shape: &str| {
            let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.as_bytes());
            bytes.extend([0; 8]);
            Array::parse(&bytes)
        };
        assert!(with("'<f8'", "(1,)").is_ok());
        assert!(with("'<f8'", "(2,)").unwrap_err().contains("8 bytes of values for shape [2]"));
        assert!(with("'<f2'", "(4,)").unwrap_err().contains("dtype f2, expected float32"));
        assert!(with("'|O'", "(1,)").unwrap_err().contains("dtype O"));
        assert!(with("[('a', '<f8')]", "(1,)").unwrap_err().contains("array of records"));
        assert!(with("'<f8'", "(99999999999, 99999999999)").is_err());
        assert!(with("'<u8'", "(1,)").is_ok());
    }
}
