//! The public listener: accepts, counts, shakes hands, judges what comes in, and gives each connection to hyper.
//!
//! Every worker has its own listening socket on the same address (`SO_REUSEPORT`): the kernel spreads connections, and
//! nothing is shared between threads on the way of a request.
//!
//! `accept.rs` lets connections in and drains them; `connection.rs` is the socket that hyper sees, with every deadline;
//! `messages.rs` finds HTTP/1 heads in what comes in, `head.rs` judges one, `chunks.rs` finds a body's end; `frames.rs`
//! counts HTTP/2's frames; `activity.rs` is what connection and service tell each other; `count.rs` and `descriptors.rs` say how
//! many connections there are and may be.

mod accept;
pub mod activity;
pub mod chunks;
pub mod connection;
pub mod count;
pub mod descriptors;
pub mod frames;
pub mod head;
pub mod messages;
pub mod stream;
pub mod tls;

use std::io;
use std::net::SocketAddr;

pub use self::accept::{Accept, Stop};
pub use self::stream::Stream;

/// A listening socket for one worker.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let domain = if address.is_ipv4() {
        socket2::Domain::IPV4
    } else {
        socket2::Domain::IPV6
    };
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether somebody else already listens there: with `SO_REUSEPORT` a second process would quietly share the port.
pub fn in_use(address: SocketAddr) -> bool {
    address.port() != 0
        && std::net::TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

const BACKLOG: i32 = 1024;
/// What an HTTP/2 connection begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
