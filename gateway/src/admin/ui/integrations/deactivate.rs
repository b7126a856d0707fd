//! Deactivate, with a confirmation that says what stops (product.md 5).

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use token_store::{Role, Status};

use super::super::client::Problem;
use super::super::page::only_look;
use super::super::parts::{Tone, csrf, note};
use super::super::visitor::{Submitted, Visitor, done};
use super::{Integration, last_call, link, who_may};

/// Where there is something to deactivate.
pub(super) fn button(visitor: &Visitor, integration: &Integration) -> Markup {
    let address = format!("{}/deactivate", integration.address());
    html! { @if integration.status == Status::Active { (link(visitor, Role::Operator, ("", &address, true), "Deactivate")) } }
}

/// `GET /integrations/{id}/deactivate`
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        if integration.status != Status::Active {
            let sentence = format!("The integration '{}' is not active.", integration.name);
            return Err(Problem::refused(&sentence));
        }
        Ok(render(&visitor, &integration).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn render(visitor: &Visitor, integration: &Integration) -> Response {
    let may = visitor.may(Role::Operator);
    let title = format!("Deactivate {}?", integration.name);
    let address = integration.address();
    let section = html! {
        header {
            h1 id="da" tabindex="-1" autofocus { (title) }
            p { "It keeps its keys and its grants: activated again, it goes on with them." }
        }
        div.dlg-body {
            @if !may { (only_look(visitor, Role::Operator, &who_may(visitor, Role::Operator).await)) }
            (note(Tone::Warn, "warn", &html! {
                strong { "Its calls are refused at once," } " but for what is open to everybody. " (last_call(visitor, integration).await)
            }))
        }
        footer {
            a.b href=(address) data-close { "Leave it active" }
            form method="post" action={ (address) "/deactivate" } {
                (csrf(&visitor.csrf()))
                button.b.risk.solid.long type="submit" disabled[!may] { span { "Deactivate " bdi { (integration.name) } } }
            }
        }
    };
    let crumb = (address.as_str(), integration.name.as_str());
    visitor.frame().dialog((&title, "da"), crumb, &section, StatusCode::OK)
}

/// `POST /integrations/{id}/deactivate`
pub(super) async fn act(Path(id): Path<String>, Submitted { visitor, .. }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let path = format!("/integrations/{}/deactivate", integration.id);
        visitor.api.post(&path, None).await?;
        let said = format!("The integration '{}' has been deactivated.", integration.name);
        Ok(done("/integrations", &said))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}
