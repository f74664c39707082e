use super::*;

fn place() -> Place {
    Device::Cpu.open().unwrap()
}

fn product(a: &[f64], b: &[f64], d: usize) -> Vec<f64> {
    (0..d * d).map(|at| (0..d).map(|k| a[at / d * d + k] * b[k * d + at % d]).sum()).collect()
}

fn covariance(data: &Dataset) -> Vec<f64> {
    let d = data.features();
    let x = data.normalized();
    let rows: Vec<&[f32]> = x.chunks_exact(d).collect();
    let n = rows.len() as f64;
    let mean: Vec<f64> = (0..d).map(|j| rows.iter().map(|row| f64::from(row[j])).sum::<f64>() / n).collect();
    let entry = |i: usize, j: usize| rows.iter().map(|row| (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j])).sum::<f64>();
    (0..d * d).map(|at| entry(at / d, at % d) / (n - 1.0)).collect()
}

fn ridged(mut matrix: Vec<f64>, d: usize, epsilon: f64) -> Vec<f64> {
    matrix.iter_mut().step_by(d + 1).for_each(|v| *v += epsilon);
    matrix
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn identity(d: usize) -> Vec<f64> {
    (0..d * d).map(|at| if at % (d + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

/// 400 pictures of 2 x 2 pixels whose covariance has eigenvalues far above the ridge.
fn large() -> Dataset {
    use rand_distr::{Distribution, StandardNormal};
    let mut rng = crate::Lab::on(Device::Cpu).unwrap().rng("test", 0);
    let mixed = [[30.0, 0.0, 0.0, 0.0], [10.0, 25.0, 0.0, 0.0], [-5.0, 8.0, 40.0, 0.0], [20.0, -3.0, 6.0, 35.0]];
    let mut x = vec![];
    for _ in 0..400 {
        let z: Vec<f64> = (0..4).map(|_| StandardNormal.sample(&mut rng)).collect();
        x.extend(mixed.iter().map(|row| row.iter().zip(&z).map(|(m, z)| m * z).sum::<f64>() as f32));
    }
    let data = Dataset::images("large", x, [1, 2, 2], vec![0; 400], vec!["all".into()]).unwrap();
    data.with_normalization(Normalization::none(1))
}

#[test]
fn two_by_two_has_the_closed_form() {
    // [[2, 1], [1, 2]] has eigenvalues 3 and 1 with vectors (1, 1) and (1, -1): f(A) = [[f(3) + f(1), f(3) - f(1)], ..] / 2.
    let roots = Roots::of(vec![2.0, 1.0, 1.0, 2.0], 2, &place()).unwrap();
    let form = |f: fn(f64) -> f64| {
        let (same, other) = ((f(3.0) + f(1.0)) / 2.0, (f(3.0) - f(1.0)) / 2.0);
        vec![same, other, other, same]
    };
    // Quadratic convergence ends at the rounding of doubles.
    assert!(distance(&roots.root, &form(f64::sqrt)) < 1e-12);
    assert!(distance(&roots.inverse_root, &form(|v| 1.0 / v.sqrt())) < 1e-12);
}

#[test]
fn the_roots_of_an_ill_conditioned_matrix_are_found() {
    // diag(1e4, 1e-4) turned by 30 degrees: condition 1e8.
    let (s, c) = (0.5f64, 0.75f64.sqrt());
    let turned = |a: f64, b: f64| vec![c * c * a + s * s * b, c * s * (a - b), c * s * (a - b), s * s * a + c * c * b];
    let roots = Roots::of(turned(1e4, 1e-4), 2, &place()).unwrap();
    // 1e-16 times the condition, relative to the largest entry.
    assert!(distance(&roots.root, &turned(1e2, 1e-2)) < 1e-8 * 1e2);
    assert!(distance(&roots.inverse_root, &turned(1e-2, 1e2)) < 1e-7 * 1e2);
    // Twenty orders of magnitude do not fit into a double, and a singular matrix has no inverse.
    let message = Roots::of(turned(1e10, 1e-10), 2, &place()).err().unwrap().to_string();
    assert!(message.contains("larger epsilon"), "{message}");
    assert!(Roots::of(vec![1.0, 1.0, 1.0, 1.0], 2, &place()).is_err());
}

#[test]
fn mean_and_covariance_do_not_depend_on_the_chunks() {
    let toy = Dataset::toy();
    let x = toy.normalized();
    let (mean, whole) = mean_and_covariance(&x, 64, 1000, &place()).unwrap();
    let (_, parts) = mean_and_covariance(&x, 64, 7, &place()).unwrap();
    assert!(distance(&whole, &parts) < 1e-12 && distance(&whole, &covariance(&toy)) < 1e-12);
    let first = x.chunks_exact(64).map(|row| f64::from(row[0])).sum::<f64>() / 120.0;
    assert!((mean[0] - first).abs() < 1e-12);
}

#[test]
fn the_matrix_whitens_the_covariance_with_its_ridge() {
    let toy = Dataset::toy();
    let whitening = Whitening::fit(&toy).unwrap();
    let w: Vec<f64> = whitening.whiten.iter().map(|&v| f64::from(v)).collect();
    let back: Vec<f64> = whitening.unwhiten.iter().map(|&v| f64::from(v)).collect();
    let c = ridged(covariance(&toy), 64, 0.1);
    let white = product(&product(&w, &c, 64), &w, 64);
    // W is kept in single precision, and 64 products are summed.
    assert!(distance(&white, &identity(64)) < 1e-5, "{}", distance(&white, &identity(64)));
    assert!(distance(&product(&back, &back, 64), &c) < 1e-4);
    assert!(distance(&product(&w, &back, 64), &identity(64)) < 1e-5);
}

#[test]
fn whitened_records_are_uncorrelated_where_the_variance_is_far_above_the_ridge() {
    let data = large();
    let whitened = Whitening::fit(&data).unwrap().apply(&data).unwrap();
    // The smallest variance is about 600, so the ridge of 0.1 changes 2e-4; without whitening the entries are of that size.
    assert!(distance(&covariance(&whitened), &identity(4)) < 1e-3);
    assert!(covariance(&data)[0] > 600.0);
}

#[test]
fn the_whitening_of_all_is_the_one_nearest_to_the_records() {
    // ZCA, unlike PCA whitening, is symmetric: it turns nothing.
    let whitening = Whitening::fit(&large()).unwrap();
    let turned: Vec<f32> = (0..16).map(|at| whitening.whiten[at % 4 * 4 + at / 4]).collect();
    assert!(turned.iter().zip(whitening.whiten.iter()).all(|(a, b)| (a - b).abs() < 1e-7));
    assert!((0..4).all(|i| whitening.whiten[5 * i] > 0.0));
}

#[test]
fn inverting_gives_the_records_back_also_those_not_fitted() {
    let toy = Dataset::toy();
    let half: Vec<usize> = (0..60).collect();
    let whitening = Whitening::fit(&toy.subset(&half).unwrap()).unwrap();
    let whitened = whitening.apply(&toy).unwrap();
    assert_eq!(whitened.normalized(), whitened.x(), "networks see the whitened values");
    let back = whitening.invert(&whitened).unwrap();
    // Single precision times a condition of about 10.
    assert!(back.x().iter().zip(toy.x()).all(|(a, b)| (a - b).abs() < 1e-5));
    assert_eq!((back.labels(), back.normalization()), (toy.labels(), toy.subset(&half).unwrap().normalization()));
}

#[test]
fn a_fitted_whitening_survives_being_written() {
    let whitening = Whitening::fit(&large()).unwrap();
    let text = serde_json::to_string(&whitening).unwrap();
    assert_eq!(serde_json::from_str::<Whitening>(&text).unwrap(), whitening);
    assert_eq!(format!("{whitening:?}"), "Whitening(records of [1, 2, 2], epsilon 0.1)");
}

#[test]
fn what_cannot_be_whitened_is_named() {
    let toy = Dataset::toy();
    let message = |result: Result<Whitening>| result.unwrap_err().to_string();
    assert!(message(Whitening::fit_with_epsilon(&toy, 0.0)).contains("epsilon is 0"));
    assert!(message(Whitening::fit_with_epsilon(&toy, f64::NAN)).contains("epsilon is NaN"));
    assert!(message(Whitening::fit(&toy.subset(&[0]).unwrap())).contains("at least two"));
    assert!(message(Whitening::fit(&Dataset::toy_table())).contains("categories"));
    let whitening = Whitening::fit(&toy).unwrap();
    assert!(whitening.apply(&large()).unwrap_err().to_string().contains("same shape"));
    assert!(whitening.invert(&toy).unwrap_err().to_string().contains("not whitened"));
}

#[test]
#[ignore = "seconds: the size of MNIST"]
fn whitening_at_the_size_of_mnist_can_be_undone() {
    let data = Dataset::fashion_mini().unwrap().train;
    let whitening = Whitening::fit(&data).unwrap();
    let back = whitening.invert(&whitening.apply(&data).unwrap()).unwrap();
    let error = back.x().iter().zip(data.x()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error < 1e-3, "{error}");
}
