//! `countersign sign`: a signed request for people debugging.

use std::path::PathBuf;
use std::process::ExitCode;

use oauth1::sign::{Credentials, Stamp, authorization};
use oauth1::{RequestParts, Scheme, SignatureMethod, Target};
use serde::Deserialize;
use token_store::Secret;

use super::{fail, prompt};
use crate::clock::Clock;
use crate::config::Environment;
use crate::random;

/// Signs METHOD URL; credentials come from --profile, the environment
/// (`COUNTERSIGN_CONSUMER_KEY`, _`CONSUMER_SECRET`, _`TOKEN_KEY`, _`TOKEN_SECRET`) or a prompt.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// GET, POST …
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
    /// Any other body, with its type: not part of the signature
    #[arg(long, value_name = "BODY", conflicts_with = "form")]
    json: Option<String>,
    /// A TOML file with `consumer_key`, `consumer_secret`, `token_key`, `token_secret`
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    /// HMAC-SHA256, HMAC-SHA1 or HMAC-SHA512
    #[arg(long, default_value = "HMAC-SHA256", value_name = "NAME")]
    signature_method: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    consumer_key: String,
    consumer_secret: Secret,
    token_key: Option<String>,
    token_secret: Option<Secret>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let profile = match profile(arguments) {
        Ok(profile) => profile,
        Err(error) => return fail(&error),
    };
    match header(arguments, &profile) {
        Ok(header) if arguments.curl => {
            println!("{}", curl(arguments, &header));
            ExitCode::SUCCESS
        }
        Ok(header) => {
            println!("Authorization: {header}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("countersign: {error}");
            ExitCode::from(2)
        }
    }
}

fn profile(arguments: &Arguments) -> Result<Profile, String> {
    if let Some(path) = &arguments.profile {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        // The parser's own message would quote the line, and with it a secret.
        return toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.message()));
    }
    let environment = Environment::of_process();
    let get = |name: &str| environment.get(&format!("COUNTERSIGN_{name}"));
    let ask = |error: std::io::Error| format!("no credentials: {error}; use --profile or the environment");
    let consumer_key = match get("CONSUMER_KEY") {
        Some(key) => key,
        None => prompt::line("Consumer key: ").map_err(ask)?,
    };
    let consumer_secret = match get("CONSUMER_SECRET") {
        Some(secret) => Secret::new(secret),
        None => prompt::secret("Consumer secret: ").map_err(ask)?,
    };
    Ok(Profile {
        consumer_key,
        consumer_secret,
        token_key: get("TOKEN_KEY"),
        token_secret: get("TOKEN_SECRET").map(Secret::new),
    })
}

fn header(arguments: &Arguments, profile: &Profile) -> Result<String, String> {
    let method = SignatureMethod::from_name(&arguments.signature_method)
        .filter(|method| !method.is_rsa())
        .ok_or_else(|| {
            format!(
                "{:?} is not a method that signs with secrets",
                arguments.signature_method
            )
        })?;
    let http_method = arguments.method.to_ascii_uppercase();
    let parts = RequestParts {
        method: &http_method,
        target: target(&arguments.url).ok_or_else(|| format!("{:?} is not an absolute URL", arguments.url))?,
        authorization: None,
        form: arguments.form.as_deref().map(str::as_bytes),
    };
    let nonce = random::credential().map_err(|error| error.to_string())?;
    let credentials = Credentials {
        consumer_key: &profile.consumer_key,
        consumer_secret: profile.consumer_secret.expose(),
        token: profile.token_key.as_deref(),
        token_secret: profile.token_secret.as_ref().map_or("", Secret::expose),
    };
    let stamp = Stamp {
        method,
        timestamp: Clock::system().now(),
        nonce: &nonce,
        extra: &[],
    };
    authorization(&parts, &credentials, &stamp).ok_or_else(|| "the URL's query or the form can't be signed".to_owned())
}

/// The URL in its raw pieces: what is printed is what is signed.
fn target(url: &str) -> Option<Target<'_>> {
    let (scheme, rest) = if let Some(rest) = url.strip_prefix("https://") {
        (Scheme::Https, rest)
    } else {
        (Scheme::Http, url.strip_prefix("http://")?)
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (before, query) = rest
        .split_once('?')
        .map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before.find('/').map_or((before, "/"), |at| before.split_at(at));
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    Some(Target {
        scheme,
        authority,
        path,
        query,
    })
}

fn curl(arguments: &Arguments, header: &str) -> String {
    let mut line = format!(
        "curl -X {} -H {}",
        arguments.method.to_ascii_uppercase(),
        quoted(&format!("Authorization: {header}"))
    );
    if let Some(form) = &arguments.form {
        line.push_str(" --data ");
        line.push_str(&quoted(form));
    }
    if let Some(json) = &arguments.json {
        line.push_str(" -H 'Content-Type: application/json' --data-binary ");
        line.push_str(&quoted(json));
    }
    // Brackets in a query are curl's own ranges unless it is told otherwise.
    line.push_str(" -g ");
    line.push_str(&quoted(&arguments.url));
    line
}

/// For a POSIX shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
