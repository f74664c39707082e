//! DOMIAS: a candidate is a member where the released records are dense but public records of the population are not.
//!
//! score(x) = log p_S(x) − log p_R(x), with S the released and R the public reference records, and for either
//!
//! p(x) = (1/n) Σᵢ Πⱼ φ((xⱼ − sᵢⱼ)/hⱼ)/hⱼ,  hⱼ = σⱼ n^(−1/(k + 4)),
//!
//! a Gaussian kernel density estimate in k dimensions with Scott's bandwidth; σⱼ is the deviation of the n records along axis j.
//!
//! 1. Records become their first `components` principal components of R: densities of 784 pixels cannot be estimated.
//! 2. Both densities are log-sum-exp in f64, so that far candidates keep an order and every score is finite.
//!
//! Where S varies less than a tenth of what R does along an axis (one record, copies), a tenth of R's deviation is used. Axes along
//! which R does not vary are left out. The paper also uses flows as density estimates; those are not offered.
//!
//! # Privacy
//! None: this is an attack.
//!
//! # References
//! van Breugel, Sun, Qian, van der Schaar, arXiv 2302.12580; Scott, *Multivariate Density Estimation*, 1992.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::released::{DensityRatio, Released};
//! let lab = Lab::new()?.seed(1).quiet();
//! let halves = Dataset::toy().members(30, &lab)?;
//! let public = Dataset::toy().without(&[&halves.members, &halves.non_members]);
//! let released = Released::from(RandomSubset::new(4).synthesize(&halves.members, &lab)?);
//! let attack = DensityRatio::new().with_reference(&public).with_components(8);
//! assert!(released.attack(&attack, &halves, &lab)?.auc().value > 0.6);
//! # Ok::<(), Error>(())
//! ```

use super::{ReleaseAttack, Released, SAMPLES, finite, records_for};
use crate::generate::private_autoencoder::controls::principal::Principal;
use crate::stats::log_sum_exp;
use crate::{Dataset, Device, Error, Lab, Result};
use rayon::prelude::*;
use std::f64::consts::PI;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Ranks candidates by the density of the released against that of public records.
///
/// # Example
/// ```
/// use freelunch::{Dataset, released::{DensityRatio, ReleaseAttack, Released}};
/// let why = DensityRatio::new().applies(&Released::from(Dataset::toy())).unwrap_err();
/// assert!(why.contains("with_reference"));
/// ```
#[derive(Clone)]
#[doc(alias = "DOMIAS")]
pub struct DensityRatio {
    reference: Option<Dataset>,
    components: usize,
    samples: usize,
    /// What depends on the reference alone: a game asks many times.
    prepared: OnceLock<Arc<Prepared>>,
}

struct Prepared {
    axes: Principal,
    /// Components of the reference that vary.
    varying: Vec<usize>,
    density: KernelDensity,
}

impl Default for DensityRatio {
    fn default() -> Self {
        Self::new()
    }
}

impl DensityRatio {
    /// Along an axis no density is narrower than this share of the reference's deviation, before Scott's factor.
    const NARROWEST: f64 = 0.1;
    /// An axis varies if its deviation is more than this share of the first's.
    const VARIES: f64 = 1e-6;

    /// In 16 principal components, with 200 samples of each class from generators. It needs a reference.
    #[must_use]
    pub fn new() -> Self {
        Self { reference: None, components: 16, samples: SAMPLES, prepared: OnceLock::new() }
    }

    /// The same with public records of the population that members and non-members come from; none of them should be a candidate.
    #[must_use]
    pub fn with_reference(self, reference: &Dataset) -> Self {
        Self { reference: Some(reference.clone()), prepared: OnceLock::new(), ..self }
    }

    /// The same with another number of principal components, at least 1; more than values of a record are cut to that.
    #[must_use]
    pub fn with_components(self, components: usize) -> Self {
        Self { components, prepared: OnceLock::new(), ..self }
    }

    /// The same with another number of samples from generators.
    #[must_use]
    pub fn with_samples(mut self, samples: usize) -> Self {
        self.samples = samples;
        self
    }

    fn prepared(&self, reference: &Dataset) -> Result<Arc<Prepared>> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared.clone());
        }
        if self.components == 0 {
            return Err(Error::config("components is 0", "expected at least 1"));
        }
        if reference.len() < 2 {
            return Err(Error::config("a reference of 1 record", "expected at least 2, better hundreds"));
        }
        // Where the iteration starts moves the axes by rounding only, so one seed serves every lab.
        let axes = Principal::fit(reference, self.components, &Lab::on(Device::Cpu)?.quiet())?;
        let codes = axes.apply(reference)?;
        let columns: Vec<usize> = (0..codes.features()).collect();
        let rows = picked(&codes, &columns);
        let spread = deviations(&rows, columns.len());
        let widest = spread.iter().copied().fold(0.0, f64::max);
        let varying: Vec<usize> = columns.into_iter().filter(|&j| spread[j] > Self::VARIES * widest).collect();
        if varying.is_empty() {
            return Err(Error::config(format!("all records of {} are equal", reference.name()), "give a reference that varies"));
        }
        let density = KernelDensity::new(&picked(&codes, &varying), &vec![0.0; varying.len()]);
        let prepared = Arc::new(Prepared { axes, varying, density });
        Ok(self.prepared.get_or_init(|| prepared).clone())
    }
}

