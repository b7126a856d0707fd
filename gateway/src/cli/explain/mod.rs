//! `countersign explain`: why a request's signature does not verify.

mod text;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use http::Method;
use oauth1::explain::{RawRequest, explain_pasted, explain_unreadable};
use serde_json::Value;

use super::api::AdminApi;
use super::{exit_code, fail, misused, say};
use crate::clock::Clock;
use crate::explain::fault::Evidence;
use crate::explain::{Known, to_json};

/// Say why a request's signature does not verify: what the client signed instead, and what to change
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Arguments {
    /// The raw request (HTTP/1.1, as it came) [default: stdin]
    #[arg(value_name = "REQUEST")]
    file: Option<PathBuf>,
    /// A JSON file with what the server knows (below); - for stdin
    #[arg(long, value_name = "FILE", required_unless_present = "id")]
    secrets: Option<PathBuf>,
    /// Explain a request that the running gateway refused, by its X-Request-Id, through the admin API
    #[arg(long = "request", value_name = "ID", conflicts_with_all = ["secrets", "file"])]
    id: Option<String>,
    #[command(flatten)]
    api: AdminApi,
    /// How the answer is printed: aligned for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

const HELP: &str = "\
The known mistakes of clients (http for https, a query that was not signed, a wrong or empty token secret, …: E1 to E118)
are made one by one and in pairs until one gives the client's signature; only then is it named. Nothing is sent, nothing is
guessed, and no secret and no computed signature is printed.

The request is what the client sent: request line, headers, an empty line, the body. A proxy's capture or an editor makes one;
lines may end in LF. What `curl --trace-ascii` or, without a body, `curl -v` printed of it is read as well.

FILE is a JSON object; leave out what there isn't:
  consumer_key, consumer_secret, token, token_secret      as the client should use them
  request_token, request_token_secret                     for a mix-up of the two kinds of token
  previous_consumer_secrets, previous_token_secrets       lists: secrets that were replaced
  rsa_public_key                                          PEM, for RSA methods
  base_url                                                what clients must sign, as https://shop.example
  received_at, timestamp_window                           Unix seconds and seconds: then the clock is judged too
  compat                                                  list, as [oauth] compat
It may be what `countersign integration activate NAME --format json` printed.

With --request the running gateway explains, with its store's secrets; what it refused in the last minutes is kept (a quarter
of an hour at most, 1000 requests, 8 MiB). Each gateway keeps its own: where several share a store, ask the one that answered.
The admin needs the role operator or admin; each explanation stands in the audit log.

Result: valid (the signature holds), diagnosed, unknown (no mistake was found: the advice says what was tried), malformed
(there was no signature to check). Exit code 0 for each of them.

Examples:
  countersign explain --secrets courier.json request.txt
  countersign explain --secrets courier.json --format json < request.txt
  countersign explain --request 0f8fad5bd9cb469fa16570867728950e";

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    exit_code(tell(arguments))
}

fn tell(arguments: &Arguments) -> Result<(), ExitCode> {
    let answer = match (&arguments.id, &arguments.secrets) {
        (Some(id), _) => ask(&arguments.api, id)?,
        (None, Some(secrets)) => offline(arguments, secrets)?,
        (None, None) => {
            return Err(misused(
                &"name a file with --secrets, or a refused request with --request",
            ));
        }
    };
    match arguments.format {
        Format::Json => say(&format!("{answer:#}")),
        Format::Text => say(&text::of(&answer)),
    }
}

/// What the running gateway says of a request that it refused.
fn ask(api: &AdminApi, id: &str) -> Result<Value, ExitCode> {
    if id.is_empty()
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Err(misused(&format!("{id:?} is not a request id")));
    }
    api.calls(async |api| api.call(Method::GET, &format!("/api/v1/rejections/{id}"), None).await)
}

fn offline(arguments: &Arguments, secrets: &PathBuf) -> Result<Value, ExitCode> {
    let secrets_on_stdin = secrets.as_os_str() == "-";
    if secrets_on_stdin && arguments.file.is_none() {
        return Err(misused(&"the secrets are on stdin, so name a file with the request"));
    }
    let name = secrets.display();
    let secrets = read(Some(secrets).filter(|_| !secrets_on_stdin))?;
    let secrets = String::from_utf8(secrets).map_err(|_| fail(&format!("{name}: is not UTF-8")))?;
    let parts = Known::read(&secrets).and_then(Known::into_parts);
    let (secrets, options) = parts.map_err(|fault| fail(&format!("{name}: {fault}")))?;
    let request = read(arguments.file.as_ref())?;

    let clock = Clock::system();
    let explanation = match RawRequest::parse(&request) {
        Ok(request) => explain_pasted(&request, &secrets, &options),
        Err(what) => explain_unreadable(what),
    };
    let spent = clock.monotonic().as_millis();
    Ok(to_json(
        &explanation,
        Evidence::Nothing,
        u64::try_from(spent).unwrap_or(u64::MAX),
    ))
}

/// A file, or stdin.
fn read(path: Option<&PathBuf>) -> Result<Vec<u8>, ExitCode> {
    let name = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
    let mut octets = Vec::new();
    let read = match path {
        Some(path) => open(path).and_then(|file| file.take(MAX_INPUT + 1).read_to_end(&mut octets)),
        None => std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut octets),
    };
    let length = read.map_err(|error| fail(&format!("{name}: {error}")))?;
    if length as u64 > MAX_INPUT {
        return Err(fail(&format!("{name}: more than {} MiB", MAX_INPUT >> 20)));
    }
    Ok(octets)
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(path)
}

const MAX_INPUT: u64 = 16 << 20;
