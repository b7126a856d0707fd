//! Requests to be tried.

use oauth1::{Scheme, SignatureMethod};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::model::{Model, Pair};

/// Text of every kind: plain, with what needs an escape, and octets that are no text.
pub(crate) fn octets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zA-Z0-9._~-]{0,20}".prop_map(String::into_bytes),
        2 => "[ab +&=%/?;\\[\\]é:,\"]{0,8}".prop_map(String::into_bytes),
        1 => "%[0-9a-fA-F]{2}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..8),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let names = ["a", "b", "a[0]", "a[10]", "abcdefgh", "abcdefghi", "oauth", "realm"];
    prop_oneof![
        3 => proptest::sample::select(names.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        2 => octets(),
    ]
    .prop_filter("an oauth_* of its own", |name| !name.starts_with(b"oauth_"))
}

/// Application parameters, often of equal names.
pub(crate) fn pairs() -> impl Strategy<Value = Vec<Pair>> {
    vec((name(), octets()), 0..6)
}

/// What a header may hold beside `oauth_*`: names are text, and neither empty nor `realm`.
fn header_pairs() -> impl Strategy<Value = Vec<Pair>> {
    let name = "[a-z.\\[é]{1,4}".prop_filter("a realm", |name| !name.eq_ignore_ascii_case("realm"));
    vec((name.prop_map(String::into_bytes), octets()), 0..2)
}

/// 32 characters.
fn key() -> impl Strategy<Value = Vec<u8>> {
    "[a-z0-9]{32}".prop_map(String::into_bytes)
}

/// A complete request without a signature: `oauth_*` in the header.
pub(crate) fn request() -> impl Strategy<Value = Model> {
    let target = (
        proptest::sample::select(vec![Scheme::Http, Scheme::Https]),
        proptest::sample::select(vec![
            "shop.example",
            "127.0.0.1",
            "[2001:db8::1]",
            "xn--bcher-kva.example",
        ]),
        option::of(1_u16..),
        "(/[a-z0-9%;:@+~.é-]{0,6}){0,4}",
    );
    let method = proptest::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "X-QUERY"]);
    let nonce = octets().prop_filter("a control character, or none", |nonce| {
        !nonce.is_empty() && !nonce.iter().any(u8::is_ascii_control)
    });
    let optional = (
        option::of(key()),
        option::of(octets()),
        option::of(octets()),
        option::of(Just(b"1.0".to_vec())),
        header_pairs(),
    );
    let own = (key(), nonce, 1_u64..1_000_000_000_000, optional);
    (method, target, own, pairs(), option::of(pairs())).prop_map(
        |(method, (scheme, host, port, path), (key, nonce, timestamp, optional), query, form)| {
            let (token, callback, verifier, version, others) = optional;
            let optional = [
                ("oauth_token", token),
                ("oauth_callback", callback),
                ("oauth_verifier", verifier),
                ("oauth_version", version),
            ];
            let mut header = vec![
                (b"oauth_consumer_key".to_vec(), key),
                (b"oauth_nonce".to_vec(), nonce),
                (b"oauth_timestamp".to_vec(), timestamp.to_string().into_bytes()),
            ];
            for (name, value) in optional {
                header.extend(value.map(|value| (name.as_bytes().to_vec(), value)));
            }
            header.extend(others);
            Model {
                method: method.to_owned(),
                scheme,
                host: host.to_owned(),
                port,
                path,
                header: Some(header),
                query,
                form: form.filter(|form| method != "GET" || form.is_empty()),
            }
        },
    )
}

/// The methods whose secret both sides hold.
pub(crate) fn method() -> impl Strategy<Value = SignatureMethod> {
    let methods = SignatureMethod::ALL.into_iter().filter(|method| !method.is_rsa());
    proptest::sample::select(methods.collect::<Vec<_>>())
}

/// A change that may alter the base string, or not.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Another method.
    Method(&'static str),
    /// http for https, or the other way.
    Scheme,
    /// Another host.
    Host(&'static str),
    /// Another port, or none.
    Port(Option<u16>),
    /// Another path.
    Path(String),
    /// A pair is added to the query.
    Add(Pair),
    /// A pair of the query is dropped.
    Drop(usize),
    /// A pair of the query is sent twice.
    Double(usize),
    /// A pair of the query moves to the form, or to the header.
    Move(usize, bool),
    /// Another value in the header.
    Value(usize, Vec<u8>),
}

pub(crate) fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        proptest::sample::select(vec!["POST", "GET", "PUT", "X-QUERY"]).prop_map(Change::Method),
        Just(Change::Scheme),
        proptest::sample::select(vec!["shop.example", "127.0.0.1", "shop.example.org"]).prop_map(Change::Host),
        option::of(prop_oneof![Just(80), Just(443), 1_u16..]).prop_map(Change::Port),
        "(/[a-z%;]{0,3}){0,2}".prop_map(Change::Path),
        (name(), octets()).prop_map(Change::Add),
        any::<usize>().prop_map(Change::Drop),
        any::<usize>().prop_map(Change::Double),
        (any::<usize>(), any::<bool>()).prop_map(|(at, to_form)| Change::Move(at, to_form)),
        (any::<usize>(), octets()).prop_map(|(at, value)| Change::Value(at, value)),
    ]
}

impl Change {
    /// The request with this change; where there is nothing to change it stays as it is.
    pub(crate) fn apply(&self, model: &Model) -> Model {
        let mut changed = model.clone();
        let count = changed.query.len();
        match self {
            Self::Method(method) => (*method).clone_into(&mut changed.method),
            Self::Scheme => {
                changed.scheme = match model.scheme {
                    Scheme::Http => Scheme::Https,
                    Scheme::Https => Scheme::Http,
                }
            }
            Self::Host(host) => (*host).clone_into(&mut changed.host),
            Self::Port(port) => changed.port = *port,
            Self::Path(path) => changed.path.clone_from(path),
            Self::Add(pair) => changed.query.push(pair.clone()),
            Self::Drop(at) if count > 0 => drop(changed.query.remove(at % count)),
            Self::Double(at) if count > 0 => changed.query.push(changed.query[at % count].clone()),
            Self::Move(at, to_form) if count > 0 => changed.move_pair(at % count, *to_form),
            Self::Value(at, value) => {
                let header = changed.header.get_or_insert_default();
                let count = header.len();
                header[at % count].1.clone_from(value);
            }
            Self::Drop(_) | Self::Double(_) | Self::Move(..) => {}
        }
        changed
    }
}

impl Model {
    fn move_pair(&mut self, at: usize, to_form: bool) {
        let pair = self.query[at].clone();
        let fits_header = !pair.0.is_empty() && !pair.0.eq_ignore_ascii_case(b"realm") && pair.0.is_ascii();
        match (&mut self.form, &mut self.header) {
            (Some(form), _) if to_form && self.method != "GET" => form.push(pair),
            (_, Some(header)) if !to_form && fits_header => header.push(pair),
            _ => return,
        }
        self.query.remove(at);
    }
}
