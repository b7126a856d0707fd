//! A lane's own wire: RESP3 on a socket, with nothing but a buffer between a claim and the kernel.
//!
//! The client library's shared connection takes a batch through a channel, a task and a timer of its own and makes a value
//! of every answer: that was two thirds of what a claim cost. What is not a claim goes the library's way here, too: its
//! commands, its parser, its typed answers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, PushKind, RedisError, RedisFuture, RedisResult, Value, cmd};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::address::Address;
use super::nodes::Node;

/// One connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    /// What came and was not taken yet begins at `at`.
    inbound: Vec<u8>,
    at: usize,
    /// The server said that something it was asked about has changed, or that it was emptied.
    was_told: bool,
    db: i64,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// What the server answered to one command.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// A number: what almost every claim gets.
    Number(i64),
    /// Anything else, an error among it.
    Other(Value),
}

impl Wire {
    /// Connects, signs in and picks the database.
    pub(super) async fn dial(address: &Address, node: &Node, connect_timeout: Duration) -> RedisResult<Self> {
        let stream = tokio::time::timeout(connect_timeout, connect(node, address.tls()?))
            .await
            .map_err(|_| RedisError::from((ErrorKind::Io, "connecting took too long")))??;
        let db = address.login().db();
        let mut wire = Self {
            stream,
            inbound: Vec::new(),
            at: 0,
            was_told: false,
            db,
        };
        let mut hello = cmd("HELLO");
        hello.arg(3);
        if let Some(password) = address.login().password() {
            let user = address.login().username().unwrap_or("default");
            hello.arg("AUTH").arg(user).arg(password);
        }
        hello.exec_async(&mut wire).await?;
        if db != 0 {
            cmd("SELECT").arg(db).exec_async(&mut wire).await?;
        }
        Ok(wire)
    }

    /// Whether the server said that something it was asked about has changed. What it said before an answer is known with
    /// the answer.
    pub(super) fn was_told(&self) -> bool {
        self.was_told
    }

    /// Sends commands as they stand in `packed`.
    pub(super) async fn send(&mut self, packed: &[u8]) -> io::Result<()> {
        self.stream.write_all(packed).await?;
        self.stream.flush().await
    }

    /// The next answer.
    pub(super) async fn answer(&mut self) -> RedisResult<Answer> {
        loop {
            if let Some(answer) = self.next()? {
                return Ok(answer);
            }
            self.read().await?;
        }
    }

    /// Waits, while nothing was asked, until the server says something or ends the connection.
    pub(super) async fn stirs(&mut self) -> RedisResult<()> {
        self.read().await?;
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(unreadable()),
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        if self.at == self.inbound.len() {
            self.inbound.clear();
        } else {
            self.inbound.drain(..self.at);
        }
        self.at = 0;
        self.inbound.reserve(ROOM);
        match self.stream.read_buf(&mut self.inbound).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next answer, if all of it came.
    fn next(&mut self) -> RedisResult<Option<Answer>> {
        loop {
            let rest = self.inbound.get(self.at..).unwrap_or_default();
            if let Some((number, length)) = number(rest) {
                self.at += length;
                return Ok(Some(Answer::Number(number)));
            }
            let Some(length) = length_of(rest)? else {
                return Ok(None);
            };
            let value = redis::parse_redis_value(rest.get(..length).unwrap_or_default())?;
            self.at += length;
            let Value::Push { kind, .. } = value else {
                return Ok(Some(Answer::Other(value)));
            };
            self.was_told |= kind == PushKind::Invalidate;
        }
    }
}

/// For what is asked when a connection begins.
impl ConnectionLike for Wire {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.send(&cmd.get_packed_command()).await?;
            Ok(match self.answer().await? {
                Answer::Number(number) => Value::Int(number),
                Answer::Other(value) => value,
            })
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            self.send(&pipeline.get_packed_pipeline()).await?;
            let mut values = Vec::with_capacity(count);
            for at in 0..offset + count {
                let value = match self.answer().await? {
                    Answer::Number(number) => Value::Int(number),
                    Answer::Other(value) => value,
                };
                if at >= offset {
                    values.push(value);
                }
            }
            Ok(values)
        })
    }

    fn get_db(&self) -> i64 {
        self.db
    }
}

async fn connect(node: &Node, tls: Option<Arc<ClientConfig>>) -> io::Result<Box<dyn Stream>> {
    let tcp = TcpStream::connect((node.host.as_str(), node.port)).await?;
    tcp.set_nodelay(true)?;
    let Some(tls) = tls else {
        return Ok(Box::new(tcp));
    };
    let name = ServerName::try_from(node.host.clone()).map_err(io::Error::other)?;
    Ok(Box::new(TlsConnector::from(tls).connect(name, tcp).await?))
}

/// Appends one argument of a command.
pub(super) fn push_bulk(packed: &mut Vec<u8>, octets: &[u8]) {
    packed.push(b'$');
    push_number(packed, octets.len());
    packed.extend_from_slice(b"\r\n");
    packed.extend_from_slice(octets);
    packed.extend_from_slice(b"\r\n");
}

/// Appends the head of a command of so many words.
pub(super) fn push_words(packed: &mut Vec<u8>, words: usize) {
    packed.push(b'*');
    push_number(packed, words);
    packed.extend_from_slice(b"\r\n");
}

