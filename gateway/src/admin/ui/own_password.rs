//! One's own password, changed by who does not manage accounts: with the present one.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::json;
use token_store::{Role, Secret};

use super::accounts::{Account, fault};
use super::client::Problem;
use super::confirm::{Asked, Confirmed, confirm};
use super::parts::Field;
use super::visitor::{Submitted, Visitor, see_other};
use crate::exchange::account::check_password;

/// The part of one's account's page; whoever manages accounts has a field for it.
pub(super) fn card(visitor: &Visitor, account: &Account) -> Markup {
    if !is_mine(visitor, account) || visitor.may(Role::Admin) {
        return html! {};
    }
    html! {
        section.card aria-labelledby="pw" {
            header { h2 id="pw" { "Your password" } }
            div.in-card {
                p.dim { "A new one signs you out everywhere." }
                div.acts { a.b href={ (account.address()) "/password" } data-dialog { "Change your password" } }
            }
        }
    }
}

fn is_mine(visitor: &Visitor, account: &Account) -> bool {
    account.id == visitor.account().id.0
}

/// One's own account alone.
async fn own(visitor: &Visitor, id: &str) -> Result<Account, Problem> {
    let (account, _) = Account::load(visitor, id).await?;
    if is_mine(visitor, &account) {
        return Ok(account);
    }
    let sentence = "This is not your account: an admin sets its password on its page.";
    Err(Problem {
        status: StatusCode::FORBIDDEN,
        ..Problem::refused(sentence)
    })
}

/// `GET /accounts/{id}/password`
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let account = own(&visitor, &id).await?;
        Ok(asking(&visitor, &account, (None, None)).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn asking(visitor: &Visitor, account: &Account, (new, current): (Option<&str>, Option<&str>)) -> Response {
    let address = account.address();
    let field = Field {
        id: "new_password",
        kind: "password",
        autocomplete: "new-password",
        error: new,
        hint: Some("From 8 to 1024 characters."),
        ..Field::new("password", "New password", "")
    };
    let asked = Asked {
        title: "Change your password",
        lead: "You are signed out everywhere, and sign in with the new one.",
        action: &format!("{address}/password"),
        back: (&address, &account.username),
        verb: html! { "Change your password" },
        fields: field.show(),
        is_refused: new.is_some(),
        is_own: true,
        ..Asked::default()
    };
    asked.respond(visitor, current).await
}

/// `POST /accounts/{id}/password`
pub(super) async fn change(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let account = own(&visitor, &id).await?;
        let (new, current) = (form.get("password"), form.get("current_password"));
        let refused = check_password(&Secret::new(new.to_owned())).err();
        let refused = refused.map(|error| fault(&error.to_string()));
        match confirm(&visitor, &form).await? {
            Confirmed::Yes => {}
            Confirmed::No(message) => {
                return Ok(asking(&visitor, &account, (refused.as_deref(), Some(&message))).await);
            }
            Confirmed::Locked(away) => return Ok(away),
        }
        if refused.is_some() {
            return Ok(asking(&visitor, &account, (refused.as_deref(), None)).await);
        }
        let body = json!({ "password": new, "current_password": current });
        let path = format!("/admins/{}/password", account.id);
        visitor.api.post(&path, Some(&body)).await?;
        Ok(see_other("/sign-in?changed=1"))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}
