//! What a client may have signed: the inputs of a base string, each of which a mistake changes.

use std::borrow::Cow;

use super::encoder::Encoder;
use super::order::{self, Order};
use super::source::{Origin, Sent};

/// The inputs of one base string.
#[derive(Clone)]
pub(super) struct Draft<'a> {
    pub(super) method: Cow<'a, [u8]>,
    pub(super) scheme: &'static str,
    pub(super) host: Cow<'a, [u8]>,
    /// Empty: none is signed.
    pub(super) port: Cow<'a, [u8]>,
    pub(super) path: Cow<'a, [u8]>,
    /// What stands behind the path, inside the URL.
    pub(super) behind: Vec<u8>,
    pub(super) port_behind_path: bool,
    pub(super) pairs: Vec<Pair<'a>>,
    pub(super) order: Order,
    pub(super) names: Encoder,
    pub(super) values: Encoder,
    pub(super) url: Encoder,
    pub(super) joined: Encoder,
}

/// One signed pair.
#[derive(Clone)]
pub(super) struct Pair<'a> {
    pub(super) origin: Origin,
    pub(super) name: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
    /// As it came; `None`: it was never sent.
    pub(super) sent: Option<&'a Sent>,
    pub(super) writing: Writing,
}

/// How a pair is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// `name=value`, both encoded.
    Usual,
    /// The name without `=`.
    Bare,
    /// `name=value`, the value as it is.
    Raw,
}

/// A pair with its encodings, ready to be sorted.
pub(super) struct Written<'d, 'a> {
    pub(super) pair: &'d Pair<'a>,
    pub(super) name: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl<'a> Pair<'a> {
    pub(super) fn of(sent: &'a Sent) -> Self {
        Self {
            origin: sent.origin,
            name: Cow::Borrowed(&sent.name),
            value: Cow::Borrowed(&sent.value),
            sent: Some(sent),
            writing: Writing::Usual,
        }
    }

    /// One that only the client's base string holds.
    pub(super) fn unsent(origin: Origin, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            origin,
            name: Cow::Owned(name.into()),
            value: Cow::Owned(value.into()),
            sent: None,
            writing: Writing::Usual,
        }
    }

    pub(super) fn is_oauth(&self) -> bool {
        self.name.starts_with(b"oauth_")
    }

    /// Whether it is an application's parameter of the query.
    pub(super) fn is_query(&self) -> bool {
        self.origin == Origin::Query && !self.is_oauth()
    }

    /// Whether it is an application's field of the form.
    pub(super) fn is_form(&self) -> bool {
        self.origin == Origin::Form && !self.is_oauth()
    }
}

impl Draft<'_> {
    /// The URL as signed, unencoded.
    pub(super) fn url_text(&self) -> Vec<u8> {
        let mut url = self.address_text();
        url.reserve(self.path.len() + self.behind.len());
        url.extend_from_slice(&self.path);
        if self.port_behind_path {
            self.add_port(&mut url);
        }
        url.extend_from_slice(&self.behind);
        url
    }

    /// The scheme, the host, and the port that stands before the path.
    pub(super) fn address_text(&self) -> Vec<u8> {
        let mut address = Vec::with_capacity(64);
        address.extend_from_slice(self.scheme.as_bytes());
        address.extend_from_slice(b"://");
        address.extend_from_slice(&self.host);
        if !self.port_behind_path {
            self.add_port(&mut address);
        }
        address
    }

    fn add_port(&self, url: &mut Vec<u8>) {
        if !self.port.is_empty() {
            url.push(b':');
            url.extend_from_slice(&self.port);
        }
    }

    /// The pairs in the client's order, encoded and joined.
    pub(super) fn parameters_text(&self) -> Vec<u8> {
        let mut written: Vec<_> = self.pairs.iter().map(|pair| self.write(pair)).collect();
        order::sort(&mut written, self.order);
        let mut text = Vec::with_capacity(written.len() * 40);
        for (at, one) in written.iter().enumerate() {
            if at > 0 {
                text.push(b'&');
            }
            text.extend_from_slice(&one.name);
            if one.pair.writing != Writing::Bare {
                text.push(b'=');
                text.extend_from_slice(&one.value);
            }
        }
        text
    }

    /// The base string.
    pub(super) fn build(&self) -> Vec<u8> {
        let (url, parameters) = (self.url_text(), self.parameters_text());
        let mut base = Vec::with_capacity(16 + (url.len() + parameters.len()) * 3 / 2);
        Encoder::Rfc.encode_into(&self.method, &mut base);
        base.push(b'&');
        self.url.encode_into(&url, &mut base);
        base.push(b'&');
        self.joined.encode_into(&parameters, &mut base);
        base
    }

    fn write<'d, 'p>(&self, pair: &'d Pair<'p>) -> Written<'d, 'p> {
        let value = match pair.writing {
            Writing::Usual | Writing::Bare => self.values.encode(&pair.value),
            Writing::Raw => pair.value.to_vec(),
        };
        Written {
            name: self.names.encode(&pair.name),
            value,
            pair,
        }
    }
}
