//! What makes an account less safe or of no use, asked for one's password: disabling it, and ending its two-step sign-in.

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::{Markup, html};
use token_store::Role;

use super::accounts::Account;
use super::client::Problem;
use super::confirm::{Asked, Confirmed, confirm};
use super::parts::csrf;
use super::visitor::{Submitted, Visitor, done};

/// The part of an account's page.
pub(super) fn card(visitor: &Visitor, account: &Account) -> Markup {
    let (ends, withdraws) = (visitor.may(Role::Operator), visitor.may(Role::Admin));
    html! {
        section.card aria-labelledby="wd" {
            header { h2 id="wd" { "Sessions and tokens" } }
            div.in-card {
                p.dim { "Signing out everywhere ends all sessions and tokens of this account, on every gateway. Disabling also keeps it from signing in." }
                form.acts method="post" action=(account.address()) {
                    (csrf(&visitor.csrf()))
                    button.b type="submit" name="do" value="end" disabled[!ends] { "Sign out everywhere" }
                    @if account.active {
                        @if withdraws { a.b.risk.long href={ (account.address()) "/disable" } data-dialog { "Disable " (account.username) } }
                        @else { button.b.risk.long type="button" disabled { "Disable " (account.username) } }
                    } @else { button.b.long type="submit" name="do" value="enable" disabled[!withdraws] { "Enable " (account.username) } }
                }
            }
        }
    }
}

/// `GET /accounts/{id}/disable`
pub(super) async fn ask_disable(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        Ok(disabling(&visitor, &account, None).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn disabling(visitor: &Visitor, account: &Account, error: Option<&str>) -> Response {
    let address = account.address();
    let asked = Asked {
        title: &format!("Disable {}?", account.username),
        lead: "All its sessions and tokens end, on every gateway, and it can’t sign in until it is enabled again.",
        action: &format!("{address}/disable"),
        back: (&address, &account.username),
        verb: html! { "Disable " bdi { (account.username) } },
        is_risk: true,
        ..Asked::default()
    };
    asked.respond(visitor, error).await
}

/// `POST /accounts/{id}/disable`
pub(super) async fn disable(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        match confirm(&visitor, &form).await? {
            Confirmed::Yes => {}
            Confirmed::No(message) => return Ok(disabling(&visitor, &account, Some(&message)).await),
            Confirmed::Locked(away) => return Ok(away),
        }
        visitor
            .api
            .post(&format!("/admins/{}/disable", account.id), None)
            .await?;
        let said = format!("The account '{}' was disabled.", account.username);
        Ok(done(&account.address(), &said))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}

/// `GET /accounts/{id}/totp/off`
pub(super) async fn ask_off(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        Ok(turning_off(&visitor, &account, None).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn turning_off(visitor: &Visitor, account: &Account, error: Option<&str>) -> Response {
    let address = account.address();
    let asked = Asked {
        title: &format!("Turn off two-step sign-in for {}?", account.username),
        lead: "From then on its password alone signs it in. Its recovery codes end, too.",
        action: &format!("{address}/totp/off"),
        back: (&address, &account.username),
        verb: html! { "Turn off for " bdi { (account.username) } },
        is_risk: true,
        ..Asked::default()
    };
    asked.respond(visitor, error).await
}

/// `POST /accounts/{id}/totp/off`
pub(super) async fn turn_off(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let (account, version) = Account::load(&visitor, &id).await?;
        match confirm(&visitor, &form).await? {
            Confirmed::Yes => {}
            Confirmed::No(message) => return Ok(turning_off(&visitor, &account, Some(&message)).await),
            Confirmed::Locked(away) => return Ok(away),
        }
        let path = format!("/admins/{}/totp", account.id);
        visitor.api.call(Method::DELETE, &path, Some(&version), None).await?;
        let said = format!("Two-step sign-in of '{}' is off.", account.username);
        Ok(done(&account.address(), &said))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}
