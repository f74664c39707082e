use super::*;
use crate::Device;
use crate::data::Normalization;

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().quiet()
}

fn inits() -> Vec<Init> {
    vec![
        Init::Noise,
        Init::Real,
        Init::ClassMean,
        Init::RealPlusNoise { sigma: 0.3 },
        Init::Mixture { records: 3 },
        Init::other(&Dataset::toy()),
        Init::kaleidoscope(3),
    ]
}

/// Normalised values of a real record.
fn real_row(data: &Dataset, i: usize) -> Vec<f32> {
    data.subset(&[i]).unwrap().normalized()
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance), "{what}");
}

fn error_of(init: &Init, real: &Dataset, per_class: usize) -> String {
    init.start(real, per_class, &lab()).unwrap_err().to_string()
}

#[test]
fn every_start_has_the_asked_number_per_class_and_follows_the_seed() {
    let toy = Dataset::toy();
    for init in inits() {
        let start = |seed| init.start(&toy, 2, &lab().seed(seed)).unwrap();
        let first = start(1);
        assert_eq!(first.labels, [0, 0, 1, 1, 2, 2, 3, 3], "{init:?}");
        assert_eq!((first.x.len(), first.started_from.len()), (8 * 64, 8), "{init:?}");
        assert!(first.x.iter().all(|v| v.is_finite()), "{init:?}");
        assert_eq!((&first.x, &first.started_from), (&start(1).x, &start(1).started_from), "{init:?}");
        assert_eq!(init == Init::ClassMean, first.x == start(2).x, "{init:?}");
        for (label, from) in first.labels.iter().zip(&first.started_from) {
            assert!(from.iter().all(|&i| toy.labels()[i] == *label), "{init:?}");
        }
    }
}

#[test]
fn names_are_those_of_tables() {
    let names: Vec<String> = inits().iter().map(Init::name).collect();
    assert_eq!(names, ["noise", "real", "class mean", "real + noise 0.3", "mixture of 3", "other data", "KT(3)"]);
}

#[test]
fn wrong_sizes_are_named_for_every_start() {
    let toy = Dataset::toy();
    for init in inits() {
        assert!(error_of(&init, &toy, 0).contains("per_class is 0"), "{init:?}");
        assert!(error_of(&init, &toy, 31).contains("31 asked for"), "{init:?}");
    }
    assert!(error_of(&Init::RealPlusNoise { sigma: -1.0 }, &toy, 1).contains("sigma is -1"));
    assert!(error_of(&Init::RealPlusNoise { sigma: f64::NAN }, &toy, 1).contains("sigma is NaN"));
    assert!(error_of(&Init::Mixture { records: 0 }, &toy, 1).contains("0 records"));
    assert!(error_of(&Init::Mixture { records: 31 }, &toy, 1).contains("31 asked for"));
    assert!(error_of(&Init::kaleidoscope(0), &toy, 1).contains("0 draws"));
}

#[test]
fn noise_is_standard_normal_and_names_no_record() {
    let start = Init::Noise.start(&Dataset::toy(), 30, &lab()).unwrap();
    let n = start.x.len() as f64;
    let mean = start.x.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = start.x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
    // 7,680 values: five deviations of the mean are 0.057, of the variance 0.081.
    assert!(mean.abs() < 0.057 && (variance - 1.0).abs() < 0.081, "{mean} {variance}");
    assert!(start.started_from.iter().all(Vec::is_empty));
}

#[test]
fn real_real_plus_noise_and_kaleidoscope_start_from_the_same_records() {
    let toy = Dataset::toy();
    let real = Init::Real.start(&toy, 3, &lab()).unwrap();
    for (from, x) in real.started_from.iter().zip(real.x.chunks(64)) {
        assert_eq!(x, real_row(&toy, from[0]));
    }
    let noisy = Init::RealPlusNoise { sigma: 0.3 }.start(&toy, 3, &lab()).unwrap();
    let kaleidoscope = Init::kaleidoscope(2).start(&toy, 3, &lab()).unwrap();
    assert_eq!((&real.started_from, &real.started_from), (&noisy.started_from, &kaleidoscope.started_from));
    let differences: Vec<f64> = noisy.x.iter().zip(&real.x).map(|(a, b)| f64::from(a - b)).collect();
    let deviation = (differences.iter().map(|d| d * d).sum::<f64>() / differences.len() as f64).sqrt();
    // 768 values: five deviations of the estimate are 0.038.
    assert!((deviation - 0.3).abs() < 0.038, "{deviation}");
    assert_eq!(Init::RealPlusNoise { sigma: 0.0 }.start(&toy, 3, &lab()).unwrap().x, real.x);
}

