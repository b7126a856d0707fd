//! `countersign sign`: a signed request for people debugging.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use oauth1::sign::{Credentials, Stamp, authorization};
use oauth1::{RequestParts, SignatureMethod, Target};
use serde::Deserialize;
use token_store::Secret;

use super::{exit_code, fail, misused, prompt, say};
use crate::clock::Clock;
use crate::config::Environment;
use crate::random;

/// Sign a request: print its Authorization header, or a curl line
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each call signs afresh: a signed request is served once. The URL is signed as it is written, so write it as clients call it:
percent-encoded, with scheme and host of public.base_url.

Credentials come from --profile, from COUNTERSIGN_CONSUMER_KEY, COUNTERSIGN_CONSUMER_SECRET, COUNTERSIGN_TOKEN_KEY and
COUNTERSIGN_TOKEN_SECRET, or from a prompt. A profile is TOML or JSON with consumer_key, consumer_secret, access_token and
access_token_secret: what `countersign integration activate NAME --format json` prints.

Examples:
  countersign sign GET 'http://127.0.0.1:8080/rest/V1/products/24-MB01' --profile courier.json --curl | sh
  countersign sign POST 'https://shop.example/rest/V1/orders' --profile courier.json --json '{\"entity\":{}}' --curl
  curl -H \"$(countersign sign GET \"$url\" --profile courier.json)\" \"$url\"")]
pub(super) struct Arguments {
    /// GET, POST, PUT …
    method: String,
    /// The URL as clients sign it, with its query
    url: String,
    /// Print the Authorization header's line (the default)
    #[arg(long, conflicts_with = "curl")]
    header: bool,
    /// Print a curl line to paste
    #[arg(long)]
    curl: bool,
    /// A form body (application/x-www-form-urlencoded): its fields are signed
    #[arg(long, value_name = "BODY")]
    form: Option<String>,
    /// A JSON body, for the curl line: bodies other than forms are not part of the signature
    #[arg(long, value_name = "BODY", conflicts_with = "form")]
    json: Option<String>,
    /// A TOML or JSON file with the credentials
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// HMAC-SHA256, HMAC-SHA1, HMAC-SHA512 or PLAINTEXT
    #[arg(long, default_value = "HMAC-SHA256", value_name = "NAME", value_parser = signature_method)]
    signature_method: SignatureMethod,
}

/// Who signs. Other fields, as an activation's answer holds them, are not read.
#[derive(Debug, Deserialize)]
struct Profile {
    consumer_key: String,
    consumer_secret: Secret,
    #[serde(alias = "access_token")]
    token_key: Option<String>,
    #[serde(alias = "access_token_secret")]
    token_secret: Option<Secret>,
}

fn signature_method(name: &str) -> Result<SignatureMethod, String> {
    match SignatureMethod::from_name(name) {
        Some(method) if method.is_rsa() => {
            Err("RSA methods sign with a private key, which this command doesn't take".to_owned())
        }
        Some(method) => Ok(method),
        None => Err("it is HMAC-SHA256, HMAC-SHA1, HMAC-SHA512 or PLAINTEXT".to_owned()),
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    exit_code(sign(arguments))
}

fn sign(arguments: &Arguments) -> Result<(), ExitCode> {
    let method = arguments.method.to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(misused(&format!("{:?} is not a method", arguments.method)));
    }
    let target = target(&arguments.url).map_err(|what| misused(&what))?;
    let parts = RequestParts {
        method: &method,
        target,
        authorization: None,
        form: arguments.form.as_deref().map(str::as_bytes),
    };
    let profile = match &arguments.profile {
        Some(path) => read(path).map_err(|what| fail(&what))?,
        None => ask()?,
    };
    if profile.token_key.is_some() != profile.token_secret.is_some() {
        let what = "a token needs both its key and its secret";
        return Err(misused(&what));
    }
    let nonce = random::credential().map_err(|error| fail(&error))?;
    let header = authorization(
        &parts,
        &profile.credentials(),
        &stamp(arguments.signature_method, &nonce),
    );
    let header = header.ok_or_else(|| misused(&"the URL's query or the form can't be signed: a broken % escape"))?;
    if arguments.curl {
        say(&curl(arguments, &method, &header))
    } else {
        say(&format!("Authorization: {header}"))
    }
}

fn stamp(method: SignatureMethod, nonce: &str) -> Stamp<'_> {
    Stamp {
        method,
        timestamp: Clock::system().now(),
        nonce,
        extra: &[],
    }
}

impl Profile {
    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            consumer_key: &self.consumer_key,
            consumer_secret: self.consumer_secret.expose(),
            token: self.token_key.as_deref(),
            token_secret: self.token_secret.as_ref().map_or("", Secret::expose),
        }
    }
}

