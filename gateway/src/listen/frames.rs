//! HTTP/2 as it comes in: frames counted by kind, so that floods which cost the sender nothing end the connection.
//!
//! h2 keeps its own state bounded under all of these, but serves them as fast as they come: each is work for us and none
//! for the client (CVE-2019-9512, -9515, -9518, CVE-2023-44487, CVE-2024-27316). No payload is looked at.

use std::time::{Duration, Instant};

/// The inbound side of one connection.
#[derive(Debug)]
pub struct Frames {
    /// Octets of the preface, or of a payload, that are still to come.
    skip: usize,
    header: [u8; HEADER],
    have: usize,
    second: Option<Instant>,
    counts: [Count; KINDS.len()],
    /// The newest stream, and which one that was when the client was last waited for.
    newest: u32,
    newest_before: u32,
    /// Streams that were reset before the service could begin them: whatever it answers is never sent.
    given_up: u32,
    /// CONTINUATION frames, and octets, of the header block that is coming.
    continuations: u32,
    block: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    this_second: u32,
    in_all: u32,
}

/// More of some frame than any honest client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many {0} frames")]
pub struct Flood(&'static str);

impl Default for Frames {
    /// Before the preface.
    fn default() -> Self {
        Self {
            skip: super::PREFACE.len(),
            header: [0; HEADER],
            have: 0,
            second: None,
            counts: [Count::default(); KINDS.len()],
            newest: 0,
            newest_before: 0,
            given_up: 0,
            continuations: 0,
            block: 0,
        }
    }
}

impl Frames {
    /// Counts what was read.
    pub fn take(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), Flood> {
        if self.second.is_none_or(|begun| now.duration_since(begun) >= SECOND) {
            self.second = Some(now);
            for count in &mut self.counts {
                count.this_second = 0;
            }
        }
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            if let Some(place) = self.header.get_mut(self.have) {
                *place = *byte;
            }
            self.have += 1;
            bytes = rest;
            if self.have == HEADER {
                self.have = 0;
                self.frame()?;
            }
        }
    }

    /// All that came was taken: only now can the service begin what it opened.
    pub fn wait(&mut self) {
        self.newest_before = self.newest;
    }

    /// Whether part of a frame, or of a header block, came.
    pub fn is_partial(&self) -> bool {
        self.have > 0 || self.skip > 0 || self.block > 0
    }

    /// A frame's header is whole (RFC 9113 section 4.1).
    fn frame(&mut self) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, stream @ ..] = self.header;
        let length = (usize::from(high) << 16) | (usize::from(middle) << 8) | usize::from(low);
        let stream = u32::from_be_bytes(stream) & LARGEST_STREAM;
        self.skip = length;
        match kind {
            HEADERS => {
                self.newest = self.newest.max(stream);
                self.continuations = 0;
                self.block = if flags & END_HEADERS == 0 { length.max(1) } else { 0 };
            }
            CONTINUATION => {
                self.continuations += 1;
                self.block += length;
                if self.continuations > MOST_CONTINUATIONS || self.block > LARGEST_BLOCK {
                    return Err(Flood("CONTINUATION"));
                }
                if flags & END_HEADERS != 0 {
                    self.block = 0;
                }
            }
            // Octets, or a stream's end, are what DATA is for.
            DATA if length > 0 || flags & END_STREAM != 0 => {}
            // Downloads need them, and what they cost is bounded by what they let us send.
            WINDOW_UPDATE => {}
            RST_STREAM if stream > self.newest_before => {
                self.given_up += 1;
                if self.given_up > MOST_ABANDONED {
                    return Err(Flood("RST_STREAM"));
                }
                self.count(kind)?;
            }
            kind => self.count(kind)?,
        }
        Ok(())
    }

    fn count(&mut self, kind: u8) -> Result<(), Flood> {
        let known = KINDS.iter().position(|(of, ..)| *of == kind);
        let index = known.unwrap_or(KINDS.len() - 1);
        if let (Some((_, name, most)), Some(count)) = (KINDS.get(index), self.counts.get_mut(index)) {
            count.this_second += 1;
            count.in_all += 1;
            if count.this_second > *most || count.in_all > MOST_IN_ALL {
                return Err(Flood(name));
            }
        }
        Ok(())
    }
}

