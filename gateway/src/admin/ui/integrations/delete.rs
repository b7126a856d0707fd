//! Delete, with a confirmation that names what goes (magento.md 6.2, 6.7).

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::html;
use token_store::{Role, Status};

use super::super::client::Problem;
use super::super::page::only_look;
use super::super::parts::{Tone, csrf, note};
use super::super::visitor::{Submitted, Visitor, done};
use super::{Integration, last_call, number, who_may};

/// `GET /integrations/{id}/delete`
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let read = visitor.api.read(&format!("/integrations/{}", number(&id)?)).await?;
        let version = read.etag.unwrap_or_default();
        let integration = Integration::of(read.body)?;
        if integration.is_from_config() {
            let sentence = format!("Uninstall the extension to remove integration '{}'.", integration.name);
            return Err(Problem::refused(&sentence));
        }
        Ok(render(&visitor, &integration, &version).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn render(visitor: &Visitor, integration: &Integration, version: &str) -> Response {
    let may = visitor.may(Role::Admin);
    let title = format!("Delete {}?", integration.name);
    let section = html! {
        header { h1 id="dd" tabindex="-1" autofocus { (title) } p { "Its consumer, its tokens and its grants go with it. This can’t be undone." } }
        div.dlg-body {
            @if !may { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
            @if integration.status == Status::Active {
                (note(Tone::Bad, "warn", &html! { "It is active. Its calls will be refused within a second. " (last_call(visitor, integration).await) }))
            }
        }
        footer {
            a.b href="/integrations" data-close { "Keep it" }
            form method="post" action={ (integration.address()) "/delete" } {
                (csrf(&visitor.csrf()))
                input type="hidden" name="version" value=(version);
                button.b.risk.solid.long type="submit" disabled[!may] { span { "Delete " bdi { (integration.name) } } }
            }
        }
    };
    let crumb = ("/integrations", "Integrations");
    visitor.frame().dialog((&title, "dd"), crumb, &section, StatusCode::OK)
}

/// `POST /integrations/{id}/delete`
pub(super) async fn delete(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let id = number(&id)?;
        let path = format!("/integrations/{id}");
        let gone = match visitor
            .api
            .call(Method::DELETE, &path, Some(form.get("version")), None)
            .await
        {
            Ok(gone) => Integration::of(gone.body)?,
            Err(problem) if problem.status == StatusCode::NOT_FOUND => {
                return Err(Problem::not_found("This integration no longer exists."));
            }
            Err(problem) => return Err(problem),
        };
        Ok(done(
            "/integrations",
            &format!("The integration '{}' has been deleted.", gone.name),
        ))
    };
    let page = page.await;
    visitor.show(page)
}
