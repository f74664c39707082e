use super::*;
use crate::Device;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

const SHAPE: [usize; 3] = [3, 9, 7];

fn rng(index: u64) -> Rng {
    Lab::on(Device::Cpu).unwrap().rng("test", index)
}

fn values(count: usize, index: u64) -> Vec<f32> {
    let mut rng = rng(1000 + index);
    (0..count).map(|_| StandardNormal.sample(&mut rng)).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// `tests/golden/augment/dsa.json`: the operations as PyTorch and numpy compute them.
fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/augment/dsa.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(tensor: &Value) -> Vec<f32> {
    tensor["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn shape_of(tensor: &Value) -> [usize; 3] {
    serde_json::from_value(tensor["shape"].clone()).unwrap()
}

/// The golden values have two digits before the point and are doubles; 1e-5 is what single precision leaves of them.
fn assert_close(ours: &[f32], golden: &[f32], what: &str) {
    assert_eq!(ours.len(), golden.len());
    let worst = ours.iter().zip(golden).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-5, "{what}: {worst}");
}

#[test]
fn every_operation_and_its_gradient_agree_with_pytorch() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 28);
    for case in cases {
        let image = &golden["images"][case["image"].as_u64().unwrap() as usize];
        let draw = Draw::new(vec![Parameters::deserialize(case).unwrap()], shape_of(image));
        let what = format!("{} {}", case["operation"], case["parameters"]);
        assert_close(&draw.apply(&floats(image)), &floats(&case["output"]), &what);
        assert_close(&draw.adjoint(&floats(&case["upstream"])), &floats(&case["input_gradient"]), &what);
    }
}

#[test]
fn operations_in_a_row_and_their_mean_agree_with_pytorch() {
    let golden = golden();
    for chain in golden["chains"].as_array().unwrap() {
        let image = &golden["images"][chain["image"].as_u64().unwrap() as usize];
        let mut mean = vec![0.0; floats(image).len()];
        let draws = chain["draws"].as_array().unwrap();
        for (draw, expected) in draws.iter().zip(chain["output_per_draw"].as_array().unwrap()) {
            let parameters = draw.as_array().unwrap().iter().map(|p| Parameters::deserialize(p).unwrap()).collect();
            let output = Draw::new(parameters, shape_of(image)).apply(&floats(image));
            assert_close(&output, &floats(expected), "chain");
            mean.iter_mut().zip(output).for_each(|(m, v)| *m += v / draws.len() as f32);
        }
        assert_close(&mean, &floats(&chain["mean_of_draws"]), "mean of chains");
    }
}

#[test]
fn the_adjoint_is_the_transpose_of_the_linear_part() {
    for (i, shape) in [SHAPE, [1, 8, 8], [3, 1, 5], [2, 6, 4]].into_iter().enumerate() {
        let features = shape.iter().product();
        for strength in [0.5, 1.0, 4.0, 10.0] {
            let augment = Augment::dsa().with_choice(Choice::All).with_strength(strength);
            for n in 0..20 {
                let draw = augment.draw(shape, &mut rng(n));
                let (x, y) = (values(features, n + 100 * i as u64), values(features, n + 50));
                let left = dot(&draw.apply(&x), &y) - dot(&draw.apply(&vec![0.0; features]), &y);
                let right = dot(&x, &draw.adjoint(&y));
                // Sums of up to 189 products of single precision, with factors up to (1 + strength)².
                assert!((left - right).abs() < 1e-3 * (1.0 + strength).powi(2), "{shape:?} {strength} {n}: {left} {right}");
            }
        }
    }
}

#[test]
fn every_operation_has_an_effect_on_an_image_and_on_nothing_outside_of_it() {
    for operation in Operation::ALL {
        let augment = Augment::dsa().with_operations(&[operation]);
        let x = values(189, 1);
        let changed = (0..10).any(|n| augment.draw(SHAPE, &mut rng(n)).apply(&x) != x);
        assert!(changed, "{}", operation.name());
        // A black image (0 is the mean) stays black, but for its brightness.
        let black = augment.draw(SHAPE, &mut rng(3)).apply(&[0.0; 189]);
        assert_eq!(operation == Operation::Color, black.iter().any(|&v| v != 0.0), "{}", operation.name());
    }
}

