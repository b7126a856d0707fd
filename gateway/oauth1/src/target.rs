//! The URL as the client saw it (RFC 5849 section 3.4.1.2).

/// The scheme that the client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, default port 80
    Http,
    /// `https`, default port 443
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The URL that was called, in raw pieces: nothing decoded, nothing normalised.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// As the client saw it, so behind TLS termination: https.
    pub scheme: Scheme,
    /// Host and port as sent (`Host`, `:authority` or the configured base URL).
    pub authority: &'a str,
    /// The raw path of the request line; empty counts as `/`.
    pub path: &'a str,
    /// What follows the first `?`, raw.
    pub query: Option<&'a str>,
}