impl ReleaseAttack for DensityRatio {
    fn name(&self) -> String {
        format!("density ratio, {} components", self.components)
    }

    fn config(&self) -> serde_json::Value {
        let reference = self.reference.as_ref().map(|reference| (reference.name(), reference.len()));
        serde_json::json!({ "reference": reference, "components": self.components, "samples": self.samples })
    }

    fn applies(&self, released: &Released) -> Result<(), String> {
        released.has_records()?;
        match self.reference {
            Some(_) => Ok(()),
            None => Err("it needs public records of the same population: DensityRatio::new().with_reference(&public)".into()),
        }
    }

    fn score(&self, released: &Released, candidates: &Dataset, lab: &Lab) -> Result<Vec<f64>> {
        let records = records_for(self, released, self.samples, candidates, lab)?;
        let Some(reference) = &self.reference else { return Ok(vec![]) }; // refused above
        reference.same_kind(candidates)?;
        let prepared = self.prepared(reference)?;
        let k = prepared.varying.len();
        let rows = |data: &Dataset| prepared.axes.apply(data).map(|codes| picked(&codes, &prepared.varying));
        let least: Vec<f64> = prepared.density.deviations.iter().map(|deviation| Self::NARROWEST * deviation).collect();
        let density = KernelDensity::new(&rows(&records)?, &least);
        let x = rows(candidates)?;
        let scores = x.par_chunks(k).map(|x| density.log_density(x) - prepared.density.log_density(x)).collect();
        finite(self, scores)
    }
}

/// Some columns of a table in f64, row-major.
fn picked(codes: &Dataset, columns: &[usize]) -> Vec<f64> {
    codes.x().chunks_exact(codes.features()).flat_map(|row| columns.iter().map(|&j| f64::from(row[j]))).collect()
}

/// The deviation of each column, dividing by n − 1; 0 for a single row.
fn deviations(rows: &[f64], width: usize) -> Vec<f64> {
    let n = (rows.len() / width) as f64;
    let column = |j: usize| rows.iter().skip(j).step_by(width);
    let deviation = |j: usize| {
        let mean = column(j).sum::<f64>() / n;
        (column(j).map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0)).sqrt()
    };
    (0..width).map(deviation).collect()
}

/// A Gaussian kernel density estimate with one bandwidth for each axis.
struct KernelDensity {
    /// In units of the bandwidths, row-major.
    centres: Vec<f64>,
    bandwidths: Vec<f64>,
    deviations: Vec<f64>,
    /// −log n − Σ log h − (k/2) log 2π.
    log_scale: f64,
}

impl KernelDensity {
    /// Of rows with one value for each of `least`, the narrowest deviations; not both may be 0.
    fn new(rows: &[f64], least: &[f64]) -> Self {
        let k = least.len();
        let n = (rows.len() / k) as f64;
        let deviations: Vec<f64> = deviations(rows, k).into_iter().zip(least).map(|(own, least)| own.max(*least)).collect();
        let scott = n.powf(-1.0 / (k as f64 + 4.0));
        let bandwidths: Vec<f64> = deviations.iter().map(|deviation| scott * deviation).collect();
        let centres = rows.chunks_exact(k).flat_map(|row| row.iter().zip(&bandwidths).map(|(v, h)| v / h)).collect();
        let log_scale = -libm::log(n) - bandwidths.iter().map(|h| libm::log(*h)).sum::<f64>() - 0.5 * k as f64 * libm::log(2.0 * PI);
        Self { centres, bandwidths, deviations, log_scale }
    }

    fn log_density(&self, x: &[f64]) -> f64 {
        let x: Vec<f64> = x.iter().zip(&self.bandwidths).map(|(v, h)| v / h).collect();
        let exponent = |centre: &[f64]| -0.5 * centre.iter().zip(&x).map(|(c, v)| (v - c) * (v - c)).sum::<f64>();
        let exponents: Vec<f64> = self.centres.chunks_exact(x.len()).map(exponent).collect();
        log_sum_exp(&exponents) + self.log_scale
    }
}

