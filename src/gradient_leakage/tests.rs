use super::*;
use crate::Device;
use crate::display::Show as _;
use crate::nn::{Arch, Dropout, Layer, Linear};

fn lab() -> Lab {
    Lab::on(Device::Cpu).unwrap().seed(5).quiet()
}

fn digits() -> Dataset {
    Dataset::digits().unwrap().train
}

fn attacked(attack: &GradientLeakage, model: &Model, batch: &Dataset, defence: Defence) -> LeakageScore {
    let update = ClientUpdate::defended(model, batch, defence, &lab()).unwrap();
    attack.attack(model, &update, &lab()).unwrap().judge(batch).unwrap()
}

#[test]
fn the_label_of_a_single_record_is_always_found() {
    let digits = digits();
    for arch in [Arch::mlp(), sigmoid_conv_net(&digits).unwrap(), Arch::ConvNet { width: 8, depth: 2 }] {
        let model = untrained(arch, &digits, &lab()).unwrap();
        for i in 0..20 {
            let record = digits.subset(&[7 * i]).unwrap();
            let update = ClientUpdate::gradient(&model, &record, &lab()).unwrap();
            assert_eq!(labels::recovered(&model, update.last_bias(), 1, &lab()).unwrap(), record.labels());
        }
    }
}

#[test]
fn most_labels_of_a_batch_are_found_even_where_classes_repeat() {
    let digits = digits();
    let model = untrained(Arch::mlp(), &digits, &lab()).unwrap();
    let mut shared = 0;
    for i in 0..10 {
        let batch = digits.sample(8, &lab().seed(i)).unwrap();
        let update = ClientUpdate::gradient(&model, &batch, &lab()).unwrap();
        let found = labels::recovered(&model, update.last_bias(), 8, &lab()).unwrap();
        shared += (0..10)
            .map(|c| {
                let count = |labels: &[u32]| labels.iter().filter(|&&l| l == c).count();
                count(&found).min(count(batch.labels()))
            })
            .sum::<usize>();
    }
    // Labels drawn blindly share about half of eight with the truth.
    assert!(shared >= 72, "{shared} of 80");
}

#[test]
fn one_record_falls_out_of_a_first_fully_connected_layer() {
    let digits = digits();
    let model = untrained(Arch::mlp(), &digits, &lab()).unwrap();
    let record = digits.subset(&[11]).unwrap();
    let update = ClientUpdate::gradient(&model, &record, &lab()).unwrap();
    let found = analytic_first_layer(&model, &update, &lab()).unwrap().unwrap();
    assert_eq!(found.labels(), record.labels());
    let apart = found.x().iter().zip(record.x()).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart < 1e-3, "{apart}");
    // Clipping changes the length of the gradient, which the quotient does not see; several local steps on one record neither.
    let clipped = ClientUpdate::defended(&model, &record, Defence::clipped(0.1), &lab()).unwrap();
    let steps = ClientUpdate::of_steps(&model, &record, 3, 0.1, &lab()).unwrap();
    for update in [clipped, steps] {
        let found = analytic_first_layer(&model, &update, &lab()).unwrap().unwrap();
        assert!(found.x().iter().zip(record.x()).all(|(a, b)| (a - b).abs() < 1e-2));
    }
    let two = ClientUpdate::gradient(&model, &digits.subset(&[1, 2]).unwrap(), &lab()).unwrap();
    assert!(analytic_first_layer(&model, &two, &lab()).unwrap().is_none());
    let conv = untrained(sigmoid_conv_net(&digits).unwrap(), &digits, &lab()).unwrap();
    let update = ClientUpdate::gradient(&conv, &record, &lab()).unwrap();
    assert!(analytic_first_layer(&conv, &update, &lab()).unwrap().is_none());
}

#[test]
fn all_three_methods_recover_a_digit_and_noise_stops_them() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[32], &digits), &digits, &lab()).unwrap();
    let record = digits.subset(&[4]).unwrap();
    for attack in [GradientLeakage::dlg(), GradientLeakage::idlg(), GradientLeakage::inverting().with_iterations(200)] {
        let open = attacked(&attack, &model, &record, Defence::None);
        // A search that noise has spoiled does not end; 50 steps say as much as 300.
        let noisy = attacked(&attack.clone().with_iterations(50), &model, &record, Defence::clipped(1.0).noised(1.0));
        assert!(open.psnr() > 20.0 && open.labels().hits == 1, "{}: {open:?}", attack.name());
        assert!(noisy.psnr() < 15.0, "{}: {noisy:?}", attack.name());
    }
}

#[test]
fn deep_leakage_recovers_a_digit_from_its_network_of_convolutions() {
    let digits = digits();
    let model = untrained(sigmoid_conv_net(&digits).unwrap(), &digits, &lab()).unwrap();
    let record = digits.subset(&[4]).unwrap();
    let update = ClientUpdate::gradient(&model, &record, &lab()).unwrap();
    let recovered = GradientLeakage::idlg().attack(&model, &update, &lab()).unwrap();
    let score = recovered.judge(&record).unwrap();
    assert!(score.psnr() > 20.0, "{score:?}");
}

