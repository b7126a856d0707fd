//! Where a Redis is: one server, a primary that Sentinels know, or a Cluster.

use std::sync::{Arc, OnceLock};

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::OpenError;

/// A store's URL, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) kind: Kind,
    /// Host and port; several for Sentinels and Clusters.
    pub(super) hosts: Vec<(String, u16)>,
    pub(super) db: i64,
    tls: bool,
    login: RedisConnectionInfo,
    /// PEM of the authority that signed the servers' certificates; none: the system's roots.
    authority: Option<Vec<u8>>,
    /// Made once: the system's roots are many, and each connection needs them.
    client_config: OnceLock<Arc<ClientConfig>>,
}

/// How the primary is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It is the one server.
    Single,
    /// Sentinels say who is the primary of this name.
    Sentinel(String),
    /// The slots say who.
    Cluster,
}

impl Address {
    /// `redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]`, `redis-sentinel://…HOST,HOST/NAME[/DB]`, `redis-cluster://…HOST,HOST`;
    /// `rediss` in place of `redis` for TLS, then `?ca=FILE` names an authority of one's own. User and password are
    /// percent-encoded.
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        let bad = |why: &str| OpenError::BadUrl(without_password(url), why.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(|| bad("it has no ://"))?;
        let (family, kind) = match scheme.split_once('-') {
            None => (scheme, Kind::Single),
            Some((family, "sentinel")) => (family, Kind::Sentinel(String::new())),
            Some((family, "cluster")) => (family, Kind::Cluster),
            Some(_) => {
                return Err(bad(
                    "the scheme is redis, redis-sentinel or redis-cluster, or rediss… for TLS",
                ));
            }
        };
        let tls = match family {
            "redis" => false,
            "rediss" => true,
            _ => {
                return Err(bad(
                    "the scheme is redis, redis-sentinel or redis-cluster, or rediss… for TLS",
                ));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let default_port = if matches!(kind, Kind::Sentinel(_)) {
            SENTINEL_PORT
        } else {
            PORT
        };
        let hosts: Vec<(String, u16)> = hosts
            .split(',')
            .map(|host| host_and_port(host, default_port).ok_or_else(|| bad("a host is HOST or HOST:PORT")))
            .collect::<Result<_, OpenError>>()?;
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let kind = match kind {
            Kind::Sentinel(_) => {
                let name = segments
                    .next()
                    .ok_or_else(|| bad("a Sentinel URL ends with /NAME of the primary"))?;
                Kind::Sentinel(name.to_owned())
            }
            Kind::Single if hosts.len() > 1 => {
                return Err(bad(
                    "one server has one host; several need redis-sentinel:// or redis-cluster://",
                ));
            }
            other @ (Kind::Single | Kind::Cluster) => other,
        };
        let db = match segments.next() {
            None => 0,
            Some(db) => db.parse().map_err(|_| bad("the database is a number"))?,
        };
        if segments.next().is_some() || (kind == Kind::Cluster && db != 0) {
            return Err(bad("nothing follows the database, and a Cluster has only 0"));
        }
        Ok(Self {
            login: login_of(login, db).ok_or_else(|| bad("user or password is ill-encoded"))?,
            authority: authority_file(query, tls).map_err(|why| bad(&why))?,
            client_config: OnceLock::new(),
            kind,
            hosts,
            db,
            tls,
        })
    }

    /// Who signs in, to which database.
    pub(super) fn login(&self) -> &RedisConnectionInfo {
        &self.login
    }

    /// What a data server's certificate is held against; `None`: without TLS.
    pub(super) fn tls(&self) -> redis::RedisResult<Option<Arc<ClientConfig>>> {
        if !self.tls {
            return Ok(None);
        }
        if let Some(made) = self.client_config.get() {
            return Ok(Some(Arc::clone(made)));
        }
        let made = self.make_client_config()?;
        Ok(Some(Arc::clone(self.client_config.get_or_init(|| made))))
    }

    fn make_client_config(&self) -> redis::RedisResult<Arc<ClientConfig>> {
        let failed = |error: &dyn std::fmt::Display| {
            RedisError::from((ErrorKind::InvalidClientConfig, "TLS can't be set up", error.to_string()))
        };
        let mut roots = RootCertStore::empty();
        match &self.authority {
            Some(pem) => {
                for certificate in CertificateDer::pem_slice_iter(pem) {
                    let certificate = certificate.map_err(|error| failed(&error))?;
                    roots.add(certificate).map_err(|error| failed(&error))?;
                }
            }
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// How a data server is reached.
    pub(super) fn server(&self, host: &str, port: u16) -> redis::RedisResult<ConnectionInfo> {
        let addr = if self.tls {
            ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(host.to_owned(), port)
        };
        let info = addr.into_connection_info()?.set_redis_settings(self.login.clone());
        match &self.authority {
            None => Ok(info),
            Some(pem) => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                };
                Ok(Client::build_with_tls(info, certificates)?
                    .get_connection_info()
                    .clone())
            }
        }
    }

    /// How a Sentinel is reached: with TLS as the servers, without their login.
    pub(super) fn sentinel(&self, host: &str, port: u16) -> redis::RedisResult<ConnectionInfo> {
        let anonymous = Self {
            login: RedisConnectionInfo::default().set_skip_set_lib_name(),
            ..self.clone()
        };
        anonymous.server(host, port)
    }
}

fn host_and_port(text: &str, default_port: u16) -> Option<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        Some(_) | None => (text, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

fn login_of(text: &str, db: i64) -> Option<RedisConnectionInfo> {
    let info = RedisConnectionInfo::default()
        .set_db(db)
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if text.is_empty() {
        return Some(info);
    }
    let (user, password) = text
        .split_once(':')
        .map_or((text, None), |(user, password)| (user, Some(password)));
    let info = match decoded(user)? {
        user if user.is_empty() => info,
        user => info.set_username(user),
    };
    Some(match password {
        None => info,
        Some(password) => info.set_password(decoded(password)?),
    })
}

fn authority_file(query: &str, tls: bool) -> Result<Option<Vec<u8>>, String> {
    let mut authority = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("ca", file)) if tls => {
                let file = decoded(file).ok_or("ca is ill-encoded")?;
                authority = Some(std::fs::read(&file).map_err(|error| format!("ca {file}: {error}"))?);
            }
            Some(_) | None => return Err(format!("{pair:?} is not known here; with rediss, ca=FILE is")),
        }
    }
    Ok(authority)
}

fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(octets).ok()
}

/// For messages.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_url_is_read() {
        let one = Address::parse("redis://user:p%40ss@[::1]:6380/3").unwrap();
        assert_eq!(
            (one.kind, one.hosts, one.db),
            (Kind::Single, vec![("::1".to_owned(), 6380)], 3)
        );
        assert_eq!(one.login.username(), Some("user"));

        let sentinels = Address::parse("rediss-sentinel://a,b:1/shop").unwrap();
        assert_eq!(sentinels.kind, Kind::Sentinel("shop".to_owned()));
        assert_eq!(sentinels.hosts, [("a".to_owned(), 26379), ("b".to_owned(), 1)]);
        assert!(sentinels.tls);

        assert_eq!(Address::parse("redis-cluster://:pw@a,b").unwrap().hosts.len(), 2);
    }

    #[test]
    fn a_bad_url_says_why_and_shows_no_password() {
        for bad in [
            "redis://",
            "redis:/a",
            "redix://u:secret@a",
            "redis://u:secret@a,b",
            "redis-sentinel://u:secret@a",
            "redis://u:secret@a/x",
            "redis-cluster://u:secret@a/1",
            "redis://u:%zzsecret@a",
            "redis://u:secret@a?ca=x",
        ] {
            let said = Address::parse(bad).unwrap_err().to_string();
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
