//! How records are spread over clients: evenly, in shards of few classes, or by a Dirichlet distribution.
//!
//! 1. [`Partition::iid`]: the records are shuffled and cut into equal parts.
//! 2. [`Partition::shards`]: they are sorted by label and cut into s shards for each client; every client gets s of them at random. Most
//!    clients then hold about s classes; a shard that reaches from one class into the next adds one.
//! 3. [`Partition::dirichlet`]: every client draws the shares of its classes q ~ Dir(α p), p being those of the whole set, and then labels
//!    from q without replacement; a class that is used up leaves q. α → ∞ gives p, α → 0 one class for each client.
//!
//! Every record goes to exactly one client, and all clients hold the same number of records, or one more.
//!
//! # References
//! arXiv 1602.05629 (shards), 1909.06335 (Dirichlet).
//!
//! # Example
//! ```
//! use freelunch::{Dataset, Lab, federated::Partition};
//! let lab = Lab::new()?.seed(1).quiet();
//! let clients = Partition::dirichlet(0.1).split(&Dataset::toy(), 5, &lab)?;
//! assert!(clients.iter().all(|client| client.len() == 24));
//! # Ok::<(), freelunch::Error>(())
//! ```

use crate::display::{Figure, ImageGrid, Show, Table, show_inline};
use crate::lab::Rng;
use crate::{Dataset, Error, Lab, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_distr::{Distribution, Gamma};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How records are spread over clients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Partition {
    /// At random.
    Iid,
    /// Sorted by label and cut.
    Shards {
        /// s, shards of each client, at least 1; 2 in the paper.
        per_client: usize,
    },
    /// Classes by a Dirichlet distribution.
    Dirichlet {
        /// α, positive: the sum of the distribution's parameters; small is skewed.
        alpha: f64,
    },
}

impl Partition {
    /// At random: all clients see about the same.
    #[must_use]
    pub fn iid() -> Self {
        Self::Iid
    }

    /// So many shards of records sorted by label for each client.
    #[must_use]
    pub fn shards(per_client: usize) -> Self {
        Self::Shards { per_client }
    }

    /// Classes by a Dirichlet distribution of concentration α.
    #[must_use]
    pub fn dirichlet(alpha: f64) -> Self {
        Self::Dirichlet { alpha }
    }

    /// The name in tables.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Iid => "iid".into(),
            Self::Shards { per_client } => format!("{per_client} shards per client"),
            Self::Dirichlet { alpha } => format!("Dirichlet(α = {alpha})"),
        }
    }

    /// One set for each client. They keep the normalisation of `data`.
    ///
    /// # Errors
    /// As [`Partition::positions`].
    pub fn split(&self, data: &Dataset, clients: usize, lab: &Lab) -> Result<Vec<Dataset>> {
        let parts = self.positions(data, clients, lab)?;
        let named = |(i, part): (usize, Vec<usize>)| Ok(data.subset(&part)?.named(&format!("{}, client {i}", data.name())));
        parts.into_iter().enumerate().map(named).collect()
    }

    /// The positions in `data` of each client's records.
    ///
    /// # Errors
    /// [`Error::Config`] for no client, more clients (or shards) than records, or an α that is not positive; [`Error::Data`] when a class
    /// has no record, which no client could then teach.
    pub fn positions(&self, data: &Dataset, clients: usize, lab: &Lab) -> Result<Vec<Vec<usize>>> {
        if clients == 0 || clients > data.len() {
            let what = format!("{clients} clients for {} records", data.len());
            return Err(Error::config(what, "expected at least 1 and no more than records, so that each has one"));
        }
        if let Some(class) = data.per_class().iter().position(|&count| count == 0) {
            let class = format!("class {class} ({})", data.class_names()[class]);
            return Err(Error::data(data.name(), class, "no record in the whole federation", "leave the class out with `only`"));
        }
        let mut rng = lab.rng("partition", 0);
        let mut order: Vec<usize> = (0..data.len()).collect();
        order.shuffle(&mut rng);
        match *self {
            Self::Iid => Ok(cut(&order, clients)),
            Self::Shards { per_client } => shards(data, order, [clients, per_client], &mut rng),
            Self::Dirichlet { alpha } => dirichlet(data, &order, clients, alpha, &mut rng),
        }
    }
}

/// Parts that differ by one at most.
fn cut(order: &[usize], parts: usize) -> Vec<Vec<usize>> {
    let end = |part: usize| part * order.len() / parts;
    (0..parts).map(|part| order[end(part)..end(part + 1)].to_vec()).collect()
}

