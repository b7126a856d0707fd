//! A connection to an upstream target: TCP with no delay, TLS with the target's name by SNI.

use std::io;
use std::sync::Arc;

use oauth1::Scheme;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::UpstreamTarget;
use crate::listen::Stream;

/// TLS toward upstreams: the system's roots, or one authority's.
pub fn client_config(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The roots that the operating system trusts.
pub fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "a system root certificate can't be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

/// Connects, and shakes hands where the scheme is https. `name` is what is verified and sent by SNI.
pub async fn connect(target: &UpstreamTarget, name: &str, tls: Arc<ClientConfig>) -> io::Result<Stream> {
    let tcp = TcpStream::connect((target.host.as_str(), target.port)).await?;
    tcp.set_nodelay(true)?;
    match target.scheme {
        Scheme::Http => Ok(Stream::Plain(tcp)),
        Scheme::Https => {
            let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
            let stream = TlsConnector::from(tls).connect(name, tcp).await?;
            Ok(Stream::Tls(Box::new(stream.into())))
        }
    }
}
