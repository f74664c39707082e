//! A service over HTTP/1.1 on this machine: 127.0.0.1 only, one background thread, inference on threads of its own.
//!
//! | route | answer |
//! |---|---|
//! | `GET /` | what is served: shape, classes, defences, queries left, limits |
//! | `GET /health` | `{"status": "ok"}`, also while the model works |
//! | `POST /predict` | `{"records": [[..], ..]}`, one flat row of numbers in natural units for each record, with the header `Authorization: Bearer KEY`, gives `{"labels": [..], "probabilities": [[..], ..], "queries_left": n}` |
//!
//! What cannot be answered gets `{"error": {"what": .., "remedy": ..}}`: 400 for a body that is not such records, 401 without the key of a client,
//! 404, 405, 408 for a body that comes too slowly, 413 for one that is too large, 429 for an exhausted budget (with `queries_left`) or too many
//! requests (with `Retry-After`), 500 when the model fails. A request that is not HTTP is closed.
//!
//! # Privacy
//! None beyond the service's. Keys are 128 random bits, but travel unencrypted: this is a laboratory, not a product.
//!
//! # Example
//! ```
//! use freelunch::prelude::*;
//! use freelunch::service::{BlackBox, HttpClient, Service};
//! let toy = Dataset::toy();
//! let model = Train::new(Arch::Logistic).with_epochs(1).fit(&toy, &Lab::new()?.quiet())?;
//! let service = Service::new(&model, &toy)?;
//! let server = service.serve()?;
//! let alice = HttpClient::new(&server.url(), &server.key("alice"))?;
//! assert_eq!(alice.ask(&toy)?, service.look(&toy)?);
//! server.stop();
//! # Ok::<(), freelunch::Error>(())
//! ```

mod connection;
mod gate;
mod routes;

use super::Service;
use crate::display::{Figure, Show, Table, show_inline};
use crate::{Error, Result};
use gate::Gate;
use routes::Site;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The limits of a [`Server`].
///
/// # Example
/// ```
/// use freelunch::service::Serving;
/// let serving = Serving::new().with_rate(5.0);
/// assert_eq!((serving.port, serving.rate), (0, Some(5.0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Serving {
    /// The port, 0 for any that is free.
    pub port: u16,
    /// Requests per second of each client in the long run; as many may come at once. None: no limit.
    pub rate: Option<f64>,
    /// Bytes of a body at most.
    pub body_bytes: usize,
    /// Seconds that a client may take to send the head of a request, and again for its body.
    pub patience_s: f64,
    /// Connections at a time; more wait.
    pub connections: usize,
}

impl Serving {
    /// Any port, no limit on the rate, bodies of 8 MiB, 10 seconds of patience, 64 connections.
    #[must_use]
    pub fn new() -> Self {
        Self { port: 0, rate: None, body_bytes: 8 << 20, patience_s: 10.0, connections: 64 }
    }

    /// The same at this port.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The same with a limit on the requests per second of each client.
    #[must_use]
    pub fn with_rate(mut self, requests_per_second: f64) -> Self {
        self.rate = Some(requests_per_second);
        self
    }

    /// The same with another bound on a body.
    #[must_use]
    pub fn with_body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// The same with more or less patience, in seconds.
    #[must_use]
    pub fn with_patience_s(mut self, seconds: f64) -> Self {
        self.patience_s = seconds;
        self
    }

    /// The same with another number of connections.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    fn check(&self) -> Result<()> {
        if let Some(rate) = self.rate.filter(|rate| !(rate.is_finite() && *rate > 0.0)) {
            return Err(Error::config(format!("rate is {rate}"), "expected a positive number of requests per second"));
        }
        if !(self.patience_s > 0.0 && self.patience_s <= 3600.0) {
            return Err(Error::config(format!("patience_s is {}", self.patience_s), "expected more than 0 and at most 3600 seconds"));
        }
        if self.body_bytes == 0 || self.connections == 0 {
            let what = format!("body_bytes is {}, connections is {}", self.body_bytes, self.connections);
            return Err(Error::config(what, "expected at least 1 of each"));
        }
        Ok(())
    }

    /// Serves until the server is stopped or dropped.
    ///
    /// # Errors
    /// [`Error::Config`] for limits that cannot work or a port that cannot be had.
    pub fn start(self, service: &Service) -> Result<Server> {
        self.check()?;
        let refused =
            |cause: std::io::Error| Error::config(format!("port {}: {cause}", self.port), "choose another port, or 0 for any that is free");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        // One thread answers; the model works on two others, which share the cores with the rest of the program.
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().max_blocking_threads(2).build().map_err(refused)?;
        let site = Arc::new(Site::new(service.clone(), Gate::new(self.rate), self));
        let (stop, stopped) = oneshot::channel();
        let of_thread = Arc::clone(&site);
        let run = move || {
            let _context = runtime.enter();
            runtime.block_on(async {
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    tokio::spawn(connection::accept(listener, of_thread));
                    stopped.await.ok();
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(2));
        };
        let thread = std::thread::Builder::new().name("freelunch service".to_string()).spawn(run).map_err(refused)?;
        Ok(Server { address, site, stop: Some(stop), thread: Some(thread) })
    }
}

impl Default for Serving {
    fn default() -> Self {
        Self::new()
    }
}

/// A service that answers over HTTP; dropping it stops it.
pub struct Server {
    address: SocketAddr,
    site: Arc<Site>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Where it answers, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The key of a client, made when it is first asked for. Queries with it count as those of [`Service::client`] of that name.
    #[must_use]
    pub fn key(&self, client: &str) -> String {
        self.site.gate.key(client)
    }

    /// Ends the server: what is under way gets 2 seconds.
    pub fn stop(self) {
        drop(self);
    }

    /// A command for a terminal that asks about one record of zeros.
    #[must_use]
    pub fn curl(&self, client: &str) -> String {
        format!(
            "curl -s {}/predict -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{}'",
            self.url(),
            self.key(client),
            self.site.zeros()
        )
    }

    /// A Python program, without packages, that asks about one record of zeros.
    #[must_use]
    pub fn python(&self, client: &str) -> String {
        let features = self.site.features();
        [
            "import json, urllib.request".to_string(),
            format!("body = json.dumps({{\"records\": [[0.0] * {features}]}}).encode()"),
            format!("headers = {{\"Authorization\": \"Bearer {}\", \"Content-Type\": \"application/json\"}}", self.key(client)),
            format!("request = urllib.request.Request(\"{}/predict\", body, headers)", self.url()),
            "print(json.load(urllib.request.urlopen(request)))".to_string(),
        ]
        .join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already; then nobody listens.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Show for Server {
    fn figure(&self) -> Figure {
        let table = Table::new(["server", "this machine only"])
            .row(["address".to_string(), self.url()])
            .row(["routes".to_string(), "GET /, GET /health, POST /predict".to_string()]);
        Figure::column([table.figure(), Figure::text(self.curl("you")), Figure::text(self.python("you"))])
            .titled("Service over HTTP")
            .captioned("The key in the examples is that of the client \"you\".")
    }
}

show_inline!(Server);

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.url())
    }
}

#[cfg(test)]
mod tests;
