//! What usually goes wrong in differentially private training, each mistake built on purpose and caught.
//!
//! Every test makes one observable check, which this library passes and the mistake fails: how far one record moves what is computed before
//! the noise (its sensitivity), the variance of the noise, the sizes and overlaps of samples, or the releases against the event.
//!
//! | pitfall | the mistake here | what catches it |
//! |---|---|---|
//! | dividing by the random batch size | mean over the sample | sensitivity |
//! | sensitivity mismatch | clipping the mean; clipping shares of a mean loss; C for each layer | sensitivity |
//! | accounting against sampling | shuffled epochs; samples of fixed size | sizes and overlaps of samples |
//! | public against private metadata | normalisation by the records; weights by true class sizes | sensitivity |
//! | neighbouring relation | add-or-remove noise read as replace-one | sensitivity |
//! | empty batches, NaN | mean of nothing; steps skipped; NaN through `min` | finite values, releases |
//! | accumulation | noise for each chunk; a mean for each chunk | variance, sensitivity |
//! | operations across examples | centring by the batch | sensitivity |
//! | auxiliary information | the loss of the training set | a record that was never sampled |
//! | random numbers | noise used twice; a published seed | variance of differences |
//! | floating point | a clipping factor rounded up | lengths in 64 bits |
//!
//! The list is that of the pitfalls page of jax_privacy's documentation. Attacks on the gaps between floating-point numbers
//! (arXiv 2107.10138) show in no single output; the secure mode of [`Randomness`] stands against them, and no test here does.

use super::mixing::refuse_mixing;
use super::{DpSgd, Event, Mechanism, Randomness};
use crate::nn::{Arch, Layer, Linear, Net, PerSample, to_host, to_tensor};
use crate::train::Train;
use crate::{Dataset, Device, Error, Lab, Result};
use burn::tensor::Tensor;
use rand::seq::{SliceRandom, index};

const CLIP: f64 = 0.5;
const SIGMA: f64 = 2.0;
/// The expected size of a sample.
const BATCH: usize = 5;
const RECORDS: usize = 40;

/// A record x; its own gradient is (x, 1), that of a linear layer whose output is pulled with 1.
type Record = [f32; 2];

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(9).quiet()
}

fn config() -> DpSgd {
    DpSgd::new(SIGMA).with_clip(CLIP)
}

fn mechanism(config: &DpSgd) -> Mechanism {
    Mechanism::new(config, RECORDS, BATCH, &lab(), "pitfalls").unwrap()
}

fn own_gradient([a, b]: Record) -> [f64; 3] {
    [f64::from(a), f64::from(b), 1.0]
}

