//! A service over HTTP under load: requests per second of 4 clients, and 10,000 requests that are none.
//!
//! Cases: `one-record` and `hundred-records` (an MLP on the digits, requests per second), `malformed` (requests per second; what came back is
//! printed, with the resident memory before and after).

use super::common::Options;
use freelunch::prelude::*;
use freelunch::service::{BlackBox, HttpClient, Server, Service};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
const SECONDS: f64 = 2.0;
const MALFORMED: usize = 10_000;

pub(crate) fn run(options: &Options) -> Result<()> {
    if !["one-record", "hundred-records", "malformed"].iter().any(|case| options.wants(case)) {
        return Ok(());
    }
    let digits = Dataset::digits()?;
    let model = Train::new(Arch::mlp()).with_epochs(2).fit(&digits.train, &Lab::new()?.quiet())?;
    let server = Service::new(&model, &digits.train)?.serve()?;
    for (case, records) in [("one-record", 1), ("hundred-records", 100)] {
        if options.wants(case) {
            let set = digits.test.subset(&(0..records).collect::<Vec<_>>())?;
            let rates = (0..options.repeats(3)).map(|_| rate(&server, &set)).collect::<Result<Vec<f64>>>()?;
            options.report("service", case, "requests/s", rates);
        }
    }
    if options.wants("malformed") {
        options.report("service", "malformed", "requests/s", vec![malformed(&server)?]);
    }
    Ok(())
}

/// Requests per second of all clients together.
fn rate(server: &Server, set: &Dataset) -> Result<f64> {
    let count = |client: usize| -> Result<usize> {
        let (client, start, mut count) = (HttpClient::new(&server.url(), &server.key(&client.to_string()))?, Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            client.ask(set)?;
            count += 1;
        }
        Ok(count)
    };
    let counts: Vec<Result<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || count(client))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    Ok(counts.into_iter().collect::<Result<Vec<usize>>>()?.iter().sum::<usize>() as f64 / SECONDS)
}

/// Requests per second, after saying what came back.
fn malformed(server: &Server) -> Result<f64> {
    let kinds = kinds(&server.key("mallory"));
    let (start, before, mut answers) = (Instant::now(), resident_mib(), BTreeMap::<String, usize>::new());
    for request in 0..MALFORMED {
        let answer = send(server.port(), &kinds[request % kinds.len()]);
        let status = answer.split(' ').nth(1).map_or("closed".to_string(), str::to_string);
        *answers.entry(status).or_default() += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    let health = send(server.port(), b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    println!("  {answers:?}, then health {}", health.split(' ').nth(1).unwrap_or("none"));
    println!("  resident memory {before:.1} MiB before, {:.1} MiB after", resident_mib());
    Ok(MALFORMED as f64 / seconds)
}

fn kinds(key: &str) -> [Vec<u8>; 10] {
    let head = format!("POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n");
    let post = |body: &str| format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
    [
        (0..400u32).map(|i| (i * 37 % 256) as u8).collect(),
        b"GET".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nBig: {}\r\n\r\n", "a".repeat(100_000)).into_bytes(),
        format!("{head}Content-Length: 10\r\n\r\n{{").into_bytes(),
        format!("{head}Content-Length: -5\r\n\r\n{{}}").into_bytes(),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        post(&format!("{{\"records\": {}}}", "[".repeat(5_000))),
        post("{\"records\": [[1, 2, 3]]}"),
        post("\u{0}\u{1}\u{fffd}"),
    ]
}

fn send(port: u16, bytes: &[u8]) -> String {
    let mut answer = vec![];
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok();
        // The server may close while we still write.
        stream.write_all(bytes).ok();
        stream.shutdown(Shutdown::Write).ok();
        stream.read_to_end(&mut answer).ok();
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Pages of 4 KiB that this process holds, from Linux; 0 elsewhere.
fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) / 256.0
}