fn shards(data: &Dataset, mut order: Vec<usize>, [clients, per_client]: [usize; 2], rng: &mut Rng) -> Result<Vec<Vec<usize>>> {
    let count = clients.saturating_mul(per_client);
    if count == 0 || count > data.len() {
        let what = format!("{per_client} shards for each of {clients} clients from {} records", data.len());
        return Err(Error::config(what, "expected at least 1 each, and no more shards than records"));
    }
    order.sort_by_key(|&i| data.labels()[i]);
    let mut shards = cut(&order, count);
    shards.shuffle(rng);
    Ok(shards.chunks(per_client).map(<[Vec<usize>]>::concat).collect())
}

fn dirichlet(data: &Dataset, order: &[usize], clients: usize, alpha: f64, rng: &mut Rng) -> Result<Vec<Vec<usize>>> {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(Error::config(format!("alpha is {alpha}"), "expected a positive number, such as 0.5"));
    }
    let mut left: Vec<Vec<usize>> = vec![vec![]; data.classes()];
    order.iter().for_each(|&i| left[data.labels()[i] as usize].push(i));
    let prior: Vec<f64> = left.iter().map(|members| members.len() as f64 / data.len() as f64).collect();
    let mut parts = vec![];
    for part in cut(order, clients) {
        let q = shares(&prior, alpha, rng)?;
        let mut own = vec![];
        for _ in 0..part.len() {
            let mut weights: Vec<f64> = q.iter().zip(&left).map(|(&q, left)| if left.is_empty() { 0.0 } else { q }).collect();
            if weights.iter().sum::<f64>() <= 0.0 {
                // All that it wants is used up: what is left, as it comes.
                weights = left.iter().map(|left| left.len() as f64).collect();
            }
            own.extend(left.get_mut(draw(&weights, rng)).and_then(Vec::pop));
        }
        parts.push(own);
    }
    Ok(parts)
}

/// q ~ Dir(α p): gamma variables over their sum.
fn shares(prior: &[f64], alpha: f64, rng: &mut Rng) -> Result<Vec<f64>> {
    let mut q = vec![];
    for p in prior {
        let gamma = Gamma::new(alpha * p, 1.0).map_err(|e| Error::config(format!("alpha is {alpha} ({e})"), "expected a larger number"))?;
        q.push(gamma.sample(rng));
    }
    let sum: f64 = q.iter().sum();
    if sum > 0.0 && sum.is_finite() {
        return Ok(q.into_iter().map(|v| v / sum).collect());
    }
    // All underflowed (or α is huge): the limit is one class, drawn from p (or p itself).
    if sum > 0.0 {
        return Ok(prior.to_vec());
    }
    let only = draw(prior, rng);
    Ok((0..prior.len()).map(|class| f64::from(u8::from(class == only))).collect())
}

/// An index with probability in proportion to its weight; never one of weight 0.
fn draw(weights: &[f64], rng: &mut Rng) -> usize {
    let mut rest = rng.random::<f64>() * weights.iter().sum::<f64>();
    let mut last = 0;
    for (i, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            last = i;
            if rest < weight {
                return i;
            }
            rest -= weight;
        }
    }
    last
}

/// Records of every client and class: a table, and a picture where white is the largest number.
///
/// # Example
/// ```
/// use freelunch::{Dataset, Lab, federated::{Partition, Shares}};
/// let parts = Partition::iid().split(&Dataset::toy(), 3, &Lab::new()?.quiet())?;
/// assert_eq!(Shares::of(&parts).counts()[0].iter().sum::<usize>(), 40);
/// # Ok::<(), freelunch::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    class_names: Vec<String>,
    counts: Vec<Vec<usize>>,
}

impl Shares {
    /// Of these clients, which should be of one kind.
    #[must_use]
    pub fn of(clients: &[Dataset]) -> Self {
        let class_names = clients.first().map(|first| first.class_names().to_vec()).unwrap_or_default();
        Self { class_names, counts: clients.iter().map(Dataset::per_class).collect() }
    }

    /// Records of each class, client by client.
    #[must_use]
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }
}

impl Show for Shares {
    fn figure(&self) -> Figure {
        if self.counts.is_empty() {
            return Figure::text("no client yet: Partition::iid().split(&data, 10, &lab)");
        }
        let mut table = Table::new(std::iter::once("client".to_string()).chain(self.class_names.iter().cloned()));
        for (client, counts) in self.counts.iter().enumerate() {
            table = table.row(std::iter::once(client.to_string()).chain(counts.iter().map(usize::to_string)));
        }
        let most = self.counts.iter().flatten().copied().max().unwrap_or(0).max(1) as f32;
        let classes = self.class_names.len();
        let cells = self.counts.iter().flat_map(|row| (0..classes).map(move |class| row.get(class).map_or(0.0, |&n| n as f32 / most)));
        let picture = ImageGrid::new(vec![(String::new(), vec![cells.collect()])], [1, self.counts.len(), classes]);
        let caption = format!("Clients from top to bottom, classes from left to right; white is {most} records.");
        Figure::row([table.figure(), picture.captioned(&caption).figure()]).titled("Records of each client and class")
    }
}

