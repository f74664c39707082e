//! Jobs whose results are kept: found again after the kernel was interrupted, closed or restarted.
//!
//! `FOLDER/jobs/NAME-KEY.json` holds name, settings, seed, version, seconds and the result; KEY is a digest of all that decides the result.

use super::{End, Job};
use crate::file::{key_of, slug, write_whole};
use crate::{Error, Lab, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

pub(super) const FOLDER: &str = "jobs";

/// A file.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved<T> {
    pub(super) library: String,
    pub(super) name: String,
    pub(super) settings: Value,
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) result: T,
}

impl Lab {
    /// Starts work as [`Lab::start`] does and keeps its result in this lab's folder; the next start with the same name, settings, seed
    /// and version of the library reads it instead. What the closure does cannot be seen: `settings` must hold everything that decides
    /// the result, such as the method and the digest of the data. Results of cancelled jobs are not kept; one that cannot be written
    /// down stays in the job, which says why.
    ///
    /// # Errors
    /// [`Error::Config`] in a lab that keeps nothing, [`Error::Io`] for a file that cannot be read, [`Error::Data`] for one that is broken,
    /// and what [`Lab::start`] answers.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, condense::Herding, synthesize::Synthesize};
    /// let folder = std::env::temp_dir().join(format!("freelunch-doc-saved-{}", std::process::id()));
    /// let lab = Lab::new()?.keep(&folder)?.quiet();
    /// let (method, data) = (Herding::new(1), Dataset::toy());
    /// let settings = (method.config(), data.digest());
    /// let first = lab.start_saved("a small set", &settings, move |lab| method.synthesize(&data, lab))?.wait()?;
    /// let again = lab.start_saved("a small set", &settings, |_| -> freelunch::Result<Dataset> { unreachable!("it is read") })?;
    /// assert_eq!(again.wait()?.x(), first.x());
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn start_saved<T>(
        &self,
        name: &str,
        settings: &impl Serialize,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<Job<T>>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let settings =
            serde_json::to_value(settings).map_err(|e| Error::config(format!("settings of job {name} ({e})"), "give plain data"))?;
        let path = self.job_file(name, &settings)?;
        if let Some(found) = read::<T>(&path)? {
            let job = Job::new(name, self);
            let file = format!("read from {}: delete it to compute it again", path.display());
            *job.shared.end.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(End { result: Ok(found.result), cancelled: false, seconds: found.seconds, file });
            return Ok(job);
        }
        let name_of_file = name.to_string();
        Job::run(name, self, move |lab| {
            let start = std::time::Instant::now();
            let result = work(lab)?;
            if lab.is_cancelled() {
                return Ok((result, String::new()));
            }
            let (library, seconds) = (env!("CARGO_PKG_VERSION").to_string(), start.elapsed().as_secs_f64());
            let saved = Saved { library, name: name_of_file, settings, seed: lab.seed_value(), seconds, result };
            let file = match write(&path, &saved) {
                Ok(()) => format!("kept in {}", path.display()),
                Err(e) => format!("not kept: {e}"),
            };
            Ok((saved.result, file))
        })
    }

    fn job_file(&self, name: &str, settings: &Value) -> Result<PathBuf> {
        let folder = self.folder_of_runs()?.join(FOLDER);
        std::fs::create_dir_all(&folder).map_err(|e| Error::io("create", &folder, e, "choose a folder that can be written"))?;
        let key = key_of([name, &settings.to_string(), &self.seed_value().to_string(), env!("CARGO_PKG_VERSION")]);
        Ok(folder.join(format!("{}-{key}.json", slug(name))))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<Saved<T>>> {
    const REMEDY: &str = "delete the file to compute it again";
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", path, e, REMEDY)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| {
        let position = format!("line {}, column {}", e.line(), e.column());
        Error::data(path.display().to_string(), position, format!("not a result of this kind ({e})"), REMEDY)
    })
}

/// Writes what can be read again, whole or not at all: JSON has no infinity, and some values would come back as none.
fn write<T: Serialize + DeserializeOwned>(path: &Path, saved: &Saved<T>) -> Result<()> {
    let lost = |e: serde_json::Error| Error::config(format!("the result is no JSON ({e})"), "save it with its own method");
    let bytes = serde_json::to_vec(saved).map_err(lost)?;
    serde_json::from_slice::<Saved<T>>(&bytes).map_err(lost)?;
    write_whole(path, &bytes)
}
