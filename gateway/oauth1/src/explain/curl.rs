//! What `curl -v` and `curl --trace-ascii` print of a request, read back.

/// The request's octets; `None`: it is no such output.
pub(super) fn request(octets: &[u8]) -> Option<Vec<u8>> {
    let lines = || {
        let lines = octets.split(|octet| *octet == b'\n');
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line))
    };
    let first = lines().find(|line| !line.trim_ascii().is_empty())?;
    let starts = |marks: &[&[u8]]| marks.iter().any(|mark| first.starts_with(mark));
    if starts(&[b"> ", b"* "]) {
        Some(verbose(lines()))
    } else if starts(&[b"== Info", b"=> Send", b"0000: "]) {
        Some(trace(lines()))
    } else {
        None
    }
}

/// `> ` before each line of the header; no body is printed.
fn verbose<'o>(lines: impl Iterator<Item = &'o [u8]>) -> Vec<u8> {
    let mut request = Vec::new();
    let sent = lines.filter_map(|line| line.strip_prefix(b">"));
    for line in sent {
        request.extend_from_slice(line.strip_prefix(b" ").unwrap_or(line));
        request.extend_from_slice(b"\r\n");
    }
    request
}

/// Blocks of lines that each begin with their place in the block, in hex: where two octets are missing a line ended.
fn trace<'o>(lines: impl Iterator<Item = &'o [u8]>) -> Vec<u8> {
    let mut request = Vec::new();
    let (mut is_sent, mut is_header, mut end) = (true, false, 0);
    for line in lines {
        if let Some((at, text)) = placed(line).filter(|_| is_sent) {
            // What is sent first is the header, with a line above it that says so or without.
            is_header |= request.is_empty();
            if at == end + 2 {
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(text);
            end = at + text.len();
        } else if line.starts_with(b"=> Send") || line.starts_with(b"<= Recv") || line.starts_with(b"== Info") {
            end_header(&mut request, is_header);
            is_header = line.starts_with(b"=> Send header");
            is_sent = is_header || line.starts_with(b"=> Send data");
            end = 0;
        }
    }
    end_header(&mut request, is_header);
    request
}

/// The empty line that a header ends with is printed as a place without text: its own end is not.
fn end_header(request: &mut Vec<u8>, is_header: bool) {
    if is_header {
        request.extend_from_slice(b"\r\n");
    }
}

/// `00a4: text`
fn placed(line: &[u8]) -> Option<(usize, &[u8])> {
    let (place, text) = line.split_at_checked(line.windows(2).position(|two| two == b": ")?)?;
    let place = std::str::from_utf8(place).ok()?;
    let place = usize::from_str_radix(place, 16).ok().filter(|_| place.len() >= 4)?;
    Some((place, text.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by curl 8, cut to what matters.
    const TRACE: &str = "\
== Info: Connected to 127.0.0.1 (127.0.0.1) port 80
=> Send header, 102 bytes (0x66)
0000: POST /rest HTTP/1.1
0015: Host: a
001e: X-Long: 0123456789012345678901234567890123456789012345678901234
005e: 56
0062: 
=> Send data, 7 bytes (0x7)
0000: a=1&b=2
<= Recv header, 17 bytes (0x11)
0000: HTTP/1.1 200 OK
";

    #[test]
    fn a_trace_is_the_request_that_was_sent() {
        let request = request(TRACE.as_bytes()).expect("a trace");

        assert_eq!(
            String::from_utf8_lossy(&request),
            "POST /rest HTTP/1.1\r\nHost: a\r\nX-Long: 012345678901234567890123456789012345678901234567890123456\r\n\r\na=1&b=2"
        );
    }

    #[test]
    fn verbose_output_is_the_header_that_was_sent() {
        let printed = b"* Connected\n> GET /rest HTTP/1.1\r\n> Host: a\r\n> \r\n* done\n< HTTP/1.1 200 OK\r\n";

        assert_eq!(
            request(printed),
            Some(b"GET /rest HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())
        );
        assert_eq!(request(b"GET / HTTP/1.1\r\n\r\n"), None);
    }
}
