use super::super::provenance::restored;
use super::super::provenance::tests::{assert_same, released, scratch};
use super::*;

/// Colour images of 8 bits in three classes whose names are no file names in order.
fn colour() -> Dataset {
    let names = ["T-shirt/top", "bag", "ankle boot"].map(String::from).to_vec();
    let x = (0..4 * 3 * 2 * 5).map(|i| (i * 7 % 256) as f32 / 255.0).collect();
    Dataset::images("clothes", x, [3, 2, 5], vec![2, 0, 1, 0], names).unwrap()
}

#[test]
fn images_of_eight_bits_come_back_to_the_byte_class_by_class() {
    let folder = scratch("png");
    let (data, path) = (colour(), folder.join("set"));
    assert_eq!(data.save_images(&path).unwrap(), 0.0);
    let read = restored(&path, Dataset::from_folder(&path).unwrap()).unwrap();
    assert_same(&read, &data.subset(&[1, 3, 2, 0]).unwrap());
    assert_eq!(data.save_images(&path).unwrap(), 0.0); // again, over itself
    assert!(data.subset(&[0, 1, 2]).unwrap().save_images(&path).unwrap_err().to_string().contains("holds 0-t-shirt-top/"));
    let plain = Dataset::toy();
    plain.save_images(folder.join("toy")).unwrap();
    std::fs::remove_file(folder.join("toy.json")).unwrap();
    assert_eq!(Dataset::from_folder(folder.join("toy")).unwrap().per_class(), plain.per_class());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn synthetic_images_are_rounded_and_keep_event_start_records_and_soft_labels() {
    let folder = scratch("rounded");
    let data = released().subset(&[4, 0, 1, 2, 3, 5, 6, 7]).unwrap();
    let change = data.save_images(folder.join("set")).unwrap();
    assert!(change > 0.0 && change <= 0.5 / 255.0 + 1e-6, "{change}"); // half a step, and rounding of f32
    let read = restored(&folder.join("set"), Dataset::from_folder(folder.join("set")).unwrap()).unwrap();
    assert_eq!((read.event(), read.origin().started_from[4].as_slice()), (data.event(), &[4][..]));
    assert_eq!(read.soft_labels().unwrap()[4 * 4..5 * 4], data.soft_labels().unwrap()[..4]);
    assert_eq!(data.save_idx(&folder, "set").unwrap(), change);
    let files = ["set-images-idx3-ubyte.gz", "set-labels-idx1-ubyte.gz"].map(|file| folder.join(file));
    let read = restored(&files[0], Dataset::from_idx(&files[0], &files[1]).unwrap()).unwrap();
    assert_eq!((read.event(), read.labels(), read.name()), (data.event(), data.labels(), data.name()));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn parquet_keeps_images_and_tables_with_classes_and_levels_that_do_not_occur() {
    let folder = scratch("parquet");
    let path = folder.join("set.parquet");
    let table = Dataset::toy_table();
    let label = table.schema().unwrap().label.clone();
    let first = table.subset(&table.of_class(1)[..2]).unwrap();
    for (data, label) in [(released(), "class"), (colour(), "class"), (table, label.as_str()), (first, label.as_str())] {
        data.save_parquet(&path).unwrap();
        assert_same(&kept_parquet(&path, label).unwrap().unwrap(), &data);
    }
    assert!(kept_parquet(&path, "age").unwrap_err().to_string().contains("delete the .json"));
    std::fs::remove_file(folder.join("set.parquet.json")).unwrap();
    assert!(kept_parquet(&path, &label).unwrap().is_none());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let folder = scratch("refused");
    assert!(Dataset::toy_table().save_images(&folder).unwrap_err().to_string().contains("expected 1 or 3 channels"));
    assert!(colour().save_idx(&folder, "set").unwrap_err().to_string().contains("grey images"));
    assert!(colour().subset(&[0, 1]).unwrap().save_images(&folder).unwrap_err().to_string().contains("class bag has no record"));
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn folders_carry_the_class_names_where_they_sort_as_the_labels_do() {
    let named = |names: &[&str]| folder_names(&names.iter().map(ToString::to_string).collect::<Vec<_>>()).join(" ");
    assert_eq!(named(&["2", "10"]), "2 10");
    assert_eq!(named(&["cat", "dog"]), "cat dog");
    assert_eq!(named(&["dog", "cat"]), "0-dog 1-cat");
    assert_eq!(named(&["a", "b/c"]), "0-a 1-b-c");
}