impl fmt::Debug for DensityRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DensityRatio({} components, reference {:?})", self.components, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{halves, lab, public};
    use super::*;
    use crate::data::{Column, Schema};
    use crate::stats::normal_log_pdf;
    use rand_distr::{Distribution, Normal};

    /// n records of k independent normal columns, of which the first has this mean.
    fn normals(n: usize, k: usize, mean: f64, label: &str) -> Dataset {
        let mut rng = lab().rng(label, 0);
        let columns = (0..k).map(|j| Column::Numeric { name: format!("{j}") }).collect();
        let at = |j: usize| Normal::new(if j == 0 { mean } else { 0.0 }, 2.0 / (1.0 + j as f64)).unwrap();
        let x = (0..n * k).map(|i| at(i % k).sample(&mut rng) as f32).collect();
        Dataset::table("normal", x, Schema { columns, label: "y".into() }, vec![0; n], vec!["a".into()]).unwrap()
    }

    #[test]
    fn the_density_of_few_points_is_the_sum_of_their_kernels() {
        let rows = [0.0, 1.0, 2.0, -1.0, 4.0, 3.0];
        let density = KernelDensity::new(&rows, &[0.0, 0.0]);
        let h = 3f64.powf(-1.0 / 6.0) * 2.0; // both columns have the deviation 2
        for x in [[0.5, 0.5], [3.0, -2.0]] {
            let kernel = |v: f64| (-0.5 * (v / h).powi(2)).exp() / (h * (2.0 * PI).sqrt());
            let sum: f64 = rows.chunks(2).map(|row| kernel(x[0] - row[0]) * kernel(x[1] - row[1])).sum();
            assert!((density.log_density(&x) - (sum / 3.0).ln()).abs() < 1e-12);
        }
        assert!(density.log_density(&[1e6, 0.0]).is_finite() && density.log_density(&[1e6, 0.0]) > density.log_density(&[1e7, 0.0]));
    }

    #[test]
    fn the_ratio_of_two_normal_samples_is_the_closed_form() {
        // A kernel estimate of N(m, s²) with bandwidth h s is on average N(m, s² (1 + h²)): the second axis has one density in
        // both, so the log ratio of means 1.5 and 0 at standard deviation 2 is (1.5 x − 1.125)/(4 (1 + h²)).
        let (n, k) = (4_000, 2);
        let (released, reference) = (normals(n, k, 1.5, "released"), normals(n, k, 0.0, "reference"));
        let mut candidates = normals(9, k, 0.0, "candidates").x().to_vec();
        for (i, row) in candidates.chunks_mut(2).enumerate() {
            row.copy_from_slice(&[i as f32 - 4.0, 0.3]);
        }
        let candidates = reference.synthetic(candidates, vec![0; 9], crate::data::Origin::real("grid")).unwrap();
        let attack = DensityRatio::new().with_reference(&reference);
        let scores = attack.score(&Released::from(released), &candidates, &lab()).unwrap();
        let h2 = (n as f64).powf(-2.0 / (k as f64 + 4.0));
        for (i, score) in scores.iter().enumerate() {
            let x = i as f64 - 4.0;
            let normal = |mean| normal_log_pdf(x, mean, 2.0 * (1.0 + h2).sqrt());
            let expected = normal(1.5) - normal(0.0);
            // In the tails (2.7 deviations) some 30 of the 4,000 points carry the estimate: 1/√30 = 0.18 each side.
            assert!((score - expected).abs() < 0.35, "{x}: {score} against {expected}");
        }
        assert!(scores.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn copies_of_members_are_denser_than_the_population() {
        let truth = halves();
        let attack = DensityRatio::new().with_reference(&public()).with_components(8);
        let released = Released::from(truth.members.subset(&(0..20).collect::<Vec<_>>()).unwrap());
        let roc = released.attack(&attack, &truth, &lab()).unwrap();
        assert!(roc.auc().value > 0.65, "{roc:?}"); // half of the members were copied: at most about 0.75
        let (candidates, again) = (&truth.members, DensityRatio::new().with_reference(&public()).with_components(8));
        let scores = |attack: &DensityRatio, seed| attack.score(&released, candidates, &lab().seed(seed)).unwrap();
        assert_eq!(scores(&attack, 1), scores(&again, 2)); // a set has nothing random, and what is kept changes nothing
    }

    #[test]
    fn one_released_record_and_a_constant_column_give_finite_scores_and_bad_references_are_refused() {
        let truth = halves();
        let one = Released::from(truth.members.subset(&[0]).unwrap());
        let score = |attack: DensityRatio| attack.score(&one, &truth.members, &lab());
        let all = DensityRatio::new().with_reference(&public()).with_components(1_000);
        assert!(score(all.clone()).unwrap().iter().all(|score| score.is_finite()));
        assert!(score(all.clone().with_components(0)).unwrap_err().to_string().contains("components is 0"));
        let single = public().subset(&[0]).unwrap();
        assert!(score(all.clone().with_reference(&single)).unwrap_err().to_string().contains("1 record"));
        let equal = public().subset(&[0, 0, 0]).unwrap();
        assert!(score(all.clone().with_reference(&equal)).unwrap_err().to_string().contains("equal"));
        assert!(score(all.with_reference(&Dataset::toy_table())).is_err());
        assert!(score(DensityRatio::new()).unwrap_err().to_string().contains("with_reference"));
    }
}
