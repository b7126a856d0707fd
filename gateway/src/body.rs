//! A response body: one of ours, or upstream's as it streams.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use crate::proxy::response_body::UpstreamBody;

/// What the public listener answers with.
pub enum ResponseBody {
    /// Ours, whole in memory.
    Full(Full<Bytes>),
    /// Upstream's, as it comes.
    Upstream(Box<UpstreamBody>),
}

/// The body broke while it streamed: the connection is cut, so that nobody takes half for the whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

impl ResponseBody {
    /// Without octets.
    pub fn empty() -> Self {
        Self::Full(Full::new(Bytes::new()))
    }

    /// Octets of a body of ours; `None`: upstream's, which counts its own.
    pub fn size_of_ours(&self) -> Option<u64> {
        match self {
            Self::Full(body) => body.size_hint().exact(),
            Self::Upstream(_) => None,
        }
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Self::Full(Full::new(Bytes::from(text)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Upstream(body) => Pin::new(body.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(body) => body.is_end_stream(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => body.size_hint(),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}
