//! What makes an account less safe or of no use, asked for one's password: disabling it, and ending its two-step sign-in.

use axum::extract::Path;
use axum::http::Method;
use axum::response::Response;
use maud::html;

use super::accounts::Account;
use super::client::Problem;
use super::confirm::{Asked, Confirmed, confirm};
use super::visitor::{Submitted, Visitor, done};

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