fn push_number(packed: &mut Vec<u8>, number: usize) {
    if number >= 10 {
        push_number(packed, number / 10);
    }
    packed.push(b'0' + u8::try_from(number % 10).unwrap_or_default());
}

/// A number that stands whole at the start, and the octets that it takes.
fn number(bytes: &[u8]) -> Option<(i64, usize)> {
    let (b':', digits) = bytes.split_first()? else {
        return None;
    };
    let end = digits.iter().take(LONGEST_NUMBER).position(|octet| *octet == b'\r')?;
    let number = digits.get(..end)?.iter().try_fold(0_i64, |number, octet| {
        octet.is_ascii_digit().then(|| number * 10 + i64::from(*octet - b'0'))
    })?;
    (digits.get(end + 1)? == &b'\n').then_some((number, end + 3))
}

/// How many octets the value that begins here takes; `None`: they are not all here yet.
fn length_of(bytes: &[u8]) -> RedisResult<Option<usize>> {
    let (mut at, mut values) = (0_usize, 1_usize);
    while values > 0 {
        if at > LARGEST || values > LARGEST {
            return Err(unreadable());
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|octet| *octet == b'\n') else {
            return if rest.len() > LARGEST {
                Err(unreadable())
            } else {
                Ok(None)
            };
        };
        let (kind, line) = rest.get(..end).and_then(<[u8]>::split_first).ok_or_else(unreadable)?;
        at += end + 1;
        values -= 1;
        // -1: nothing, an older way to say it.
        let count = || {
            let text = std::str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
            let count = text.parse::<i64>().ok()?;
            usize::try_from(count.max(0)).ok().map(|some| (count >= 0, some))
        };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => {}
            b'$' | b'=' | b'!' => {
                let (is_there, octets) = count().ok_or_else(unreadable)?;
                at += if is_there { octets.saturating_add(2) } else { 0 };
            }
            b'*' | b'~' | b'>' => values = values.saturating_add(count().ok_or_else(unreadable)?.1),
            b'%' => values = values.saturating_add(count().ok_or_else(unreadable)?.1.saturating_mul(2)),
            // Attributes stand before the value that they are of.
            b'|' => values = values.saturating_add(count().ok_or_else(unreadable)?.1.saturating_mul(2) + 1),
            _ => return Err(unreadable()),
        }
    }
    if at > LARGEST {
        return Err(unreadable());
    }
    Ok((at <= bytes.len()).then_some(at))
}

fn unreadable() -> RedisError {
    RedisError::from((ErrorKind::Parse, "the server's answer can't be read"))
}

/// Octets that a read has room for, at least.
const ROOM: usize = 4096;
/// Octets, and parts, of an answer: what is asked here is told in far fewer.
const LARGEST: usize = 1024 * 1024;
/// Digits of a number that are counted here; what is longer goes the long way.
const LONGEST_NUMBER: usize = 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_the_librarys_parser_says_it_does() {
        let values: [&[u8]; 14] = [
            b"+OK\r\n",
            b"-MOVED 1 127.0.0.1:7000\r\n",
            b":-12\r\n",
            b"$5\r\nh\r\nlo\r\n",
            b"$-1\r\n",
            b"_\r\n",
            b"*0\r\n",
            b"*-1\r\n",
            b"*2\r\n:1\r\n*1\r\n$0\r\n\r\n",
            b"%1\r\n+a\r\n*1\r\n#t\r\n",
            b"~1\r\n,1.5\r\n",
            b"=7\r\ntxt:abc\r\n",
            b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
            b"(12345678901234567890\r\n",
        ];
        for value in values {
            let followed = [value, b":1\r\n"].concat();
            assert!(redis::parse_redis_value(value).is_ok(), "{value:?}");
            assert_eq!(length_of(&followed).unwrap(), Some(value.len()), "{value:?}");
            for short in 0..value.len() {
                assert_eq!(length_of(&value[..short]).unwrap(), None, "{value:?} {short}");
            }
        }
    }

    #[test]
    fn what_is_no_value_is_an_error_and_none_grows_without_bound() {
        for bad in [
            b"hello\r\n".as_slice(),
            b"\n",
            b"*x\r\n",
            b"$9999999999\r\nx\r\n",
            b"*99999999\r\n",
        ] {
            let grown = [bad, &b"\r\n:1".repeat(4)].concat();
            assert!(length_of(&grown).is_err(), "{bad:?}");
        }
        assert!(length_of(&vec![b'+'; LARGEST + 2]).is_err());
    }

    #[test]
    fn a_number_is_read_once_all_of_it_came() {
        assert_eq!(number(b":1\r\n:0\r\n"), Some((1, 4)));
        assert_eq!(number(b":120\r\n"), Some((120, 6)));
        for other in [b":1\r".as_slice(), b":1", b"", b"+1\r\n", b":x\r\n", b":-1\r\n"] {
            assert_eq!(number(other), None, "{other:?}");
        }
    }

    #[test]
    fn commands_are_packed_as_the_library_packs_them() {
        for length in [0, 1, 9, 10, 99, 100, 1234] {
            let word = "w".repeat(length);
            let mut packed = Vec::new();

            push_words(&mut packed, 2);
            push_bulk(&mut packed, b"SADD");
            push_bulk(&mut packed, word.as_bytes());

            assert_eq!(packed, cmd("SADD").arg(word).get_packed_command());
        }
    }
}
