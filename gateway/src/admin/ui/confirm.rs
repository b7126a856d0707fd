//! Current User Identity Verification (magento.md 6.5, 6.7): the password of who is signed in, asked again.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use token_store::Role;

use super::client::Problem;
use super::integrations::who_may;
use super::page::only_look;
use super::parts::{csrf, your_password};
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

/// A dialog that asks for the password before it does something.
#[derive(Default)]
pub(super) struct Asked<'a> {
    pub(super) title: &'a str,
    pub(super) lead: &'a str,
    pub(super) action: &'a str,
    /// Where it leads back to, and what that is called.
    pub(super) back: (&'a str, &'a str),
    pub(super) verb: Markup,
    pub(super) fields: Markup,
    /// Whether something is wrong with one of the fields.
    pub(super) is_refused: bool,
    /// Whether it takes something away.
    pub(super) is_risk: bool,
    /// Whether it needs no role, as one's own account doesn't.
    pub(super) is_own: bool,
}

impl Asked<'_> {
    pub(super) async fn respond(self, visitor: &Visitor, error: Option<&str>) -> Response {
        let may = self.is_own || visitor.may(Role::Admin);
        let class = if self.is_risk { "b risk solid long" } else { "b main" };
        let section = html! {
            header { h1 id="sk" tabindex="-1" autofocus { (self.title) } p { (self.lead) } }
            form method="post" action=(self.action) novalidate {
                div.dlg-body {
                    (csrf(&visitor.csrf()))
                    @if may { (self.fields) (your_password("confirm_password", error)) }
                    @else { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
                }
                footer {
                    a.b href=(self.back.0) data-close { "Cancel" }
                    button class=(class) type="submit" disabled[!may] { span { (self.verb) } }
                }
            }
        };
        let status = if error.is_some() || self.is_refused {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        };
        visitor.frame().dialog((self.title, "sk"), self.back, &section, status)
    }
}
