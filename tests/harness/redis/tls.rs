//! Certificates for a server on the loopback: an authority of its own, a server's and a client's certificate.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

/// Files in PEM, gone with the last clone.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<tempfile::TempDir>);

impl Certificates {
    /// A new authority and what it vouches for: `127.0.0.1` and `localhost`, and a client.
    pub fn make() -> Self {
        let made = Self(Arc::new(tempfile::tempdir().expect("a temporary folder can be made")));
        let key = KeyPair::generate().expect("a key can be made");
        let mut authority = named("authority", Vec::new());
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&key).expect("an authority signs itself");
        write(&made.authority(), &certificate.pem());
        let issuer = Issuer::new(authority, key);
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = ExtendedKeyUsagePurpose::ServerAuth;
        issue(&issuer, names, server, &made.server_certificate(), &made.server_key());
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        issue(
            &issuer,
            Vec::new(),
            client,
            &made.client_certificate(),
            &made.client_key(),
        );
        made
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("authority.pem")
    }

    /// The server's certificate.
    pub fn server_certificate(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    /// The client's certificate.
    pub fn client_certificate(&self) -> PathBuf {
        self.0.path().join("client.pem")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.0.path().join("client.key")
    }
}

fn issue(
    issuer: &Issuer<'_, KeyPair>,
    names: Vec<String>,
    purpose: ExtendedKeyUsagePurpose,
    certificate_file: &PathBuf,
    key_file: &PathBuf,
) {
    let key = KeyPair::generate().expect("a key can be made");
    // An issuer of the same name would look like the certificate itself.
    let mut params = named("issued", names);
    params.extended_key_usages = vec![purpose];
    let certificate = params.signed_by(&key, issuer).expect("the authority signs");
    write(certificate_file, &certificate.pem());
    write(key_file, &key.serialize_pem());
}

fn named(common_name: &str, names: Vec<String>) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("the names are good");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn write(file: &PathBuf, text: &str) {
    std::fs::write(file, text).expect("the certificate's file can be written");
}
