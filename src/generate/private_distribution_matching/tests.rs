//! NDPDC against distribution matching without privacy, its sensitivity, its event, and what it refuses.

use super::*;
use crate::condense::distribution_matching;
use crate::data::Normalization;
use crate::data::rows_at;

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().seed(2).quiet()
}

fn quick(per_class: usize, noise: f64) -> PrivateDistributionMatching {
    let arch = Arch::conv_net().with_width(4).with_depth(2);
    PrivateDistributionMatching::new(per_class, noise).with_arch(arch).with_batch(10).with_steps(3)
}

fn net(method: &PrivateDistributionMatching) -> Net {
    let layers = method.arch.layers([1, 8, 8], 4).unwrap();
    Net::new(layers, &mut lab().rng("network", 0), &lab().open().unwrap()).features()
}

/// The toy set with record `at` changed, under public constants.
fn toy_with(at: Option<usize>) -> Dataset {
    let toy = Dataset::toy();
    let mut x = toy.x().to_vec();
    if let Some(at) = at {
        x[at * 64..(at + 1) * 64].iter_mut().enumerate().for_each(|(i, v)| *v = (i % 2) as f32);
    }
    let made = Dataset::images("toy", x, toy.shape(), toy.labels().to_vec(), toy.class_names().to_vec()).unwrap();
    made.with_public_normalization(Normalization::of_ranges(&[(0.0, 1.0)]).unwrap()).unwrap()
}

#[test]
fn without_noise_and_clipping_a_step_is_one_of_distribution_matching() {
    // Groups of everyone: sums are L times the means, so that loss and gradient are L² times those of the other implementation.
    for augment in [None, Some(Augment::dsa())] {
        let method = PrivateDistributionMatching { augment: augment.clone(), ..quick(5, 1e-12).with_clip(1e6).with_batch(30) };
        let real = toy_with(None);
        let (values, net, device) = (real.normalized(), net(&method), lab().open().unwrap());
        let sums = method.sums(&real).unwrap();
        let x = method.start(&real, &lab()).x;
        let matching = Matching { method: &method, sums: &sums, values: &values, shape: real.shape(), lab: &lab() };
        let batches: Vec<Vec<usize>> = (0..4).map(|class| real.of_class(class)).collect();
        let plain = distribution_matching::Matching { values: &values, shape: real.shape(), chunk: 32, device: &device };
        let (loss, gradient) = plain
            .gradient(&net, &batches, &x, |class, records| {
                augment.as_ref().map(|augment| augment.pair(real.shape(), records, &mut sums.other(class, 0, &lab())))
            })
            .unwrap();
        let parts: Vec<(f64, Vec<f32>)> =
            x.chunks(5 * 64).enumerate().map(|(class, x)| matching.class_gradient(&net, class, 0, x).unwrap()).collect();
        let ours: f64 = parts.iter().map(|(loss, _)| loss).sum();
        // Two summations in 32 and 64 bits.
        assert!((ours / (900.0 * loss) - 1.0).abs() < 1e-4, "{ours} against {}", 900.0 * loss);
        let scale = gradient.iter().fold(0.0f32, |most, g| most.max(g.abs())) * 900.0;
        for (a, b) in parts.iter().flat_map(|(_, gradient)| gradient).zip(&gradient) {
            assert!((a - 900.0 * b).abs() < 1e-4 * scale, "{a} against {}", 900.0 * b);
        }
    }
}

#[test]
fn one_record_changes_the_sum_of_embeddings_by_at_most_the_clipping_norm() {
    let method = quick(1, 1.0).with_clip(0.7);
    let real = toy_with(Some(0));
    let (values, net) = (real.normalized(), net(&method));
    let sums = method.sums(&real).unwrap();
    let embedded = |positions: &[usize]| {
        let rows = rows_at(&values, 64, positions);
        sums.clipped_sum(&forward_rows(&net, &rows, real.shape(), lab().device()).unwrap(), 16, 0).unwrap()
    };
    let everyone = real.of_class(0);
    let with = embedded(&everyone);
    for left_out in [0, 4, 8] {
        let without = embedded(&everyone.iter().copied().filter(|&i| i != left_out).collect::<Vec<_>>());
        let change = with.iter().zip(&without).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        // The other 29 embeddings are the same but for float32 in another chunk.
        assert!(change <= 0.7 + 1e-5 && change > 0.69, "{change}");
    }
}

