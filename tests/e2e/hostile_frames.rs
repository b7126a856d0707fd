//! HTTP/2 by hand: frames as a hostile client writes them (RFC 9113), and headers without compression (RFC 7541).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::Instant;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error of a GOAWAY or an `RST_STREAM`.
    pub(crate) fn error(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        let code = self.payload.get(at..at + 4).unwrap_or(&[0xFF; 4]);
        code.iter().fold(0, |code, byte| code << 8 | u32::from(*byte))
    }
}

/// A connection with prior knowledge.
pub(crate) struct Raw {
    read: OwnedReadHalf,
    pub(crate) write: OwnedWriteHalf,
}

impl Raw {
    /// Connected, preface and these settings sent.
    pub(crate) async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (read, write) = stream.into_split();
        let mut raw = Self { read, write };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [name.to_be_bytes().as_slice(), &value.to_be_bytes()].concat())
            .collect();
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        raw.send(&frame(SETTINGS, 0, 0, &payload)).await.unwrap();
        raw
    }

    pub(crate) async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.write.write_all(octets).await
    }

    /// The next frame; `None`: the other end closed, or cut.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut header = [0; 9];
        self.read.read_exact(&mut header).await.ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let mut payload = vec![0; length];
        self.read.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7FFF_FFFF,
            payload,
        })
    }

    /// The first frame of that kind; panics where the connection ends, or nothing comes, before it.
    pub(crate) async fn until(&mut self, kind: u8) -> Frame {
        let found = async {
            loop {
                let frame = self
                    .next()
                    .await
                    .unwrap_or_else(|| panic!("ended before a frame of kind {kind}"));
                if frame.kind == kind {
                    return frame;
                }
            }
        };
        tokio::time::timeout(PATIENCE, found)
            .await
            .unwrap_or_else(|_| panic!("no frame of kind {kind}"))
    }

    /// Reads until the other end closes; how long that took and the error of its GOAWAY, if there was one.
    pub(crate) async fn closes(&mut self) -> (Duration, Option<u32>) {
        let begun = Instant::now();
        let mut said = None;
        let ended = async {
            while let Some(frame) = self.next().await {
                match frame.kind {
                    GOAWAY => said = Some(frame.error()),
                    // Asked before a polite end, so that nothing that is under way is lost.
                    PING if frame.flags & ACK == 0 => {
                        let _sent = self.send(&self::frame(PING, ACK, 0, &frame.payload)).await;
                    }
                    _ => {}
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, ended).await;
        assert!(ended.is_ok(), "never closed");
        (begun.elapsed(), said)
    }
}

/// A frame's octets.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut octets = vec![a, b, c, kind, flags];
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// A header block: every field a literal that is not indexed.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut octets = Vec::new();
    for (name, value) in fields {
        octets.push(0);
        for text in [name, value] {
            length(&mut octets, text.len());
            octets.extend(text.bytes());
        }
    }
    octets
}

fn length(octets: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        octets.push(u8::try_from(length).unwrap());
        return;
    }
    octets.push(127);
    length -= 127;
    while length >= 128 {
        octets.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    octets.push(u8::try_from(length).unwrap());
}

/// A GET as a whole.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&pseudo("GET", path)))
}

/// The fields every request begins with.
pub(crate) fn pseudo<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":authority", "shop.example"),
        (":path", path),
    ]
}

const PATIENCE: Duration = Duration::from_secs(30);
