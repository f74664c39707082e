//! How good the pictures of an inversion are, by those who know: an independent network, and the private records.
//!
//! 1. The evaluator, trained on *other* records of the population, says which class it sees in each picture. Its accuracy is the share of
//!    pictures that it puts into the class they were made for. (The target itself is sure by construction.)
//! 2. Structural similarity (SSIM) and root mean square difference per pixel (L2) to the mean of the private records of the class, and to
//!    the nearest of all private records.
//! 3. The same for a *control* that needs no attack: the class means of public records. An inversion that is not nearer to the private
//!    records than these has told nothing that was not public.
//!
//! # Privacy
//! None: a report is computed from private records.
//!
//! # References
//! Zhang et al., arXiv 1911.07135 (the evaluator); Wang et al. 2004 (SSIM).

use super::report::{InversionReport, Likeness};
use super::{Inversion, chain::log_softmax};
use crate::data::Origin;
use crate::leakage::Metric;
use crate::train::Model;
use crate::{Dataset, Device, Error, Lab, Result};

/// The judges of an inversion.
///
/// # Example
/// ```
/// use freelunch::inversion::{InversionQuality, InversionTarget, ModelInversion};
/// use freelunch::prelude::*;
/// let lab = Lab::new()?.seed(1).quiet();
/// let halves = Dataset::toy().members(60, &lab)?;
/// let model = Train::new(Arch::Logistic).fit(&halves.members, &lab)?;
/// let evaluator = Train::new(Arch::mlp()).fit(&halves.non_members, &lab)?;
/// let inversion = ModelInversion::small().invert(&InversionTarget::model(&model), &lab)?;
/// let quality = InversionQuality::new(&evaluator, &halves.members).with_control(&halves.non_members);
/// let report = quality.judge(&inversion)?;
/// assert!(report.control_accuracy().is_some_and(|rate| rate.hits >= 3)); // means of public bars and blobs are plain to see
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct InversionQuality {
    /// A network that learned other records than the target.
    pub evaluator: Model,
    /// What the target was trained on.
    pub private: Dataset,
    /// Public records whose class means are judged alike.
    pub public: Option<Dataset>,
}

impl InversionQuality {
    /// Without a control.
    #[must_use]
    pub fn new(evaluator: &Model, private: &Dataset) -> Self {
        Self { evaluator: evaluator.clone(), private: private.clone(), public: None }
    }

    /// The same judging the class means of public records as well.
    #[must_use]
    pub fn with_control(mut self, public: &Dataset) -> Self {
        self.public = Some(public.clone());
        self
    }

    /// Judges pictures. Of an inversion that found codes there is nothing to judge: its report has no rows, and says so.
    ///
    /// # Errors
    /// [`Error::Config`] for private records that are a table or lack a class, [`Error::Mismatch`] for pictures, private or public records
    /// of different kinds or an evaluator of another shape.
    pub fn judge(&self, inversion: &Inversion) -> Result<InversionReport> {
        if self.private.schema().is_some() {
            let what = format!("the table {} as private records of an inversion", self.private.name());
            return Err(Error::config(what, "expected pictures: only these have structural similarity and an evaluator that sees them"));
        }
        self.evaluator.logits(&self.private.subset(&[0])?)?;
        if let Some(public) = &self.public {
            self.private.same_kind(public)?;
        }
        let classes: Vec<usize> = inversion.rows().iter().map(|row| row.class).collect();
        let rows = if inversion.has_images() {
            self.private.same_kind(inversion.images())?;
            self.look(inversion.images(), &classes)?
        } else {
            vec![]
        };
        let control = match &self.public {
            Some(public) => Some((means(public, &classes)?, public.name().to_string())),
            None => None,
        };
        let judged = match &control {
            Some((means, _)) => self.look(means, &classes)?,
            None => vec![],
        };
        let private_means = means(&self.private, &classes)?;
        Ok(InversionReport::new(inversion, rows, judged, control, private_means, &self.private))
    }

    /// One picture for each of the classes.
    fn look(&self, images: &Dataset, classes: &[usize]) -> Result<Vec<Likeness>> {
        let logits = self.evaluator.logits(images)?;
        let k = images.classes();
        let ssim = has_windows(images.shape());
        let nearest = |metric: &Metric, rows: &Dataset| nearest(metric, images, rows);
        let near = nearest(&Metric::L2, &self.private)?;
        let alike = if ssim { Some(nearest(&Metric::Ssim, &self.private)?) } else { None };
        let own = means(&self.private, classes)?;
        let mut rows = vec![];
        for (i, (&class, z)) in classes.iter().zip(logits.chunks_exact(k)).enumerate() {
            let (image, mean) = (images.subset(&[i])?, own.subset(&[i])?);
            let apart = |metric: &Metric| self::nearest(metric, &image, &mean).map(|found| found[0].1);
            let log_p = log_softmax(z);
            let called = (0..k).max_by(|&a, &b| z[a].total_cmp(&z[b]).then(b.cmp(&a))).unwrap_or_default();
            rows.push(Likeness {
                class,
                name: images.class_names().get(class).cloned().unwrap_or_default(),
                called,
                evaluator_confidence: log_p[class].exp(),
                ssim_mean: if ssim { Some(1.0 - apart(&Metric::Ssim)?) } else { None },
                ssim_nearest: alike.as_ref().map(|found| 1.0 - found[i].1),
                l2_mean: apart(&Metric::L2)?,
                l2_nearest: near[i].1,
                nearest: alike.as_ref().map_or(near[i].0, |found| found[i].0),
            });
        }
        Ok(rows)
    }
}

/// Whether SSIM, which looks through windows of 11×11 pixels, can compare images of this shape.
pub(super) fn has_windows([_, h, w]: [usize; 3]) -> bool {
    h.min(w) >= 11
}

/// Position and distance of the nearest of `rows` for every query.
fn nearest(metric: &Metric, queries: &Dataset, rows: &Dataset) -> Result<Vec<(usize, f64)>> {
    // Neither metric draws anything: the lab is a formality.
    let lists = metric.nearest(queries, rows, 1, &Lab::on(Device::best()?)?.quiet())?;
    let missing = || Error::data(rows.name(), "distances", "no nearest record", "replace NaN and infinite values");
    lists.iter().map(|list| list.first().map(|found| (found.record, found.distance)).ok_or_else(missing)).collect()
}

/// The mean record of each of the classes.
fn means(data: &Dataset, classes: &[usize]) -> Result<Dataset> {
    let mut x = Vec::with_capacity(classes.len() * data.features());
    for &class in classes {
        let positions = data.of_class(class);
        if positions.is_empty() {
            let name = data.class_names().get(class).map_or("unknown", String::as_str);
            let what = format!("{} has no record of class {class} ({name})", data.name());
            return Err(Error::config(what, "give records of every class that was inverted"));
        }
        let mut mean = vec![0.0f64; data.features()];
        for &i in &positions {
            mean.iter_mut().zip(data.record(i)).for_each(|(m, &v)| *m += f64::from(v) / positions.len() as f64);
        }
        x.extend(mean.into_iter().map(|v| v as f32));
    }
    let labels = classes.iter().map(|&class| class as u32).collect();
    data.synthetic(x, labels, Origin { event: data.event().clone(), ..Origin::real("class means") })
}
