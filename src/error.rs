//! One error type for the whole library; its text carries the cause and the remedy, because a notebook shows nothing else.

use std::path::{Path, PathBuf};

/// What every fallible function of this library returns.
// The second parameter lets code that a notebook kernel generates (`Result<(), ItsOwnError>`) see this alias and still compile.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be done, and what to do about it.
///
/// # Example
/// ```
/// let error = freelunch::Error::config("clip is 0", "expected a positive number");
/// assert_eq!(error.to_string(), "clip is 0: expected a positive number");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter has a value that cannot work.
    #[error("{what}: {remedy}")]
    Config {
        /// The field and its value.
        what: String,
        /// What was expected.
        remedy: String,
    },
    /// A file or a record is not what its format promises.
    #[error("{file}, {position}: {what}; {remedy}")]
    Data {
        /// The file, or the name of the data set.
        file: String,
        /// Where in it: a byte offset, a row, a column, a record.
        position: String,
        /// What is wrong there.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The operating system refused a file.
    #[error("cannot {action} {path}: {source}; {remedy}", path = path.display())]
    Io {
        /// What was tried: "read", "create", ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
        /// What to do.
        remedy: String,
    },
    /// A data set could not be downloaded.
    #[error("cannot download {what}: {cause}; {remedy}")]
    Network {
        /// The file and the addresses tried.
        what: String,
        /// The last answer.
        cause: String,
        /// What to do without a network.
        remedy: String,
    },
    /// A device is not there, not compiled in, or failed while working.
    #[error("device {device}: {what}; {remedy}")]
    Device {
        /// The device as the user wrote it.
        device: String,
        /// What happened.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A loss became NaN or infinite.
    #[error("{what} is {value} at step {step}; lower the learning rate, or check the data for extreme values")]
    Diverged {
        /// Which loss.
        what: String,
        /// The step at which it happened.
        step: usize,
        /// The value.
        value: f64,
    },
    /// A figure could not be drawn.
    #[error("cannot draw {what}: {cause}")]
    Figure {
        /// The figure.
        what: String,
        /// What the drawing library said.
        cause: String,
    },
    /// polars could not build or read a table.
    #[error("table {what}: {cause}")]
    Table {
        /// The table.
        what: String,
        /// What polars said.
        cause: String,
    },
    /// Something saved earlier does not fit what it is used for now.
    #[error("{what}: {remedy}")]
    Mismatch {
        /// What differs, with both values.
        what: String,
        /// What to do.
        remedy: String,
    },
}

impl Error {
    /// A parameter that cannot work: `what` names it with its value, `remedy` says what was expected.
    pub fn config(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Config { what: what.into(), remedy: remedy.into() }
    }

    /// A broken file or record.
    pub fn data(file: impl Into<String>, position: impl Into<String>, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Data { file: file.into(), position: position.into(), what: what.into(), remedy: remedy.into() }
    }

    /// A refused file: `action` is the verb ("read", "create").
    pub fn io(action: &'static str, path: &Path, source: std::io::Error, remedy: impl Into<String>) -> Self {
        Self::Io { action, path: path.to_path_buf(), source, remedy: remedy.into() }
    }

    /// A device that is missing or failed.
    pub fn device(device: impl ToString, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Device { device: device.to_string(), what: what.into(), remedy: remedy.into() }
    }

    /// A figure that could not be drawn.
    pub fn figure(what: impl Into<String>, cause: impl ToString) -> Self {
        Self::Figure { what: what.into(), cause: cause.to_string() }
    }

    /// A table that could not be built or read.
    pub fn table(what: impl Into<String>, cause: impl ToString) -> Self {
        Self::Table { what: what.into(), cause: cause.to_string() }
    }

    /// Saved work that does not fit.
    pub fn mismatch(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Mismatch { what: what.into(), remedy: remedy.into() }
    }
}
