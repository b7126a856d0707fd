//! `countersign customer …`: through the admin API.

use std::process::ExitCode;

use http::Method;
use serde_json::{Value, json};
use token_store::Secret;

use super::admin::ended;
use super::api::AdminApi;
use super::{exit_code, misused, prompt, say};
use crate::config::Environment;
use crate::exchange::account::check_password;

/// Customers: their accounts, where they are kept here, and the end of their tokens; through the admin API
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a customer account: for [tokens.customer] credentials = "local"
    #[command(after_help = CREATE_HELP)]
    Create(Create),
    /// End all tokens of a customer, those that they gave to integrations, too; they can sign in again
    #[command(after_help = "\
Example:
  countersign customer revoke 7")]
    Revoke(One),
    /// Delete a customer account; the customer's tokens end
    #[command(after_help = "\
Example:
  countersign customer delete 7")]
    Delete(One),
}

const CREATE_HELP: &str = "\
The password comes from COUNTERSIGN_CUSTOMER_PASSWORD, the first line of stdin when that is piped, or a prompt; it has from 8
to 1024 characters.

Examples:
  countersign customer create --id 7 --username roni@example.com
  countersign customer create --id 7 --username roni@example.com < password-file";

#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The customer's number, as the storefront has it
    #[arg(long, value_name = "NUMBER")]
    id: u64,
    /// The e-mail address that they sign in with
    #[arg(long, value_name = "ADDRESS")]
    username: String,
    #[command(flatten)]
    api: AdminApi,
}

#[derive(Debug, clap::Args)]
pub(super) struct One {
    /// The customer's number, as the storefront has it
    customer: u64,
    #[command(flatten)]
    api: AdminApi,
}

pub(super) fn run(command: &Command) -> ExitCode {
    exit_code(match command {
        Command::Create(arguments) => create(arguments),
        Command::Revoke(one) => revoke(one),
        Command::Delete(one) => delete(one),
    })
}

fn create(arguments: &Create) -> Result<(), ExitCode> {
    let password = match Environment::of_process().get("COUNTERSIGN_CUSTOMER_PASSWORD") {
        Some(password) => Secret::new(password),
        None => prompt::new_password().map_err(|error| misused(&format!("no password: {error}")))?,
    };
    check_password(&password).map_err(|error| misused(&error))?;
    let (id, username) = (arguments.id, &arguments.username);
    let body = json!({ "id": id, "username": username, "password": password.expose() });
    let made = arguments
        .api
        .calls(async |api| api.call(Method::POST, CUSTOMERS, Some(&body)).await)?;
    let id = made.get("id").and_then(Value::as_u64).unwrap_or(id);
    say(&format!("customer account {username:?} is made, number {id}"))
}

fn revoke(one: &One) -> Result<(), ExitCode> {
    let path = format!("{CUSTOMERS}/{}/tokens", one.customer);
    let revoked = one.api.calls(async |api| api.call(Method::DELETE, &path, None).await)?;
    say(&ended(&revoked))
}

fn delete(one: &One) -> Result<(), ExitCode> {
    let path = format!("{CUSTOMERS}/{}", one.customer);
    one.api.calls(async |api| api.call(Method::DELETE, &path, None).await)?;
    say(&format!("customer account {} is deleted", one.customer))
}

const CUSTOMERS: &str = "/api/v1/customers";
