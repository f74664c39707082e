//! Small real sets inside the library, so that a first notebook needs neither files nor a network. `data/README.md` has their
//! sources and licences.

use super::{Dataset, Split, gzip, idx, table};
use crate::Result;

pub(super) const FASHION: [&str; 10] =
    ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Of each class of a set without a split of its own, the share of records that go to the test set: 1 in this many.
const TEST_EVERY: usize = 4;

/// A file of the repository's `data` folder: its name there and its bytes, which may be gzipped.
struct Included(&'static str, &'static [u8]);

macro_rules! included {
    ($file:literal) => {
        Included($file, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/", $file)))
    };
}

impl Dataset {
    /// The first 500 training and 100 test images of each class of Fashion-MNIST: 5,000 and 1,000 images of 1×28×28.
    ///
    /// # Errors
    /// None in a sound build: the files are part of the library.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let fashion = Dataset::fashion_mini()?;
    /// assert_eq!((fashion.train.len(), fashion.test.len(), fashion.train.shape()), (5000, 1000, [1, 28, 28]));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn fashion_mini() -> Result<Split> {
        let train_images = included!("fashion-mnist-mini/train-images-idx3-ubyte.gz");
        let train_labels = included!("fashion-mnist-mini/train-labels-idx1-ubyte.gz");
        let test_images = included!("fashion-mnist-mini/t10k-images-idx3-ubyte.gz");
        let test_labels = included!("fashion-mnist-mini/t10k-labels-idx1-ubyte.gz");
        let train = images("Fashion-MNIST mini", train_images, train_labels, 255.0, &FASHION)?;
        let test = images("Fashion-MNIST mini test", test_images, test_labels, 255.0, &FASHION)?;
        Ok(Split::under_train_normalization(train, test))
    }

    /// Handwritten digits of the UCI set optdigits: 3,823 and 1,797 images of 1×8×8, written by different people. The file's
    /// values 0..16 become 0..1.
    ///
    /// # Errors
    /// None in a sound build: the files are part of the library.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let digits = Dataset::digits()?;
    /// assert_eq!((digits.train.len(), digits.test.len(), digits.train.shape()), (3823, 1797, [1, 8, 8]));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn digits() -> Result<Split> {
        let train_images = included!("digits/optdigits-train-images-idx3-ubyte.gz");
        let train_labels = included!("digits/optdigits-train-labels-idx1-ubyte.gz");
        let test_images = included!("digits/optdigits-test-images-idx3-ubyte.gz");
        let test_labels = included!("digits/optdigits-test-labels-idx1-ubyte.gz");
        let train = images("digits", train_images, train_labels, 16.0, &DIGITS)?;
        let test = images("digits test", test_images, test_labels, 16.0, &DIGITS)?;
        Ok(Split::under_train_normalization(train, test))
    }

    /// The UCI census table Adult: 32,561 and 16,281 people with 6 numeric and 8 categorical columns; the label is whether the
    /// income exceeds 50,000 dollars a year. A missing value, `?`, is a level of its own.
    ///
    /// The encoding is fitted on the training table. The records are those of the files: 25 of train and 6 of test repeat the
    /// columns of an earlier one, and 26 of test occur in train (with the same label: 24, 5 and 23). So before a membership
    /// experiment use [`Dataset::distinct`] and `test.without(&[&train])`; [`Dataset::members`] drops duplicates itself.
    ///
    /// # Errors
    /// None in a sound build: the files are part of the library.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let adult = Dataset::adult()?;
    /// assert_eq!((adult.train.len(), adult.test.len()), (32_561, 16_281));
    /// assert_eq!(adult.train.class_names(), ["<=50K", ">50K"]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn adult() -> Result<Split> {
        let Included(train_file, train_bytes) = included!("tabular/adult-train.csv.gz");
        let Included(test_file, test_bytes) = included!("tabular/adult-test.csv.gz");
        let train = table::from_csv_bytes(train_file, &gzip::unpack(train_file, train_bytes.to_vec())?, "income")?;
        let test = table::encode_csv_bytes(&train, test_file, &gzip::unpack(test_file, test_bytes.to_vec())?)?;
        Ok(Split { train: train.named("Adult"), test: test.named("Adult test") })
    }

    /// The diagnostic breast cancer table of Wisconsin: 569 tumours with 30 measurements each, class 0 malignant, 1 benign.
    ///
    /// The file has no split. Here the 4th, 8th, .. record of each class, in file order, goes to the test set: 427 and 142
    /// records with the same share of both classes.
    ///
    /// # Errors
    /// None in a sound build: the file is part of the library.
    ///
    /// # Example
    /// ```
    /// use freelunch::Dataset;
    /// let tumours = Dataset::breast_cancer()?;
    /// assert_eq!((tumours.train.per_class(), tumours.test.per_class()), (vec![159, 268], vec![53, 89]));
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn breast_cancer() -> Result<Split> {
        let Included(file, bytes) = included!("tabular/breast-cancer-wdbc.csv.gz");
        let all = table::from_csv_bytes(file, &gzip::unpack(file, bytes.to_vec())?, "target")?;
        let all = all.named("breast cancer").with_class_names(["malignant", "benign"])?;
        let mut seen = vec![0; all.classes()];
        let (mut train, mut test) = (vec![], vec![]);
        for (i, &label) in all.labels().iter().enumerate() {
            let Some(count) = seen.get_mut(label as usize) else { continue };
            *count += 1;
            if *count % TEST_EVERY == 0 { test.push(i) } else { train.push(i) }
        }
        let test = all.subset(&test)?.named("breast cancer test");
        Ok(Split::under_train_normalization(all.subset(&train)?.renormalized(), test))
    }

    /// The set under the normalisation of its own records: a subset keeps that of the whole.
    fn renormalized(self) -> Self {
        let normalization = match &self.schema {
            Some(schema) => super::Normalization::of_table(&self.x, schema),
            None => super::Normalization::of_images(&self.x, self.shape),
        };
        self.with_normalization(normalization)
    }
}

