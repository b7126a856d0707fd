//! The parts of a `multipart/form-data` body (RFC 7578), as far as a signer may have taken them for fields.

/// One part.
pub(super) struct Part {
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) is_file: bool,
}

/// The boundary that a media type names.
pub(super) fn boundary(media_type: &str) -> Option<&str> {
    let (kind, parameters) = media_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let mut pairs = parameters.split(';').filter_map(|one| one.trim().split_once('='));
    let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    found
        .map(|(_, value)| value.trim_matches('"'))
        .filter(|value| !value.is_empty())
}

/// Its parts, at most a hundred; what can't be read is left out.
pub(super) fn parts(body: &[u8], boundary: &str) -> Vec<Part> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut rest = after(body, &delimiter);
    while let Some(text) = rest {
        let end = position(text, &delimiter);
        let part = end.and_then(|end| text.get(..end));
        parts.extend(part.and_then(read));
        rest = after(text, &delimiter).filter(|_| parts.len() < MAX_PARTS);
    }
    parts
}

fn read(part: &[u8]) -> Option<Part> {
    let part = part.strip_prefix(b"\r\n")?.strip_suffix(b"\r\n")?;
    let end = position(part, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(part.get(..end)?).into_owned();
    let value = part.get(end + 4..)?;
    let disposition = head
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let named = |wanted: &str| {
        let mut pairs = disposition.split(';').filter_map(|one| one.trim().split_once('='));
        let found = pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim_matches('"').as_bytes().to_vec())
    };
    Some(Part {
        name: named("name")?,
        value: value.to_vec(),
        is_file: named("filename").is_some(),
    })
}

fn after<'t>(text: &'t [u8], wanted: &[u8]) -> Option<&'t [u8]> {
    text.get(position(text, wanted)? + wanted.len()..)
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

const MAX_PARTS: usize = 100;