/// Minimum and maximum of one parameter in 4,000 draws of one operation.
fn range(operation: Operation, strength: f64, name: &str) -> (f64, f64) {
    let mut rng = rng(7);
    let parameters = (0..4000).map(|_| Parameters::draw(operation, strength, [3, 28, 15], &mut rng));
    let drawn = parameters.map(|p| serde_json::to_value(p).unwrap()["parameters"][name].as_f64().unwrap());
    drawn.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// 4,000 uniform draws come within 1/200 of both ends, but for a chance of 1e-8.
fn assert_range(found: (f64, f64), expected: (f64, f64), what: &str) {
    let near = (expected.1 - expected.0) / 200.0;
    let inside = found.0 >= expected.0 - 1e-12 && found.1 <= expected.1 + 1e-12;
    assert!(inside && found.0 - expected.0 <= near && expected.1 - found.1 <= near, "{what}: {found:?} for {expected:?}");
}

#[test]
fn parameters_come_from_the_ranges_of_the_reference() {
    assert_range(range(Operation::Color, 1.0, "brightness"), (-0.5, 0.5), "brightness");
    assert_range(range(Operation::Color, 1.0, "saturation"), (0.0, 2.0), "saturation");
    assert_range(range(Operation::Color, 1.0, "contrast"), (0.5, 1.5), "contrast");
    // int(0.125 * 28 + 0.5) = 4 and int(0.125 * 15 + 0.5) = 2; both ends are drawn.
    assert_eq!(range(Operation::Crop, 1.0, "dy"), (-4.0, 4.0));
    assert_eq!(range(Operation::Crop, 1.0, "dx"), (-2.0, 2.0));
    // Half of 28 is 14, even, so the centre may lie one past the end; int(7.5 + 0.5) = 8 of 15.
    assert_eq!(range(Operation::Cutout, 1.0, "side_y"), (14.0, 14.0));
    assert_eq!(range(Operation::Cutout, 1.0, "side_x"), (8.0, 8.0));
    assert_eq!(range(Operation::Cutout, 1.0, "cy"), (0.0, 28.0));
    assert_eq!(range(Operation::Cutout, 1.0, "cx"), (0.0, 15.0));
    assert_range(range(Operation::Scale, 1.0, "sx"), (1.0 / 1.2, 1.2), "sx");
    assert_range(range(Operation::Scale, 1.0, "sy"), (1.0 / 1.2, 1.2), "sy");
    assert_range(range(Operation::Rotate, 1.0, "degrees"), (-15.0, 15.0), "degrees");
    let flips = (0..4000).filter(|&n| Parameters::draw(Operation::Flip, 1.0, SHAPE, &mut rng(n)) == Parameters::Flip { flip: true });
    let share = flips.count() as f64 / 4000.0;
    assert!((share - 0.5).abs() < 0.04, "five deviations of a fair coin: {share}");
}

#[test]
fn strength_multiplies_the_ranges_and_never_turns_an_image_into_its_negative() {
    assert_range(range(Operation::Color, 3.0, "brightness"), (-1.5, 1.5), "brightness");
    let (low, high) = range(Operation::Color, 3.0, "saturation");
    assert!(low == 0.0 && high > 3.9 && high <= 4.0, "{low} {high}");
    assert_range(range(Operation::Color, 0.5, "saturation"), (0.5, 1.5), "saturation");
    assert_range(range(Operation::Color, 2.0, "contrast"), (0.0, 2.0), "contrast");
    assert_eq!(range(Operation::Crop, 2.0, "dy"), (-7.0, 7.0));
    assert_eq!(range(Operation::Cutout, 9.0, "side_y"), (28.0, 28.0));
    assert_range(range(Operation::Scale, 2.0, "sx"), (1.0 / 1.4, 1.4), "sx");
    assert_range(range(Operation::Rotate, 2.0, "degrees"), (-30.0, 30.0), "degrees");
    let still = Augment::digits().with_choice(Choice::All).with_strength(0.0).draw(SHAPE, &mut rng(0));
    let x = values(189, 0);
    assert_close(&still.apply(&x), &x, "strength 0 changes nothing");
}

/// The kinds of operations that 200 draws take.
fn drawn(augment: &Augment) -> BTreeSet<Vec<&'static str>> {
    let mut rng = rng(5);
    (0..200).map(|_| augment.chosen(&mut rng).into_iter().map(Operation::name).collect()).collect()
}

#[test]
fn one_operation_or_all_in_their_order_are_drawn_and_digits_are_never_mirrored() {
    assert_eq!(drawn(&Augment::dsa()), Operation::ALL.iter().map(|o| vec![o.name()]).collect());
    assert!(drawn(&Augment::digits()).iter().all(|names| names.len() == 1 && names[0] != "flip"));
    assert_eq!(drawn(&Augment::digits()).len(), 5);
    let all = Augment::dsa().with_operations(&[Operation::Rotate, Operation::Color]).with_choice(Choice::All);
    assert_eq!(drawn(&all), BTreeSet::from([vec!["color", "rotate"]]));
}

