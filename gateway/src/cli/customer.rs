//! `countersign customer …`: through the admin API.

use std::process::ExitCode;

use http::Method;

use super::admin::ended;
use super::api::AdminApi;
use super::{exit_code, say};

/// Customers: end their tokens, through the admin API
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// End all tokens of a customer; they can sign in again
    #[command(after_help = "\
Example:
  countersign customer revoke 7")]
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The customer's number, as the storefront has it
    customer: u64,
    #[command(flatten)]
    api: AdminApi,
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Revoke(arguments) = command;
    exit_code(revoke(arguments))
}

fn revoke(arguments: &Revoke) -> Result<(), ExitCode> {
    let path = format!("/api/v1/customers/{}/tokens", arguments.customer);
    let revoked = arguments
        .api
        .calls(async |api| api.call(Method::DELETE, &path, None).await)?;
    say(&ended(&revoked))
}
