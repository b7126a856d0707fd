//! Kept connections to one server: a request out, its response in, nothing pipelined.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::Failure;
use super::pollset::Pollset;

/// All connections of a run.
pub(super) struct Clients {
    pub(super) pollset: Pollset,
    server: SocketAddr,
    connections: Vec<Connection>,
    /// Statuses seen, by number.
    statuses: std::collections::BTreeMap<u16, u64>,
    /// Connections that ended while an answer was owed.
    broken: u64,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    filled: usize,
    owed: bool,
}

/// What reading came to.
pub(super) enum Progress {
    /// The response is not whole yet, or nothing was owed.
    Waiting,
    /// With this status; the connection is ready for the next request.
    Answered(u16),
    /// The connection ended without an answer, and was opened again.
    Broken,
}

impl Clients {
    pub(super) fn open(server: SocketAddr, count: usize) -> Result<Self, Failure> {
        let mut clients = Self {
            pollset: Pollset::new()?,
            server,
            connections: Vec::with_capacity(count),
            statuses: std::collections::BTreeMap::new(),
            broken: 0,
        };
        for number in 0..count {
            let connection = Connection::open(server, number)?;
            clients.pollset.add(&connection.stream, number)?;
            clients.connections.push(connection);
        }
        Ok(clients)
    }

    /// Sends a whole request.
    pub(super) fn send(&mut self, number: usize, request: &[u8]) -> Result<(), Failure> {
        let connection = self.connections.get_mut(number).ok_or("no such connection")?;
        connection.owed = true;
        match connection.stream.write(request) {
            Ok(written) if written == request.len() => Ok(()),
            Ok(_) => Err("a request did not fit the socket's buffer".into()),
            // Closed while it idled: reading will tell.
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what there is.
    pub(super) fn receive(&mut self, number: usize) -> Result<Progress, Failure> {
        let connection = self.connections.get_mut(number).ok_or("no such connection")?;
        let Some(room) = connection.received.get_mut(connection.filled..) else {
            return Err("a response is too long".into());
        };
        let read = match connection.stream.read(room) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Progress::Waiting),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error.into()),
        };
        if read == 0 {
            let owed = connection.owed;
            self.reopen(number)?;
            self.broken += u64::from(owed);
            return Ok(if owed { Progress::Broken } else { Progress::Waiting });
        }
        connection.filled += read;
        let received = connection.received.get(..connection.filled).unwrap_or_default();
        let Some(head) = Head::read(received)? else {
            return Ok(Progress::Waiting);
        };
        if connection.filled < head.whole {
            return Ok(Progress::Waiting);
        }
        if connection.filled > head.whole || !connection.owed {
            return Err("more came than one response".into());
        }
        (connection.filled, connection.owed) = (0, false);
        *self.statuses.entry(head.status).or_default() += 1;
        if head.closes {
            self.reopen(number)?;
        }
        Ok(Progress::Answered(head.status))
    }

    fn reopen(&mut self, number: usize) -> Result<(), Failure> {
        let opened = Connection::open(self.server, number)?;
        // The old socket leaves the set when it is closed.
        self.pollset.add(&opened.stream, number)?;
        if let Some(connection) = self.connections.get_mut(number) {
            *connection = opened;
        }
        Ok(())
    }

    /// What was seen since the last call.
    pub(super) fn take_outcomes(&mut self) -> Outcomes {
        Outcomes {
            statuses: std::mem::take(&mut self.statuses),
            broken: std::mem::take(&mut self.broken),
        }
    }
}

/// Answers by status, and those that never came.
pub(super) struct Outcomes {
    pub(super) statuses: std::collections::BTreeMap<u16, u64>,
    pub(super) broken: u64,
}

impl Outcomes {
    /// Anything but 200 makes what was measured worthless.
    pub(super) fn all_well(&self) -> Result<(), Failure> {
        if self.broken == 0 && self.statuses.keys().all(|status| *status == 200) {
            return Ok(());
        }
        let Self { statuses, broken } = self;
        Err(format!("not every answer was 200: {statuses:?}, and {broken} connections broke").into())
    }
}

impl Connection {
    fn open(server: SocketAddr, number: usize) -> Result<Self, Failure> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        // A server may bound the connections of one address: every 900 come from the next of loopback's own.
        let host = u8::try_from(number / PER_ADDRESS)? + 2;
        let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
        socket.bind(&own.into())?;
        socket.connect(&server.into())?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            stream: socket.into(),
            received: vec![0; LONGEST_RESPONSE],
            filled: 0,
            owed: false,
        })
    }
}

/// A response's head.
struct Head {
    status: u16,
    /// Octets of head and body.
    whole: usize,
    closes: bool,
}

impl Head {
    /// `None`: it is not whole yet.
    fn read(received: &[u8]) -> Result<Option<Self>, Failure> {
        let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let mut length = None;
        let mut closes = false;
        for line in head.split("\r\n").skip(1) {
            let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<usize>()?);
            } else if name.eq_ignore_ascii_case("connection") {
                closes = value.trim().eq_ignore_ascii_case("close");
            }
        }
        let length = length.ok_or("a response without Content-Length")?;
        Ok(Some(Self {
            status,
            whole: end + 4 + length,
            closes,
        }))
    }
}

const LONGEST_RESPONSE: usize = 4096;
const PER_ADDRESS: usize = 900;
