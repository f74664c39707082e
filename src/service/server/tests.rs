//! The service over HTTP: the same answers, each refusal, and clients that do not speak HTTP.

use super::super::tests::{lab, toy_service};
use super::super::{BlackBox, Defence, HttpClient, MembershipByService};
use super::Serving;
use crate::Dataset;
use crate::attack::{Game, LossThreshold, Pipeline};
use crate::nn::Arch;
use crate::train::Train;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// What comes back for these bytes until the server closes, or for half a second after the client said that it is done.
fn raw(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // The server may close while we still write.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = vec![];
    stream.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn post(key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /predict HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {key}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[test]
fn http_and_in_process_give_the_same_bytes() {
    let toy = Dataset::toy();
    for defences in [vec![], vec![Defence::Noise { scale: 0.5 }, Defence::TopK(2)]] {
        let service = toy_service().with_defences(&defences).unwrap();
        let server = service.serve().unwrap();
        let client = HttpClient::new(&server.url(), &server.key("alice")).unwrap();
        let (here, there) = (service.client("bob").ask(&toy).unwrap(), client.ask(&toy).unwrap());
        let bits = |p: &[f64]| p.iter().map(|p| p.to_bits()).collect::<Vec<u64>>();
        assert_eq!(bits(here.probabilities()), bits(there.probabilities()));
        assert_eq!((here.labels(), client.defences(), client.shape()), (there.labels(), defences, toy.shape()));
        assert_eq!((client.queries_spent(), service.client("alice").queries_spent()), (120, 120));
    }
}

#[test]
fn attacks_run_over_http_as_they_do_in_process() {
    let (toy, train) = (Dataset::toy(), Train::new(Arch::Logistic).with_epochs(2));
    let shadows = Game::new(2).play(&Pipeline::direct(train), &toy, &lab()).unwrap();
    let members: Vec<bool> = (0..120).map(|i| i < 60).collect();
    let service = toy_service();
    let server = service.serve().unwrap();
    let attack = MembershipByService::new(LossThreshold::new());
    let run = |client: &dyn BlackBox| attack.attack(client, &shadows, &toy, &members, &lab()).unwrap();
    assert_eq!(run(&service.client("a")), run(&HttpClient::new(&server.url(), &server.key("b")).unwrap()));
}

#[test]
fn large_sets_become_several_requests() {
    let (toy, service) = (Dataset::toy(), toy_service());
    let server = Serving::new().with_body_bytes(10_000).start(&service).unwrap();
    let client = HttpClient::new(&server.url(), &server.key("alice")).unwrap();
    assert_eq!(client.ask(&toy).unwrap().labels(), service.look(&toy).unwrap().labels());
    assert!(service.log().entries().len() > 5 && client.queries_spent() == 120);
}

#[test]
fn each_refusal_has_its_status_and_says_what_to_do() {
    let service = toy_service().with_client_budget(2);
    let server = Serving::new().with_body_bytes(20_000).with_patience_s(1.0).start(&service).unwrap();
    let (port, key) = (server.port(), server.key("alice"));
    let zeros = format!("[{}]", vec!["0"; 64].join(","));
    let records = |rows: &[&str]| format!("{{\"records\": [{}]}}", rows.join(","));
    let cases: Vec<(u16, &str, Vec<u8>)> = vec![
        (200, "queries_left", get("/")),
        (200, "ok", get("/health")),
        (404, "no such route", get("/other")),
        (405, "use POST", get("/predict")),
        (405, "use GET", b"POST /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec()),
        (401, "Bearer", post("guess", &records(&[&zeros]))),
        (400, "not such JSON", post(&key, "{\"records\": [[1, 2")),
        (400, "not such JSON", post(&key, &records(&[&zeros.replacen('0', "NaN", 1)]))),
        (400, "", post(&key, &records(&[&zeros.replacen('0', "1e39", 1)]))),
        (400, "no record", post(&key, "{\"records\": []}")),
        (400, "has 3 numbers", post(&key, &records(&["[1,2,3]"]))),
        (413, "20000 bytes", post(&key, &" ".repeat(20_001))),
        (408, "within 1 s", b"POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Length: 900\r\n\r\n{".to_vec()),
        (429, "2 are left", post(&key, &records(&[&zeros, &zeros, &zeros]))),
        (200, "\"queries_left\":0", post(&key, &records(&[&zeros, &zeros]))),
        (429, "\"queries_left\":0", post(&key, &records(&[&zeros]))),
    ];
    for (expected, word, bytes) in cases {
        let answer = match expected {
            408 => slow(port, &String::from_utf8(bytes).unwrap().replace("KEY", &key)),
            _ => raw(port, &bytes),
        };
        assert!(status(&answer) == expected && answer.contains(word), "expected {expected} with {word}, got {answer}");
        assert!(expected == 200 || answer.contains("\"remedy\""), "{answer}");
    }
    assert_eq!(service.client("alice").queries_spent(), 2);
}

/// Sends a part of a request and waits.
fn slow(port: u16, bytes: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok();
    answer
}

#[test]
fn a_rate_is_kept_and_says_when_to_come_back() {
    let service = toy_service();
    let server = Serving::new().with_rate(0.01).start(&service).unwrap();
    let body = format!("{{\"records\": [[{}]]}}", vec!["0"; 64].join(","));
    assert_eq!(status(&raw(server.port(), &post(&server.key("alice"), &body))), 200);
    let answer = raw(server.port(), &post(&server.key("alice"), &body));
    let seconds: u32 = answer.split("retry-after: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok()).unwrap();
    // One token takes 100 s, less what went by between the two.
    assert!(status(&answer) == 429 && (90..=100).contains(&seconds), "{answer}");
    assert_eq!(status(&raw(server.port(), &post(&server.key("bob"), &body))), 200);
}

#[test]
fn five_hundred_malformed_requests_and_then_a_good_one() {
    let service = toy_service();
    let server = service.serve().unwrap();
    let (port, key) = (server.port(), server.key("alice"));
    let deep = "[".repeat(5_000);
    let kinds: [Vec<u8>; 10] = [
        (0..400u32).map(|i| (i * 37 % 256) as u8).collect(),
        b"GET".to_vec(),
        b"\r\n\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        format!("GET / HTTP/1.1\r\nHost: x\r\nBig: {}\r\n\r\n", "a".repeat(100_000)).into_bytes(),
        format!("POST /predict HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Length: 10\r\n\r\n{{").into_bytes(),
        format!("POST /predict HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Length: -5\r\n\r\n{{}}").into_bytes(),
        format!("POST /predict HTTP/1.1\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").into_bytes(),
        post(&key, &format!("{{\"records\": {deep}}}")),
        post(&key, "\u{0}\u{1}\u{fffd}"),
    ];
    for round in 0..50 {
        for (kind, bytes) in kinds.iter().enumerate() {
            let answer = raw(port, bytes);
            let refused = answer.is_empty() || (400..500).contains(&status(&answer));
            assert!(refused, "round {round}, kind {kind}: {answer}");
        }
    }
    assert!(raw(port, &get("/health")).contains("ok"));
    let client = HttpClient::new(&server.url(), &key).unwrap();
    assert_eq!((client.queries_spent(), client.ask(&Dataset::toy()).unwrap().len()), (0, 120));
}

#[test]
fn a_server_ends_when_it_is_stopped_or_dropped_and_frees_its_port() {
    let service = toy_service();
    let server = service.serve().unwrap();
    let (port, url, key) = (server.port(), server.url(), server.key("a"));
    assert!(service.serve_on(port).unwrap_err().to_string().contains(&format!("port {port}")));
    assert!(server.curl("a").contains(&key) && server.python("a").contains(&url));
    server.stop();
    assert!(HttpClient::new(&url, &key).is_err());
    drop(service.serve_on(port).unwrap());
    assert!(Serving::new().with_rate(0.0).start(&service).is_err() && Serving::new().with_patience_s(f64::NAN).start(&service).is_err());
}

#[test]
fn health_is_answered_while_a_client_is_slow() {
    let service = toy_service();
    let server = service.serve().unwrap();
    let mut slow = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    slow.write_all(b"POST /predict HTTP/1.1\r\n").unwrap();
    assert!(raw(server.port(), &get("/health")).contains("ok"));
    assert!(HttpClient::new(&server.url(), "guess").unwrap_err().to_string().contains("does not know this key"));
}
