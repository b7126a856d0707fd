//! A request as it is meant, the naive base string of it, and the many ways to write it on the wire. Shares no code with
//! the crate, and is as slow as it is simple.

use oauth1::{RequestParts, Scheme, Target};

/// Name and value, decoded.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// A request as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) method: String,
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// As in the request line.
    pub(crate) path: String,
    /// In the `Authorization` header, if there is one.
    pub(crate) header: Option<Vec<Pair>>,
    pub(crate) query: Vec<Pair>,
    pub(crate) form: Option<Vec<Pair>>,
}

/// A request as it is written.
pub(crate) struct Wire {
    method: String,
    scheme: Scheme,
    authority: String,
    path: String,
    query: Option<String>,
    authorization: Option<String>,
    form: Option<Vec<u8>>,
}

impl Wire {
    pub(crate) fn parts(&self) -> RequestParts<'_> {
        RequestParts {
            method: &self.method,
            target: Target {
                scheme: self.scheme,
                authority: &self.authority,
                path: &self.path,
                query: self.query.as_deref(),
            },
            authorization: self.authorization.as_deref().map(str::as_bytes),
            form: self.form.as_deref(),
        }
    }
}

impl Model {
    /// RFC 5849 section 3.4.1, word for word.
    pub(crate) fn base_string(&self) -> String {
        self.base_string_sorted_by(<[(String, String)]>::sort)
    }

    pub(crate) fn base_string_sorted_by(&self, sort: impl Fn(&mut [(String, String)])) -> String {
        let mut pairs: Vec<(String, String)> = [&self.header, &Some(self.query.clone()), &self.form]
            .into_iter()
            .flatten()
            .flatten()
            .filter(|(name, _)| name != b"oauth_signature")
            .map(|(name, value)| (encode(name), encode(value)))
            .collect();
        sort(&mut pairs);
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (scheme, default_port) = match self.scheme {
            Scheme::Http => ("http", 80),
            Scheme::Https => ("https", 443),
        };
        let port = match self.port {
            Some(port) if port != default_port => format!(":{port}"),
            Some(_) | None => String::new(),
        };
        let path = if self.path.is_empty() { "/" } else { &self.path };
        let uri = format!("{scheme}://{}{port}{path}", self.host.to_lowercase());
        [
            encode(self.method.to_uppercase().as_bytes()),
            encode(uri.as_bytes()),
            encode(pairs.join("&").as_bytes()),
        ]
        .join("&")
    }

    /// One way to write it.
    pub(crate) fn write(&self, seed: u64) -> Wire {
        let mut pen = Pen(seed);
        let mut host = self.host.clone();
        if pen.one_in(3) {
            host = host.to_uppercase();
        }
        let default_port = if self.scheme == Scheme::Http { ":80" } else { ":443" };
        let port = match self.port {
            Some(port) => format!(":{port}"),
            None => ["", "", ":", default_port][pen.below(4)].to_owned(),
        };
        let user = ["", "", "", "user@", "user:80@"][pen.below(5)];
        let query = pen.form(&self.query);
        Wire {
            method: if pen.one_in(4) {
                self.method.to_lowercase()
            } else {
                self.method.clone()
            },
            scheme: self.scheme,
            authority: format!("{user}{host}{port}"),
            path: self.path.clone(),
            query: (!query.is_empty() || pen.one_in(2)).then_some(query),
            authorization: self.header.as_ref().map(|pairs| pen.header(pairs)),
            form: self.form.as_ref().map(|pairs| pen.form(pairs).into_bytes()),
        }
    }
}

/// Encodes octet by octet (RFC 5849 section 3.6).
pub(crate) fn encode(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| match char::from(*octet) {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~' => char::from(*octet).to_string(),
            _ => format!("%{octet:02X}"),
        })
        .collect()
}

/// Writes in one of many spellings: a small generator of numbers makes the choices.
struct Pen(u64);

impl Pen {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 40).expect("24 bits") % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn shuffled(&mut self, pairs: &[Pair]) -> Vec<Pair> {
        let mut pairs = pairs.to_vec();
        for at in (1..pairs.len()).rev() {
            pairs.swap(at, self.below(at + 1));
        }
        pairs
    }

    fn text(&mut self, octets: &[u8], raw: &str) -> String {
        let mut text = String::new();
        for octet in octets {
            let is_unreserved = encode(&[*octet]).len() == 1;
            let may_be_raw = is_unreserved || raw.contains(char::from(*octet)) && octet.is_ascii();
            if may_be_raw && !self.one_in(8) {
                text.push(char::from(*octet));
            } else if self.one_in(4) {
                text.push_str(&format!("%{octet:02x}"));
            } else {
                text.push_str(&format!("%{octet:02X}"));
            }
        }
        text
    }

    fn form_text(&mut self, octets: &[u8], raw: &str) -> String {
        let words: Vec<_> = octets.split(|octet| *octet == b' ').collect();
        let mut text = String::new();
        for (at, word) in words.into_iter().enumerate() {
            if at > 0 {
                text.push_str(["+", "%20", " "][self.below(3)]);
            }
            text.push_str(&self.text(word, raw));
        }
        text
    }

    fn form(&mut self, pairs: &[Pair]) -> String {
        let starts_empty = !pairs.is_empty() && self.one_in(10);
        let mut text = if starts_empty { "&&".to_owned() } else { String::new() };
        for (name, value) in self.shuffled(pairs) {
            text.push_str(&self.form_text(&name, "!*'();:@$,/?[]{}|\\^`\"<>"));
            // Without a name there has to be the sign.
            if !value.is_empty() || name.is_empty() || self.one_in(2) {
                text.push('=');
            }
            text.push_str(&self.form_text(&value, "=!*'();:@$,/?[]{}|\\^`\"<>"));
            text.push_str(["&", "&", "&&"][self.below(3)]);
        }
        if self.one_in(2) {
            text.truncate(text.trim_end_matches('&').len());
        }
        text
    }

    fn header(&mut self, pairs: &[Pair]) -> String {
        let mut text = ["OAuth ", "oauth \t", "OAUTH  ", " OAuth, "][self.below(4)].to_owned();
        let mut elements: Vec<String> = Vec::new();
        for (name, value) in self.shuffled(pairs) {
            let name = self.text(&name, "");
            let equals = ["=", "=", " = ", "= "][self.below(4)];
            if self.one_in(4) {
                let value = self.text(&value, "!*'();:@$/?+=[]&");
                elements.push(format!("{name}{equals}{value}"));
            } else {
                let value = self.text(&value, "!*'();:@$/?+=[]& ,\t{}<>|^`");
                elements.push(format!("{name}{equals}\"{value}\""));
            }
        }
        if self.one_in(3) {
            let realm = ["realm=\"Photos\"", "Realm=\"a \\\"b\\\", c\"", "REALM=x", "realm=\"\""][self.below(4)];
            elements.insert(self.below(elements.len() + 1), realm.to_owned());
        }
        text.push_str(&elements.join([", ", ",", "\t,\t", ",, "][self.below(4)]));
        text.push_str(["", "", ",", " , "][self.below(4)]);
        text
    }
}