#[test]
fn a_batch_of_several_is_paired_with_the_truth() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[64], &digits), &digits, &lab()).unwrap();
    let batch = digits.subset(&[0, 1, 2]).unwrap();
    let update = ClientUpdate::gradient(&model, &batch, &lab()).unwrap();
    let attack = GradientLeakage::idlg();
    let recovered = attack.attack(&model, &update, &lab()).unwrap();
    let score = recovered.judge_with_control(&batch, &digits.subset(&(100..400).collect::<Vec<_>>()).unwrap()).unwrap();
    // The records are found in whatever order the search left them.
    let control = score.mean(|r| r.nearest_public.map(|s| s.psnr)).unwrap();
    assert!(score.psnr() > control && score.labels().hits == 3, "{score:?} against {control}");
    let mut paired: Vec<usize> = score.records().iter().map(|r| r.paired_with).collect();
    paired.sort_unstable();
    assert_eq!(paired, [0, 1, 2]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_the_threads() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[16], &digits), &digits, &lab()).unwrap();
    let sweep = LeakageByNoise::new(GradientLeakage::inverting().with_iterations(20)).with_batches(3).with_noises(&[0.1]);
    let (client, public) = (digits.subset(&[0, 1, 2, 3, 4, 5]).unwrap(), digits.subset(&[10, 11, 12, 13, 14]).unwrap());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sweep.measure(&model, &client, Some(&public), &digits, &lab()).unwrap())
    };
    let (one, two) = (on(1), on(2));
    assert_eq!(serde_json::to_string(&one).unwrap(), serde_json::to_string(&two).unwrap());
    assert_eq!(one.frame().height(), 6);
    assert!(!one.bundle().png.is_empty());
}

#[test]
fn the_event_is_the_mechanism_and_its_epsilon_the_accountants() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[16], &digits), &digits, &lab()).unwrap();
    let batch = digits.subset(&[0, 1]).unwrap();
    let sent = |defence| ClientUpdate::defended(&model, &batch, defence, &lab()).unwrap();
    assert_eq!(sent(Defence::clipped(1.0)).event(), &Event::NonPrivate);
    assert_eq!(sent(Defence::clipped(1.0).noised(0.7)).event(), &Event::gaussian(0.7).unwrap());
    let sweep = LeakageByNoise::new(GradientLeakage::idlg().with_iterations(2)).with_batches(2).with_noises(&[0.7]);
    let report = sweep.measure(&model, &batch, None, &digits, &lab()).unwrap();
    let expected = Event::gaussian(0.7).unwrap().epsilon(1e-5).unwrap().value;
    assert_eq!(report.rows().iter().map(|row| row.epsilon).collect::<Vec<f64>>(), [f64::INFINITY, f64::INFINITY, expected]);
}

#[test]
fn clipping_bounds_every_record_and_noise_has_the_deviation_of_its_multiplier() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[32], &digits), &digits, &lab()).unwrap();
    let length = |parts: &[Vec<f32>]| parts.iter().flatten().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let four = digits.subset(&[0, 1, 2, 3]).unwrap();
    let plain = ClientUpdate::gradient(&model, &four, &lab()).unwrap();
    // A clip that no record reaches changes nothing; a small one leaves a mean of at most its length.
    let wide = ClientUpdate::defended(&model, &four, Defence::clipped(1e3), &lab()).unwrap();
    for (a, b) in plain.parts().iter().flatten().zip(wide.parts().iter().flatten()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let narrow = ClientUpdate::defended(&model, &four, Defence::clipped(0.01), &lab()).unwrap();
    assert!(length(narrow.parts()) <= 0.01);
    let noisy = ClientUpdate::defended(&model, &four, Defence::clipped(0.01).noised(2.0), &lab()).unwrap();
    let noise: Vec<f64> = noisy.parts().iter().flatten().zip(narrow.parts().iter().flatten()).map(|(a, b)| f64::from(a - b)).collect();
    // σ C / n; 2,410 values: a deviation of 1.4 %, five of those.
    let deviation = crate::stats::deviation(&noise);
    assert!((deviation / (2.0 * 0.01 / 4.0) - 1.0).abs() < 0.07, "{deviation}");
}

#[test]
fn one_local_step_is_the_gradient() {
    let digits = digits();
    let model = untrained(sigmoid_mlp(&[16], &digits), &digits, &lab()).unwrap();
    let batch = digits.subset(&[0, 1, 2]).unwrap();
    let gradient = ClientUpdate::gradient(&model, &batch, &lab()).unwrap();
    let step = ClientUpdate::of_steps(&model, &batch, 1, 1.0, &lab()).unwrap();
    for (a, b) in gradient.parts().iter().flatten().zip(step.parts().iter().flatten()) {
        assert!((a - b).abs() < 1e-6, "{a} {b}"); // a difference of weights of size 1 in 32 bits
    }
}