show_inline!(Shares);

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shares({} clients, {} classes)", self.counts.len(), self.class_names.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;

    fn lab(seed: u64) -> Lab {
        Lab::on(Device::Cpu).unwrap().seed(seed).quiet()
    }

    const ALL: [Partition; 4] =
        [Partition::Iid, Partition::Shards { per_client: 2 }, Partition::Dirichlet { alpha: 0.3 }, Partition::Dirichlet { alpha: 1e-9 }];

    #[test]
    fn every_record_goes_to_exactly_one_client_and_the_seed_decides() {
        let toy = Dataset::toy();
        for partition in ALL {
            let parts = partition.positions(&toy, 7, &lab(1)).unwrap();
            let mut all = parts.concat();
            all.sort_unstable();
            assert_eq!(all, (0..toy.len()).collect::<Vec<_>>(), "{partition:?}");
            assert!(parts.iter().all(|part| (16..=18).contains(&part.len())), "{partition:?}");
            assert_eq!(parts, partition.positions(&toy, 7, &lab(1)).unwrap());
            assert_ne!(parts, partition.positions(&toy, 7, &lab(2)).unwrap());
        }
    }

    #[test]
    fn shards_that_fit_the_classes_give_each_client_no_more_classes_than_shards() {
        // 30 records of each of 4 classes in 8 shards of 15: none reaches over a border.
        for seed in 0..5 {
            let parts = Partition::shards(2).split(&Dataset::toy(), 4, &lab(seed)).unwrap();
            assert!(parts.iter().all(|part| part.per_class().iter().filter(|&&n| n > 0).count() <= 2));
        }
    }

    #[test]
    fn a_small_alpha_is_skewed_and_a_large_one_is_even() {
        let data = Dataset::digits().unwrap().train;
        let largest = |alpha: f64| -> Vec<f64> {
            let parts = Partition::dirichlet(alpha).split(&data, 10, &lab(3)).unwrap();
            parts.iter().map(|part| *part.per_class().iter().max().unwrap() as f64 / part.len() as f64).collect()
        };
        let (even, middle, skewed) = (largest(1e6), largest(5.0), largest(1e-6));
        // Ten shares of a tenth in some 140 draws have a deviation of 0.026: four of them.
        assert!(even.iter().all(|share| *share < 0.21), "{even:?}");
        // The first client finds its class whole, but for the few records that classes are smaller than parts; later ones what is left.
        assert!(skewed[0] > 0.9, "{skewed:?}");
        let sum = |shares: &[f64]| shares.iter().sum::<f64>();
        assert!(sum(&even) < sum(&middle) && sum(&middle) < sum(&skewed), "{middle:?}");
    }

    #[test]
    fn what_cannot_be_spread_is_refused_with_its_numbers() {
        let toy = Dataset::toy();
        let message = |partition: Partition, clients: usize| partition.split(&toy, clients, &lab(0)).unwrap_err().to_string();
        assert!(message(Partition::iid(), 121).contains("121 clients for 120 records"));
        assert!(message(Partition::iid(), 0).contains("0 clients"));
        assert!(message(Partition::shards(2), 61).contains("2 shards for each of 61"));
        assert!(message(Partition::shards(0), 3).contains("0 shards"));
        assert!(message(Partition::dirichlet(0.0), 3).contains("alpha is 0"));
        assert!(message(Partition::dirichlet(f64::NAN), 3).contains("alpha is NaN"));
        let without = toy.subset(&toy.of_class(2)).unwrap();
        let text = Partition::iid().split(&without, 2, &lab(0)).unwrap_err().to_string();
        assert!(text.contains("no record in the whole federation"), "{text}");
    }

    #[test]
    fn the_shares_are_shown_with_their_numbers() {
        let parts = Partition::shards(2).split(&Dataset::toy(), 4, &lab(0)).unwrap();
        let text = Shares::of(&parts).figure().to_text();
        assert!(text.contains("Records of each client and class") && text.contains("15"), "{text}");
        assert!(Shares::of(&[]).figure().to_text().contains("no client yet"));
    }
}
