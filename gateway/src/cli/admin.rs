//! `countersign admin …` and `countersign reload`: straight in the store, or through the running gateway.

use std::process::ExitCode;

use http::Method;
use serde_json::json;
use token_store::{OpenError, Role, Secret};

use super::api::{Api, CallError};
use super::open::{self, AccountError};
use super::{ConfigFile, fail, prompt, refuse};
use crate::clock::Clock;
use crate::config::{Config, Environment};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an admin account; its password comes from `COUNTERSIGN_ADMIN_PASSWORD`, stdin or a prompt
    Create(Create),
}

/// Creates an admin account.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    file: ConfigFile,
    /// The name it signs in with
    #[arg(long, value_name = "NAME")]
    username: String,
    /// What it may do: viewer, operator or admin
    #[arg(long, default_value = "admin", value_parser = role)]
    role: Role,
    /// Its e-mail address
    #[arg(long, default_value = "", value_name = "ADDRESS")]
    email: String,
}

/// Reloads the running gateway.
#[derive(Debug, clap::Args)]
pub(super) struct ReloadArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The admin listener [default: the control socket beside the store, else admin.listen of the configuration]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
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
        _ => Err("viewer, operator or admin".to_owned()),
    }
}

pub(super) fn run(command: &Command) -> ExitCode {
    let Command::Create(create) = command;
    let config = match create.file.load() {
        Ok((config, _)) => config,
        Err(faults) => return refuse(&faults),
    };
    let password = match Environment::of_process().get("COUNTERSIGN_ADMIN_PASSWORD") {
        Some(password) => Secret::new(password),
        None => match prompt::secret_of_stdin("Password for the new account: ") {
            Ok(password) => password,
            Err(error) => return fail(&error),
        },
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match runtime.block_on(make(create, &config, &password)) {
        Ok(id) => {
            println!("admin account {:?} is made, number {id}", create.username);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}

/// A running gateway holds an embedded store: then it makes the account.
async fn make(create: &Create, config: &Config, password: &Secret) -> Result<u64, CreateError> {
    let clock = Clock::system();
    match open::store(config, clock).await {
        Ok(store) => {
            let named = (create.username.as_str(), create.email.as_str());
            let made = open::create_admin(&store, clock, named, password, create.role).await;
            store.close().await.map_err(AccountError::from)?;
            Ok(made?)
        }
        Err(OpenError::Locked(folder)) => {
            let socket = open::control_socket(config).ok_or(OpenError::Locked(folder))?;
            let body = json!({
                "username": create.username,
                "password": password.expose(),
                "role": create.role,
                "email": create.email,
            });
            let made = Api::on_socket(socket)
                .call(Method::POST, "/api/v1/admins", Some(&body))
                .await?;
            Ok(made.get("id").and_then(serde_json::Value::as_u64).unwrap_or_default())
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn reload(arguments: &ReloadArguments) -> ExitCode {
    let config = match arguments.file.load() {
        Ok((config, _)) => config,
        Err(faults) => return refuse(&faults),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let reloaded = runtime.block_on(async {
        let api = match (&arguments.admin, open::control_socket(&config)) {
            (None, Some(socket)) => Api::on_socket(socket),
            (Some(url), _) => Api::sign_in(url).await?,
            (None, None) => Api::sign_in(&format!("http://{}", config.admin.listen)).await?,
        };
        api.call(Method::POST, "/api/v1/reload", None).await
    });
    match reloaded {
        Ok(answer) => {
            println!("reloaded");
            for key in answer
                .get("needs_restart")
                .and_then(serde_json::Value::as_array)
                .into_iter()
                .flatten()
            {
                println!("needs a restart: {}", key.as_str().unwrap_or_default());
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error),
    }
}