fn length(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn clipped<const N: usize>(v: [f64; N]) -> [f64; N] {
    let factor = (CLIP / length(&v)).min(1.0);
    v.map(|v| factor * v)
}

fn sum<const N: usize>(all: impl IntoIterator<Item = [f64; N]>) -> Vec<f64> {
    all.into_iter().fold(vec![0.0; N], |sum, one| sum.iter().zip(one).map(|(a, b)| a + b).collect())
}

fn scaled(v: Vec<f64>, by: f64) -> Vec<f64> {
    v.into_iter().map(|v| v * by).collect()
}

/// The library's sum over a sample that consists of `records`, before any noise.
fn library_tensors(records: &[Record], config: &DpSgd) -> Result<Vec<Tensor<1>>> {
    let device = lab().open()?;
    let net = Net::new(vec![Layer::Linear(Linear { inputs: 2, outputs: 1 })], &mut lab().rng("net", 0), &device);
    let positions: Vec<usize> = (0..records.len()).collect();
    mechanism(config).clipped_sum(&positions, &[&net], &Device::Cpu, |_, part| {
        let values = part.iter().flat_map(|&i| records[i]).collect();
        let (output, tape) = net.forward_saving(to_tensor(values, [part.len(), 2, 1, 1], &device));
        Ok(net.per_sample(&tape, output.ones_like(), PerSample::Ghost, false).0)
    })
}

fn library_sum(records: &[Record]) -> Vec<f64> {
    values(library_tensors(records, &config()).unwrap())
}

fn values(parts: Vec<Tensor<1>>) -> Vec<f64> {
    parts.into_iter().flat_map(|part| to_host(part).unwrap()).map(f64::from).collect()
}

/// How far one record more moves `compute` at most, over a few samples and records chosen to be hard.
fn sensitivity(compute: impl Fn(&[Record]) -> Vec<f64>) -> f64 {
    let samples: [&[Record]; 4] = [&[], &[[3.0, 0.0]], &[[0.1, 0.1]; 6], &[[4.0, 4.0], [-2.0, 1.0], [0.0, 0.3], [2.0, -6.0]]];
    let joining: [Record; 5] = [[0.0, 0.0], [-40.0, 0.0], [0.0, 9.0], [7.0, 7.0], [0.01, -0.02]];
    let moves = samples.iter().flat_map(|sample| {
        let before = compute(sample);
        let compute = &compute;
        joining.iter().map(move |record| {
            let after = compute(&[*sample, &[*record]].concat());
            length(&after.iter().zip(&before).map(|(a, b)| a - b).collect::<Vec<f64>>())
        })
    });
    moves.fold(0.0, f64::max)
}

/// Sums of a handful of numbers below 10 in f32, whose clipping leaves a margin of 1e-5.
const ROUNDING: f64 = 1e-5;

#[test]
fn one_record_moves_the_library_s_sum_by_the_clipping_norm_at_most() {
    let found = sensitivity(library_sum);
    assert!(found <= CLIP + ROUNDING, "{found}");
    assert!(found > 0.99 * CLIP, "the records are hard enough to reach it: {found}");
    // The sum is over the expected size of the sample: so is the move.
    let mean = sensitivity(|records| scaled(library_sum(records), 1.0 / BATCH as f64));
    assert!(mean <= CLIP / BATCH as f64 + ROUNDING, "{mean}");
}

#[test]
fn dividing_by_the_random_batch_size_is_caught() {
    let by_true_size = |records: &[Record]| scaled(library_sum(records), 1.0 / records.len().max(1) as f64);
    let found = sensitivity(by_true_size);
    assert!(found > 2.0 * CLIP / BATCH as f64, "{found}");
}

#[test]
fn clipping_after_averaging_is_caught() {
    let clipped_mean = |records: &[Record]| {
        let [a, b, c] = sum(records.iter().map(|&r| own_gradient(r)))[..] else { panic!("three numbers") };
        clipped([a, b, c].map(|v| v / records.len().max(1) as f64)).to_vec()
    };
    let found = sensitivity(clipped_mean);
    assert!(found > 2.0 * CLIP / BATCH as f64, "{found}");
}

#[test]
fn clipping_shares_of_a_mean_loss_is_caught() {
    // The gradient of a mean loss is made of shares g / n; clipping them and multiplying by n afterwards lets a record add n C.
    let shares = |records: &[Record]| {
        let n = records.len().max(1) as f64;
        scaled(sum(records.iter().map(|&r| clipped(own_gradient(r).map(|v| v / n)))), n)
    };
    let found = sensitivity(shares);
    assert!(found > 2.0 * CLIP, "{found}");
}

#[test]
fn the_whole_clipping_norm_for_each_layer_is_caught() {
    let by_layer = |records: &[Record]| {
        sum(records.iter().map(|&r| {
            let [a, b, c] = own_gradient(r);
            let ([a, b], [c]) = (clipped([a, b]), clipped([c]));
            [a, b, c]
        }))
    };
    let found = sensitivity(by_layer);
    assert!(found > 1.4 * CLIP, "√2 of it for two parts: {found}");
}

/// Whether samples look as if every record joined each of them independently with probability `rate`: their sizes vary like a binomial, and
/// samples after each other overlap as often as chance has it.
fn looks_poisson(rate: f64, mut draw: impl FnMut() -> Vec<usize>) -> bool {
    const DRAWS: usize = 2_000;
    let samples: Vec<Vec<usize>> = (0..DRAWS).map(|_| draw()).collect();
    let sizes: Vec<f64> = samples.iter().map(|sample| sample.len() as f64).collect();
    let variance = crate::stats::deviation(&sizes).powi(2) / (RECORDS as f64 * rate * (1.0 - rate));
    let overlaps: Vec<f64> = samples.windows(2).map(|pair| pair[0].iter().filter(|i| pair[1].contains(i)).count() as f64).collect();
    let overlap = crate::stats::mean(&overlaps) / (RECORDS as f64 * rate * rate);
    // Deviations 3 % and 2 %; five of them.
    (variance - 1.0).abs() < 0.16 && (overlap - 1.0).abs() < 0.1
}

#[test]
fn samples_that_are_not_poisson_are_caught() {
    const SIZE: usize = 10;
    let rate = SIZE as f64 / RECORDS as f64;
    let mut library = Mechanism::new(&config(), RECORDS, SIZE, &lab(), "pitfalls").unwrap();
    assert!(looks_poisson(rate, || library.sample()));
    assert_eq!(library.event().unwrap(), Event::NoOp, "a sample alone releases nothing");
    let mut rng = lab().rng("wrong", 0);
    assert!(!looks_poisson(rate, || index::sample(&mut rng, RECORDS, SIZE).into_vec()), "samples of fixed size");
    let (mut rng, mut left) = (lab().rng("wrong", 1), vec![]);
    let shuffled = || {
        if left.is_empty() {
            left = (0..RECORDS).collect();
            left.shuffle(&mut rng);
        }
        left.split_off(left.len() - SIZE)
    };
    assert!(!looks_poisson(rate, shuffled), "batches of shuffled epochs");
}

#[test]
fn statistics_of_private_records_are_caught() {
    // Image records of one pixel, most of them dark; a bright one joins.
    let set = |x: Vec<f32>| {
        let labels = vec![0; x.len()];
        Dataset::images("pixels", x, [1, 1, 1], labels, vec!["one".into()]).unwrap()
    };
    let few = set(vec![0.1, 0.2, 0.3]);
    let more = set(vec![0.1, 0.2, 0.3, 1.0]);
    let moved = |a: &Dataset, b: &Dataset| a.normalized().iter().zip(b.normalized()).any(|(a, b)| (a - b).abs() > 1e-6);
    assert!(!moved(&few.publicly_normalized().unwrap(), &more.publicly_normalized().unwrap()));
    assert!(moved(&few, &more), "the fitted normalisation carries one record into all others");

    let weighted_by_true_size = |records: &[Record]| {
        // Inverse class frequency: the first class are records with positive x.
        let first = records.iter().filter(|r| r[0] > 0.0).count();
        let weight = |r: Record| RECORDS as f64 / (2 * if r[0] > 0.0 { first } else { records.len() - first }) as f64;
        sum(records.iter().map(|&r| clipped(own_gradient(r)).map(|v| v * weight(r))))
    };
    let found = sensitivity(weighted_by_true_size);
    assert!(found > 2.0 * CLIP, "{found}");
}

#[test]
fn noise_for_add_or_remove_read_as_replace_one_is_caught() {
    let others: [Record; 3] = [[0.1, 0.1], [3.0, 0.0], [-1.0, 2.0]];
    let with = |record: Record| library_sum(&[&others[..], &[record]].concat());
    let (one, opposite) = (with([-50.0, 0.0]), with([50.0, 0.0]));
    let replaced = length(&one.iter().zip(&opposite).map(|(a, b)| a - b).collect::<Vec<f64>>());
    assert!(replaced > 1.9 * CLIP && replaced <= 2.0 * CLIP + ROUNDING, "{replaced}: twice what the event's σ is for");
}

#[test]
fn empty_samples_are_noise_and_count() {
    // A rate of 1 / 40: more than a third of all samples are empty.
    let mut library = Mechanism::new(&config(), RECORDS, 1, &lab(), "pitfalls").unwrap();
    let mut skipping = 0;
    for _ in 0..20 {
        let sample = library.sample();
        skipping += u64::from(!sample.is_empty());
        let sum = library_tensors(&vec![[1.0, 2.0]; sample.len()], &config()).unwrap();
        assert!(values(library.release(sum).unwrap()).iter().all(|v| v.is_finite() && *v != 0.0), "noise, also on nothing");
    }
    let releases = library.event().unwrap().releases();
    assert_eq!(releases, 20);
    assert!(skipping < releases, "who skips empty samples shows which they were, and releases less than is accounted for");
    // The same of a whole training: 40 steps, of which a third sees nobody.
    let recipe = Train::new(Arch::Logistic).with_epochs(1).with_batch(3).with_privacy(config());
    let model = recipe.fit(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(model.event().releases(), 40);
}

#[test]
fn a_gradient_that_is_no_number_is_an_error_and_not_a_release() {
    let records = [[1.0, 0.0], [f32::NAN, 0.0], [0.0, 1.0]];
    let error = library_tensors(&records, &config()).unwrap_err();
    assert!(matches!(&error, Error::Diverged { what, .. } if what.contains("a record") && !what.contains('1')), "{error}");
    // min(NaN, 1) is 1: the usual factor lets it through, into all numbers that follow.
    let naive = sum(records.iter().map(|&r| clipped(own_gradient(r))));
    assert!(naive[0].is_nan());
}

/// The variance of many numbers around 0, in units of `expected`.
fn variance_of(noise: &[f64], expected: f64) -> f64 {
    noise.iter().map(|v| v * v).sum::<f64>() / noise.len() as f64 / expected
}

#[test]
fn noise_or_means_for_each_chunk_of_a_sample_are_caught() {
    const COUNT: usize = 20_000;
    let sample: Vec<Record> = (0..12).map(|i| [i as f32 - 6.0, 0.5]).collect();
    let in_chunks = |physical: usize| values(library_tensors(&sample, &config().with_physical_batch(physical)).unwrap());
    for (a, b) in in_chunks(4).iter().zip(in_chunks(1024)) {
        assert!((a - b).abs() < ROUNDING, "chunks do not change the sum: {a} against {b}");
    }
    // Five deviations of a variance from 20,000 numbers are 5 %.
    let device = lab().open().unwrap();
    let zeros = || vec![Tensor::<1>::zeros([COUNT], &device)];
    let expected = (SIGMA * CLIP / BATCH as f64).powi(2);
    let mut library = mechanism(&config().with_physical_batch(4));
    let once = values(library.release(zeros()).unwrap());
    assert!((variance_of(&once, expected) - 1.0).abs() < 0.05);
    assert_eq!(library.event().unwrap().releases(), 1);
    let each: Vec<Vec<f64>> = (0..3).map(|_| values(library.release(zeros()).unwrap())).collect();
    let per_chunk: Vec<f64> = (0..COUNT).map(|i| each.iter().map(|chunk| chunk[i]).sum()).collect();
    let found = variance_of(&per_chunk, expected);
    assert!((found - 3.0).abs() < 0.15, "three chunks, three times the noise: {found}");
    assert_eq!(library.event().unwrap().releases(), 4, "and each is a release");

    let means = |records: &[Record]| {
        let chunks = records.chunks(4).map(|chunk| {
            let sum = sum(chunk.iter().map(|&r| clipped(own_gradient(r))));
            [0, 1, 2].map(|at| sum[at] / chunk.len() as f64)
        });
        sum(chunks)
    };
    let found = sensitivity(means);
    assert!(found > 2.0 * CLIP / BATCH as f64, "a record alone in the last chunk counts whole: {found}");
}

#[test]
fn operations_across_records_are_caught() {
    let centred = |records: &[Record]| {
        let mean = scaled(sum(records.iter().map(|&r| own_gradient(r))), 1.0 / records.len().max(1) as f64);
        sum(records.iter().map(|&[a, b]| clipped([f64::from(a) - mean[0], f64::from(b) - mean[1], 1.0])))
    };
    let found = sensitivity(centred);
    assert!(found > 2.0 * CLIP, "each is clipped, but one record moves all of them: {found}");
    let error = refuse_mixing([2, 1, 1], &lab(), |x| x.clone() - x.mean_dim(0)).unwrap_err();
    assert!(error.to_string().contains("other records of its batch"), "{error}");
}

#[test]
fn what_is_published_beside_the_weights_is_caught() {
    let toy = Dataset::toy();
    let privacy = DpSgd::new(1.0);
    let recipe = Train::new(Arch::Logistic).with_epochs(1).with_batch(12).with_privacy(privacy.clone());
    let mut replay = Mechanism::new(&privacy, toy.len(), 12, &lab(), &format!("train {}", serde_json::json!(recipe))).unwrap();
    let mut seen = vec![];
    for _ in 0..10 {
        seen.extend(replay.sample());
        replay.augmentation_rng();
    }
    let unseen = (0..toy.len()).find(|i| !seen.contains(i)).unwrap();
    let mut x = toy.x().to_vec();
    x[unseen * toy.features()..(unseen + 1) * toy.features()].fill(1.0);
    let other = Dataset::images(toy.name(), x, toy.shape(), toy.labels().to_vec(), toy.class_names().to_vec()).unwrap();
    let [one, two] = [&toy, &other].map(|data| recipe.fit(data, &lab()).unwrap());
    let published = |model: &crate::train::Model| (model.weights().to_vec(), serde_json::to_string(model).unwrap());
    assert_eq!(published(&one), published(&two), "a record that was never sampled shows nowhere");
    assert!(one.history().iter().all(|epoch| epoch.loss.is_none()));
    // The accuracy or loss on the training set, to stop early or to draw a curve, is computed from every record, without noise.
    let mean_logit = |data: &Dataset| one.logits(data).unwrap().iter().map(|&v| f64::from(v)).sum::<f64>();
    assert!((mean_logit(&toy) - mean_logit(&other)).abs() > 1e-3);
}

#[test]
fn noise_that_is_used_twice_is_caught() {
    const COUNT: usize = 20_000;
    let device = lab().open().unwrap();
    let constant = |value: f64| vec![Tensor::<1>::zeros([COUNT], &device) + value];
    let difference = |a: Vec<f64>, b: Vec<f64>| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let expected = 2.0 * (SIGMA * CLIP / BATCH as f64).powi(2);
    let mut library = mechanism(&config());
    let fresh = difference(values(library.release(constant(0.0)).unwrap()), values(library.release(constant(0.0)).unwrap()));
    // Five deviations.
    assert!((variance_of(&fresh, expected) - 1.0).abs() < 0.05);
    let again = || mechanism(&config()).release(constant(0.0)).unwrap();
    let reused = difference(values(again()), values(again()));
    assert!(variance_of(&reused, expected) < 1e-12, "the same stream twice: the noise cancels, and the records remain");
}

#[test]
fn a_published_seed_gives_the_noise_away_and_secure_noise_has_none() {
    let records = [[1.0, 2.0], [-3.0, 0.5]];
    let clean = library_sum(&records);
    let recovered = |randomness: Randomness| {
        let config = config().with_randomness(randomness);
        let released = values(mechanism(&config).release(library_tensors(&records, &config).unwrap()).unwrap());
        let device = lab().open().unwrap();
        let nothing = vec![Tensor::<1>::zeros([2], &device), Tensor::<1>::zeros([1], &device)];
        let noise = values(mechanism(&config).release(nothing).unwrap());
        let apart = released.iter().zip(noise).zip(&clean).map(|((r, n), c)| BATCH as f64 * (r - n) - c);
        length(&apart.collect::<Vec<f64>>())
    };
    assert!(recovered(Randomness::Seeded) < ROUNDING, "whoever knows the seed reads the exact sum: seeded noise is for study");
    // Three normal numbers of deviation √2 σ C = 1.4 together that short: 1e-9.
    assert!(recovered(Randomness::Secure) > 1e-3);
}

#[test]
fn a_clipping_factor_that_rounds_up_is_caught() {
    // In f32 the naive product is longer than C for many vectors, by about 1e-8: little, but more than what the noise is for.
    let records: Vec<Record> = (1..200).map(|i| [i as f32 * 0.37 + 0.9, 3.0 / i as f32]).collect();
    let naive = |[a, b]: Record| {
        let factor = CLIP as f32 / (a * a + b * b + 1.0).sqrt();
        length(&[a, b, 1.0].map(|v: f32| f64::from(v * factor)))
    };
    assert!(records.iter().any(|&record| naive(record) > CLIP));
    for &record in &records {
        let found = length(&library_sum(&[record]));
        assert!(found <= CLIP, "{record:?}: {found}");
    }
}
