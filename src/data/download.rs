//! Full public sets: from a folder of the user, from the cache, or from their usual mirrors, checked by SHA-256.
//!
//! 1. Each file is looked for, plain or with `.gz`, in `$FREELUNCH_DATA/mnist`, `fashion-mnist` or `cifar-10` (there also in
//!    `cifar-10-batches-bin`, the archive's own folder), then in `${XDG_CACHE_HOME:-~/.cache}/freelunch/data/..` likewise.
//! 2. One that is in neither is downloaded into the second.
//! 3. Its unpacked content must have the SHA-256 of the official file.

use super::{Dataset, Split, cifar, gzip, idx, included};
use crate::{Error, Lab, Result};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// No file here is larger, so a mirror that sends more is broken.
const LARGEST: u64 = 512 << 20;

impl Dataset {
    /// MNIST: 60,000 and 10,000 handwritten digits of 1×28×28, from `$FREELUNCH_DATA/mnist`, the cache, or a mirror (12 MB).
    ///
    /// # Errors
    /// [`Error::Network`] with the folder to put the files into when no mirror answers; [`Error::Data`] when a local file is not
    /// the official one; [`Error::Io`] when the cache folder cannot be written.
    ///
    /// # Example
    /// ```no_run
    /// let mnist = freelunch::Dataset::mnist()?;
    /// assert_eq!(mnist.train.len(), 60_000);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn mnist() -> Result<Split> {
        let sums = [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ];
        let mirrors = ["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"];
        let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        idx_split(&Source::idx("MNIST", &["mnist"], sums, &mirrors), &Places::of_this_machine(), names)
    }

    /// Fashion-MNIST: 60,000 and 10,000 articles of clothing of 1×28×28, from `$FREELUNCH_DATA/fashion-mnist`, the cache, or a
    /// mirror (31 MB). [`Dataset::fashion_mini`] needs no download.
    ///
    /// # Errors
    /// As [`Dataset::mnist`].
    ///
    /// # Example
    /// ```no_run
    /// let fashion = freelunch::Dataset::fashion_mnist()?;
    /// assert_eq!(fashion.test.class_names()[9], "Ankle boot");
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn fashion_mnist() -> Result<Split> {
        let sums = [
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ];
        let mirrors = [
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ];
        idx_split(&Source::idx("Fashion-MNIST", &["fashion-mnist"], sums, &mirrors), &Places::of_this_machine(), included::FASHION)
    }

    /// CIFAR-10: 50,000 and 10,000 colour photographs of 3×32×32, from `$FREELUNCH_DATA/cifar-10`, the cache, or the authors'
    /// site (170 MB).
    ///
    /// # Errors
    /// As [`Dataset::mnist`].
    ///
    /// # Example
    /// ```no_run
    /// let cifar = freelunch::Dataset::cifar10()?;
    /// assert_eq!(cifar.train.shape(), [3, 32, 32]);
    /// # Ok::<(), freelunch::Error>(())
    /// ```
    pub fn cifar10() -> Result<Split> {
        let pinned = |name: &str, sha256| Pinned { name: name.to_string(), sha256 };
        let source = Source {
            name: "CIFAR-10",
            folders: &["cifar-10", "cifar-10/cifar-10-batches-bin", "cifar-10-batches-bin"],
            files: vec![
                pinned("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
                pinned("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
                pinned("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
                pinned("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
                pinned("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
                pinned("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
            ],
            mirrors: Mirrors::Archive(vec!["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz".to_string()]),
        };
        let mut batches = source.load(&Places::of_this_machine())?;
        let test = batches.split_off(5);
        Ok(Split::under_train_normalization(cifar::decode("CIFAR-10", &batches)?, cifar::decode("CIFAR-10 test", &test)?))
    }
}

fn idx_split(source: &Source, places: &Places, class_names: [&str; 10]) -> Result<Split> {
    let files = source.load(places)?;
    let [train_images, train_labels, test_images, test_labels] = files.as_slice() else {
        return Err(Error::mismatch(format!("{} files of {}", files.len(), source.name), "expected images and labels, train and test"));
    };
    let decode = |name: &str, images: &(String, Vec<u8>), labels: &(String, Vec<u8>)| {
        idx::decode(name, (&images.0, &images.1), (&labels.0, &labels.1), 255.0)?.with_class_names(class_names)
    };
    let train = decode(source.name, train_images, train_labels)?;
    Ok(Split::under_train_normalization(train, decode(&format!("{} test", source.name), test_images, test_labels)?))
}

struct Source {
    name: &'static str,
    /// Where it may lie below a folder of data sets; the first is the one to download into.
    folders: &'static [&'static str],
    files: Vec<Pinned>,
    mirrors: Mirrors,
}

/// A file and the sum of its unpacked content.
struct Pinned {
    name: String,
    sha256: &'static str,
}

enum Mirrors {
    /// Addresses below which each file lies, with `.gz`.
    Files(Vec<String>),
    /// Addresses of one `.tar.gz` with all files.
    Archive(Vec<String>),
}

/// Folders of data sets on this machine.
struct Places {
    given: Option<PathBuf>,
    cache: PathBuf,
}

impl Places {
    /// The one place outside device.rs that reads the environment: where a machine keeps its data is no part of an experiment,
    /// and a notebook must run unchanged on another one.
    fn of_this_machine() -> Self {
        let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache"))).unwrap_or_else(std::env::temp_dir);
        Self { given: folder("FREELUNCH_DATA"), cache: cache.join("freelunch").join("data") }
    }
}

impl Source {
    fn idx(name: &'static str, folders: &'static [&'static str], sums: [&'static str; 4], mirrors: &[&str]) -> Self {
        let files = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        let files = files.into_iter().zip(sums).map(|(name, sha256)| Pinned { name: name.to_string(), sha256 }).collect();
        Self { name, folders, files, mirrors: Mirrors::Files(mirrors.iter().map(|mirror| (*mirror).to_string()).collect()) }
    }

    /// Every file: its path for messages and its unpacked, checked content.
    fn load(&self, places: &Places) -> Result<Vec<(String, Vec<u8>)>> {
        let mut loaded = vec![];
        for pinned in &self.files {
            let path = match self.find(&pinned.name, places) {
                Some(path) => path,
                None => self.download(pinned, &places.cache)?,
            };
            let (file, bytes) = (path.display().to_string(), gzip::read(&path)?);
            pinned.check(&bytes).map_err(|what| {
                Error::data(&file, "whole file", what, "replace it by the official file, or remove it to have that downloaded")
            })?;
            loaded.push((file, bytes));
        }
        Ok(loaded)
    }

    fn find(&self, name: &str, places: &Places) -> Option<PathBuf> {
        for root in places.given.iter().chain([&places.cache]) {
            for folder in self.folders {
                let plain = root.join(folder).join(name);
                let packed = root.join(folder).join(format!("{name}.gz"));
                if let Some(found) = [plain, packed].into_iter().find(|path| path.is_file()) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Downloads this file, and those that come with it, into the cache.
    fn download(&self, wanted: &Pinned, cache: &Path) -> Result<PathBuf> {
        let here = self.folders.first().copied().unwrap_or_default();
        let folder = cache.join(here);
        let (mirrors, suffix) = match &self.mirrors {
            Mirrors::Files(mirrors) => (mirrors, format!("{}.gz", wanted.name)),
            Mirrors::Archive(mirrors) => (mirrors, String::new()),
        };
        let mut causes = vec![];
        for mirror in mirrors {
            let url = format!("{mirror}{suffix}");
            match fetch(&url).and_then(|bytes| self.contents(wanted, bytes)) {
                Err(cause) => causes.push(format!("{url}: {cause}")),
                Ok(files) => {
                    for (name, bytes) in files {
                        store(&folder, &name, &bytes)?;
                    }
                    return Ok(folder.join(&wanted.name));
                }
            }
        }
        let files: Vec<&str> = self.files.iter().map(|pinned| pinned.name.as_str()).collect();
        Err(Error::Network {
            what: format!("{} ({})", self.name, wanted.name),
            cause: causes.join("; "),
            remedy: format!(
                "without a network put {} (plain or .gz) into {}, or into {here} in a folder that the variable FREELUNCH_DATA names",
                files.join(", "),
                folder.display()
            ),
        })
    }

    /// The checked files in what a mirror sent.
    fn contents(&self, wanted: &Pinned, bytes: Vec<u8>) -> std::result::Result<Vec<(String, Vec<u8>)>, String> {
        let bytes = gzip::unpack("the answer", bytes).map_err(|error| error.to_string())?;
        if matches!(self.mirrors, Mirrors::Files(_)) {
            wanted.check(&bytes)?;
            return Ok(vec![(wanted.name.clone(), bytes)]);
        }
        let mut files = vec![];
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries().map_err(|cause| cause.to_string())? {
            let mut entry = entry.map_err(|cause| cause.to_string())?;
            let path = entry.path().map_err(|cause| cause.to_string())?.into_owned();
            let Some(pinned) = self.files.iter().find(|pinned| path.file_name().is_some_and(|name| name == pinned.name.as_str())) else {
                continue;
            };
            let mut content = vec![];
            entry.read_to_end(&mut content).map_err(|cause| cause.to_string())?;
            pinned.check(&content)?;
            files.push((pinned.name.clone(), content));
        }
        match files.iter().any(|(name, _)| *name == wanted.name) {
            true => Ok(files),
            false => Err(format!("the archive lacks {}", wanted.name)),
        }
    }
}

impl Pinned {
    fn check(&self, content: &[u8]) -> std::result::Result<(), String> {
        let found: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        match found == self.sha256 {
            true => Ok(()),
            false => Err(format!("the sha256 of {} is {found}, that of the official file {}", self.name, self.sha256)),
        }
    }
}

fn fetch(url: &str) -> std::result::Result<Vec<u8>, String> {
    let agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .new_agent();
    let body = agent.get(url).call().map_err(|cause| cause.to_string())?.into_body();
    let kib = (body.content_length().unwrap_or(0) / 1024) as usize;
    // Without a lab the download only lacks its progress lines.
    let mut progress = Lab::new().ok().map(|lab| lab.progress(&format!("download {url} (KiB)"), kib));
    let mut reader = body.into_with_config().limit(LARGEST).reader();
    let (mut bytes, mut chunk) = (vec![], vec![0; 1 << 16]);
    loop {
        let count = reader.read(&mut chunk).map_err(|cause| cause.to_string())?;
        if count == 0 {
            return Ok(bytes);
        }
        bytes.extend(chunk.iter().take(count));
        if let Some(progress) = &mut progress {
            progress.step(bytes.len() / 1024, "");
        }
    }
}

/// Writes beside the target and renames, so that a file under its own name is always whole.
fn store(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let remedy = "make the folder writable, or set the variable XDG_CACHE_HOME to one that is";
    std::fs::create_dir_all(folder).map_err(|source| Error::io("create", folder, source, remedy))?;
    let unique = format!(".{name}.{}.{:?}", std::process::id(), std::thread::current().id());
    let part = folder.join(unique);
    let written = std::fs::File::create(&part).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.and_then(|()| std::fs::rename(&part, folder.join(name))).map_err(|source| {
        // The write's own error is the one to report.
        let _ = std::fs::remove_file(&part);
        Error::io("write", &part, source, remedy)
    })
}

#[cfg(test)]
mod tests;
