//! A debug token for an integration's developer: refusals then carry their explanation.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use serde_json::json;
use token_store::Role;

use super::super::client::Problem;
use super::super::page::only_look;
use super::super::parts::{csrf, full_time, secret};
use super::super::visitor::{Submitted, Visitor};
use super::{Integration, who_may};

/// `GET /integrations/{id}/debug-token`
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let may = visitor.may(Role::Admin);
        let title = format!("Issue a debug token for {}?", integration.name);
        let section = html! {
            header {
                h1 id="dt" tabindex="-1" autofocus { (title) }
                p { "Its developer sends it as " code { "X-Countersign-Debug" } ". Refusals then carry the explanation in their body, so nobody has to ask you." }
            }
            form method="post" action={ (integration.address()) "/debug-token" } {
                div.dlg-body {
                    (csrf(&visitor.csrf()))
                    @if !may { (only_look(&visitor, Role::Admin, &who_may(&visitor, Role::Admin).await)) }
                    div.field {
                        label for="lifetime" { "Valid for" }
                        select.in id="lifetime" name="lifetime" disabled[!may] { @for (value, label) in LIFETIMES { option value=(value) { (label) } } }
                        p.hint { "It shows no secret and opens no route." }
                    }
                }
                footer { a.b href=(integration.address()) data-close { "Cancel" } button.b.main type="submit" disabled[!may] { "Issue token" } }
            }
        };
        let address = integration.address();
        let crumb = (address.as_str(), integration.name.as_str());
        Ok(visitor.frame().dialog((&title, "dt"), crumb, &section, StatusCode::OK))
    };
    let page = page.await;
    visitor.show(page)
}

#[derive(Deserialize)]
struct Issued {
    debug_token: String,
    expires_at: u64,
}

/// `POST /integrations/{id}/debug-token`
pub(super) async fn issue(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let chosen = form.get("lifetime");
        let lifetime = LIFETIMES
            .iter()
            .find(|(value, _)| *value == chosen)
            .map_or("1h", |(value, _)| *value);
        let path = format!("/integrations/{}/debug-token", integration.id);
        let issued = visitor.api.post(&path, Some(&json!({ "lifetime": lifetime }))).await?;
        let issued: Issued = serde_json::from_value(issued.body).map_err(|error| Problem::unreadable(&error))?;
        let title = format!("The debug token of {}", integration.name);
        let section = html! {
            header { h1 id="dd" tabindex="-1" autofocus { (title) } p { "It is shown now, and holds until " (full_time(issued.expires_at)) " UTC." } }
            div.dlg-body { (secret("debug_token", "X-Countersign-Debug", &issued.debug_token, true)) }
            footer { a.b.main href=(integration.address()) { "Done" } }
        };
        let address = integration.address();
        let crumb = (address.as_str(), integration.name.as_str());
        Ok(visitor.frame().dialog((&title, "dd"), crumb, &section, StatusCode::OK))
    };
    let page = page.await;
    visitor.show(page)
}

const LIFETIMES: [(&str, &str); 3] = [("1h", "1 hour"), ("8h", "8 hours"), ("24h", "24 hours")];
