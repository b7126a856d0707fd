//! `countersign admin …`: straight in the store, or through the running gateway.

mod create;
mod manage;

use std::process::ExitCode;

use http::Method;
use serde_json::Value;

use super::api::AdminApi;
use super::{exit_code, say};

/// Admin accounts: the bootstrap
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an admin account
    #[command(after_help = create::HELP)]
    Create(create::Create),
    /// List the admin accounts
    List(manage::List),
    /// End an account's use: it can't sign in, and its tokens end at once on every gateway
    #[command(after_help = "\
The last active account with the role admin can't be disabled: make another one first.

Examples:
  countersign admin disable jane")]
    Disable(manage::One),
    /// Let a disabled account sign in again, or one that failed sign-ins have locked
    Enable(manage::One),
    /// Set an account's password; who signed in with the old one has to sign in again, and a lock after failed sign-ins ends
    #[command(after_help = "\
The password comes from COUNTERSIGN_ADMIN_PASSWORD, the first line of stdin when that is piped, or a prompt; it has from 8 to
1024 characters.

Examples:
  countersign admin set-password jane
  countersign admin set-password ci < password-file")]
    SetPassword(manage::One),
    /// Take an account's second factor away, where its device was lost
    RemoveTotp(manage::One),
    /// End all tokens of an account, through the admin API; it can sign in again
    Revoke(Revoke),
}

#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// Its number or its name
    account: String,
    #[command(flatten)]
    api: AdminApi,
}

pub(super) fn run(command: &Command) -> ExitCode {
    exit_code(match command {
        Command::Create(arguments) => create::create(arguments),
        Command::List(arguments) => manage::list(arguments),
        Command::Disable(one) => manage::set_active(one, false),
        Command::Enable(one) => manage::set_active(one, true),
        Command::SetPassword(one) => manage::set_password(one),
        Command::RemoveTotp(one) => manage::remove_totp(one),
        Command::Revoke(arguments) => revoke(arguments),
    })
}

fn revoke(arguments: &Revoke) -> Result<(), ExitCode> {
    let revoked = arguments.api.calls(async |api| {
        let id = manage::find(api, &arguments.account).await?;
        let path = format!("{}/{id}/tokens", manage::ADMINS);
        api.call(Method::DELETE, &path, None).await
    })?;
    say(&ended(&revoked))
}

/// What a revocation did, for people.
pub(super) fn ended(answer: &Value) -> String {
    let revoked = answer.get("revoked").and_then(Value::as_u64).unwrap_or_default();
    match revoked {
        1 => "1 token ended".to_owned(),
        many => format!("{many} tokens ended"),
    }
}