const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Kind, name, most a second; the last stands for all others.
const KINDS: [(u8, &str, u32); 6] = [
    (DATA, "empty DATA", 100),
    (RST_STREAM, "RST_STREAM", 100),
    (4, "SETTINGS", 50),
    (6, "PING", 100),
    (2, "PRIORITY", 100),
    (255, "other", 100),
];
const SECOND: Duration = Duration::from_secs(1);
/// Of each kind in a connection's life.
const MOST_IN_ALL: u32 = 10_000;
/// Requests of a connection's life that may be reset before they were answered (CVE-2023-44487).
pub(super) const MOST_ABANDONED: u32 = 50;
const LARGEST_STREAM: u32 = 0x7FFF_FFFF;
const MOST_CONTINUATIONS: u32 = 20;
const LARGEST_BLOCK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![
            0,
            u8::try_from(payload >> 8).unwrap(),
            u8::try_from(payload & 255).unwrap(),
            kind,
            flags,
        ];
        bytes.resize(HEADER + payload, 0);
        bytes
    }

    fn begun(now: Instant) -> Frames {
        let mut frames = Frames::default();
        frames.take(super::super::PREFACE, now).unwrap();
        frames
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn more_of_a_kind_in_a_second_than_its_bound_is_a_flood_and_a_second_later_is_not() {
        for (kind, name, most) in [
            (6, "PING", 100),
            (4, "SETTINGS", 50),
            (3, "RST_STREAM", 100),
            (0, "empty DATA", 100),
        ] {
            let now = now();
            let mut frames = begun(now);
            let bound = usize::try_from(most).unwrap();

            let within = frames.take(&frame(kind, 0, 0).repeat(bound), now);
            let later = frames.take(&frame(kind, 0, 0).repeat(bound), now + SECOND);
            let over = frames.take(&frame(kind, 0, 0), now + SECOND);

            assert_eq!((within, later, over), (Ok(()), Ok(()), Err(Flood(name))));
        }
    }

    #[test]
    fn slow_floods_end_too() {
        let mut now = now();
        let mut frames = begun(now);

        let ended = (0..=MOST_IN_ALL).find_map(|_| {
            now += SECOND;
            frames.take(&frame(6, 0, 8), now).err()
        });

        assert_eq!(ended, Some(Flood("PING")));
    }

    #[test]
    fn streams_that_are_reset_before_the_service_can_begin_them_are_counted_for_life() {
        let mut now = now();
        let mut frames = begun(now);
        let of_stream = |kind, stream: u32, payload| {
            let mut frame = frame(kind, END_HEADERS, payload);
            frame[5..9].copy_from_slice(&stream.to_be_bytes());
            frame
        };
        let mut reset = |stream: u32, waits_between| {
            now += SECOND;
            frames.wait();
            frames.take(&of_stream(HEADERS, stream, 10), now)?;
            if waits_between {
                frames.wait();
            }
            frames.take(&of_stream(RST_STREAM, stream, 4), now)
        };

        let later = (0..100).try_for_each(|turn| reset(turn * 2 + 1, true));
        let at_once = (100..100 + MOST_ABANDONED).try_for_each(|turn| reset(turn * 2 + 1, false));

        assert_eq!((later, at_once), (Ok(()), Ok(())));
        assert_eq!(reset(1001, false), Err(Flood("RST_STREAM")));
    }

    #[test]
    fn a_header_block_has_its_bounds_in_frames_and_in_octets() {
        let now = now();
        let (mut by_count, mut by_size) = (begun(now), begun(now));
        let opened = frame(HEADERS, 0, 10);

        by_count.take(&opened, now).unwrap();
        by_size.take(&opened, now).unwrap();
        let counted = by_count.take(&frame(CONTINUATION, 0, 0).repeat(21), now);
        let sized = by_size.take(&frame(CONTINUATION, 0, 16_384).repeat(4), now);

        assert_eq!(
            (counted, sized),
            (Err(Flood("CONTINUATION")), Err(Flood("CONTINUATION")))
        );
    }

    #[test]
    fn an_honest_exchange_in_any_pieces_is_no_flood() {
        let now = now();
        let mut frames = begun(now);
        let mut exchange = frame(HEADERS, END_HEADERS, 200);
        exchange.extend(frame(DATA, 0, 1000));
        exchange.extend(frame(DATA, END_STREAM, 0));
        exchange.extend(frame(WINDOW_UPDATE, 0, 4));

        let taken = exchange
            .repeat(500)
            .chunks(7)
            .try_for_each(|piece| frames.take(piece, now));

        assert_eq!(taken, Ok(()));
        assert!(!frames.is_partial());
    }
}
