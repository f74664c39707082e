//! What every condenser owes its users, checked for all of them.

use freelunch::condense::{self, DistributionMatching};
use freelunch::generate;
use freelunch::prelude::*;

fn lab(seed: u64) -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(seed).quiet()
}

/// Every condenser, and every initialisation with one of them.
fn condensers() -> Vec<Box<dyn Synthesize>> {
    let mut all = condense::condensers(2);
    let small = DistributionMatching::new(2).with_arch(Arch::conv_net().with_width(4).with_depth(2)).with_steps(2);
    let inits = [
        Init::Noise,
        Init::ClassMean,
        Init::RealPlusNoise { sigma: 0.3 },
        Init::Mixture { records: 3 },
        Init::other(&Dataset::toy().subset(&(0..60).rev().collect::<Vec<_>>()).unwrap()),
        Init::kaleidoscope(3),
    ];
    all.extend(inits.map(|init| Box::new(small.clone().with_init(init)) as Box<dyn Synthesize>));
    all
}

#[test]
fn shape_classes_and_balance_are_kept() {
    let real = Dataset::toy();
    for method in condensers() {
        let made = method.synthesize(&real, &lab(1)).unwrap();
        assert_eq!(made.shape(), real.shape(), "{}", method.name());
        assert_eq!(made.class_names(), real.class_names(), "{}", method.name());
        assert_eq!(made.per_class(), vec![2; real.classes()], "{}", method.name());
        assert_eq!(made.normalization(), real.normalization(), "{}", method.name());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_number_of_threads() {
    let real = Dataset::toy();
    for method in condensers() {
        let on_threads = |threads: usize| {
            let pool = freelunch_pool(threads);
            pool.install(|| method.synthesize(&real, &lab(7)).unwrap().digest())
        };
        assert_eq!(on_threads(1), on_threads(2), "{}", method.name());
        let other = method.synthesize(&real, &lab(8)).unwrap().digest();
        let fixed = ["herding"].contains(&method.name().as_str()); // no random choice in it
        assert!(fixed || other != on_threads(1), "{}: another seed, the same set", method.name());
    }
}

fn freelunch_pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn the_privacy_event_and_the_history_are_stated() {
    let real = Dataset::toy();
    for method in condensers() {
        let made = method.synthesize(&real, &lab(1)).unwrap();
        assert_eq!(*made.event(), Event::NonPrivate, "{}", method.name());
        assert_eq!(made.origin().method, method.name());
        assert_eq!(made.origin().config, method.config());
        assert_eq!(made.origin().seed, 1);
        assert_eq!(made.origin().started_from.len(), made.len(), "{}", method.name());
        for (i, from) in made.origin().started_from.iter().enumerate() {
            for &from in from {
                assert_eq!(real.labels()[from], made.labels()[i], "{}: started from another class", method.name());
            }
        }
    }
}

#[test]
fn too_few_records_and_zero_sizes_are_refused() {
    for method in condense::condensers(1_000) {
        let message = method.synthesize(&Dataset::toy(), &lab(1)).unwrap_err().to_string();
        assert!(message.contains("1000 asked for"), "{}: {message}", method.name());
    }
    for method in condense::condensers(0) {
        let message = method.synthesize(&Dataset::toy(), &lab(1)).unwrap_err().to_string();
        assert!(message.contains("per_class is 0"), "{}: {message}", method.name());
    }
}

#[test]
fn condensed_sets_survive_serde_and_show_themselves() {
    let real = Dataset::toy();
    for method in condensers() {
        let made = method.synthesize(&real, &lab(1)).unwrap();
        let json = serde_json::to_string(&made).unwrap();
        let back: Dataset = serde_json::from_str(&json).unwrap();
        assert_eq!(back.digest(), made.digest(), "{}", method.name());
        let bundle = made.bundle();
        assert!(bundle.text.contains("toy") && bundle.html.contains("<img") && bundle.png.starts_with(b"\x89PNG"), "{}", method.name());
        assert!(format!("{made:?}").len() < 120, "Debug is one short line");
    }
}

#[test]
fn tables_condense_too() {
    let table = Dataset::toy_table();
    // Real ones: numbers only, and numbers with categories.
    let cancer = Dataset::breast_cancer().unwrap().train;
    let adult = Dataset::adult().unwrap().train.sample(600, &lab(2)).unwrap();
    let gradients = condense::GradientMatching::new(2).with_arch(Arch::mlp()).with_steps(2);
    let experts = condense::TrajectoryMatching::small(2).with_arch(Arch::mlp()).with_steps(1).with_experts(1);
    let methods: Vec<Box<dyn Synthesize>> = vec![
        Box::new(condense::RandomSubset::new(2)),
        Box::new(condense::Herding::new(2)),
        Box::new(condense::KMeans::new(2)),
        Box::new(condense::LinearMatching::new(2)),
        Box::new(condense::KernelInducingPoints::new(2).with_steps(2)),
        Box::new(gradients.with_init(Init::ClassMean)),
        Box::new(experts.with_rate(3.0).with_step_size(0.004)),
        Box::new(DistributionMatching::new(2).with_arch(Arch::mlp()).with_steps(3).with_init(Init::Noise)),
    ];
    for method in methods {
        for real in [&table, &cancer, &adult] {
            let made = method.synthesize(real, &lab(1)).unwrap();
            assert_eq!(made.schema(), real.schema(), "{} of {}", method.name(), real.name());
            assert_eq!(made.per_class(), vec![2; real.classes()], "{} of {}", method.name(), real.name());
        }
    }
    let message = DistributionMatching::new(1).synthesize(&table, &lab(1)).unwrap_err().to_string();
    assert!(message.contains("Arch::mlp()"), "{message}");
}

/// Every private method, as small as it works.
fn generators(noise: f64) -> Vec<Box<dyn Synthesize>> {
    vec![
        Box::new(generate::PrivateDistributionMatching::new(2, noise).with_arch(Arch::mlp()).with_batch(10).with_steps(3)),
        Box::new(generate::PrivateGradientMatching::small(2, noise).with_arch(Arch::mlp()).with_steps(1).with_batch(30)),
        Box::new(generate::MeanEmbedding::new(2, noise).with_features(50).with_hidden(10).with_steps(3)),
        Box::new(generate::PrivateVae::new(2, noise).with_batch(10).with_epochs(1)),
        Box::new(generate::NoisyGroupMeans::new(2, noise).with_batch(10)),
    ]
}

#[test]
fn every_private_method_carries_the_event_it_planned_and_makes_a_balanced_set() {
    let real = Dataset::toy();
    assert_eq!(generators(1.0).len(), generate::generators(1, 1.0).len(), "a method is missing here");
    for method in generators(1.5) {
        let made = method.synthesize(&real, &lab(1)).unwrap();
        assert_eq!(*made.event(), method.event(&real).unwrap(), "{}", method.name());
        let epsilon = made.event().epsilon(1e-3).unwrap();
        assert!(epsilon.value > 0.0 && epsilon.value.is_finite(), "{}: {epsilon}", method.name());
        assert_eq!(made.per_class(), vec![2; real.classes()], "{}", method.name());
        assert_eq!((made.shape(), made.origin().seed), (real.shape(), 1), "{}", method.name());
        assert_eq!(made.origin().config, method.config(), "{}", method.name());
        assert!(made.origin().started_from.iter().all(Vec::is_empty), "{}: a private set starts from no record", method.name());
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Dataset>(&json).unwrap().digest(), made.digest(), "{}", method.name());
        let again = method.synthesize(&real, &lab(1)).unwrap();
        assert_eq!(again.digest(), made.digest(), "{}: the same seed, the same bytes", method.name());
        assert_ne!(method.synthesize(&real, &lab(2)).unwrap().digest(), made.digest(), "{}", method.name());
    }
}

#[test]
fn a_private_method_protects_records_as_they_were_read_only() {
    let condensed = condense::RandomSubset::new(25).synthesize(&Dataset::toy(), &lab(1)).unwrap();
    let public = Dataset::toy().declared_public();
    for method in generators(1.0) {
        assert_eq!(method.event(&condensed).unwrap(), Event::NonPrivate, "{}", method.name());
        assert_eq!(method.event(&public).unwrap(), Event::NoOp, "{}", method.name());
    }
}

#[test]
fn noise_that_is_none_is_refused_by_every_private_method() {
    for noise in [0.0, -1.0, f64::NAN] {
        for method in generators(noise) {
            let message = method.synthesize(&Dataset::toy(), &lab(1)).unwrap_err().to_string();
            assert!(message.contains(&format!("noise is {noise}")), "{}: {message}", method.name());
        }
    }
}