#[test]
fn what_does_not_fit_is_refused_with_a_remedy() {
    let (digits, toy) = (digits(), Dataset::toy());
    let model = untrained(sigmoid_mlp(&[16], &digits), &digits, &lab()).unwrap();
    let other = untrained(sigmoid_mlp(&[17], &digits), &digits, &lab()).unwrap();
    let batch = digits.subset(&[0, 1]).unwrap();
    let update = ClientUpdate::gradient(&model, &batch, &lab()).unwrap();
    let attack = GradientLeakage::idlg().with_iterations(1);
    let refused = |result: Result<Recovered>| result.unwrap_err().to_string();
    assert!(refused(attack.attack(&other, &update, &lab())).contains("the model that the client was sent"));
    assert!(refused(attack.clone().with_iterations(0).attack(&model, &update, &lab())).contains("iterations is 0"));
    assert!(refused(attack.clone().with_total_variation(f64::NAN).attack(&model, &update, &lab())).contains("NaN"));
    let known = attack.clone().with_labels(LabelSource::Known(vec![1]));
    assert!(refused(known.attack(&model, &update, &lab())).contains("one label"));
    let mut json = serde_json::to_value(&update).unwrap();
    json["parts"][0][0] = serde_json::json!(1e300); // infinite in 32 bits
    let spoiled: ClientUpdate = serde_json::from_value(json).unwrap();
    assert!(matches!(attack.attack(&model, &spoiled, &lab()), Err(Error::Diverged { .. })));
    assert!(ClientUpdate::gradient(&model, &toy, &lab()).is_err());
    assert!(ClientUpdate::defended(&model, &batch, Defence::clipped(0.0), &lab()).unwrap_err().to_string().contains("clip is 0"));
    assert!(ClientUpdate::of_steps(&model, &batch, 0, 0.1, &lab()).is_err());
    let recovered = attack.attack(&model, &update, &lab()).unwrap();
    assert!(recovered.judge(&digits.subset(&[0]).unwrap()).unwrap_err().to_string().contains("a batch of 1"));
    let sweep = LeakageByNoise::new(attack).with_batch(9);
    assert!(sweep.measure(&model, &batch, None, &digits, &lab()).unwrap_err().to_string().contains("batch of 9 from 2"));
    let sweep = sweep.with_batch(1);
    assert!(sweep.measure(&model, &batch, None, &batch, &lab()).unwrap_err().to_string().contains("every public record"));
}

#[test]
fn tables_are_attacked_but_have_no_psnr() {
    let table = Dataset::toy_table();
    let ranges = vec![(-5.0, 5.0); table.features()];
    let table = table.with_public_normalization(crate::data::Normalization::of_ranges(&ranges).unwrap()).unwrap();
    let model = untrained(Arch::mlp(), &table, &lab()).unwrap();
    let record = table.subset(&[0]).unwrap();
    let update = ClientUpdate::gradient(&model, &record, &lab()).unwrap();
    let found = analytic_first_layer(&model, &update, &lab()).unwrap().unwrap();
    for (a, b) in found.x().iter().zip(record.x()) {
        assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{a} {b}");
    }
    let recovered = GradientLeakage::inverting().with_iterations(5).attack(&model, &update, &lab()).unwrap();
    assert!(recovered.judge(&record).unwrap_err().to_string().contains("column by column"));
}

#[test]
fn dropout_is_off_on_both_sides() {
    let digits = digits();
    let layers = vec![
        Layer::Flatten,
        Layer::Linear(Linear { inputs: 64, outputs: 16 }),
        Layer::Sigmoid,
        Layer::Dropout(Dropout { rate: 0.5 }),
        Layer::Linear(Linear { inputs: 16, outputs: 10 }),
    ];
    let model = untrained(Arch::Custom { layers }, &digits, &lab()).unwrap();
    let plain = untrained(sigmoid_mlp(&[16], &digits), &digits, &lab()).unwrap();
    let batch = digits.subset(&[0]).unwrap();
    let sent = |model| ClientUpdate::gradient(model, &batch, &lab()).unwrap();
    assert_eq!(sent(&model).parts(), sent(&plain).parts());
}

#[test]
fn equal_images_of_full_size_have_an_ssim_of_one() {
    let fashion = Dataset::fashion_mini().unwrap().train;
    let (a, b) = (fashion.subset(&[0]).unwrap(), fashion.subset(&[1]).unwrap());
    let (same, apart) = (Similarity::of(&a, &a).unwrap(), Similarity::of(&a, &b).unwrap());
    assert!(same.ssim == Some(1.0) && apart.ssim.is_some_and(|ssim| ssim < 0.9));
    // An error of a tenth everywhere is 20 dB.
    let flat = |value: f32| Dataset::images("flat", vec![value; 64], [1, 8, 8], vec![0], vec!["a".into()]).unwrap();
    assert!((Similarity::of(&flat(0.5), &flat(0.6)).unwrap().psnr - 20.0).abs() < 1e-4);
}
