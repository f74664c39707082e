//! What is published: the decoders of all classes, which make records without limit.

use super::PrivateVae;
use super::likelihood::Likelihood;
use crate::data::Origin;
use crate::device::guarded;
use crate::display::{Figure, Show, show_inline};
use crate::generate::coder::network;
use crate::generate::kept::{self, Template};
use crate::nn::Layer;
use crate::privacy::Event;
use crate::synthesize::{Synthesize, origin};
use crate::train::model::forward_rows;
use crate::{Dataset, Device, Error, Lab, Result};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::time::Instant;

/// Decoders of all classes with everything needed to use them: weights, the public normalisation, the privacy event.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct VaeGenerator {
    recipe: PrivateVae,
    template: Template,
    class_names: Vec<String>,
    /// The parameter vectors of each class's decoder.
    decoders: Vec<Vec<Vec<f32>>>,
    event: Event,
    trained_on: String,
    records: Vec<usize>,
    seed: u64,
}

impl VaeGenerator {
    const KEY: &str = "freelunch_vae";

    pub(super) fn new(
        recipe: PrivateVae,
        template: Template,
        decoders: Vec<Vec<Vec<f32>>>,
        event: Event,
        data: &Dataset,
        lab: &Lab,
    ) -> Self {
        let (class_names, trained_on, records) = (data.class_names().to_vec(), data.name().to_string(), data.per_class());
        Self { recipe, template, class_names, decoders, event, trained_on, records, seed: lab.seed_value() }
    }

    /// The recipe it was trained with.
    #[must_use]
    pub fn recipe(&self) -> &PrivateVae {
        &self.recipe
    }

    /// The classes' names in label order.
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// What was done to the privacy of the records; the same for everything that is sampled.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }

    /// `per_class` new records of each class, class by class, in natural units: post-processing, as often and as many as you like.
    ///
    /// # Errors
    /// [`Error::Config`] when `per_class` is 0, [`Error::Device`] when the device fails.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, generate::PrivateVae};
    /// let lab = Lab::new()?.quiet();
    /// let generator = PrivateVae::new(1, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
    /// let many = generator.sample(50, &lab.clone().seed(2))?;
    /// assert!(many.len() == 200 && many.event() == generator.event());
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn sample(&self, per_class: usize, lab: &Lab) -> Result<Dataset> {
        self.drawn(per_class, lab, Instant::now())
    }

    pub(super) fn drawn(&self, per_class: usize, lab: &Lab, start: Instant) -> Result<Dataset> {
        if per_class == 0 {
            return Err(Error::config("per_class is 0", "expected at least 1 record per class"));
        }
        let z = |class: usize| -> Vec<f32> {
            let mut rng = lab.rng("vae sample", class as u64);
            (0..per_class * self.recipe.latent).map(|_| StandardNormal.sample(&mut rng)).collect()
        };
        let x = self.decoded(z, lab.device())?;
        let labels = (0..self.decoders.len()).flat_map(|class| vec![class as u32; per_class]).collect();
        let origin = origin(&self.recipe, lab, self.event.clone(), start.elapsed().as_secs_f64());
        self.records(x, labels, origin)
    }

    /// The record of each class at z = 0, the middle of its codes.
    fn middle(&self) -> Result<Dataset> {
        let lab = Lab::on(Device::Cpu)?.seed(self.seed);
        let x = self.decoded(|_| vec![0.0; self.recipe.latent], lab.device())?;
        let labels = (0..self.decoders.len() as u32).collect();
        self.records(x, labels, origin(&self.recipe, &lab, self.event.clone(), 0.0))
    }

    /// What the decoder of every class makes of its codes, in natural units.
    fn decoded(&self, z: impl Fn(usize) -> Vec<f32>, device: &Device) -> Result<Vec<f32>> {
        let layers = self.layers();
        let mut x = guarded(device, || {
            let mut x = vec![];
            for (class, weights) in self.decoders.iter().enumerate() {
                x.extend(forward_rows(&network(&layers, weights, device)?, &z(class), [self.recipe.latent, 1, 1], device)?);
            }
            Ok(x)
        })?;
        self.likelihood().read(&mut x, &self.template.normalization);
        Ok(x)
    }

