//! `countersign admin create`: straight in the store, or through the running gateway.

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};
use token_store::{OpenError, Role, Secret};

use crate::cli::api::{Api, CallError};
use crate::cli::{ConfigFile, block_on, fail, misused, open, prompt, say, with_causes};
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::exchange::account::{AccountError, check_name, check_password};

pub(super) const HELP: &str = "\
The password comes from COUNTERSIGN_ADMIN_PASSWORD, the first line of stdin when that is piped, or a prompt; it has from 8 to
1024 characters. The account is written straight to the store or, where a running gateway holds it, through the control
socket beside it.

Roles: viewer reads all but credentials; operator also activates, deactivates and revokes; admin does everything.

Examples:
  countersign admin create --username admin
  countersign admin create --username ci --role operator < password-file";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Create {
    #[command(flatten)]
    file: ConfigFile,
    // Help by attribute where its words would need backticks, which a terminal shows.
    #[arg(
        long,
        value_name = "NAME",
        help = "The name it signs in with [default: COUNTERSIGN_ADMIN_USER, or a prompt]"
    )]
    username: Option<String>,
    /// What it may do
    #[arg(long, default_value = "admin", value_parser = role, value_name = "viewer|operator|admin")]
    role: Role,
    /// Its e-mail address
    #[arg(long, default_value = "", value_name = "ADDRESS", hide_default_value = true)]
    email: String,
}

/// Why the account was not made.
#[derive(Debug, thiserror::Error)]
enum CreateError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Call(#[from] CallError),
}

fn role(text: &str) -> Result<Role, String> {
    match text {
        "viewer" => Ok(Role::Viewer),
        "operator" => Ok(Role::Operator),
        "admin" => Ok(Role::Admin),
        _ => Err("it is viewer, operator or admin".to_owned()),
    }
}

pub(super) fn create(arguments: &Create) -> Result<(), ExitCode> {
    let config = arguments.file.load()?;
    let environment = Environment::of_process();
    let username = arguments
        .username
        .clone()
        .or_else(|| environment.get("COUNTERSIGN_ADMIN_USER"));
    let username = match username {
        Some(username) => username,
        None => prompt::line("User name: ", "give --username").map_err(|error| misused(&error))?,
    };
    let password = match environment.get("COUNTERSIGN_ADMIN_PASSWORD") {
        Some(password) => Secret::new(password),
        None => prompt::new_password().map_err(|error| misused(&format!("no password: {error}")))?,
    };
    check_name(&username).map_err(|error| misused(&error))?;
    check_password(&password).map_err(|error| misused(&error))?;
    let made = block_on(async {
        make(arguments, (&username, &password), &config)
            .await
            .map_err(|error| fail(&with_causes(&error)))
    })?;
    say(&format!("admin account {username:?} is made, number {made}"))
}

/// A running gateway holds an embedded store: then it makes the account.
async fn make(arguments: &Create, (username, password): (&str, &Secret), config: &Config) -> Result<u64, CreateError> {
    let clock = Clock::system();
    match open::first(config, clock).await {
        Ok(store) => {
            let named = (username, arguments.email.as_str());
            let made = open::create_admin(&store, clock, named, password, arguments.role).await;
            store.close().await.map_err(AccountError::from)?;
            Ok(made?)
        }
        Err(OpenError::Locked(folder)) => {
            let socket = open::control_socket(config).ok_or(OpenError::Locked(folder))?;
            let body = json!({
                "username": username,
                "password": password.expose(),
                "role": arguments.role,
                "email": arguments.email,
            });
            let made = Api::on_socket(socket)
                .call(Method::POST, "/api/v1/admins", Some(&body))
                .await?;
            Ok(made.get("id").and_then(Value::as_u64).unwrap_or_default())
        }
        Err(error) => Err(error.into()),
    }
}