/// The URL in its raw pieces: what is printed is what is signed.
fn target(url: &str) -> Result<Target<'_>, String> {
    let target = Target::from_url(url)
        .filter(|target| !target.authority.contains(['@', '\\']))
        .ok_or_else(|| format!("{url:?} is not an absolute URL, as http://127.0.0.1:8080/rest/V1/products"))?;
    if url.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(target)
    } else {
        Err(format!(
            "{url:?} holds characters that a URL can't: percent-encode them (a space is %20)"
        ))
    }
}

fn read(path: &Path) -> Result<Profile, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    // The parsers' own rendering would quote the line, and with it a secret.
    if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| {
            let what = if error.is_data() {
                error.to_string()
            } else {
                "is not JSON".to_owned()
            };
            format!("{name}: {what}")
        })
    } else {
        toml::from_str(&text).map_err(|error| format!("{name}: {}", error.message()))
    }
}

/// From the environment; at a prompt what that lacks.
fn ask() -> Result<Profile, ExitCode> {
    let environment = Environment::of_process();
    let get = |name: &str| environment.get(&format!("COUNTERSIGN_{name}"));
    let consumer_key = get("CONSUMER_KEY");
    let asks = consumer_key.is_none();
    let line = |question: &str| prompt::line(question, INSTEAD).map_err(|error| misused(&error));
    let secret = |question: &str| prompt::secret(question, INSTEAD).map_err(|error| misused(&error));
    let consumer_key = match consumer_key {
        Some(key) => key,
        None => line("Consumer key: ")?,
    };
    let consumer_secret = match get("CONSUMER_SECRET") {
        Some(consumer_secret) => Secret::new(consumer_secret),
        None => secret("Consumer secret: ")?,
    };
    let token_key = match get("TOKEN_KEY") {
        // With its consumer from the environment a call without token is meant.
        None if asks => Some(line("Access token (none: leave empty): ")?).filter(|key| !key.is_empty()),
        token_key => token_key,
    };
    let token_secret = match (get("TOKEN_SECRET"), &token_key) {
        (Some(token_secret), _) => Some(Secret::new(token_secret)),
        (None, Some(_)) => Some(secret("Access token secret: ")?),
        (None, None) => None,
    };
    Ok(Profile {
        consumer_key,
        consumer_secret,
        token_key,
        token_secret,
    })
}

fn curl(arguments: &Arguments, method: &str, header: &str) -> String {
    // curl waits for a body after -X HEAD.
    let method = if method == "HEAD" {
        "--head".to_owned()
    } else {
        format!("-X {method}")
    };
    let mut line = format!("curl -sS {method} -H {}", quoted(&format!("Authorization: {header}")));
    if let Some(form) = &arguments.form {
        line.push_str(" --data-raw ");
        line.push_str(&quoted(form));
    }
    if let Some(json) = &arguments.json {
        line.push_str(" -H 'Content-Type: application/json' --data-raw ");
        line.push_str(&quoted(json));
    }
    // Brackets in a query are curl's own ranges, and dots in a path its own to tidy, unless it is told otherwise.
    line.push_str(" --globoff --path-as-is ");
    line.push_str(&quoted(&arguments.url));
    line
}

/// For a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

const INSTEAD: &str = "use --profile, or COUNTERSIGN_CONSUMER_KEY and COUNTERSIGN_CONSUMER_SECRET";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_toml_or_what_an_activation_answers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile");
        let write = |text: &str| std::fs::write(&path, text).unwrap();

        write("consumer_key = \"k\"\nconsumer_secret = \"s\"\ntoken_key = \"t\"\ntoken_secret = \"u\"\n");
        assert_eq!(read(&path).unwrap().token_key.as_deref(), Some("t"));
        write(
            "{\"status\":\"active\",\"exchange\":false,\"consumer_key\":\"k\",\"consumer_secret\":\"s\",\"access_token\":\"t\",\"access_token_secret\":\"u\"}",
        );
        assert_eq!(read(&path).unwrap().token_secret.unwrap().expose(), "u");
        write("consumer_key = \"k\"\n");
        assert!(read(&path).unwrap_err().contains("consumer_secret"));
        write("{ geheim");
        assert!(!read(&path).unwrap_err().contains("geheim"));
    }

    #[test]
    fn a_url_that_can_not_be_called_is_not_signed() {
        for url in [
            "shop.example/a",
            "ftp://shop.example/a",
            "http://u:p@shop.example/",
            "http://",
            "http://a/b c",
            "http://a/\u{fc}",
        ] {
            assert!(target(url).is_err(), "{url}");
        }
        assert!(target("https://shop.example/rest/V1/orders?searchCriteria[pageSize]=2").is_ok());
    }
}
