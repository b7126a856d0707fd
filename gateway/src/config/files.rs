//! Keys that name something outside of the configuration: secrets in the environment or in files, PEM files.

use std::path::{Path, PathBuf};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use token_store::Secret;

use super::fault::Place;
use super::key::Takes;
use super::node::quoted;
use super::reader::Section;

impl Section<'_, '_> {
    /// A secret: in clear, `env:NAME` or `file:PATH` (relative to the file that names it).
    pub(super) fn secret(&self, key: &str) -> Option<(Secret, Place)> {
        self.secret_that(key, Takes::Secret, None)
    }

    /// A URL that may hold a password, so given like a secret.
    pub(super) fn secret_url(&self, key: &str, default: &str) -> Option<(Secret, Place)> {
        self.secret_that(key, Takes::Url, Some(quoted(default)))
    }

    fn secret_that(&self, key: &str, takes: Takes, default: Option<String>) -> Option<(Secret, Place)> {
        let (text, place) = self.text_that(key, takes, default, "a text in quotes")?;
        let secret = self.resolve_secret(key, &text, &place)?;
        Some((secret, place))
    }

    /// A list of secrets, empty by default.
    pub(super) fn secrets(&self, key: &str) -> Vec<(Secret, Place)> {
        let texts = self.texts_that(key, Takes::Secrets, Some("[]".to_owned()));
        let resolved = texts.unwrap_or_default().into_iter().map(|(text, place)| {
            let secret = self.resolve_secret(key, &text, &place)?;
            Some((secret, place))
        });
        resolved.flatten().collect()
    }

    fn resolve_secret(&self, key: &str, text: &str, place: &Place) -> Option<Secret> {
        let found = if let Some(name) = text.strip_prefix("env:") {
            self.reading.used_variables.borrow_mut().insert(name.to_owned());
            let value = self.reading.environment.get(name);
            value.ok_or_else(|| format!("the environment has no {name}"))
        } else if let Some(path) = text.strip_prefix("file:") {
            let path = relative_path(path, place);
            let content = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()));
            content.map(|content| content.trim_end_matches(['\n', '\r']).to_owned())
        } else {
            Ok(text.to_owned())
        };
        match found {
            Ok(secret) => Some(Secret::new(secret)),
            Err(what) => {
                self.fault_at(place, key, &what);
                None
            }
        }
    }

    /// A PEM file of certificates, relative to the file that names it.
    pub(super) fn certificates_file(&self, key: &str) -> Option<PathBuf> {
        let holds = |path: &Path| {
            let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            all.is_ok_and(|all| !all.is_empty())
        };
        self.pem_file(key, "certificate", holds)
    }

    /// A PEM file of a private key, relative to the file that names it.
    pub(super) fn private_key_file(&self, key: &str) -> Option<PathBuf> {
        self.pem_file(key, "private key", |path| PrivateKeyDer::from_pem_file(path).is_ok())
    }

    fn pem_file(&self, key: &str, what: &str, holds: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let (text, place) = self.text_that(key, Takes::File, None, "a file's name in quotes")?;
        let path = relative_path(text.strip_prefix("file:").unwrap_or(&text), &place);
        let fault = match std::fs::File::open(&path) {
            Err(error) => format!("{}: {error}", path.display()),
            Ok(_) if holds(&path) => return Some(path),
            Ok(_) => format!("{} holds no {what} in PEM", path.display()),
        };
        self.fault_at(&place, key, &fault);
        None
    }
}

fn relative_path(text: &str, place: &Place) -> PathBuf {
    match place {
        Place::Line(file, _) => file.parent().unwrap_or_else(|| Path::new("")).join(text),
        Place::Variable(_) | Place::Default => PathBuf::from(text),
    }
}
