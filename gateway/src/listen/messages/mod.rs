//! HTTP/1 as it comes in: where each message's head begins, so that no head, pipelined ones among them, reaches hyper
//! unjudged.
//!
//! A head is handed over whole. One that comes in pieces waits here, within its bounds; one that is refused is replaced
//! by one that hyper takes and that says to close, and the service is told why: so even a request that no
//! parser could read gets an answer of ours, its log line and its count. What comes after it is never read.

use std::mem;

use super::chunks::{Chunks, Progress};
use super::head::{Bounds, Framing, Judged, Scan};
use crate::refusal::Cause;

/// The inbound side of one connection.
#[derive(Debug)]
pub struct Messages {
    bounds: Bounds,
    state: State,
    /// Heads that were handed over.
    heads: u64,
    /// A head that has begun and is not whole.
    partial: Vec<u8>,
    /// Octets that were judged good and wait to be handed over.
    good: Vec<u8>,
    refused: Option<(u64, Cause)>,
}

#[derive(Debug)]
enum State {
    Head(Scan),
    Length(u64),
    Chunks(Chunks),
    /// A head was refused.
    Over,
    /// A body's framing broke.
    Broken,
}

impl Messages {
    /// Before the first head.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: State::Head(Scan::default()),
            heads: 0,
            partial: Vec::new(),
            good: Vec::new(),
            refused: None,
        }
    }

    /// Takes what was read, and answers how many of its octets, from the first on, may be handed over as they are.
    pub fn take(&mut self, fresh: &[u8]) -> usize {
        if self.partial.is_empty() {
            let good = self.judge(fresh);
            if matches!(self.state, State::Head(_)) {
                self.partial.extend(fresh.iter().skip(good));
            }
            return good;
        }
        let mut bytes = mem::take(&mut self.partial);
        bytes.extend_from_slice(fresh);
        let good = self.judge(&bytes);
        if matches!(self.state, State::Head(_)) {
            self.partial = bytes.split_off(good);
        }
        bytes.truncate(good);
        // A refusal left its stand-in there, which follows what is good.
        bytes.append(&mut self.good);
        self.good = bytes;
        0
    }

    /// Octets that wait to be handed over, at most `most`.
    pub fn hand_over(&mut self, most: usize) -> Vec<u8> {
        let rest = self.good.split_off(most.min(self.good.len()));
        mem::replace(&mut self.good, rest)
    }

    /// Whether octets wait to be handed over.
    pub fn has_good(&self) -> bool {
        !self.good.is_empty()
    }

    /// Whether a head has begun and is not whole.
    pub fn is_partial(&self) -> bool {
        matches!(&self.state, State::Head(scan) if !self.partial.is_empty() && scan.has_begun(&self.partial))
    }

    /// Whether the client may still be sending what nobody will read.
    pub fn is_unfinished(&self) -> bool {
        !matches!(self.state, State::Head(_)) || self.is_partial()
    }

    /// Whether no more is read, since a head was refused.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether a body's framing broke.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Heads that were handed over, one that stands for a refused one among them.
    pub fn handed_over(&self) -> u64 {
        self.heads + u64::from(self.refused.is_some())
    }

    /// Which head was refused, counted from 0, and why.
    pub fn refused(&self) -> Option<(u64, Cause)> {
        self.refused
    }

    /// The head that has begun took too long.
    pub fn time_out(&mut self) {
        if let State::Head(scan) = self.state {
            let head = mem::take(&mut self.partial);
            self.refuse(Cause::RequestTimeout, &scan, &head);
        }
    }

    /// How many octets are judged good, from the first on.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return at;
            }
            match &mut self.state {
                State::Head(scan) => match scan.run(rest, &self.bounds) {
                    Judged::Partial => return at,
                    Judged::Whole(length, framing) => {
                        at += length;
                        self.heads += 1;
                        self.state = match framing {
                            Framing::Nothing => State::Head(Scan::default()),
                            Framing::Length(length) => State::Length(length),
                            Framing::Chunked => State::Chunks(Chunks::default()),
                        };
                    }
                    Judged::Refused(cause) => {
                        let scan = *scan;
                        self.refuse(cause, &scan, rest);
                        return at;
                    }
                },
                State::Length(left) => {
                    let here = u64::try_from(rest.len()).unwrap_or(u64::MAX).min(*left);
                    at += usize::try_from(here).unwrap_or_default();
                    *left -= here;
                    if *left == 0 {
                        self.state = State::Head(Scan::default());
                    }
                }
                State::Chunks(chunks) => match chunks.run(rest) {
                    Progress::More => return bytes.len(),
                    Progress::End(length) => {
                        at += length;
                        self.state = State::Head(Scan::default());
                    }
                    Progress::Broken => {
                        self.state = State::Broken;
                        return at;
                    }
                },
                State::Over | State::Broken => return at,
            }
        }
    }

    /// The head is replaced, so that the answer and the log line are for it.
    fn refuse(&mut self, cause: Cause, scan: &Scan, head: &[u8]) {
        self.good = scan.stand_in(head, &self.bounds);
        self.refused = Some((self.heads, cause));
        self.state = State::Over;
    }
}

#[cfg(test)]
mod tests;
