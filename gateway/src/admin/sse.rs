//! Server-sent events as a response body: piece after piece, each made when the one before was taken, so that a slow listener
//! holds up nothing and keeps nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;

/// The next piece being made, and what makes the one after it; `None`: the stream ends.
pub(super) type Making<S> = Pin<Box<dyn Future<Output = Option<(Bytes, S)>> + Send>>;

/// A stream that begins with a comment, so that the listener knows at once that it is heard.
pub(super) fn response<S: Send + 'static>(source: S, next: fn(S) -> Making<S>) -> Response {
    let greeting = std::future::ready(Some((Bytes::from_static(b": listening\n\n"), source)));
    let making: Making<S> = Box::pin(greeting);
    let mut response = Response::new(Body::new(Pieces {
        making: Some(making),
        next,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

struct Pieces<S> {
    making: Option<Making<S>>,
    next: fn(S) -> Making<S>,
}

impl<S> hyper::body::Body for Pieces<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        polling: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(making) = &mut self.making else {
            return Poll::Ready(None);
        };
        let made = ready!(making.as_mut().poll(polling));
        let (piece, after) = match made {
            None => (None, None),
            Some((octets, source)) => (Some(Ok(Frame::data(octets))), Some((self.next)(source))),
        };
        self.making = after;
        Poll::Ready(piece)
    }
}
