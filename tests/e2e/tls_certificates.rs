//! Certificates for the tests: an authority, and what it signs, as PEM files.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;

/// Signs for whatever names it is asked.
pub(crate) struct Authority {
    folder: Arc<TempDir>,
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A certificate with its key.
pub(crate) struct Identity {
    folder: Arc<TempDir>,
    name: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "test authority");
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("authority.pem"), certificate.pem()).unwrap();
        Self {
            folder,
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// A server's certificate for these names, addresses among them.
    pub(crate) fn server(&self, names: &[&str]) -> Identity {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's.
    pub(crate) fn client(&self, name: &str) -> Identity {
        self.issue(&[name], ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, names: &[&str], usage: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.extended_key_usages = vec![usage];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, names.join(" "));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let name = format!(
            "{:x}",
            key.public_key_raw()
                .iter()
                .fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
        );
        std::fs::write(self.folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.folder.path().join(format!("{name}.key")), key.serialize_pem()).unwrap();
        Identity {
            folder: Arc::clone(&self.folder),
            name,
        }
    }

    /// Its own certificate's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    /// A client that trusts it, offering these protocols.
    pub(crate) fn trusting(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        self.client_config(rustls::ALL_VERSIONS, protocols, None)
    }

    pub(crate) fn client_config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&str],
        identity: Option<&Identity>,
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots());
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain(), identity.private_key())
                .unwrap(),
        };
        config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

impl Identity {
    pub(crate) fn certificate(&self) -> String {
        self.folder
            .path()
            .join(format!("{}.pem", self.name))
            .display()
            .to_string()
    }

    pub(crate) fn key(&self) -> String {
        self.folder
            .path()
            .join(format!("{}.key", self.name))
            .display()
            .to_string()
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_file(self.certificate()).unwrap()]
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(self.key()).unwrap()
    }
}
