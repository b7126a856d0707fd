//! A connection to an upstream on which a response's head, with all the interim ones before it, has so many octets at most.
//!
//! hyper bounds one head, and reads interim ones (1xx) for as long as there are any, without letting others of its thread
//! on in between: an upstream that sends nothing else would hold the thread past every deadline.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::listen::Stream;

/// The connection, and what may still be read of it; who sends requests on it sets that.
pub(super) struct HeadBound {
    stream: Stream,
    left: Rc<Cell<usize>>,
}

impl HeadBound {
    pub(super) fn new(stream: Stream, left: Rc<Cell<usize>>) -> Self {
        Self { stream, left }
    }
}

impl AsyncRead for HeadBound {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        let Some(left) = this.left.get().checked_sub(read) else {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the head of a response is endless",
            )));
        };
        this.left.set(left);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for HeadBound {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
