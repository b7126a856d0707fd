//! TLS of the public listener: certificates by SNI, ALPN for HTTP/2, client certificates where an authority is named.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, version};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;

/// A certificate, a key or an authority that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct TlsError {
    path: String,
    reason: String,
}

/// The server side of TLS as configured.
pub fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = if tls.tls13_only {
        &[&version::TLS13]
    } else {
        &[&version::TLS12, &version::TLS13]
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| fault(Path::new("[public.tls]"), &error))?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| fault(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(Certificates::load(tls)?));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The authorities of a PEM file.
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| fault(path, &error))? {
        let certificate = certificate.map_err(|error| fault(path, &error))?;
        roots.add(certificate).map_err(|error| fault(path, &error))?;
    }
    if roots.is_empty() {
        return Err(TlsError {
            path: path.display().to_string(),
            reason: "holds no certificate".to_owned(),
        });
    }
    Ok(roots)
}

/// Certificates by the names that they are for; the first one serves every other name, and clients that send none.
#[derive(Debug)]
struct Certificates {
    by_name: HashMap<String, Arc<CertifiedKey>>,
    first: Arc<CertifiedKey>,
}

impl Certificates {
    fn load(tls: &Tls) -> Result<Self, TlsError> {
        let mut by_name = HashMap::new();
        let mut first = None;
        for (cert_path, key_path) in &tls.certificates {
            let key = certified(cert_path, key_path).map_err(|error| match error {
                PairError::Certificate(what) => fault(cert_path, &what),
                PairError::Key(what) => fault(key_path, &what),
            });
            let key = Arc::new(key?);
            for name in names(&key) {
                by_name.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            first.get_or_insert(key);
        }
        let first = first.ok_or_else(|| TlsError {
            path: "[public.tls]".to_owned(),
            reason: "names no certificate: set cert and key".to_owned(),
        })?;
        Ok(Self { by_name, first })
    }

    /// The certificate for exactly this name, else the one whose wildcard stands for its first label (RFC 9525, 6.3).
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let wildcard = || self.by_name.get(&format!("*.{}", name.split_once('.')?.1));
        self.by_name.get(name).or_else(wildcard)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello
            .server_name()
            .and_then(|name| self.find(&name.to_ascii_lowercase()));
        Some(Arc::clone(named.unwrap_or(&self.first)))
    }
}

/// What is wrong with a certificate chain and its key.
#[derive(Debug)]
pub enum PairError {
    /// The chain.
    Certificate(String),
    /// The key, which may be that of another certificate.
    Key(String),
}

/// A certificate chain and the key that belongs to it.
pub fn certified(cert_path: &Path, key_path: &Path) -> Result<CertifiedKey, PairError> {
    let chain = CertificateDer::pem_file_iter(cert_path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| PairError::Certificate(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_file(key_path).map_err(|error| PairError::Key(error.to_string()))?;
    let key =
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).map_err(|error| PairError::Key(error.to_string()))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PairError::Key("doesn't belong to cert".to_owned())),
        Err(error) => Err(PairError::Certificate(error.to_string())),
    }
}

/// The DNS names a certificate is for.
fn names(key: &CertifiedKey) -> Vec<String> {
    key.cert
        .first()
        .and_then(|certificate| webpki::EndEntityCert::try_from(certificate).ok())
        .map(|certificate| certificate.valid_dns_names().map(str::to_ascii_lowercase).collect())
        .unwrap_or_default()
}

fn fault(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}
