//! Connections: how many, how long, and the body of a request.

use super::routes::{Reply, Site};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// No connection lives longer, however it behaves.
const LIFETIME: Duration = Duration::from_secs(600);
/// Bytes of a request's head at most.
const HEAD: usize = 64 << 10;

pub(super) async fn accept(listener: TcpListener, site: Arc<Site>) {
    let room = Arc::new(Semaphore::new(site.limits.connections));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, say: wait for others to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Answers are small: they are not to wait for more to come.
        stream.set_nodelay(true).ok();
        let (site, patience) = (Arc::clone(&site), site.patience());
        tokio::spawn(async move {
            let handler = service_fn(move |request| handle(Arc::clone(&site), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                // Who has said all may close that side and still wants the answer.
                .half_close(true)
                .header_read_timeout(patience)
                .max_header_size(HEAD)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), handler);
            // What goes wrong on a connection is the client's doing and ends with it.
            tokio::time::timeout(LIFETIME, connection).await.ok();
            drop(permit);
        });
    }
}

async fn handle(site: Arc<Site>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(respond(answer(site, request).await))
}

async fn answer(site: Arc<Site>, request: Request<Incoming>) -> Reply {
    let (method, path) = (request.method().as_str().to_string(), request.uri().path().to_string());
    let key = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default().to_string());
    let client = match site.admit(&method, &path, key.as_deref()) {
        Ok(client) => client,
        Err(reply) => return reply,
    };
    let Some(client) = client else { return site.about(&path, key.as_deref()) };
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let most = site.limits.body_bytes;
    let too_large = || {
        let what = format!("a body of more than {most} bytes");
        Reply::refusal(413, &what, "ask about fewer records at a time").closing()
    };
    if announced.is_some_and(|bytes| bytes > most as u64) {
        return too_large();
    }
    let collected = tokio::time::timeout(site.patience(), Limited::new(request.into_body(), most).collect()).await;
    let body = match collected {
        Err(_) => {
            let what = format!("the body did not come within {} s", site.limits.patience_s);
            return Reply::refusal(408, &what, "send it at once").closing();
        }
        Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => return too_large(),
        Ok(Err(error)) => return Reply::refusal(400, &format!("the body cannot be read: {error}"), "send it whole").closing(),
        Ok(Ok(body)) => body.to_bytes(),
    };
    // Reading numbers and asking the model take time in which others are answered.
    let work = tokio::task::spawn_blocking(move || site.predict(&client, &body));
    work.await.unwrap_or_else(|_| Reply::refusal(500, "the model failed", "ask again, or look at the server's console"))
}

fn respond(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if reply.close {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(method) = reply.allow {
        headers.insert(ALLOW, HeaderValue::from_static(method));
    }
    response
}
