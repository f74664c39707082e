use super::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;

const FIRST: &str = "one";
const SECOND: &str = "two";

/// An empty folder of data sets that is removed with its owner.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("freelunch-download-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn places(&self) -> Places {
        Places { given: Some(self.0.join("given")), cache: self.0.join("cache") }
    }

    fn put(&self, file: &str, bytes: &[u8]) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn cached(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.0.join("cache/set")) else { return vec![] };
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server on this machine that answers one request after another; unknown paths get 404.
fn serve(files: HashMap<&'static str, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut request).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let path = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_string();
            let (status, body) = match files.get(path.as_str()) {
                Some(body) => ("200 OK", body.as_slice()),
                None => ("404 Not Found", b"".as_slice()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    address
}

fn source(mirrors: Mirrors) -> Source {
    // printf one | sha256sum, printf two | sha256sum
    let sums = [
        (FIRST, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"),
        (SECOND, "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"),
    ];
    let files = sums.into_iter().map(|(name, sha256)| Pinned { name: name.to_string(), sha256 }).collect();
    Source { name: "Set", folders: &["set", "set/inner"], files, mirrors }
}

fn contents(loaded: Vec<(String, Vec<u8>)>) -> Vec<String> {
    loaded.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
}

/// Port 1 is reserved and closed: the connection is refused at once.
fn nowhere() -> Vec<String> {
    vec!["http://127.0.0.1:1/".to_string()]
}

#[test]
fn local_files_plain_or_gzipped_come_before_cache_and_network() {
    let home = Home::new("local");
    home.put("given/set/one.gz", &gzip::pack(b"one"));
    home.put("given/set/inner/two", b"two");
    home.put("cache/set/one", b"wrong, but not looked at");
    assert_eq!(contents(source(Mirrors::Files(nowhere())).load(&home.places()).unwrap()), ["one", "two"]);
}

#[test]
fn a_download_falls_back_to_the_next_mirror_and_is_kept() {
    let home = Home::new("mirrors");
    let bad = serve(HashMap::from([("one.gz", gzip::pack(b"other content")), ("two.gz", gzip::pack(b"two")[..9].to_vec())]));
    let good = serve(HashMap::from([("one.gz", gzip::pack(b"one")), ("two.gz", gzip::pack(b"two"))]));
    let mirrors = Mirrors::Files(vec![nowhere().remove(0), bad, good]);
    assert_eq!(contents(source(mirrors).load(&home.places()).unwrap()), ["one", "two"]);
    assert_eq!(home.cached(), ["one", "two"]);
    assert_eq!(contents(source(Mirrors::Files(nowhere())).load(&home.places()).unwrap()), ["one", "two"]);
}

#[test]
fn wrong_content_is_refused_and_nothing_is_kept() {
    let home = Home::new("wrong");
    let bad = serve(HashMap::from([("one.gz", gzip::pack(b"other content"))]));
    let message = source(Mirrors::Files(vec![bad])).load(&home.places()).unwrap_err().to_string();
    assert!(message.contains("the sha256 of one is") && message.contains("7692c3ad"), "{message}");
    assert!(home.cached().is_empty());
}

#[test]
fn an_archive_brings_all_its_files_at_once() {
    let home = Home::new("archive");
    let mut archive = tar::Builder::new(vec![]);
    for (name, content) in [("deep/inside/one", "one"), ("deep/readme", "no data"), ("deep/inside/two", "two")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let packed = gzip::pack(&archive.into_inner().unwrap());
    let cut = gzip::pack(&gzip::unpack("", packed.clone()).unwrap()[..600]);
    let server = serve(HashMap::from([("set.tar.gz", packed), ("cut.tar.gz", cut)]));
    let mirrors = vec![format!("{server}cut.tar.gz"), format!("{server}set.tar.gz")];
    assert_eq!(contents(source(Mirrors::Archive(mirrors)).load(&home.places()).unwrap()), ["one", "two"]);
    assert_eq!(home.cached(), ["one", "two"]);
}

#[test]
fn without_a_network_the_error_names_the_files_and_where_to_put_them() {
    let home = Home::new("offline");
    let error = source(Mirrors::Files(nowhere())).load(&home.places()).unwrap_err();
    assert!(matches!(error, Error::Network { .. }));
    let message = error.to_string();
    let folder = home.0.join("cache/set");
    for part in ["Set (one)", "http://127.0.0.1:1/one.gz: ", "put one, two", folder.to_str().unwrap(), "FREELUNCH_DATA"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
}

#[test]
fn a_local_file_that_is_not_the_official_one_is_an_error() {
    let home = Home::new("changed");
    home.put("given/set/one", b"uno");
    let message = source(Mirrors::Files(nowhere())).load(&home.places()).unwrap_err().to_string();
    assert!(message.contains("given/set/one, whole file: the sha256 of one is") && message.contains("remove it"), "{message}");
}

#[test]
fn a_cache_that_cannot_be_written_is_an_error() {
    let home = Home::new("readonly");
    home.put("cache", b"a file where the folder should be");
    let server = serve(HashMap::from([("one.gz", gzip::pack(b"one"))]));
    let message = source(Mirrors::Files(vec![server])).load(&home.places()).unwrap_err().to_string();
    assert!(message.starts_with("cannot create ") && message.contains("XDG_CACHE_HOME"), "{message}");
}

/// Mean and deviation of each channel as published, to four digits.
fn assert_normalization(data: &Dataset, mean: &[f32], std: &[f32]) {
    let close = |found: &[f32], wanted: &[f32]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-4);
    let found = data.normalization();
    assert!(close(&found.mean, mean) && close(&found.std, std), "{found:?}");
}

#[test]
#[ignore = "needs FREELUNCH_DATA with the full sets"]
fn full_mnist_has_its_published_counts_and_moments() {
    let Split { train, test } = Dataset::mnist().unwrap();
    assert_eq!(train.per_class(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(test.per_class(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_normalization(&train, &[0.1307], &[0.3081]);
    assert_eq!(test.normalization(), train.normalization());
}

#[test]
#[ignore = "needs FREELUNCH_DATA with the full sets"]
fn full_fashion_mnist_has_its_published_moments_and_begins_with_the_included_one() {
    let Split { train, test } = Dataset::fashion_mnist().unwrap();
    assert_eq!((train.per_class(), test.per_class()), (vec![6000; 10], vec![1000; 10]));
    assert_normalization(&train, &[0.2860], &[0.3530]);
    let mini = Dataset::fashion_mini().unwrap().train;
    let first: Vec<usize> = (0..10).flat_map(|class| train.of_class(class).into_iter().take(500)).collect();
    let of_class: Vec<usize> = (0..10).flat_map(|class| mini.of_class(class)).collect();
    assert_eq!(train.subset(&first).unwrap().digest(), mini.subset(&of_class).unwrap().digest());
}

#[test]
#[ignore = "needs FREELUNCH_DATA with the full sets"]
fn full_cifar_10_has_its_published_counts_and_moments() {
    let Split { train, test } = Dataset::cifar10().unwrap();
    assert_eq!((train.per_class(), test.per_class()), (vec![5000; 10], vec![1000; 10]));
    assert_normalization(&train, &[0.4914, 0.4822, 0.4465], &[0.2470, 0.2435, 0.2616]);
    assert_eq!(train.class_names()[train.labels()[0] as usize], "frog");
}
