use super::*;
use polars::df;
use polars::prelude::ParquetWriter;

const PEOPLE: &str = "age,ward,ill\n30,a,no\n41,b,yes\n52,?,no\n";

fn read(text: &str) -> Result<Dataset> {
    fit(&Source::csv_bytes("people.csv", text.as_bytes())?.typed("ill")?, "ill")
}

fn message(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn encoded(text: &str) -> Result<Dataset> {
    read(PEOPLE).unwrap().encode(&Source::csv_bytes("test.csv", text.as_bytes())?)
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("freelunch-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn numbers_stay_and_categories_become_one_hot_with_sorted_levels() {
    let people = read(PEOPLE).unwrap();
    assert_eq!(people.x(), [30.0, 0.0, 1.0, 0.0, 41.0, 0.0, 0.0, 1.0, 52.0, 1.0, 0.0, 0.0]);
    assert_eq!((people.labels(), people.shape(), people.name()), ([0, 1, 0].as_slice(), [4, 1, 1], "people.csv"));
    assert_eq!(people.class_names(), ["no", "yes"]);
}

#[test]
fn another_table_gets_the_first_ones_encoding_classes_and_normalisation() {
    let train = read(PEOPLE).unwrap();
    let test = encoded("spare,ill,ward,age\nx,yes,b,7\n").unwrap();
    assert_eq!((test.x(), test.labels()), ([7.0, 0.0, 0.0, 1.0].as_slice(), [1].as_slice()));
    assert_eq!((test.normalization(), test.schema()), (train.normalization(), train.schema()));
    train.same_kind(&test).unwrap();
}

#[test]
fn decoding_inverts_encoding() {
    let people = read(PEOPLE).unwrap();
    let frame = people.frame().unwrap();
    assert!(frame.equals(&df!("age" => [30f32, 41.0, 52.0], "ward" => ["a", "b", "?"], "ill" => ["no", "yes", "no"]).unwrap()));
    assert_eq!(people.encode_frame("again", &frame).unwrap().digest(), people.digest());
}

#[test]
fn soft_one_hot_values_decode_to_the_largest() {
    let people = read(PEOPLE).unwrap();
    let made = people.synthetic(vec![33.3, -0.2, 0.4, 0.5], vec![1], crate::data::Origin::real("test")).unwrap();
    assert_eq!(made.frame().unwrap().column("ward").unwrap().str().unwrap().get(0), Some("b"));
}

#[test]
fn csv_gzip_parquet_and_frame_agree() {
    let folder = folder("table");
    let (plain, packed, parquet) = (folder.join("p.csv"), folder.join("p.csv.gz"), folder.join("p.parquet"));
    std::fs::write(&plain, PEOPLE).unwrap();
    std::fs::write(&packed, crate::data::gzip::pack(PEOPLE.as_bytes())).unwrap();
    let mut frame = df!("age" => [30i64, 41, 52], "ward" => ["a", "b", "?"], "ill" => ["no", "yes", "no"]).unwrap();
    ParquetWriter::new(std::fs::File::create(&parquet).unwrap()).finish(&mut frame).unwrap();
    let first = Dataset::from_csv(&plain, "ill").unwrap();
    let others = [
        Dataset::from_csv(&packed, "ill").unwrap(),
        Dataset::from_parquet(&parquet, "ill").unwrap(),
        Dataset::from_frame("frame", &frame, "ill").unwrap(),
        first.encode_csv(&packed).unwrap(),
    ];
    for other in others {
        assert_eq!((other.digest(), other.schema()), (first.digest(), first.schema()), "{}", other.name());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_truncated_parquet_file_is_an_error_and_none_panics() {
    let folder = folder("parquet");
    let file = folder.join("p.parquet");
    let mut bytes = vec![];
    let mut frame = df!("age" => [30i64, 41, 52], "ward" => ["a", "b", "?"], "ill" => ["no", "yes", "no"]).unwrap();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    for end in (0..bytes.len()).step_by(7) {
        std::fs::write(&file, &bytes[..end]).unwrap();
        assert!(matches!(Dataset::from_parquet(&file, "ill"), Err(Error::Table { .. })), "{end} of {} bytes", bytes.len());
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn integer_labels_and_numeric_class_names_are_sorted_by_number() {
    let data = read("age,ill\n1,10\n2,2\n3,0\n").unwrap();
    assert_eq!((data.class_names().join(" "), data.labels()), ("0 2 10".to_string(), [2, 1, 0].as_slice()));
    let frame = df!("age" => [1.5, 2.5], "ill" => [1.0, 0.0]).unwrap();
    assert_eq!(Dataset::from_frame("f", &frame, "ill").unwrap().class_names(), ["0", "1"]);
    let frame = df!("age" => [1.5, 2.5], "ill" => [true, false]).unwrap();
    assert_eq!(Dataset::from_frame("f", &frame, "ill").unwrap().class_names(), ["false", "true"]);
}

#[test]
fn a_missing_label_column_lists_the_columns() {
    let people = df!("age" => [30, 41], "ward" => ["a", "b"]).unwrap();
    let message = Dataset::from_frame("people", &people, "ill").unwrap_err().to_string();
    assert_eq!(message, "people, header: no column \"ill\"; the columns are age, ward");
    assert!(encoded("ward,ill\na,no\n").unwrap_err().to_string().contains("no column \"age\""));
}

#[test]
fn an_unknown_level_names_line_column_value_and_the_known_levels() {
    let message = encoded("age,ward,ill\n1,a,no\n\n2,c,no\n").unwrap_err().to_string();
    assert!(message.starts_with("test.csv, line 4, column ward: unknown value \"c\"; known are ?, a, b:"), "{message}");
    let message = encoded("age,ward,ill\n1,a,maybe\n").unwrap_err().to_string();
    assert!(message.starts_with("test.csv, line 2, column ill: unknown value \"maybe\"; known are no, yes"), "{message}");
}

#[test]
fn missing_infinite_and_huge_values_name_their_place() {
    assert!(message("age,ward,ill\n1,a,no\n,b,no\n").starts_with("people.csv, line 3, column age: missing value"));
    assert!(message("age,ward,ill\n1,,no\n").starts_with("people.csv, line 2, column ward: missing value"));
    assert!(message("age,ward,ill\n1,a,\n").starts_with("people.csv, line 2, column ill: missing value"));
    assert!(message("age,ward,ill\n1,a,no\nNaN,b,no\n").starts_with("people.csv, line 3, column age: value NaN"));
    assert!(message("age,ward,ill\n-inf,a,no\n").starts_with("people.csv, line 2, column age: value -inf"));
    assert!(message("age,ward,ill\n1e39,a,no\n").starts_with("people.csv, line 2, column age: value 1e39"));
    let frame = df!("age" => [Some(1.0), None], "ill" => ["no", "yes"]).unwrap();
    let text = Dataset::from_frame("f", &frame, "ill").unwrap_err().to_string();
    assert!(text.starts_with("f, row 1, column age: missing value"), "{text}");
    let frame = df!("age" => [1.0, 2.0], "ill" => [0.0, f64::NAN]).unwrap();
    assert!(Dataset::from_frame("f", &frame, "ill").unwrap_err().to_string().starts_with("f, row 1, column ill: value NaN"));
}

#[test]
fn a_word_among_numbers_is_an_error_in_training_and_test_tables() {
    let text = message("age,ward,ill\n1,a,no\n2,b,no\nthree,a,yes\n");
    assert!(text.starts_with("people.csv, line 4, column age: \"three\" in a column of numbers"), "{text}");
    let text = encoded("age,ward,ill\nthree,a,no\n").unwrap_err().to_string();
    assert!(text.starts_with("test.csv, line 2, column age: \"three\" is not a number"), "{text}");
}

#[test]
fn a_ragged_record_names_its_line() {
    assert!(message("age,ward,ill\n1,a,no\n2,b\n").starts_with("people.csv, line 3: 2 fields, the header has 3"));
}

#[test]
fn fractions_are_no_classes_and_identifiers_no_categories() {
    let frame = df!("age" => [1, 2], "ill" => [0.5, 1.0]).unwrap();
    let text = Dataset::from_frame("f", &frame, "ill").unwrap_err().to_string();
    assert!(text.starts_with("f, row 0, column ill: value 0.5 where a class"), "{text}");
    let names: Vec<String> = (0..1001).map(|i| format!("person {i}")).collect();
    let frame = df!("name" => names, "ill" => vec![1; 1001]).unwrap();
    let text = Dataset::from_frame("f", &frame, "ill").unwrap_err().to_string();
    assert!(text.starts_with("f, column name: 1001 different values"), "{text}");
}

#[test]
fn empty_tables_label_only_tables_and_other_types_are_errors() {
    let empty = df!("age" => [1], "ward" => ["a"], "ill" => ["no"]).unwrap().head(Some(0));
    assert!(Dataset::from_frame("f", &empty, "ill").unwrap_err().to_string().contains("0 records"));
    assert!(read(PEOPLE).unwrap().encode_frame("f", &empty).unwrap_err().to_string().contains("0 records"));
    assert!(message("ill\nno\n").starts_with("people.csv, header: no column besides the label"));
    let bytes = df!("age" => [b"x".as_slice()], "ill" => ["no"]).unwrap();
    assert!(Dataset::from_frame("f", &bytes, "ill").unwrap_err().to_string().contains("column age: values of type binary"));
    assert!(Dataset::toy().encode_frame("f", &empty).unwrap_err().to_string().contains("set of images"));
}

#[test]
fn missing_files_are_named() {
    assert!(Dataset::from_csv("no-such.csv", "ill").unwrap_err().to_string().contains("no-such.csv"));
    assert!(Dataset::from_parquet("no-such.parquet", "ill").unwrap_err().to_string().contains("no-such.parquet"));
}

#[test]
fn the_frame_of_images_summarises_each_record() {
    let data = Dataset::images("pair", vec![0.0, 1.0, 0.5, 0.5], [1, 1, 2], vec![1, 0], vec!["a".into(), "b".into()]).unwrap();
    let wanted = df!("record" => [0u32, 1], "label" => [1u32, 0], "class" => ["b", "a"], "mean" => [0.5f32, 0.5], "min" => [0f32, 0.5], "max" => [1f32, 0.5]);
    assert!(data.frame().unwrap().equals(&wanted.unwrap()));
}

#[test]
fn schemas_survive_serialisation() {
    let schema = read(PEOPLE).unwrap().schema().cloned().unwrap();
    let text = serde_json::to_string(&schema).unwrap();
    assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
}
