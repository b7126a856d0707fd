//! The application's log, on stderr, apart from the access log.
//!
//! Whoever logs hands a line over and goes on; one thread writes. When nobody drains stderr, lines are dropped and counted:
//! a log that nobody reads never stops a worker.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use super::sink::write_or_count;

/// The end that lines are given to; cheap to clone.
#[derive(Clone)]
pub struct ApplicationLog(Arc<Queue>);

struct Queue {
    lines: Mutex<Lines>,
    arrived: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Lines {
    /// Whole lines that wait for the writer.
    waiting: Vec<u8>,
    is_writing: bool,
}

impl ApplicationLog {
    /// Starts the thread that writes to stderr.
    pub fn start() -> io::Result<Self> {
        // Locked for each write only: a command that is not a server prints there, too.
        Self::onto(io::stderr())
    }

    fn onto(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            lines: Mutex::default(),
            arrived: Condvar::new(),
            written: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let written = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || written.write_out(sink))?;
        Ok(Self(queue))
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until all that was logged is written, but not longer than that: `false` where it is not.
    pub fn finish(&self, limit: Duration) -> bool {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = |lines: &mut Lines| lines.is_writing || !lines.waiting.is_empty();
        let waited = self.0.written.wait_timeout_while(lines, limit, under_way);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.waiting.len() + line.len() > MOST_OCTETS {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        lines.waiting.extend_from_slice(line);
        drop(lines);
        self.arrived.notify_one();
    }

    /// Runs as long as the process.
    fn write_out(&self, mut sink: impl Write) {
        loop {
            let nothing = |lines: &mut Lines| lines.waiting.is_empty();
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let arrived = self.arrived.wait_while(lines, nothing);
            let mut lines = arrived.unwrap_or_else(PoisonError::into_inner);
            let chunk = std::mem::take(&mut lines.waiting);
            lines.is_writing = true;
            drop(lines);
            write_or_count(&mut sink, &chunk, &self.dropped);
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).is_writing = false;
            self.written.notify_all();
        }
    }
}

impl<'a> MakeWriter<'a> for ApplicationLog {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Takes one line, whole: what is given to it at once is written or dropped at once.
pub struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What may wait for a slow reader.
const MOST_OCTETS: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// No test waits for it: it is for a machine with much else to do.
    const LONG: Duration = Duration::from_secs(20);

    fn log_line(log: &ApplicationLog, line: &[u8]) {
        log.make_writer().write_all(line).unwrap();
    }

    #[test]
    fn a_reader_that_reads_nothing_costs_lines_and_stops_nobody() {
        let (reader, sink) = io::pipe().unwrap();
        let log = ApplicationLog::onto(sink).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();

        // More than the pipe and the queue hold.
        for _ in 0..4096 {
            log_line(&log, &line);
        }
        let finished = log.finish(Duration::from_millis(10));
        let dropped = log.dropped();

        assert!(!finished);
        assert!(dropped > 0);
        drop(reader);
        assert!(log.finish(LONG), "who has gone holds up nobody");
        assert_eq!(log.dropped(), 4096, "what was not read counts as dropped");
    }

    #[test]
    fn what_was_logged_before_the_end_is_written_by_then() {
        let (mut reader, sink) = io::pipe().unwrap();
        let log = ApplicationLog::onto(sink).unwrap();

        for number in 0..100 {
            log_line(&log, format!("{number:02}\n").as_bytes());
        }
        assert!(log.finish(LONG));
        let mut read = [0; 300];
        reader.read_exact(&mut read).unwrap();

        assert!(read.starts_with(b"00\n01\n") && read.ends_with(b"99\n"));
        assert_eq!(log.dropped(), 0);
    }
}