    /// One class's decoder outputs for codes, row-major, before they are read as records.
    pub(crate) fn outputs(&self, class: usize, z: &[f32], device: &Device) -> Result<Vec<f32>> {
        let weights = self.decoders.get(class).map_or(&[][..], Vec::as_slice);
        guarded(device, || forward_rows(&network(&self.layers(), weights, device)?, z, [self.recipe.latent, 1, 1], device))
    }

    pub(crate) fn likelihood(&self) -> Likelihood {
        Likelihood::new(self.template.schema.as_ref(), self.template.features(), self.recipe.deviation)
    }

    /// Records under the generator's normalisation, if they are of its kind.
    pub(crate) fn readable(&self, data: &Dataset) -> Result<Dataset> {
        self.template.fits(data, &self.trained_on)?;
        Ok(data.clone().with_normalization(self.template.normalization.clone()))
    }

    fn records(&self, x: Vec<f32>, labels: Vec<u32>, origin: Origin) -> Result<Dataset> {
        let name = format!("{} by {}", self.trained_on, self.recipe.name());
        self.template.records(x, labels, self.class_names.clone(), origin, &name)
    }

    fn layers(&self) -> Vec<Layer> {
        self.recipe.network.decoder(self.recipe.latent, self.template.shape)
    }

    /// Writes the decoders as safetensors with everything else as JSON in the header.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        kept::save(path.as_ref(), Self::KEY, &Self { decoders: vec![], ..self.clone() }, &self.decoders.concat())
    }

    /// Reads what [`VaeGenerator::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::Data`] when it is not a saved generator.
    ///
    /// # Example
    /// ```
    /// use freelunch::{Dataset, Lab, generate::{PrivateVae, VaeGenerator}};
    /// let lab = Lab::new()?.quiet();
    /// let generator = PrivateVae::new(1, 1.0).with_epochs(1).with_batch(30).fit(&Dataset::toy(), &lab)?;
    /// let file = std::env::temp_dir().join("doc-vae.safetensors");
    /// generator.save(&file)?;
    /// assert_eq!(VaeGenerator::load(&file)?, generator);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (mut generator, weights): (Self, _) = kept::load(path, Self::KEY)?;
        let lengths = generator.check().map_err(|what| kept::broken(path, what))?;
        let found: Vec<usize> = weights.iter().map(Vec::len).collect();
        if found != lengths.repeat(generator.class_names.len()) {
            let what = format!("weights of lengths {found:?} where each of {} classes needs {lengths:?}", generator.class_names.len());
            return Err(kept::broken(path, what));
        }
        generator.decoders = weights.chunks(lengths.len()).map(<[_]>::to_vec).collect();
        Ok(generator)
    }

    /// The lengths of the weights of one decoder, or what does not fit.
    fn check(&self) -> std::result::Result<Vec<usize>, String> {
        self.template.check()?;
        let whole = self.recipe.check_parameters(self.template.shape).and_then(|()| self.event.check());
        whole.map_err(|e| e.to_string())?;
        Ok(self.layers().iter().flat_map(Layer::parameters).collect())
    }
}

impl Show for VaeGenerator {
    /// The record of each class at z = 0.
    fn figure(&self) -> Figure {
        let figure = Figure::or_failed(self.middle().map(|data| data.figure()));
        let caption = format!("each class at z = 0; latent {}, trained with seed {}; {}", self.recipe.latent, self.seed, self.event);
        figure.titled(&format!("{} on {}", self.recipe.name(), self.trained_on)).captioned(&caption)
    }
}

show_inline!(VaeGenerator);

impl fmt::Debug for VaeGenerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VaeGenerator({} classes of {:?}, {}, {})", self.class_names.len(), self.template.shape, self.recipe.name(), self.event)
    }
}
