//! `countersign admin list|disable|enable|set-password`

use std::process::ExitCode;
use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use token_store::{AccountId, OpenError, Secret, Store};

use crate::cli::api::{Api, CallError};
use crate::cli::table::{Format, of_rows, text};
use crate::cli::{ConfigFile, block_on, fail, misused, open, prompt, say, with_causes};
use crate::clock::Clock;
use crate::config::Environment;
use crate::exchange::account::{AccountError, Accounts, check_password, shown};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// How they are printed: aligned for people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Which account.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct One {
    /// Its number or its name
    account: String,
    #[command(flatten)]
    file: ConfigFile,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// How accounts are reached: a running gateway holds an embedded store, then it does the work.
enum Way {
    Straight(Arc<dyn Store>, Accounts),
    Through(Api),
}

/// What is done to one.
enum Act<'a> {
    Disable,
    Enable,
    SetPassword(&'a Secret),
    RemoveTotp,
}

pub(super) fn list(arguments: &List) -> Result<(), ExitCode> {
    let config = arguments.file.load()?;
    let items = block_on(async {
        let listed = async {
            let way = Way::of(&config).await?;
            let listed = way.list().await;
            way.close().await?;
            listed
        };
        listed.await.map_err(|error: Failed| fail(&with_causes(&error)))
    })?;
    say(&match arguments.format {
        Format::Json => format!("{:#}", Value::Array(items)),
        Format::Table => {
            let cells = |item: &Value| {
                COLUMNS
                    .map(|(_, key)| item.get(key).map_or_else(String::new, text))
                    .to_vec()
            };
            let rows: Vec<Vec<String>> = items.iter().map(cells).collect();
            of_rows(&COLUMNS.map(|(title, _)| title), &rows)
        }
    })
}

pub(super) fn set_active(one: &One, active: bool) -> Result<(), ExitCode> {
    let (act, done) = if active {
        (Act::Enable, "enabled")
    } else {
        (Act::Disable, "disabled, and its tokens have ended")
    };
    change(one, &act, done)
}

pub(super) fn set_password(one: &One) -> Result<(), ExitCode> {
    let password = match Environment::of_process().get("COUNTERSIGN_ADMIN_PASSWORD") {
        Some(password) => Secret::new(password),
        None => prompt::new_password().map_err(|error| misused(&format!("no password: {error}")))?,
    };
    check_password(&password).map_err(|error| misused(&error))?;
    change(
        one,
        &Act::SetPassword(&password),
        "given its new password, and its tokens have ended",
    )
}

pub(super) fn remove_totp(one: &One) -> Result<(), ExitCode> {
    change(one, &Act::RemoveTotp, "without a second factor")
}

fn change(one: &One, act: &Act<'_>, done: &str) -> Result<(), ExitCode> {
    let config = one.file.load()?;
    block_on(async {
        let changed = async {
            let way = Way::of(&config).await?;
            let changed = way.change(&one.account, act).await;
            way.close().await?;
            changed
        };
        changed.await.map_err(|error: Failed| fail(&with_causes(&error)))
    })?;
    say(&format!("admin account {:?} is {done}", one.account))
}

impl Way {
    async fn of(config: &crate::config::Config) -> Result<Self, Failed> {
        let clock = Clock::system();
        match open::existing(config, clock).await {
            Ok(store) => {
                let accounts = open::accounts(&store, clock)?;
                Ok(Self::Straight(store, accounts))
            }
            Err(OpenError::Locked(folder)) => {
                let socket = open::control_socket(config).ok_or(OpenError::Locked(folder))?;
                Ok(Self::Through(Api::on_socket(socket)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn list(&self) -> Result<Vec<Value>, Failed> {
        match self {
            Self::Straight(_, accounts) => Ok(accounts.all().await?.iter().map(shown).collect()),
            Self::Through(api) => Ok(listed(api).await?),
        }
    }

    async fn change(&self, named: &str, act: &Act<'_>) -> Result<(), Failed> {
        match self {
            Self::Straight(_, accounts) => {
                let all: Vec<Value> = accounts.all().await?.iter().map(shown).collect();
                let id = AccountId(pick(&all, named)?);
                let change = async {
                    match act {
                        Act::Disable => accounts.set_active(id, false).await,
                        Act::Enable => accounts.set_active(id, true).await,
                        Act::SetPassword(password) => accounts.set_password(id, password).await,
                        Act::RemoveTotp => accounts.remove_totp(id, None).await,
                    }
                };
                open::change(Clock::system(), act.audited(), change).await?;
                Ok(())
            }
            Self::Through(api) => {
                let id = find(api, named).await?;
                let (method, verb, body) = match act {
                    Act::Disable => (Method::POST, "disable", None),
                    Act::Enable => (Method::POST, "enable", None),
                    Act::SetPassword(password) => {
                        let body = json!({ "password": password.expose() });
                        (Method::POST, "password", Some(body))
                    }
                    Act::RemoveTotp => (Method::DELETE, "totp", None),
                };
                let path = format!("{ADMINS}/{id}/{verb}");
                api.call(method, &path, body.as_ref()).await?;
                Ok(())
            }
        }
    }

    async fn close(&self) -> Result<(), Failed> {
        match self {
            Self::Straight(store, _) => Ok(store.close().await.map_err(AccountError::from)?),
            Self::Through(_) => Ok(()),
        }
    }
}

impl Act<'_> {
    fn audited(&self) -> &'static str {
        match self {
            Self::Disable => "admin.disabled",
            Self::Enable => "admin.enabled",
            Self::SetPassword(_) => "admin.password_set",
            Self::RemoveTotp => "admin.totp_removed",
        }
    }
}

async fn listed(api: &Api) -> Result<Vec<Value>, CallError> {
    let mut answer = api.call(Method::GET, ADMINS, None).await?;
    match answer.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => Ok(items),
        _ => Err(CallError::Broken("the API answered no list".to_owned())),
    }
}

/// The number of an account, by its number or its name.
pub(super) async fn find(api: &Api, named: &str) -> Result<u64, CallError> {
    pick(&listed(api).await?, named)
}

/// A name that looks like a number is found, too, where no account has that number.
fn pick(accounts: &[Value], named: &str) -> Result<u64, CallError> {
    let id = |account: &Value| account.get("id").and_then(Value::as_u64);
    let by_id = accounts.iter().filter_map(id).find(|id| id.to_string() == named);
    let is_named = |account: &&Value| account.get("username").and_then(Value::as_str) == Some(named);
    by_id
        .or_else(|| accounts.iter().find(is_named).and_then(id))
        .ok_or_else(|| CallError::NoSuchAccount(named.to_owned()))
}

pub(super) const ADMINS: &str = "/api/v1/admins";
const COLUMNS: [(&str, &str); 5] = [
    ("ID", "id"),
    ("NAME", "username"),
    ("ROLE", "role"),
    ("ACTIVE", "active"),
    ("EMAIL", "email"),
];
