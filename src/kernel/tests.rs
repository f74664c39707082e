use super::*;
use serde_json::Value;
use std::f64::consts::PI;

fn numbers(value: &Value) -> Vec<f64> {
    value["data"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kip/fc_ntk.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn kernel(depth: usize) -> TangentKernel {
    TangentKernel { depth, weight_variance: 2.0, bias_variance: 0.01 }
}

/// The recursion as the module states it, for one pair.
fn direct(kernel: TangentKernel, x: &[f64], y: &[f64]) -> f64 {
    let TangentKernel { depth, weight_variance: w, bias_variance: b } = kernel;
    let first = |x: &[f64], y: &[f64]| w * x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / x.len() as f64 + b;
    let (mut xx, mut yy, mut s) = (first(x, x), first(y, y), first(x, y));
    let mut t = s;
    for _ in 0..depth {
        let r = (xx * yy).sqrt();
        let angle = (s / r).clamp(-1.0, 1.0).acos();
        s = w * r * (angle.sin() + (PI - angle) * angle.cos()) / (2.0 * PI) + b;
        t = s + w * (PI - angle) / (2.0 * PI) * t;
        (xx, yy) = (w * xx / 2.0 + b, w * yy / 2.0 + b);
    }
    t
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{found} instead of {expected}");
    }
}

#[test]
fn golden_kernels_are_reproduced() {
    let golden = golden();
    let support = Records::new(numbers(&golden["support"]), 5);
    let targets = Records::new(numbers(&golden["targets"]), 5);
    for case in golden["cases"].as_array().unwrap() {
        let columns = Columns::new(kernel(case["depth"].as_u64().unwrap() as usize), &support);
        // Both sides are f64 with some twenty roundings.
        assert_near(&columns.values(&targets), &numbers(&case["kernel_target_support"]), 1e-13);
        let own = numbers(&case["kernel_support_support"]);
        assert_near(&columns.own_values(&support), &own, 1e-13);
        assert_near(&Symmetric::of(&columns, &support).matrix(), &own, 1e-13);
    }
}

#[test]
fn published_rows_are_reproduced_at_depth_one_and_two() {
    // Checked by Monte Carlo with a network of width 400,000.
    let rows = [1.0, 0.0, 0.0, 0.0, 0.5, 0.5, -0.5, 0.5, -1.0, 2.0, 0.3, 0.0];
    let expected =
        [[1.03, 0.498_204_56, -0.013_424_79, 1.03, 0.572_722_84, 5.12], [1.56, 0.726_538_98, 0.455_128_91, 1.56, 1.006_784_21, 7.695]];
    for (depth, expected) in (1..).zip(expected) {
        let records = Records::new(rows, 4);
        let matrix = Columns::new(kernel(depth), &records).own_values(&records);
        let upper = [matrix[0], matrix[1], matrix[2], matrix[4], matrix[5], matrix[8]];
        assert_near(&upper, &expected, 6e-9); // eight decimals are published
    }
}

#[test]
fn any_depth_variance_and_width_agrees_with_the_recursion() {
    let values: Vec<f64> = (0..300 * 37).map(|i| ((i * 7919 + 13) % 1009) as f64 / 300.0 - 1.6).collect();
    for (depth, weight_variance, bias_variance) in [(0, 2.0, 0.01), (1, 1.5, 0.0), (3, 2.0, 0.3), (7, 1.2, 0.1)] {
        let kernel = TangentKernel { depth, weight_variance, bias_variance };
        for width in [1, 7, 8, 37] {
            let (few, many) = (&values[..11 * width], &values[11 * width..(11 + 70) * width]);
            let columns = Columns::new(kernel, &Records::new(few.iter().copied(), width));
            let found = columns.values(&Records::new(many.iter().copied(), width));
            let expected: Vec<f64> = many.chunks(width).flat_map(|x| few.chunks(width).map(move |y| direct(kernel, x, y))).collect();
            // arccos amplifies a rounding of the cosine near ±1 to its square root, which only occurs in one dimension here.
            assert_near(&found, &expected, if width == 1 { 1e-7 } else { 1e-11 });
        }
    }
}

#[test]
fn slopes_are_the_derivatives_of_the_column() {
    let step = 1e-6;
    for depth in [0, 1, 2, 5] {
        let kernel = TangentKernel { depth, weight_variance: 1.7, bias_variance: 0.2 };
        let width = 3;
        let row = Records::new([0.4, -1.1, 0.8], width);
        let column = [-0.3, 0.9, 1.4];
        let block_at = |column: [f64; 3]| {
            let mut block = Block::default();
            Columns::new(kernel, &Records::new(column, width)).compare(&row.values, &mut block);
            block
        };
        let block = block_at(column);
        for k in 0..width {
            let at = |by: f64| {
                let mut moved = column;
                moved[k] += by;
                block_at(moved).value[0]
            };
            let numeric = (at(step) - at(-step)) / (2.0 * step);
            let scale = kernel.weight_variance / width as f64;
            let closed = scale * (block.slope[0] * row.values[k] + 2.0 * block.norm_slope[0] * column[k]);
            // Central differences with step 1e-6 keep nine digits.
            assert!((closed - numeric).abs() < 1e-8, "depth {depth}: {closed} instead of {numeric}");
        }
        // The diagonal is a function of its own norm only.
        let diagonal = |s: f64| kernel.diagonal(s).0;
        let numeric = (diagonal(1.3 + step) - diagonal(1.3 - step)) / (2.0 * step);
        assert!((kernel.diagonal(1.3).1 - numeric).abs() < 1e-8, "depth {depth}");
    }
}

#[test]
fn a_record_and_its_copy_have_the_value_of_the_diagonal_and_finite_slopes() {
    let record: Vec<f64> = (0..784).map(|i| ((i * 31) % 97) as f64 / 97.0 - 0.4).collect();
    let records = Records::new(record, 784);
    for depth in [1, 3] {
        let columns = Columns::new(kernel(depth), &records);
        let mut block = Block::default();
        columns.compare(&records.values, &mut block);
        let exact = columns.own_values(&records)[0];
        // 784 products summed in two orders.
        assert!((block.value[0] / exact - 1.0).abs() < 1e-13, "{} instead of {exact}", block.value[0]);
        // Half the way to the diagonal's derivative: there both arguments move.
        let (_, slope) = kernel(depth).diagonal(kernel(depth).norm(&records.values, 784));
        let together = block.slope[0] + 2.0 * block.norm_slope[0];
        assert!((together / slope - 1.0).abs() < 1e-13, "{together} instead of {slope}");
    }
}

#[test]
fn zero_records_without_bias_have_kernel_zero() {
    let kernel = TangentKernel { depth: 2, weight_variance: 2.0, bias_variance: 0.0 };
    let records = Records::new([0.0, 0.0, 1.0, 2.0], 2);
    let columns = Columns::new(kernel, &records);
    let own = Symmetric::of(&columns, &records);
    assert!(own.matrix()[..2].iter().all(|value| value.abs() < 1e-300), "{:?}", own.matrix());
    assert!(own.block.slope.iter().chain(&own.block.norm_slope).all(|slope| slope.is_finite()));
}
