//! A random subset of the real records: the baseline every condenser must beat at equal size.
//!
//! # Privacy
//! None: the chosen records are published as they are.
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, condense::RandomSubset, synthesize::Synthesize};
//! let small = RandomSubset::new(3).synthesize(&Dataset::toy(), &Lab::new()?.quiet())?;
//! assert!(small.origin().started_from.iter().all(|from| from.len() == 1));
//! # Ok::<(), freelunch::Error>(())
//! ```

use super::selected;
use crate::synthesize::Synthesize;
use crate::{Dataset, Lab, Result};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// `per_class` random real records of each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RandomSubset {
    /// Records per class (ipc), at least 1.
    pub per_class: usize,
}

impl RandomSubset {
    /// `per_class` random records of each class.
    #[must_use]
    pub fn new(per_class: usize) -> Self {
        Self { per_class }
    }
}

impl Synthesize for RandomSubset {
    fn name(&self) -> String {
        "random subset".into()
    }

    fn config(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn synthesize(&self, real: &Dataset, lab: &Lab) -> Result<Dataset> {
        let start = Instant::now();
        let positions = real.draw_per_class(self.per_class, lab)?;
        selected(self, real, &positions, lab, start)
    }
}
