//! One JSON line a request, on stdout, apart from the application's log.
//!
//! Workers collect lines in a buffer of their own and hand it over whole to one writer thread; when that can't keep up,
//! lines are dropped and counted: a slow sink never slows a request.

use std::cell::RefCell;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::sink::{count_lost, write_or_count};

/// What one line says. Secrets, signatures, tokens and query values are never part of it.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Wall time since 1970.
    pub at: Duration,
    /// `X-Request-Id`
    pub request_id: &'a str,
    /// The peer, or whom a trusted proxy names.
    pub client: IpAddr,
    /// Method.
    pub method: &'a str,
    /// The path, without its query.
    pub path: &'a str,
    /// The route's template, or the name of our own endpoint; empty: none matched.
    pub route: &'a str,
    /// The consumer that signed, if its signature held.
    pub consumer: Option<u64>,
    /// Status sent.
    pub status: u16,
    /// Why it was refused; `None`: it was served.
    pub cause: Option<&'static str>,
    /// Whose fault a failure is: `client`, `gateway`, `store` or `upstream`.
    pub side: Option<&'static str>,
    /// Whether the refusal was recorded only (`mode = "observe"`).
    pub observed: bool,
    /// Whether the response was cut before its end.
    pub cut: bool,
    /// Octets of the response body.
    pub octets: u64,
    /// From the head's arrival to the end of the response.
    pub took: Duration,
    /// Until the caller was known.
    pub authenticated_after: Option<Duration>,
    /// The target that was asked last.
    pub upstream: Option<&'a str>,
    /// Until upstream's answer began, from when it had been sent what came before.
    pub upstream_took: Option<Duration>,
    /// The trace that the client named; without one the request's id is the trace's.
    pub trace_id: Option<&'a str>,
}

/// A worker's end.
pub struct AccessLog {
    buffer: RefCell<Vec<u8>>,
    writer: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<AtomicU64>,
}

impl AccessLog {
    /// Starts the writer thread; answers what each worker's end is made from.
    pub fn start(enabled: bool) -> std::io::Result<AccessLogWriter> {
        let dropped = Arc::new(AtomicU64::new(0));
        if !enabled {
            return Ok(AccessLogWriter {
                sender: None,
                dropped,
                thread: None,
            });
        }
        let (sender, receiver) = sync_channel(QUEUE);
        let lost = Arc::clone(&dropped);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_out(&receiver, std::io::stdout().lock(), &lost))?;
        Ok(AccessLogWriter {
            sender: Some(sender),
            dropped,
            thread: Some(thread),
        })
    }

    /// Adds a line; hands the buffer over when it is large.
    pub fn write(&self, line: &Line<'_>) {
        if self.writer.is_none() {
            return;
        }
        let mut buffer = self.buffer.borrow_mut();
        push_line(&mut buffer, line);
        if buffer.len() >= CHUNK {
            let full = std::mem::replace(&mut *buffer, Vec::with_capacity(CHUNK + LONGEST_LINE));
            drop(buffer);
            self.hand_over(full);
        }
    }

    /// Hands over what there is: called by the worker's tick, so that a quiet gateway's lines appear too.
    pub fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.is_empty() {
            let partial = std::mem::take(&mut *buffer);
            drop(buffer);
            self.hand_over(partial);
        }
    }

    fn hand_over(&self, chunk: Vec<u8>) {
        let Some(writer) = &self.writer else { return };
        if let Err(error) = writer.try_send(chunk) {
            let (std::sync::mpsc::TrySendError::Full(chunk) | std::sync::mpsc::TrySendError::Disconnected(chunk)) =
                error;
            count_lost(&self.dropped, &chunk);
        }
    }
}

/// What workers' ends are made from; waits for the last line when the process ends.
pub struct AccessLogWriter {
    sender: Option<SyncSender<Vec<u8>>>,
    dropped: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl AccessLogWriter {
    /// An end for one worker.
    pub fn end(&self) -> AccessLog {
        AccessLog {
            buffer: RefCell::default(),
            writer: self.sender.clone(),
            dropped: Arc::clone(&self.dropped),
        }
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.dropped)
    }

    /// Waits until everything handed over is written; all ends must be gone.
    pub fn finish(mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the access log's writer died");
        }
    }
}

fn write_out(receiver: &Receiver<Vec<u8>>, mut sink: impl Write, lost: &AtomicU64) {
    while let Ok(chunk) = receiver.recv() {
        // Going on after a fault keeps the queue from filling.
        write_or_count(&mut sink, &chunk, lost);
    }
}

