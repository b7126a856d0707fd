//! One HTTP/1 request head, judged before hyper sees it (RFC 9112 sections 2 to 6).
//!
//! hyper is liberal: of Content-Length beside Transfer-Encoding it drops the first and tells nobody, it takes bare line
//! feeds, and what it does refuse it answers by itself. Here a head that two parsers could read differently is refused,
//! with a cause of ours; what passes is a part of what hyper takes, so hyper never refuses one.

use crate::refusal::Cause;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Octets in all.
    pub head: usize,
    /// Fields.
    pub fields: usize,
    /// Octets of the request target.
    pub target: usize,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The next head.
    Nothing,
    /// So many octets.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What became of the octets that were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The head is not whole yet.
    Partial,
    /// It is whole, of this length, and can be read in one way only.
    Whole(usize, Framing),
    /// It is refused.
    Refused(Cause),
}

/// How far a head has been judged: a head that comes in pieces is not read from its start again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Where the next line begins.
    at: usize,
    /// Where the request line begins and ends.
    request_line: Option<(usize, usize)>,
    is_http10: bool,
    fields: usize,
    length: Option<u64>,
    is_chunked: bool,
}

impl Scan {
    /// Goes on with `bytes`, which begin where the head begins and hold all of it that came.
    pub fn run(&mut self, bytes: &[u8], bounds: &Bounds) -> Judged {
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            let Some(length) = memchr::memchr(b'\n', rest) else {
                return self.wait(bytes, bounds);
            };
            if self.at + length >= bounds.head {
                return Judged::Refused(Cause::HeadTooLarge);
            }
            // A line ends with CR LF; a bare LF is read differently by others (RFC 9112 section 2.2).
            let Some(line) = rest.get(..length).and_then(|line| line.strip_suffix(b"\r")) else {
                return Judged::Refused(Cause::RequestMalformed);
            };
            let start = self.at;
            self.at += length + 1;
            let judged = match (self.request_line, line) {
                // Empty lines before a request line are an old client's (section 2.2).
                (None, []) if self.at <= MOST_LEADING => Ok(()),
                (None, line) => {
                    self.request_line = Some((start, start + line.len()));
                    self.request_line(line, bounds)
                }
                (Some(_), []) => return Judged::Whole(self.at, self.framing()),
                (Some(_), line) => self.field(line, bounds),
            };
            if let Err(cause) = judged {
                return Judged::Refused(cause);
            }
        }
    }

    /// Whether anything of a request came, and not just empty lines.
    pub fn has_begun(&self, bytes: &[u8]) -> bool {
        self.request_line.is_some() || bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// A head of nothing but what an answer to this one depends on: its method and path, where they can be read, and what
    /// it accepts.
    pub fn stand_in(&self, bytes: &[u8], bounds: &Bounds) -> Vec<u8> {
        let start = self.request_line.map_or(0, |(start, _)| start);
        let head = bytes.get(start..).unwrap_or_default();
        let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let mut stand_in = lines
            .next()
            .and_then(|line| method_and_path(line, bounds))
            .unwrap_or_else(|| b"GET /".to_vec());
        stand_in.extend_from_slice(b" HTTP/1.1\r\nconnection: close\r\n");
        let accepts = lines.find_map(|line| {
            let (name, value) = line.split_at_checked(ACCEPT.len())?;
            (name.eq_ignore_ascii_case(ACCEPT) && !has_control(value)).then_some(value)
        });
        if let Some(value) = accepts {
            stand_in.extend_from_slice(ACCEPT);
            stand_in.extend_from_slice(value);
            stand_in.extend_from_slice(b"\r\n");
        }
        stand_in.extend_from_slice(b"\r\n");
        stand_in
    }

    /// The line is not whole: too long already, or to be waited for.
    fn wait(&self, bytes: &[u8], bounds: &Bounds) -> Judged {
        if self.request_line.is_none() && bytes.len() > bounds.target + LONGEST_METHOD + VERSION.len() + 4 {
            return Judged::Refused(Cause::TargetTooLong);
        }
        if bytes.len() >= bounds.head {
            return Judged::Refused(Cause::HeadTooLarge);
        }
        Judged::Partial
    }

    /// `method SP request-target SP HTTP-version` (section 3).
    fn request_line(&mut self, line: &[u8], bounds: &Bounds) -> Result<(), Cause> {
        let method_end = line.iter().position(|byte| *byte == b' ').unwrap_or_default();
        let (method, rest) = line.split_at(method_end);
        if !is_method(method) {
            return Err(Cause::RequestMalformed);
        }
        let (target, version) = rest
            .get(1..)
            .and_then(|rest| rest.split_at_checked(rest.len().checked_sub(VERSION.len() + 1)?))
            .ok_or(Cause::RequestMalformed)?;
        self.is_http10 = match version {
            b" HTTP/1.1" => false,
            b" HTTP/1.0" => true,
            _ => return Err(Cause::RequestMalformed),
        };
        if target.len() > bounds.target {
            return Err(Cause::TargetTooLong);
        }
        if is_target(method, target) {
            Ok(())
        } else if target.is_empty() || target.iter().any(|byte| matches!(byte, b' ' | 0..=0x1F | 0x7F)) {
            // A second space, a tab, a control: not one target but a line that others would split elsewhere.
            Err(Cause::RequestMalformed)
        } else {
            Err(Cause::TargetRefused)
        }
    }

    /// `field-name ":" OWS field-value OWS` (section 5); a line that begins with a space is a fold and refused.
    fn field(&mut self, line: &[u8], bounds: &Bounds) -> Result<(), Cause> {
        self.fields += 1;
        if self.fields > bounds.fields {
            return Err(Cause::HeadTooLarge);
        }
        let name_end = line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len());
        let (name, rest) = line.split_at(name_end);
        let Some((b':', value)) = rest.split_first() else {
            return Err(Cause::RequestMalformed);
        };
        if name.is_empty() || has_control(value) {
            return Err(Cause::RequestMalformed);
        }
        match name.len() {
            14 if folds_to(name, b"content-length") => self.content_length(name, value.trim_ascii()),
            17 if folds_to(name, b"transfer-encoding") => self.transfer_encoding(name, value.trim_ascii()),
            _ => Ok(()),
        }
    }

    /// Digits, once (section 6.3): a list, a sign, or a second field is two readings of one message.
    fn content_length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        let digits = !value.is_empty() && value.len() <= LONGEST_LENGTH && value.iter().all(u8::is_ascii_digit);
        // Never alone: others would take `Content_Length` for it.
        if !digits || name.contains(&b'_') || self.length.is_some() || self.is_chunked {
            return Err(Cause::RequestMalformed);
        }
        let length = value
            .iter()
            .fold(0_u64, |length, digit| length * 10 + u64::from(digit - b'0'));
        self.length = Some(length);
        Ok(())
    }

    /// `chunked`, once, in HTTP/1.1, and never beside a length (section 6.1).
    fn transfer_encoding(&mut self, name: &[u8], value: &[u8]) -> Result<(), Cause> {
        let is_chunked = value.eq_ignore_ascii_case(b"chunked");
        if !is_chunked || name.contains(&b'_') || self.is_chunked || self.length.is_some() || self.is_http10 {
            return Err(Cause::RequestMalformed);
        }
        self.is_chunked = true;
        Ok(())
    }

    fn framing(&self) -> Framing {
        match (self.is_chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, None | Some(0)) => Framing::Nothing,
            (false, Some(length)) => Framing::Length(length),
        }
    }
}

