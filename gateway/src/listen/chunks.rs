//! Where a chunked body ends (RFC 9112 section 7.1), read more strictly than hyper does, so that the two can't disagree
//! about where the next head begins.

use super::head::is_token;

/// A place in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Octets of extensions and trailers so far: both are dropped, neither may go on for ever.
    aside: usize,
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size: its digits, and the value so far.
    Size(u32, u64),
    /// White space after the size.
    SizeSpace(u64),
    /// After a semicolon, before the size's line ends.
    Extension(u64),
    /// A CR came; LF ends the size's line.
    SizeEnd(u64),
    /// So many octets of data.
    Data(u64),
    /// CR LF ends the data.
    DataCr,
    DataLf,
    /// At the start of a trailer's line: an empty one ends the body.
    TrailerStart,
    TrailerName,
    /// After the colon.
    Trailer,
    TrailerEnd,
    LastLf,
    Ended,
    Broken,
}

/// Where it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All octets belong to the body, which goes on.
    More,
    /// The body ends after so many octets.
    End(usize),
    /// Not chunks, or too much beside them.
    Broken,
}

impl Default for Chunks {
    /// Before the first chunk.
    fn default() -> Self {
        Self {
            state: State::Size(0, 0),
            aside: 0,
            trailers: 0,
        }
    }
}

impl Chunks {
    /// Goes on with `bytes`.
    pub fn run(&mut self, bytes: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if let State::Data(left) = self.state {
                let here = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX).min(left);
                at += usize::try_from(here).unwrap_or_default();
                self.state = if here == left {
                    State::DataCr
                } else {
                    State::Data(left - here)
                };
                continue;
            }
            at += 1;
            self.state = self.state.after(*byte);
            match self.state {
                State::Ended => return Progress::End(at),
                State::Broken => return Progress::Broken,
                State::SizeSpace(_) | State::Extension(_) | State::TrailerName | State::Trailer => self.aside += 1,
                State::TrailerEnd => self.trailers += 1,
                State::Size(..)
                | State::SizeEnd(_)
                | State::Data(_)
                | State::DataCr
                | State::DataLf
                | State::TrailerStart
                | State::LastLf => {}
            }
            if self.aside > MOST_ASIDE || self.trailers > MOST_TRAILERS {
                self.state = State::Broken;
                return Progress::Broken;
            }
        }
        Progress::More
    }
}

impl State {
    /// After one more octet that is not data.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size(1.., size) | Self::SizeSpace(size) | Self::Extension(size), b'\r') => Self::SizeEnd(size),
            (Self::Size(1.., size) | Self::SizeSpace(size), b' ' | b'\t') => Self::SizeSpace(size),
            // A control within a line, bare CR and LF among them, is read differently by others.
            (Self::Size(1.., size) | Self::SizeSpace(size), b';')
            | (Self::Extension(size), b'\t' | b' '..=b'~' | 0x80..) => Self::Extension(size),
            (Self::Size(digits, size), byte) if digits < MOST_DIGITS => match char::from(byte).to_digit(16) {
                Some(digit) => Self::Size(digits + 1, size * 16 + u64::from(digit)),
                None => Self::Broken,
            },
            (Self::SizeEnd(0) | Self::TrailerEnd, b'\n') => Self::TrailerStart,
            (Self::SizeEnd(size), b'\n') => Self::Data(size),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size(0, 0),
            (Self::TrailerStart, b'\r') => Self::LastLf,
            (Self::LastLf, b'\n') => Self::Ended,
            (Self::Trailer, b'\r') => Self::TrailerEnd,
            // A trailer is a field (section 7.1.2): without a fold, and with a name.
            (Self::TrailerName, b':') | (Self::Trailer, b'\t' | b' '..=b'~' | 0x80..) => Self::Trailer,
            (Self::TrailerStart | Self::TrailerName, byte) if is_token(byte) => Self::TrailerName,
            (_, _) => Self::Broken,
        }
    }
}

/// 16 hexadecimal digits fit 64 bits.
const MOST_DIGITS: u32 = 16;
/// Octets of extensions and trailers together.
const MOST_ASIDE: usize = 16 * 1024;
/// As many as hyper takes.
const MOST_TRAILERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(body: &[u8]) -> Progress {
        Chunks::default().run(body)
    }

    #[test]
    fn a_body_ends_after_its_last_chunk_and_its_trailers() {
        assert_eq!(run(b"5\r\nhello\r\n0\r\n\r\nGET"), Progress::End(15));
        assert_eq!(run(b"a;x=\"y\"\r\n0123456789\r\n0\r\nA: b\r\n\r\n"), Progress::End(32));
        assert_eq!(run(b"5\r\nhel"), Progress::More);
    }

    #[test]
    fn a_body_that_comes_octet_by_octet_ends_where_it_ends_in_one_piece() {
        let body = b"3 \r\nabc\r\n000\r\nTrailer: 1\r\n\r\n";
        let mut chunks = Chunks::default();

        let ends: Vec<Progress> = body.chunks(1).map(|byte| chunks.run(byte)).collect();

        let (last, before) = ends.split_last().unwrap();
        assert_eq!(*last, Progress::End(1));
        assert!(before.iter().all(|one| *one == Progress::More));
    }

    #[test]
    fn a_size_or_a_line_end_that_others_read_differently_is_broken() {
        let broken: [&[u8]; 30] = [
            b"-1\r\n",
            b"+1\r\na\r\n",
            b"0x1\r\na\r\n",
            b"1_0\r\n",
            b"\r\n",
            b";x\r\n",
            b" 1\r\n",
            b"g\r\n",
            b"00000000000000001\r\n",
            b"fffffffffffffffff\r\n",
            b"1\na\n0\n\n",
            b"1\ra",
            b"1\r\rn",
            b"1\r\nab\r\n",
            b"1\r\na\n",
            b"1\r\na0\r\n",
            b"1 a\r\na\r\n",
            b"1\t1\r\na\r\n",
            b"1;a\nb\r\n",
            b"1;a\rb\r\n",
            b"1;a\0b\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\nA: \0\r\n",
            b"0\r\nA: b\r\n c\r\n",
            b"0\r\n\tA: b\r\n",
            b"0\r\n: b\r\n",
            b"0\r\nA : b\r\n",
            b"0\r\nA\r\n",
            b"0\r\n\xC3\xA9: b\r\n",
        ];

        for body in broken {
            assert_eq!(run(body), Progress::Broken, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = "x".repeat(MOST_ASIDE);
        let within = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MOST_ASIDE - 1));

        let trailers = |count| format!("0\r\n{}\r\n", "A: b\r\n".repeat(count));

        assert_eq!(run(trailers(MOST_TRAILERS + 1).as_bytes()), Progress::Broken);
        assert!(matches!(run(trailers(MOST_TRAILERS).as_bytes()), Progress::End(_)));
        assert_eq!(
            run(format!("1{}\r\n", " ".repeat(MOST_ASIDE + 1)).as_bytes()),
            Progress::Broken
        );
        assert_eq!(run(format!("1;{long}\r\n").as_bytes()), Progress::Broken);
        assert_eq!(run(format!("0\r\na{long}\r\n").as_bytes()), Progress::Broken);
        assert!(matches!(run(within.as_bytes()), Progress::End(_)));
    }

    #[test]
    fn a_size_up_to_64_bits_is_one_number() {
        assert_eq!(run(b"ffffffffffffffff\r\nabc"), Progress::More);
    }
}