#[test]
fn a_class_mean_is_the_mean_of_all_records_of_the_class() {
    let toy = Dataset::toy();
    let start = Init::ClassMean.start(&toy, 2, &lab()).unwrap();
    for (k, (from, x)) in start.started_from.iter().zip(start.x.chunks(64)).enumerate() {
        assert_eq!(from, &toy.of_class(k / 2));
        // Normalising is affine, so the mean may as well be taken in pixels, here in another order.
        let pixels: Vec<f32> = (0..64).map(|j| from.iter().rev().map(|&i| toy.record(i)[j]).sum::<f32>() / from.len() as f32).collect();
        assert_close(x, &toy.normalization().apply(&pixels, toy.shape()), 1e-5, "class mean");
    }
    assert_eq!(start.x[..64], start.x[64..128], "every record of a class is the same");
}

#[test]
fn a_mixture_is_the_mean_of_the_records_it_names() {
    let toy = Dataset::toy();
    let start = Init::Mixture { records: 3 }.start(&toy, 4, &lab()).unwrap();
    for (from, x) in start.started_from.iter().zip(start.x.chunks(64)) {
        let rows: Vec<Vec<f32>> = from.iter().map(|&i| real_row(&toy, i)).collect();
        let mean: Vec<f32> = (0..64).map(|j| (rows[0][j] + rows[1][j] + rows[2][j]) / 3.0).collect();
        assert_close(x, &mean, 1e-6, "mixture");
        assert!(from[0] != from[1] && from[1] != from[2] && from[0] != from[2]);
    }
    let all = Init::Mixture { records: 30 }.start(&toy, 1, &lab()).unwrap();
    assert_close(&all.x, &Init::ClassMean.start(&toy, 1, &lab()).unwrap().x, 1e-6, "a mixture of all is the class mean");
}

/// The toy set, changed so that no record is one of the toy set.
fn public() -> Dataset {
    let toy = Dataset::toy();
    let x = toy.x().iter().map(|v| 1.0 - 0.5 * v).collect();
    Dataset::images("public", x, toy.shape(), toy.labels().to_vec(), toy.class_names().to_vec()).unwrap()
}

#[test]
fn other_data_comes_by_label_under_the_real_normalisation_and_names_no_real_record() {
    let toy = Dataset::toy();
    let public = public();
    assert_ne!(public.normalization(), toy.normalization());
    let start = Init::other(&public).start(&toy, 2, &lab()).unwrap();
    assert!(start.started_from.iter().all(Vec::is_empty));
    for (x, label) in start.x.chunks(64).zip(&start.labels) {
        let pixels = toy.normalization().undo(x, toy.shape());
        let found = (0..public.len()).find(|&i| public.record(i).iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(public.labels()[found.expect("a record of the public set")], *label);
    }
}

#[test]
fn other_data_with_other_classes_gives_any_records_once_each() {
    let toy = Dataset::toy();
    let unlabelled = Dataset::images("unlabelled", public().x().to_vec(), toy.shape(), vec![0; 120], vec!["all".into()]).unwrap();
    let start = Init::other(&unlabelled).start(&toy, 30, &lab()).unwrap();
    let mut rows: Vec<Vec<u32>> = start.x.chunks(64).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 120);
    let few = unlabelled.subset(&[0, 1, 2]).unwrap();
    assert!(error_of(&Init::other(&few), &toy, 1).contains("3 records, 4 asked for"));
}

#[test]
fn other_data_that_shares_records_with_the_real_set_says_so() {
    let toy = Dataset::toy();
    let start = Init::other(&toy).start(&toy, 2, &lab()).unwrap();
    let real = Init::Real.start(&toy, 2, &lab()).unwrap();
    assert_eq!((start.started_from, start.x), (real.started_from, real.x));
}

