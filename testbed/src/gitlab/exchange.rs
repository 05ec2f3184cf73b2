//! One request and its response: journal, fault, answer, and the headers all answers have.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request as HttpRequest, State as Extract};
use axum::http::{HeaderMap, Response, StatusCode, header};
use http_body::Frame;
use tokio::time::sleep;

use super::clock::http_date;
use super::connection::{Door, Peer};
use super::control;
use super::faults::Effect;
use super::reply::Reply;
use super::request::Request;
use super::state::Shared;

/// Serves until dropped.
pub(super) async fn serve(door: Door, shared: Arc<Shared>) -> Result<()> {
    let router = Router::new().fallback(exchange).with_state(shared);
    axum::serve(door, router.into_make_service_with_connect_info::<Peer>()).await?;
    Ok(())
}

/// What comes of a request on the wire.
enum Outcome {
    Answered(Reply),
    Truncated(Reply),
    Reset,
}

async fn exchange(
    Extract(shared): Extract<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: HttpRequest,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MOST_BODY_BYTES).await else {
        // The client went away, or sent more than any variable can hold.
        return response(Reply::of(413, "text/html", Vec::new()), &shared);
    };
    let header = |name: &str| text_header(&head.headers, name);
    let request = Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        private_token: header("private-token"),
        authorization: header("authorization"),
        origin: format!("{}://{}", shared.scheme(), header("host").unwrap_or_default()),
        body: body.to_vec(),
    };
    if let Some(path) = request.path.strip_prefix("/_testbed") {
        let reply = control::answer(&shared, path, &request);
        return response(reply, &shared);
    }
    // A task of its own: GitLab carries a request out even if its client has gone in the meantime.
    let carried_out = tokio::spawn(carry_out(Arc::clone(&shared), request, peer.number)).await;
    match carried_out {
        Ok(Outcome::Answered(reply)) => response(reply, &shared),
        Ok(Outcome::Truncated(reply)) => truncated(reply, &shared),
        Ok(Outcome::Reset) => {
            peer.reset();
            Response::new(Body::empty())
        }
        Err(_) => response(
            Reply::of(500, "text/plain", "the stand-in panicked\n".into()),
            &shared,
        ),
    }
}

async fn carry_out(shared: Arc<Shared>, request: Request, connection: u64) -> Outcome {
    let (n, effect) = {
        let state = &mut *shared.lock();
        let effect = state.faults.take(&request);
        let fault = effect.as_ref().map(Effect::describe);
        (
            state.journal.enter(&request, connection, fault, &state.world),
            effect,
        )
    };
    let apply = |request: &Request| {
        let reply = shared.lock().answer(request);
        with_application_headers(reply, n)
    };
    let Some(effect) = effect else {
        return answered(&shared, n, apply(&request));
    };
    match effect {
        Effect::Answer { with, applied } => {
            if applied {
                apply(&request);
            }
            let reply = with.reply(shared.lock().world.now());
            answered(&shared, n, reply)
        }
        Effect::Drop { applied } => {
            if applied {
                apply(&request);
            }
            Outcome::Reset
        }
        Effect::Delay { millis } => {
            sleep(Duration::from_millis(millis)).await;
            answered(&shared, n, apply(&request))
        }
        Effect::Stall { millis } => {
            let reply = apply(&request);
            sleep(Duration::from_millis(millis)).await;
            answered(&shared, n, reply)
        }
        Effect::Late { millis } => {
            shared.lock().postpone(request, millis);
            Outcome::Reset
        }
        Effect::Truncate => {
            let reply = apply(&request);
            shared.lock().journal.answered(n, reply.status);
            Outcome::Truncated(reply)
        }
    }
}

fn answered(shared: &Shared, n: u64, reply: Reply) -> Outcome {
    shared.lock().journal.answered(n, reply.status);
    Outcome::Answered(reply)
}

/// What GitLab itself adds, as opposed to a proxy in front of it.
fn with_application_headers(reply: Reply, n: u64) -> Reply {
    reply
        .with("cache-control", "max-age=0, private, must-revalidate")
        .with("vary", "Origin")
        .with("x-content-type-options", "nosniff")
        .with("x-frame-options", "SAMEORIGIN")
        .with(
            "x-gitlab-meta",
            format!(r#"{{"correlation_id":"{n:026}","version":"1"}}"#),
        )
        .with("x-request-id", format!("{n:026}"))
        .with("x-runtime", "0.012345")
}

fn response(reply: Reply, shared: &Shared) -> Response<Body> {
    let body = Body::from(reply.body.clone());
    respond(&reply, body, shared)
}

/// Announces the whole body and sends the first half.
fn truncated(reply: Reply, shared: &Shared) -> Response<Body> {
    let length = reply.body.len().to_string();
    let mut half = reply.body.clone();
    half.truncate(reply.body.len() / 2);
    let body = Body::new(Broken {
        half: Some(half.into()),
        flushed: false,
    });
    respond(&reply.with("content-length", length), body, shared)
}

/// Every response has the `Date` of the server's clock, never the machine's.
fn respond(reply: &Reply, body: Body, shared: &Shared) -> Response<Body> {
    let mut builder = Response::builder().status(reply.status);
    if !reply
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("date"))
    {
        builder = builder.header(header::DATE, http_date(shared.lock().world.now()));
    }
    for (name, value) in &reply.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).unwrap_or_else(|error| {
        // Only a test's own answer can hold what HTTP can't.
        let mut response = Response::new(Body::from(format!("the stand-in can't send that: {error}\n")));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned)
}

const MOST_BODY_BYTES: usize = 1 << 20;

/// A body that sends its half, lets it be flushed, and fails.
struct Broken {
    half: Option<Bytes>,
    flushed: bool,
}

impl HttpBody for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !self.flushed {
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
