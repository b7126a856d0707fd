//! `countersign integration …`: through the admin API.

mod calls;

use std::process::ExitCode;

use serde_json::Value;

use super::table::{Format, of_fields, of_rows, text};
use super::{ConfigFile, block_on, exit_code, fail, remark, say};

/// Integrations, through the admin API
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    file: ConfigFile,
    /// The admin listener [default: admin.listen of the configuration]
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<String>,
    /// How answers are printed: aligned for people, or for programs (JSON: an array of a list, else one object)
    #[arg(long, global = true, value_enum, default_value_t = Format::Table)]
    format: Format,
}

const EXAMPLES: &str = "\
It signs in with the token in COUNTERSIGN_TOKEN, with COUNTERSIGN_ADMIN_USER and COUNTERSIGN_ADMIN_PASSWORD, or at a prompt.
INTEGRATION is a number or a name; a name that is a number, too, counts where nobody has that number.

Examples:
  countersign integration create --name Courier --resource Magento_Catalog::products
  countersign integration create --name ERP --endpoint https://erp.example/callback --all-resources
  countersign integration activate Courier
  countersign integration activate Courier --format json > courier.json    # for `countersign sign --profile`
  countersign integration list --status active";

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List integrations
    List {
        /// Only names that contain this
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Only those in this state
        #[arg(long, value_name = "inactive|active|recreated")]
        status: Option<String>,
    },
    /// Create an integration, inactive
    Create(Box<Create>),
    /// Show one
    Show(One),
    /// Change name, address or endpoint; what is not given stays
    Update(Box<Update>),
    /// Activate: post the verifier to its endpoint, or make its tokens at once and show them. One that was deactivated goes
    /// on with the tokens that it has: nothing is posted or made
    Activate {
        #[command(flatten)]
        one: One,
        /// Make the tokens at once although it has an endpoint
        #[arg(long)]
        no_exchange: bool,
    },
    /// Activate anew: the old tokens end at once
    Reauthorize {
        #[command(flatten)]
        one: One,
        /// Make the tokens at once although it has an endpoint
        #[arg(long)]
        no_exchange: bool,
    },
    /// Pause it: its calls are refused within a second, its tokens stay; `activate` ends the pause, `reauthorize` makes new
    /// tokens
    Deactivate(One),
    /// Delete it with its consumer and all its tokens
    Delete(One),
    /// Show or replace what it may use
    Resources {
        #[command(flatten)]
        one: One,
        /// A resource it may use from now on; give it again for each
        #[arg(long = "set", value_name = "ID")]
        resources: Vec<String>,
        /// Everything
        #[arg(long, conflicts_with = "resources")]
        all: bool,
        /// Nothing
        #[arg(long, conflicts_with_all = ["resources", "all"])]
        none: bool,
    },
    /// Make a new consumer secret and show it; the old one is accepted for a while. `show` tells when either was last used
    RotateSecret {
        #[command(flatten)]
        one: One,
        /// How long the old one is accepted, at most 90d; one that an earlier rotation left ends at once
        #[arg(long, default_value = "24h", value_name = "DURATION")]
        grace: String,
    },
}

/// Which integration.
#[derive(Debug, clap::Args)]
struct One {
    /// Its number or its name
    integration: String,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// Unique
    #[arg(long)]
    name: String,
    /// Of who runs it
    #[arg(long, default_value = "", value_name = "ADDRESS", hide_default_value = true)]
    email: String,
    /// Where the verifier is posted; without one the tokens are made at activation
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the merchant signs in to the third party
    #[arg(long, value_name = "URL")]
    identity_link_url: Option<String>,
    /// A resource it may use; give it again for each
    #[arg(long = "resource", value_name = "ID")]
    resources: Vec<String>,
    /// It may use everything
    #[arg(long, conflicts_with = "resources")]
    all_resources: bool,
}

#[derive(Debug, clap::Args)]
struct Update {
    #[command(flatten)]
    one: One,
    /// Unique
    #[arg(long)]
    name: Option<String>,
    /// Of who runs it
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Where the verifier is posted; "" for none
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Where the merchant signs in to the third party; "" for none
    #[arg(long, value_name = "URL")]
    identity_link_url: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    exit_code(call(arguments))
}

fn call(arguments: &Arguments) -> Result<(), ExitCode> {
    let url = match &arguments.admin {
        Some(url) => url.clone(),
        None => format!("http://{}", arguments.file.load()?.admin.listen),
    };
    let answer = block_on(async {
        let called = calls::call(&url, &arguments.command).await;
        called.map_err(|error| fail(&error))
    })?;
    say(&shown(&answer, arguments.format))?;
    if arguments.format == Format::Table && answer.get("exchange").and_then(Value::as_bool) == Some(true) {
        remark(&"The verifier was posted; the integration is active once it has fetched its access token.");
        if answer.get("identity_link_url").is_some() {
            remark(&"Sign in to the third party at identity_link_url, in a browser.");
        }
    }
    Ok(())
}

fn shown(answer: &Value, format: Format) -> String {
    match (format, answer) {
        (Format::Json, answer) => format!("{answer:#}"),
        (Format::Table, Value::Array(rows)) => {
            let cells = |row: &Value| {
                COLUMNS
                    .map(|(_, key)| row.get(key).map_or_else(String::new, text))
                    .to_vec()
            };
            of_rows(
                &COLUMNS.map(|(title, _)| title),
                &rows.iter().map(cells).collect::<Vec<_>>(),
            )
        }
        (Format::Table, Value::Object(fields)) => of_fields(fields, &FIELDS),
        (Format::Table, other) => text(other),
    }
}

const COLUMNS: [(&str, &str); 5] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("STATUS", "status"),
    ("SETUP", "setup"),
    ("ENDPOINT", "endpoint"),
];
/// In this order, the others after them.
const FIELDS: [&str; 12] = [
    "id",
    "name",
    "status",
    "exchange",
    "consumer_key",
    "consumer_secret",
    "access_token",
    "access_token_secret",
    "email",
    "endpoint",
    "identity_link_url",
    "setup",
];