#[test]
fn other_data_is_written_by_name_and_digest_and_must_be_given_again() {
    let toy = Dataset::toy();
    let init = Init::other(&public());
    let text = serde_json::to_string(&init).unwrap();
    assert!(text.len() < 160 && text.contains("\"public\"") && text.contains(&public().digest()), "{text}");
    let back: Init = serde_json::from_str(&text).unwrap();
    assert_eq!(back, init);
    assert!(format!("{back:?}").contains("not loaded"));
    let message = error_of(&back, &toy, 1);
    assert!(message.contains("public") && message.contains("Init::other(&data)"), "{message}");
    assert_ne!(init, Init::other(&toy));
    assert!(error_of(&Init::other(&Dataset::toy_table()), &toy, 1).contains("same shape"));
}

#[test]
fn every_start_survives_serde_and_older_files_can_be_read() {
    for init in inits() {
        let text = serde_json::to_string(&init).unwrap();
        assert_eq!(serde_json::from_str::<Init>(&text).unwrap(), init, "{text}");
    }
    assert_eq!(serde_json::from_str::<Init>("\"Real\"").unwrap(), Init::Real);
}

#[test]
fn tables_start_from_everything_but_the_kaleidoscope() {
    let table = Dataset::toy_table();
    for init in inits() {
        let init = if matches!(init, Init::Other { .. }) { Init::other(&table) } else { init };
        match init {
            Init::Kaleidoscope { .. } => assert!(error_of(&init, &table, 2).contains("table")),
            _ => assert_eq!(init.start(&table, 2, &lab()).unwrap().x.len(), 4 * 5, "{init:?}"),
        }
    }
}

fn kaleidoscope_of(draws: usize, augment: Augment) -> Init {
    Init::Kaleidoscope { draws, augment }
}

#[test]
fn a_kaleidoscope_without_strength_is_the_record() {
    let toy = Dataset::toy();
    let still = Augment::digits().with_choice(Choice::All).with_strength(0.0);
    let start = kaleidoscope_of(4, still).start(&toy, 2, &lab()).unwrap();
    assert_close(&start.x, &Init::Real.start(&toy, 2, &lab()).unwrap().x, 1e-5, "KT of strength 0");
}

#[test]
fn a_kaleidoscope_is_the_mean_of_its_draws() {
    // A mean of three from the first three means of one, which the shared stream gives: KT(1), 2 KT(2) - KT(1), ...
    let toy = Dataset::toy();
    let augment = Augment::dsa().with_choice(Choice::All).with_strength(2.0);
    let of = |draws| kaleidoscope_of(draws, augment.clone()).start(&toy, 1, &lab()).unwrap();
    let record = &Init::Real.start(&toy, 1, &lab()).unwrap().x[..64];
    let mut rng = lab().rng("init kaleidoscope", 0);
    let views: Vec<Vec<f32>> = (0..3).map(|_| augment.draw(toy.shape(), &mut rng).apply(record)).collect();
    assert_close(&of(1).x[..64], &views[0], 1e-6, "KT(1)");
    let mean: Vec<f32> = (0..64).map(|j| (views[0][j] + views[1][j] + views[2][j]) / 3.0).collect();
    assert_close(&of(3).x[..64], &mean, 1e-6, "KT(3)");
}

#[test]
fn the_variance_of_a_kaleidoscope_falls_with_the_number_of_draws() {
    let toy = Dataset::toy();
    let record = toy.subset(&[0]).unwrap().normalized();
    let augment = Augment::dsa().with_choice(Choice::All).with_strength(2.0);
    let variance = |draws: usize| {
        let runs: Vec<Vec<f32>> = (0..400).map(|i| kaleidoscope(&record, draws, &augment, toy.shape(), i, &lab())).collect();
        let mean = mean_of(runs.iter().map(Vec::as_slice), 64);
        runs.iter().flat_map(|run| run.iter().zip(&mean).map(|(v, m)| f64::from(v - m).powi(2))).sum::<f64>()
    };
    // Independent draws: 1 / n. 400 runs know each variance to about a tenth.
    let ratio = variance(8) / variance(1);
    assert!((ratio * 8.0 - 1.0).abs() < 0.3, "{ratio}");
}

#[test]
fn a_start_keeps_the_normalisation_of_the_real_set() {
    let plain = Dataset::toy().with_normalization(Normalization::none(1));
    for init in [Init::Real, Init::ClassMean, Init::Mixture { records: 2 }, Init::other(&public())] {
        let start = init.start(&plain, 2, &lab()).unwrap();
        assert!(start.x.iter().all(|v| (0.0..=1.0).contains(v)), "{init:?}");
    }
}