/// `method SP path`, of a request line that may be none, or not whole.
fn method_and_path(line: &[u8], bounds: &Bounds) -> Option<Vec<u8>> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let target = line.get(space + 1..)?;
    let path = target.get(..target.iter().position(|byte| matches!(byte, b' ' | b'?'))?)?;
    let (method, with_path) = (line.get(..space)?, line.get(..space + 1 + path.len())?);
    let is_plain = is_method(method) && path.len() <= bounds.target && is_target(method, path);
    is_plain.then(|| with_path.to_vec())
}

fn is_method(method: &[u8]) -> bool {
    (1..=LONGEST_METHOD).contains(&method.len()) && method.iter().all(|byte| is_token(*byte))
}

/// Whether a target can be a path with its query, `*`, absolute, or what CONNECT names (section 3.2), of octets that hyper
/// takes too. A fragment is no part of a target; hyper would drop it quietly.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    match target.first() {
        Some(b'/') => is_path_and_query(target),
        Some(b'*') => target.len() == 1,
        // Rare: hyper's own parser tells whether hyper will take it.
        Some(_) if method == b"CONNECT" || target.windows(3).any(|three| three == b"://") => {
            !target.contains(&b'#') && http::Uri::try_from(target).is_ok()
        }
        Some(_) | None => false,
    }
}

fn is_path_and_query(target: &[u8]) -> bool {
    let mut mask = IN_PATH;
    let mut is_ascii = true;
    for byte in target {
        let classes = CLASSES.get(usize::from(*byte)).copied().unwrap_or_default();
        if classes & mask == 0 {
            return false;
        }
        if *byte == b'?' {
            mask = IN_QUERY;
        }
        is_ascii &= byte.is_ascii();
    }
    is_ascii || std::str::from_utf8(target).is_ok()
}

/// Whether an octet may be part of a name (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    CLASSES
        .get(usize::from(byte))
        .is_some_and(|classes| classes & TOKEN != 0)
}

/// Whether a value holds what no field value may (RFC 9110 section 5.5). Without an early end, so that it is vectorized.
fn has_control(value: &[u8]) -> bool {
    let control = |byte: &u8| u8::from(*byte < b' ' && *byte != b'\t') | u8::from(*byte == 0x7F);
    value.iter().fold(0, |any, byte| any | control(byte)) != 0
}

/// Whether a name is `lower` in any case, with `_` for `-`: CGI-like servers can't tell them apart.
pub fn folds_to(name: &[u8], lower: &[u8]) -> bool {
    name.len() == lower.len()
        && name
            .iter()
            .zip(lower)
            .all(|(theirs, ours)| theirs.to_ascii_lowercase() == *ours || (*theirs == b'_' && *ours == b'-'))
}

const TOKEN: u8 = 1;
const IN_PATH: u8 = 2;
const IN_QUERY: u8 = 4;

/// What each octet may be part of. Path and query are wider than RFC 3986: real clients send `[`, `|` and raw UTF-8.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut index: u8 = 0;
    loop {
        let mut class = 0;
        if matches!(index, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'|' | b'~')
        {
            class |= TOKEN;
        }
        if matches!(index, b'!' | b'"' | b'$'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'~' | 0x80..) {
            class |= IN_PATH;
        }
        if matches!(index, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~' | 0x80..) {
            class |= IN_QUERY;
        }
        #[expect(clippy::indexing_slicing, reason = "a u8 indexes 256 entries, at compile time")]
        {
            classes[index as usize] = class;
        }
        if index == u8::MAX {
            break classes;
        }
        index += 1;
    }
};

const ACCEPT: &[u8] = b"accept:";
const VERSION: &[u8] = b"HTTP/1.1";
/// Longer than any method that is registered.
const LONGEST_METHOD: usize = 32;
/// 19 digits fit 64 bits.
const LONGEST_LENGTH: usize = 19;
/// Octets of empty lines before a request line.
const MOST_LEADING: usize = 8;

#[cfg(test)]
mod tests;
