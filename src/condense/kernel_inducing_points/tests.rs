use super::*;

fn lab() -> Lab {
    Lab::on(crate::Device::Cpu).unwrap().quiet()
}

#[test]
fn the_loss_falls_and_the_regression_learns_from_few_records() {
    let toy = Dataset::toy();
    for init in [Init::Noise, Init::Real] {
        let points = KernelInducingPoints::small(1).with_steps(60).with_init(init.clone());
        let made = points.synthesize(&toy, &lab()).unwrap();
        let trace = &made.origin().trace;
        assert!(trace.last().unwrap().1 < 0.6 * trace[0].1, "{init:?}: {trace:?}");
        let accuracy = points.regression().fit(&made, &lab()).unwrap().accuracy(&toy).unwrap().value();
        assert!(accuracy > 0.8, "{init:?}: {accuracy}");
    }
}

#[test]
fn learned_labels_travel_with_the_set_and_lower_the_loss_further() {
    let toy = Dataset::toy();
    let last = |made: &Dataset| made.origin().trace.last().unwrap().1;
    let fixed = KernelInducingPoints::small(1).with_steps(40).synthesize(&toy, &lab()).unwrap();
    let points = KernelInducingPoints::small(1).with_steps(40).with_labels(Labels::Learned);
    let learned = points.synthesize(&toy, &lab()).unwrap();
    assert_eq!(fixed.soft_labels(), None);
    assert_eq!(learned.soft_labels().unwrap().len(), learned.len() * toy.classes());
    assert!(last(&learned) < last(&fixed), "{} against {}", last(&learned), last(&fixed));
    assert_eq!(learned.origin().method, "KIP, real init, learned labels");
}

#[test]
fn the_set_fits_the_regression_exactly_as_the_last_step_saw_it() {
    // One step from noise: the regression on what came out has the loss that a step from there would report.
    let toy = Dataset::toy();
    let points = KernelInducingPoints::new(2).with_steps(1).with_labels(Labels::Learned).with_depth(2);
    let made = points.synthesize(&toy, &lab()).unwrap();
    let regression = Regression { kernel: points.regression().kernel(), ridge: points.ridge, classes: toy.classes() };
    let records = Records::new(made.normalized().into_iter().map(f64::from), toy.features());
    let y: Vec<f64> = made.soft_labels().unwrap().iter().map(|&y| f64::from(y)).collect();
    let values = toy.normalized();
    let record = |t: usize, out: &mut [f64]| {
        out.iter_mut().zip(&values[t * toy.features()..]).for_each(|(to, from)| *to = f64::from(*from));
    };
    let loss = regression.gradient(&records, &y, &Targets { record: &record, labels: toy.labels() }).unwrap().loss;
    let scores = points.regression().fit(&made, &lab()).unwrap().scores(&toy).unwrap();
    let expected: Vec<f64> = toy.labels().iter().flat_map(|&label| regression.centred(label)).collect();
    let direct = scores.iter().zip(&expected).map(|(s, y)| (f64::from(*s) - y).powi(2)).sum::<f64>() / (2 * scores.len()) as f64;
    assert!((loss / direct - 1.0).abs() < 1e-5, "{loss} against {direct} from f32 scores");
}

#[test]
fn adam_moves_every_value_by_the_rate_first() {
    let points = KernelInducingPoints::new(1).with_rate(0.1);
    let (mut values, mut memory) = (vec![1.0f32, 2.0], BTreeMap::new());
    points.adam("records", &mut values, &[3.0, -1e-3], &mut memory, 0);
    // m / √v is ±1 after one step, but for ε = 1e-8.
    assert!((values[0] - 0.9).abs() < 1e-6 && (values[1] - 2.1).abs() < 2e-6, "{values:?}");
    points.adam("records", &mut values, &[0.0, 0.0], &mut memory, 1);
    // Second step without gradient: m̂ = 0.9 · 0.1 g / 0.19, v̂ = 0.999 · 0.001 g² / 0.001999.
    let expected = 0.9 - 0.1 * (0.09 / 0.19) / (0.000_999f64 / 0.001_999).sqrt();
    assert!((f64::from(values[0]) - expected).abs() < 1e-6, "{values:?}");
    assert_eq!(memory.len(), 2);
}

#[test]
fn batches_are_balanced_and_small_classes_give_all_they_have() {
    let pools = vec![(0..50).collect(), vec![50, 51], (52..90).collect()];
    let mut drawn = KernelInducingPoints::new(1).with_batch(60).draw(&pools, &lab(), 3);
    assert_eq!(drawn.len(), 20 + 2 + 20);
    drawn.sort_unstable();
    drawn.dedup();
    assert_eq!(drawn.len(), 42, "without replacement");
    assert_ne!(drawn, KernelInducingPoints::new(1).with_batch(60).draw(&pools, &lab(), 4));
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_and_two_threads() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| KernelInducingPoints::small(2).with_steps(4).synthesize(&Dataset::toy(), &lab().seed(7)).unwrap().digest())
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn tables_condense_too() {
    let table = Dataset::toy_table();
    let points = KernelInducingPoints::small(3).with_steps(50).with_ridge(1e-3);
    let made = points.synthesize(&table, &lab()).unwrap();
    assert_eq!((made.schema(), made.per_class()), (table.schema(), vec![3, 3]));
    let accuracy = points.regression().fit(&made, &lab()).unwrap().accuracy(&table).unwrap().value();
    assert!(accuracy > 0.75, "{accuracy}");
}

#[test]
fn parameters_out_of_range_are_named() {
    let message = |points: KernelInducingPoints| points.synthesize(&Dataset::toy(), &lab()).unwrap_err().to_string();
    let new = KernelInducingPoints::new;
    assert!(message(new(0)).contains("per_class is 0"));
    assert!(message(new(1).with_steps(0)).contains("steps is 0"));
    assert!(message(new(1).with_batch(0)).contains("batch is 0"));
    assert!(message(new(1).with_rate(f64::NAN)).contains("rate is NaN"));
    assert!(message(new(1).with_ridge(-1e-6)).contains("ridge is -0.000001"));
    assert!(message(new(1).with_weight_variance(0.0)).contains("weight_variance is 0"));
    assert!(message(new(1_000)).contains("1000 asked for"));
}
