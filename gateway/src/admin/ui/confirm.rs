//! Current User Identity Verification (magento.md 6.5, 6.7): the password of who is signed in, asked again.

use axum::http::StatusCode;
use axum::response::Response;

use super::client::Problem;
use super::visitor::{Form, Visitor, see_other};
use crate::refusal::Cause;

/// What became of it.
pub(super) enum Confirmed {
    /// It is the password.
    Yes,
    /// It is not: what to say beside the field.
    No(String),
    /// Wrong too often: signed out.
    Locked(Response),
}

/// Checks the field `current_password`.
pub(super) async fn confirm(visitor: &Visitor, form: &Form) -> Result<Confirmed, Problem> {
    let users = &visitor.console.context.parts.users;
    let password = form.get("current_password");
    if password.is_empty() {
        return Ok(Confirmed::No(
            "This is a required field. Enter your password.".to_owned(),
        ));
    }
    let unavailable = || Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        message: "The credential store is not available. Try again later.".to_owned(),
        field: None,
        code: Some("store_unavailable".to_owned()),
    };
    let Err(refusal) = users.confirm(visitor.account(), password.to_owned()).await else {
        return Ok(Confirmed::Yes);
    };
    if refusal.cause() != Cause::SignInFailed {
        return Err(Problem::of_refusal(&refusal));
    }
    let name = &visitor.account().definition.username;
    if users.locked_until(name).await.map_err(|_| unavailable())?.is_none() {
        let sentence = "The password entered for the current user is invalid. Verify the password and try again.";
        return Ok(Confirmed::No(sentence.to_owned()));
    }
    users
        .end_session(visitor.session().secret())
        .await
        .map_err(|_| unavailable())?;
    Ok(Confirmed::Locked(see_other("/sign-in?locked=1")))
}
