//! Two tiny sets made by code, for documentation and tests: 120 pictures of bars and blobs, and 90 imaginary patients.

use super::{Column, Dataset, Normalization, Origin, Schema};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

const SIDE: usize = 8;
const PER_CLASS: usize = 30;
const PATIENTS: usize = 90;

impl Dataset {
    /// 120 images of 1×8×8 in four classes: a bar that lies, stands or leans, or a blob; place and brightness vary, and there
    /// is noise. The classes can be told apart, but not by one pixel. Always the same, whatever the lab's seed.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let toy = Dataset::toy();
    /// assert_eq!((toy.shape(), toy.per_class()), ([1, 8, 8], vec![30; 4]));
    /// ```
    #[must_use]
    pub fn toy() -> Self {
        // A lab's seed must not change the data under study, so the generator has a seed of its own.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let class_names = ["lying bar", "standing bar", "leaning bar", "blob"];
        let shape = [1, SIDE, SIDE];
        let (mut x, mut labels) = (vec![], vec![]);
        for i in 0..PER_CLASS * class_names.len() {
            let class = i % class_names.len();
            let (row, column) = (rng.random_range(1.5..5.5f32), rng.random_range(1.5..5.5f32));
            let brightness = rng.random_range(0.5..0.9f32);
            for at in 0..SIDE * SIDE {
                let (down, right) = ((at / SIDE) as f32 - row, (at % SIDE) as f32 - column);
                let distance = match class {
                    0 => down.abs(),
                    1 => right.abs(),
                    2 => (down - right).abs() * 0.7,
                    _ => (down * down + right * right).sqrt() * 0.6,
                };
                let ink = brightness * (1.5 - distance).clamp(0.0, 1.0);
                x.push((ink + rng.random_range(-0.25..0.25f32)).clamp(0.0, 1.0));
            }
            labels.push(class as u32);
        }
        Self {
            name: "toy".to_string(),
            normalization: Normalization::of_images(&x, shape),
            normalization_is_public: false,
            x: Arc::new(x),
            labels: Arc::new(labels),
            shape,
            class_names: class_names.map(String::from).to_vec(),
            schema: None,
            soft_labels: None,
            origin: Origin::real("toy"),
        }
    }

    /// A table of 90 records: the numbers `age` (years) and `dose` (mg), the category `ward`, and the outcome, which depends on
    /// all three. Always the same.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let table = Dataset::toy_table();
    /// assert_eq!((table.len(), table.features(), table.classes()), (90, 5, 2));
    /// ```
    #[must_use]
    pub fn toy_table() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let wards = ["north", "south", "west"];
        let ward = Column::Categorical { name: "ward".to_string(), levels: wards.map(String::from).to_vec() };
        let number = |name: &str| Column::Numeric { name: name.to_string() };
        let schema = Schema { columns: vec![number("age"), number("dose"), ward], label: "outcome".to_string() };
        let (mut x, mut labels) = (vec![], vec![]);
        for _ in 0..PATIENTS {
            let (age, dose) = (rng.random_range(18..90u32) as f32, rng.random_range(0..200u32) as f32 / 10.0);
            let ward = rng.random_range(0..wards.len());
            x.extend([age, dose]);
            x.extend((0..wards.len()).map(|i| if i == ward { 1.0 } else { 0.0 }));
            let risk = (age - 54.0) / 20.0 - (dose - 10.0) / 6.0 + ward as f32 - 1.0;
            labels.push(u32::from(risk + rng.random_range(-1.0..1.0f32) > 0.0));
        }
        Self {
            name: "toy table".to_string(),
            normalization: Normalization::of_table(&x, &schema),
            normalization_is_public: false,
            x: Arc::new(x),
            labels: Arc::new(labels),
            shape: [schema.width(), 1, 1],
            class_names: vec!["recovers".to_string(), "relapses".to_string()],
            schema: Some(schema),
            soft_labels: None,
            origin: Origin::real("toy table"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Share of records whose nearest other record (L2 after normalisation) has the same label.
    fn nearest_neighbour_accuracy(data: &Dataset) -> f64 {
        let (z, d) = (data.normalized(), data.features());
        let distance = |i: usize, j: usize| -> f32 { (0..d).map(|k| (z[i * d + k] - z[j * d + k]).powi(2)).sum() };
        let nearest = |i: usize| (0..data.len()).filter(|&j| j != i).min_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b))).unwrap();
        let right = (0..data.len()).filter(|&i| data.labels()[nearest(i)] == data.labels()[i]).count();
        right as f64 / data.len() as f64
    }

    fn as_checked(data: &Dataset) -> Dataset {
        let (x, labels, names) = (data.x().to_vec(), data.labels().to_vec(), data.class_names().to_vec());
        match data.schema() {
            Some(schema) => Dataset::table(data.name(), x, schema.clone(), labels, names).unwrap(),
            None => Dataset::images(data.name(), x, data.shape(), labels, names).unwrap(),
        }
    }

    #[test]
    fn both_sets_pass_the_checks_of_real_data() {
        for data in [Dataset::toy(), Dataset::toy_table()] {
            let checked = as_checked(&data);
            assert_eq!((checked.digest(), checked.normalization()), (data.digest(), data.normalization()));
            assert_eq!(data.distinct().len(), data.len());
        }
    }

    #[test]
    fn pictures_are_separable_but_no_single_pixel_suffices() {
        let toy = Dataset::toy();
        let accuracy = nearest_neighbour_accuracy(&toy);
        assert!((0.85..1.0).contains(&accuracy), "{accuracy}");
        assert!(toy.x().iter().all(|value| (0.0..=1.0).contains(value)));
    }

    #[test]
    fn outcomes_depend_on_the_columns_and_both_occur() {
        let table = Dataset::toy_table();
        let accuracy = nearest_neighbour_accuracy(&table);
        assert!((0.65..1.0).contains(&accuracy), "{accuracy}");
        assert!(table.per_class().iter().all(|&count| count >= 30), "{:?}", table.per_class());
    }

    #[test]
    fn they_are_the_same_on_every_machine() {
        assert_eq!(Dataset::toy().digest(), "976528761754d32d6910b5ed44ae75528b1aef3e3e2dd914353995785a2cb061");
        assert_eq!(Dataset::toy_table().digest(), "e2880997f16b17be22cb4a137864179ef2bce7c3490519ce2f4c1c8f71498056");
    }
}
