//! `/api/v1/customers`: accounts of customers, where their passwords are kept here (`[tokens.customer] credentials = "local"`).

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use token_store::event::Happening;
use token_store::{AccountId, Secret};

use super::Context;
use super::access::{Act, Caller};
use super::answer::{ApiError, json_of, json_of_version};
use super::ask::{Asked, Id, Precondition, Sent};
use super::page::Paging;
use crate::exchange::account::{Customer, shown_customer as shown};
use crate::observe::audit::{Told, of_account};

/// A new account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct New {
    id: Option<u64>,
    username: Option<String>,
    password: Option<String>,
}

/// A page of them, without what they sign in with.
pub async fn list(
    State(context): State<Context>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let accounts = context.accounts().customers().await?;
    let items: Vec<Value> = accounts.iter().map(shown).collect();
    Ok(json_of(StatusCode::OK, &paging.of(items)))
}

/// Creates one, with the storefront's number.
pub async fn create(
    State(context): State<Context>,
    caller: Caller,
    body: Result<Sent<New>, ApiError>,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let Sent(new) = body?;
    let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
    let new = Customer {
        id: new.id.map(AccountId).ok_or_else(|| ApiError::required("id"))?,
        username: filled(new.username).ok_or_else(|| ApiError::required("username"))?,
        password: filled(new.password)
            .map(Secret::new)
            .ok_or_else(|| ApiError::required("password"))?,
    };
    let accounts = context.accounts();
    let made = accounts.create_customer(new);
    let made = caller.change(&context, "customer.created", told, made).await?;
    Ok(json_of_version(StatusCode::CREATED, &shown(&made), made.version))
}

/// One, with its version.
pub async fn show(State(context): State<Context>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    caller.may(Act::Read)?;
    let account = context.accounts().customer(AccountId(id)).await?;
    Ok(json_of_version(StatusCode::OK, &shown(&account), account.version))
}

/// Deletes it, and ends the customer's tokens; answers what it was.
pub async fn remove(
    State(context): State<Context>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.may(Act::Administer)?;
    let id = AccountId(id);
    let gone = context.accounts().customer(id).await?;
    let version = Precondition::of(&headers)?.version(gone.version)?;
    let accounts = context.accounts();
    let deletion = accounts.delete_customer(id, version);
    caller.change(&context, "customer.deleted", told, deletion).await?;
    Ok(json_of(StatusCode::OK, &shown(&gone)))
}

fn told(happening: &Happening<'_>) -> Option<Told> {
    of_account(happening, subject, shown)
}

fn subject(id: u64) -> String {
    format!("customer/{id}")
}
