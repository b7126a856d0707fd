//! The texts of a request in canonical encoding: borrowed where they came so, else kept in one buffer.

use crate::{
    Problem,
    percent::{self, Decoding, Wire},
};

/// Octets on the wire, or a range of the buffer.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Wire(&'a [u8]),
    /// Of 32 bits each, so that a text takes no more room than a slice.
    Buffer {
        start: u32,
        end: u32,
    },
}

/// What had to be written anew.
pub(crate) struct Buffer {
    octets: Vec<u8>,
}

impl Buffer {
    /// With room for a decoded signature: there is always one.
    pub(crate) fn new() -> Self {
        Self {
            octets: Vec::with_capacity(USUAL_LENGTH),
        }
    }

    /// The octets behind a text whose range is of this buffer.
    #[inline]
    pub(crate) fn octets<'s>(&'s self, text: Text<'s>) -> &'s [u8] {
        match text {
            Text::Wire(octets) => octets,
            Text::Buffer { start, end } => self.octets.get(start as usize..end as usize).unwrap_or_default(),
        }
    }

    /// The canonical encoding of a wire text.
    #[inline]
    pub(crate) fn canonical<'a>(&mut self, wire: &Wire<'a>, decoding: Decoding) -> Result<Text<'a>, Problem> {
        match wire {
            Wire::Plain(canonical) | Wire::Escaped(canonical) => Ok(Text::Wire(canonical)),
            Wire::Raw(raw) => self.canonicalised(raw, decoding),
        }
    }

    #[inline(never)]
    fn canonicalised<'a>(&mut self, raw: &[u8], decoding: Decoding) -> Result<Text<'a>, Problem> {
        let start = self.octets.len();
        percent::canonicalise_into(raw, decoding, &mut self.octets)?;
        self.text_from(start)
    }

    /// What a canonical encoding stands for.
    pub(crate) fn decoded<'a>(&mut self, encoded: Text<'a>) -> Result<Text<'a>, Problem> {
        let start = self.octets.len();
        match encoded {
            Text::Wire(encoded) => percent::decode_into(encoded, &mut self.octets),
            Text::Buffer { .. } => {
                let encoded = self.octets(encoded).to_vec();
                percent::decode_into(&encoded, &mut self.octets);
            }
        }
        self.text_from(start)
    }

    /// The contents of a quoted string, without its backslashes if it holds any.
    pub(crate) fn plain<'a>(&mut self, quoted: &'a [u8], holds_backslash: bool) -> Result<Text<'a>, Problem> {
        if !holds_backslash {
            return Ok(Text::Wire(quoted));
        }
        let start = self.octets.len();
        let mut octets = quoted.iter();
        while let Some(octet) = octets.next() {
            let octet = if *octet == b'\\' { octets.next() } else { Some(octet) };
            self.octets.extend(octet);
        }
        self.text_from(start)
    }

    fn text_from<'a>(&self, start: usize) -> Result<Text<'a>, Problem> {
        match (u32::try_from(start), u32::try_from(self.octets.len())) {
            (Ok(start), Ok(end)) => Ok(Text::Buffer { start, end }),
            (Ok(_) | Err(_), _) => Err(Problem::TooLarge),
        }
    }
}

const USUAL_LENGTH: usize = 96;
