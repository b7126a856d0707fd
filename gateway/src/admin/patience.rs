//! How long the admin listener waits for a client: who sends a body or takes an answer at no pace would keep one of its
//! connections for ever, and there are few of them, for health and metrics, too.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_io_timeout::TimeoutStream;

/// For what a client is waited for, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// A head; between requests, too.
    pub(super) head: Duration,
    /// A whole body.
    pub(super) body: Duration,
    /// An answer that makes no progress.
    pub(super) answer: Duration,
}

/// The largest body comes within it over a line of 300 kbit/s.
pub(super) const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    body: Duration::from_secs(30),
    answer: Duration::from_secs(30),
};

impl Patience {
    /// The socket of a client that must take what it is sent.
    pub(super) fn sending<S: AsyncRead + AsyncWrite>(self, stream: S) -> Pin<Box<TimeoutStream<S>>> {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.answer));
        Box::pin(stream)
    }

    /// The request with a body that must be whole in time.
    pub(super) fn timed(self, request: Request) -> Request {
        request.map(|body| {
            if hyper::body::Body::is_end_stream(&body) {
                return body;
            }
            Body::new(Timed {
                body,
                time: self.body,
                deadline: Box::pin(tokio::time::sleep(self.body)),
            })
        })
    }
}

struct Timed {
    body: Body,
    time: Duration,
    deadline: Pin<Box<Sleep>>,
}

/// Why a body was cut.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("it did not come within {0:?}")]
    Late(Duration),
    #[error(transparent)]
    Broken(#[from] axum::Error),
}

impl hyper::body::Body for Timed {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Cut::from)));
        }
        ready!(this.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(Cut::Late(this.time))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