#[test]
fn siamese_batches_share_one_draw_and_independent_ones_have_one_per_record() {
    let image = values(189, 2);
    let batch = |n: usize| image.repeat(n);
    let distinct = |x: &[f32]| x.chunks(189).map(|row| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>()).collect::<BTreeSet<_>>().len();
    let augment = Augment::dsa().with_choice(Choice::All);
    let [real, synthetic] = augment.pair(SHAPE, [5, 3], &mut rng(1));
    let (on_real, on_synthetic) = (real.apply(&batch(5)), synthetic.apply(&batch(3)));
    assert_eq!(distinct(&[on_real.clone(), on_synthetic].concat()), 1);
    assert_eq!(on_real[..189], augment.draw(SHAPE, &mut rng(1)).apply(&image), "one draw and a batch of it agree");
    let [real, synthetic] = augment.with_pairing(Pairing::Independent).pair(SHAPE, [5, 3], &mut rng(1));
    let (on_real, on_synthetic) = (real.apply(&batch(5)), synthetic.apply(&batch(3)));
    assert_eq!(distinct(&[on_real, on_synthetic].concat()), 8);
    let (x, y) = (values(3 * 189, 3), values(3 * 189, 4));
    let left = dot(&synthetic.apply(&x), &y) - dot(&synthetic.apply(&vec![0.0; 3 * 189]), &y);
    assert!((left - dot(&x, &synthetic.adjoint(&y))).abs() < 1e-3, "the transpose uses each record's own draw");
}

#[test]
fn the_same_seed_gives_the_same_augmented_set_and_keeps_what_belongs_to_it() {
    let toy = Dataset::toy().with_soft_labels(vec![0.25; 480]).unwrap();
    let lab = Lab::on(Device::Cpu).unwrap();
    let augment = Augment::dsa().with_choice(Choice::All).with_pairing(Pairing::Independent);
    let of = |seed: u64| augment.augment(&toy, &lab.clone().seed(seed)).unwrap();
    assert_eq!(of(1).digest(), of(1).digest());
    assert_ne!(of(1).digest(), of(2).digest());
    assert_eq!((of(1).labels(), of(1).normalization(), of(1).soft_labels()), (toy.labels(), toy.normalization(), toy.soft_labels()));
    assert_eq!((of(1).origin(), of(1).name()), (toy.origin(), "toy, augmented"));
}

#[test]
fn an_augmentation_survives_serde_and_what_cannot_work_is_named() {
    let augment = Augment::digits().with_strength(2.0);
    let text = serde_json::to_string(&augment).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&text).unwrap(), augment);
    let message = |augment: Augment| augment.check(SHAPE).unwrap_err().to_string();
    assert!(message(Augment::dsa().with_operations(&[])).contains("0 operations"));
    assert!(message(Augment::dsa().with_operations(&[Operation::Flip, Operation::Flip])).contains("flip named twice"));
    assert!(message(Augment::dsa().with_strength(-1.0)).contains("strength is -1"));
    assert!(message(Augment::dsa().with_strength(f64::NAN)).contains("strength is NaN"));
    let table = Augment::dsa().augment(&Dataset::toy_table(), &Lab::on(Device::Cpu).unwrap()).unwrap_err().to_string();
    assert!(table.contains("a table") && table.contains("[5, 1, 1]"), "{table}");
}

#[test]
fn a_gallery_shows_the_records_and_one_row_for_each_operation() {
    let lab = Lab::on(Device::Cpu).unwrap();
    let gallery = format!("{:?}", Augment::dsa().with_choice(Choice::All).gallery(&Dataset::toy(), &lab).unwrap());
    assert!(gallery.contains("64 grey images of 8 x 8 pixels in 8 rows: as it is, color, crop"), "{gallery}");
    assert!(gallery.contains("rotate, all in turn"), "{gallery}");
    assert!(format!("{:?}", Augment::digits().gallery(&Dataset::toy(), &lab).unwrap()).contains("48 grey"));
    let labels: Vec<u32> = one_class_after_the_other(&Dataset::toy(), 6).into_iter().map(|i| Dataset::toy().labels()[i]).collect();
    assert_eq!(labels, [0, 1, 2, 3, 0, 1]);
}
