//! Where a job is, and how it ended.

use serde::{Deserialize, Serialize};

/// Where a [`Job`](super::Job) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// At work.
    Running,
    /// Asked to stop, and not there yet.
    Cancelling,
    /// Ended after it was asked to stop: the result, if there is one, is what there was by then.
    Cancelled,
    /// Ended with a whole result.
    Finished,
    /// Ended with an error or a panic.
    Failed,
}

/// How it ended.
pub(super) struct End<T> {
    pub(super) result: std::result::Result<T, String>,
    pub(super) cancelled: bool,
    pub(super) seconds: f64,
    /// What became of the file, where there is one.
    pub(super) file: String,
}

impl<T> End<T> {
    pub(super) fn state(&self) -> JobState {
        match self.result {
            _ if self.cancelled => JobState::Cancelled,
            Ok(_) => JobState::Finished,
            Err(_) => JobState::Failed,
        }
    }
}