#[test]
fn clipped_synthetic_embeddings_are_shortened_and_their_factor_is_a_constant() {
    // With an identity embedding, loss = |t − 10 f x|² with f = C / |x|, and the gradient 2 · 10 f (10 f x − t) if f is constant.
    let arch = Arch::Logistic;
    let method = quick(1, 1e-12).with_arch(arch).with_clip(2.0).with_batch(30);
    let real = toy_with(None);
    let (values, net) = (real.normalized(), net(&method));
    let sums = method.sums(&real).unwrap();
    let matching = Matching { method: &method, sums: &sums, values: &values, shape: real.shape(), lab: &lab() };
    let x: Vec<f32> = (0..64).map(|i| (i as f32 - 30.0) / 10.0).collect();
    let (_, gradient) = matching.class_gradient(&net, 1, 0, &x).unwrap();
    let rows = rows_at(&values, 64, &real.of_class(1));
    let target = sums.clipped_sum(&rows, 64, 0).unwrap();
    let scaled = 30.0 * 2.0 / length(&x);
    for i in 0..64 {
        let expected = 2.0 * scaled * (scaled * f64::from(x[i]) - target[i]);
        assert!((f64::from(gradient[i]) - expected).abs() < 1e-3, "{} against {expected}: float32 of numbers up to 1000", gradient[i]);
    }
}

#[test]
fn the_event_counts_the_releases_that_were_made_also_after_a_stop() {
    let step = Event::parallel(vec![Event::gaussian(2.0).unwrap().poisson(10.0 / 30.0).unwrap(); 4]);
    let made = quick(2, 2.0).synthesize(&Dataset::toy(), &lab()).unwrap();
    assert_eq!(*made.event(), step.clone().repeat(3));
    assert_eq!(*made.event(), PrivateDistributionMatching::event(&quick(2, 2.0), &Dataset::toy()).unwrap());
    let long = quick(1, 2.0).with_steps(1_000_000);
    let stopped = long.synthesize(&Dataset::toy(), &lab().budget_s(0.05).unwrap()).unwrap();
    let last = stopped.origin().trace.last().unwrap().0 as u64;
    assert_eq!(*stopped.event(), step.repeat(last + 1));
    assert!(last < 100_000);
}

#[test]
fn a_record_that_is_never_sampled_changes_nothing() {
    let method = quick(1, 1.0);
    let real = toy_with(None);
    let sums = method.sums(&real).unwrap();
    let seen: Vec<usize> = (0..3).flat_map(|step| sums.group(2, step, &lab())).collect();
    let absent = real.of_class(2).into_iter().find(|i| !seen.contains(i)).unwrap();
    let made = |at| method.synthesize(&toy_with(at), &lab()).unwrap().digest();
    assert_eq!(made(None), made(Some(absent)));
    assert_ne!(made(None), made(Some(seen[0])));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_secure_randomness_does_not() {
    let made = |method: PrivateDistributionMatching| method.synthesize(&Dataset::toy(), &lab()).unwrap().digest();
    assert_eq!(made(quick(2, 1.0)), made(quick(2, 1.0)));
    let secure = || quick(2, 1.0).with_randomness(Randomness::Secure);
    assert_ne!(made(secure()), made(secure()));
}

#[test]
fn with_little_noise_the_loss_against_the_noisy_sums_falls() {
    let method = quick(3, 0.05).with_batch(30).with_steps(150);
    let made = method.synthesize(&toy_with(None), &lab()).unwrap();
    let trace = &made.origin().trace;
    assert!(trace.last().unwrap().1 < 0.5 * trace[0].1, "{trace:?}");
}

#[test]
fn bad_settings_are_named() {
    let message = |method: PrivateDistributionMatching, real: &Dataset| method.synthesize(real, &lab()).unwrap_err().to_string();
    let toy = Dataset::toy();
    assert!(message(quick(1, 0.0), &toy).contains("noise is 0"));
    assert!(message(quick(1, 1.0).with_clip(-1.0), &toy).contains("clip is -1"));
    assert!(message(quick(1, 1.0).with_batch(31), &toy).contains("a batch of 31"));
    assert!(message(quick(1, 1.0).with_steps(0), &toy).contains("steps is 0"));
    assert!(message(quick(0, 1.0), &toy).contains("per_class is 0"));
    assert!(message(quick(1, 1.0).with_rate(f64::NAN), &toy).contains("rate is NaN"));
    assert!(message(quick(1, 1.0), &Dataset::toy_table()).contains("with_public_normalization"));
    assert!(message(quick(1, 1.0).with_rate(1e38), &toy).contains("at step"));
}
