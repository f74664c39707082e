//! A permutation test: are the images nearer to the victim's records than to others that could have been the victim's?

use crate::leakage::Metric;
use crate::{Dataset, Lab, Result};
use rand::seq::SliceRandom;

const EXCHANGES: usize = 999;

/// With T the mean over the images of (distance to the nearest of the others − distance to the nearest of theirs), the share of random
/// exchanges of all records, sizes kept, whose T is as large; the one that happened counts as well.
pub(super) fn p_value(images: &Dataset, theirs: &Dataset, others: &Dataset, lab: &Lab) -> Result<f64> {
    let all = theirs.synthetic([theirs.x(), others.x()].concat(), [theirs.labels(), others.labels()].concat(), theirs.origin().clone())?;
    let nearest = Metric::L2.nearest(&images.clone().with_normalization(all.normalization().clone()), &all, all.len(), lab)?;
    let statistic = |is_theirs: &[bool]| -> f64 {
        let first = |side: bool| {
            let found = nearest.iter().map(move |list| list.iter().find(|neighbour| is_theirs[neighbour.record] == side));
            found.flatten().map(|neighbour| neighbour.distance).sum::<f64>()
        };
        first(false) - first(true)
    };
    let mut is_theirs: Vec<bool> = (0..all.len()).map(|i| i < theirs.len()).collect();
    let seen = statistic(&is_theirs);
    let mut rng = lab.rng("gan attack exchange", 0);
    let mut as_large = 1;
    for _ in 0..EXCHANGES {
        is_theirs.shuffle(&mut rng);
        // A hair of rounding must not make equal sums differ.
        as_large += usize::from(statistic(&is_theirs) >= seen - 1e-12);
    }
    Ok(as_large as f64 / (EXCHANGES + 1) as f64)
}