impl Split {
    /// A model normalises what it is tested on as it did what it was trained on.
    pub(super) fn under_train_normalization(train: Dataset, test: Dataset) -> Self {
        let test = test.with_normalization(train.normalization().clone());
        Self { train, test }
    }
}

fn images(name: &str, images: Included, labels: Included, largest: f32, class_names: &[&str]) -> Result<Dataset> {
    let pixels = gzip::unpack(images.0, images.1.to_vec())?;
    let classes = gzip::unpack(labels.0, labels.1.to_vec())?;
    idx::decode(name, (images.0, &pixels), (labels.0, &classes), largest)?.with_class_names(class_names.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Column;
    use sha2::{Digest, Sha256};

    #[test]
    fn files_are_those_of_the_checksum_list() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let list = std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
        assert_eq!(list.lines().count(), 11);
        for line in list.lines() {
            let (sum, file) = line.split_once("  ").unwrap();
            let content = std::fs::read(folder.join(file)).unwrap();
            let found: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, sum, "{file}");
        }
    }

    #[test]
    fn fashion_has_500_and_100_of_each_class() {
        let Split { train, test } = Dataset::fashion_mini().unwrap();
        assert_eq!((train.per_class(), test.per_class()), (vec![500; 10], vec![100; 10]));
        // The full training set has mean 0.2860 and deviation 0.3530.
        assert!((train.normalization().mean[0] - 0.2860).abs() < 0.01 && (train.normalization().std[0] - 0.3530).abs() < 0.01);
        assert_eq!((train.normalization(), test.class_names()[9].as_str()), (test.normalization(), "Ankle boot"));
        assert_eq!(train.labels()[..5], [9, 0, 0, 3, 0]);
    }

    #[test]
    fn digits_use_the_whole_range() {
        let Split { train, test } = Dataset::digits().unwrap();
        let range = |data: &Dataset| data.x().iter().fold((1f32, 0f32), |(low, high), &v| (low.min(v), high.max(v)));
        assert_eq!((range(&train), range(&test)), ((0.0, 1.0), (0.0, 1.0)));
        // The counts that the set's own description gives.
        assert_eq!(train.per_class(), [376, 389, 380, 389, 387, 376, 377, 387, 380, 382]);
        assert_eq!(test.per_class(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        train.same_kind(&test).unwrap();
    }

    #[test]
    fn adult_has_its_published_counts_and_duplicates() {
        let Split { train, test } = Dataset::adult().unwrap();
        // 7,841 and 3,846 people earn more than 50,000 dollars.
        assert_eq!((train.per_class(), test.per_class()), (vec![24_720, 7_841], vec![12_435, 3_846]));
        let schema = train.schema().unwrap();
        assert_eq!(schema.columns.iter().filter(|column| matches!(column, Column::Numeric { .. })).count(), 6);
        assert_eq!((schema.columns.len(), schema.width()), (14, 6 + 102));
        assert_eq!((train.schema(), train.normalization()), (test.schema(), test.normalization()));
        let workclass = schema.columns.iter().find(|column| column.name() == "workclass").unwrap();
        assert!(matches!(workclass, Column::Categorical { levels, .. } if levels.contains(&"?".to_string())));
        // Counted in the text of the files, without the label.
        assert_eq!((train.len() - train.distinct().len(), test.len() - test.distinct().len()), (25, 6));
        assert_eq!(test.distinct().len() - test.without(&[&train]).len(), 26);
        let frame = train.frame().unwrap();
        assert_eq!(frame.column("native_country").unwrap().str().unwrap().get(0), Some("United-States"));
        assert_eq!(frame.column("age").unwrap().f32().unwrap().get(0), Some(39.0));
    }

    #[test]
    fn breast_cancer_is_split_by_class_and_normalised_by_train() {
        let Split { train, test } = Dataset::breast_cancer().unwrap();
        assert_eq!((train.len() + test.len(), train.features()), (569, 30));
        assert_eq!(test.without(&[&train]).len(), test.len());
        let z = train.normalized();
        let mean = z.iter().step_by(30).map(|&v| f64::from(v)).sum::<f64>() / train.len() as f64;
        assert!(mean.abs() < 1e-5, "{mean}");
        assert_eq!(train.normalization(), test.normalization());
        // Malignant tumours are larger: the classes are named the right way round.
        let radius = |class| train.of_class(class).iter().map(|&i| train.record(i)[0]).sum::<f32>() / train.of_class(class).len() as f32;
        assert!(radius(0) > 17.0 && radius(1) < 13.0);
    }
}