fn push_line(out: &mut Vec<u8>, line: &Line<'_>) {
    out.extend_from_slice(b"{\"ts\":");
    push_number(out, line.at.as_secs());
    // 1000 more than it is: three digits, behind a first one that becomes the point.
    let point = out.len();
    push_number(out, 1000 + u64::from(line.at.subsec_millis()));
    if let Some(point) = out.get_mut(point) {
        *point = b'.';
    }
    out.extend_from_slice(b",\"request_id\":\"");
    out.extend_from_slice(line.request_id.as_bytes());
    out.extend_from_slice(b"\",\"client\":\"");
    push_address(out, line.client);
    out.extend_from_slice(b"\",\"method\":\"");
    push_escaped(out, line.method);
    out.extend_from_slice(b"\",\"path\":\"");
    push_escaped(out, line.path);
    out.extend_from_slice(b"\",\"route\":\"");
    push_escaped(out, line.route);
    push_field(out, b"\",\"status\":", u64::from(line.status));
    if let Some(consumer) = line.consumer {
        push_field(out, b",\"consumer\":", consumer);
    }
    if let Some(cause) = line.cause {
        // Writing to a Vec can't fail.
        let _written = write!(out, ",\"cause\":\"{cause}\"");
    }
    if let Some(side) = line.side {
        let _written = write!(out, ",\"side\":\"{side}\"");
    }
    if line.observed {
        out.extend_from_slice(b",\"observed\":true");
    }
    if line.cut {
        out.extend_from_slice(b",\"cut\":true");
    }
    if let Some(trace_id) = line.trace_id {
        out.extend_from_slice(b",\"trace_id\":\"");
        push_escaped(out, trace_id);
        out.push(b'"');
    }
    if let Some(upstream) = line.upstream {
        out.extend_from_slice(b",\"upstream\":\"");
        push_escaped(out, upstream);
        out.push(b'"');
    }
    if let Some(after) = line.authenticated_after {
        push_field(out, b",\"t_auth\":", micros(after));
    }
    if let Some(took) = line.upstream_took {
        push_field(out, b",\"t_upstream\":", micros(took));
    }
    push_field(out, b",\"octets\":", line.octets);
    push_field(out, b",\"t\":", micros(line.took));
    out.extend_from_slice(b"}\n");
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn push_field(out: &mut Vec<u8>, before: &[u8], number: u64) {
    out.extend_from_slice(before);
    push_number(out, number);
}

/// Digits without the formatter, which costs as much as all else of a line.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (place, octet) in address.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                push_number(out, u64::from(octet));
            }
        }
        IpAddr::V6(address) => {
            let _written = write!(out, "{address}");
        }
    }
}

/// JSON string escapes, and `\u00XX` for all controls; UTF-8 stays as it is. A field is cut at its bound once escaped, so
/// that a line stays one JSON object within its own.
fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\' && byte != 0x7F && byte != 0xC2;
    if text.len() <= LONGEST_FIELD && text.bytes().all(plain) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let end = out.len() + LONGEST_FIELD;
    for character in text.chars() {
        let before = out.len();
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            control if control.is_control() => {
                let _written = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => {
                let _written = write!(out, "{other}");
            }
        }
        if out.len() > end {
            out.truncate(before);
            return;
        }
    }
}

/// Chunks that may wait for the writer.
const QUEUE: usize = 64;
const CHUNK: usize = 64 * 1024;
const LONGEST_LINE: usize = 8 * 1024;
/// Three fields of it, and all else of a line, are less than a line's bound.
const LONGEST_FIELD: usize = 2 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(path: &str) -> Line<'_> {
        Line {
            at: Duration::from_millis(1_700_000_000_123),
            request_id: "r1",
            client: IpAddr::from([192, 0, 2, 1]),
            method: "GET",
            path,
            route: "/a{x}",
            consumer: Some(7),
            status: 401,
            cause: Some("nonce_used"),
            side: Some("client"),
            observed: false,
            cut: false,
            octets: 12,
            took: Duration::from_micros(34),
            authenticated_after: Some(Duration::from_micros(5)),
            upstream: Some("192.0.2.9:80"),
            upstream_took: Some(Duration::from_micros(21)),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c"),
        }
    }

    #[test]
    fn a_line_stays_one_json_object_within_its_bound_whatever_its_fields_grow_to() {
        for path in [
            "\u{80}".repeat(5000),
            "\"".repeat(9000),
            "é".repeat(9000),
            "/".repeat(9000),
        ] {
            let fields = Line {
                method: &path,
                route: &path,
                ..line(&path)
            };
            let mut out = Vec::new();

            push_line(&mut out, &fields);

            assert!(out.len() <= LONGEST_LINE, "{}", out.len());
            let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert!(path.starts_with(parsed["path"].as_str().unwrap()));
        }
    }

    #[test]
    fn lines_that_a_closed_pipe_takes_no_more_are_counted() {
        let (reader, sink) = std::io::pipe().unwrap();
        drop(reader);
        let (sender, receiver) = sync_channel(QUEUE);
        sender.send(b"one\ntwo\n".to_vec()).unwrap();
        drop(sender);
        let lost = AtomicU64::new(0);

        write_out(&receiver, sink, &lost);

        assert_eq!(lost.into_inner(), 2);
    }

    #[test]
    fn numbers_are_written_as_they_are_from_least_to_most() {
        for number in [0, 9, 10, 1_000_000, u64::MAX] {
            let mut out = Vec::new();

            push_number(&mut out, number);

            assert_eq!(std::str::from_utf8(&out), Ok(number.to_string().as_str()));
        }
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_path_holds() {
        let line = line("/a\"b\\c\n\u{7f}é");
        let mut out = Vec::new();

        push_line(&mut out, &line);

        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["path"], "/a\"b\\c\n\u{7f}é");
        assert_eq!(parsed["ts"], 1_700_000_000.123);
        assert_eq!(parsed["consumer"], 7);
        assert_eq!(parsed["client"], "192.0.2.1");
        assert_eq!(
            (&parsed["status"], &parsed["octets"], &parsed["t"], &parsed["t_auth"]),
            (&401.into(), &12.into(), &34.into(), &5.into())
        );
        assert_eq!(out.iter().position(|byte| *byte == b'\n'), Some(out.len() - 1));
    }
}
