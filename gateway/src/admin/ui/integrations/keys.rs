//! The four keys: `adminhtml_integration_tokensdialog` (magento.md 3.3, 6.6), shown again on request, and the rotation of
//! the consumer secret. Keys are only ever in the answer to a form: no address shows them.

use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::html;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::client::Problem;
use super::super::confirm::{Asked, Confirmed, confirm};
use super::super::parts::{full_time, icon, secret};
use super::super::visitor::{Submitted, Visitor};
use super::{Integration, not_again};

/// The set of four.
#[derive(Deserialize)]
struct Keys {
    consumer_key: String,
    consumer_secret: String,
    access_token: String,
    access_token_secret: String,
}

/// The tokens dialog after *Allow*.
pub(super) fn issued(
    visitor: &Visitor,
    integration: &Integration,
    body: Value,
    is_anew: bool,
) -> Result<Response, Problem> {
    let name = &integration.name;
    let title = if is_anew {
        format!("{name} is re-authorized. Keep these keys.")
    } else {
        format!("{name} is active. Keep these keys.")
    };
    four(visitor, &title, body)
}

fn four(visitor: &Visitor, title: &str, body: Value) -> Result<Response, Problem> {
    let keys: Keys = serde_json::from_value(body).map_err(|error| Problem::unreadable(&error))?;
    let section = html! {
        header {
            h1 id="td" tabindex="-1" autofocus { (title) }
            p { "Paste them into the extension that will call the storefront. They are shown now; to see them again later you confirm with your password." }
        }
        div.dlg-body {
            fieldset.stack {
                legend.vh { "Integration Tokens for Extensions" }
                (secret("consumer_key", "Consumer Key", &keys.consumer_key, false))
                (secret("consumer_secret", "Consumer Secret", &keys.consumer_secret, true))
                (secret("token_key", "Access Token", &keys.access_token, false))
                (secret("token_secret", "Access Token Secret", &keys.access_token_secret, true))
            }
            details {
                summary.sm { "Try them: a signed call to paste into a terminal" }
                pre.code.wrap tabindex="0" { (signed_call(visitor)) }
            }
        }
        footer {
            span.say { "Both secrets are stored encrypted." }
            button.b.js-only type="button" data-env="consumer_key consumer_secret token_key token_secret" { (icon("down")) "Download .env" }
            a.b.main href="/integrations" { "Done" }
        }
    };
    let framed = visitor.frame();
    Ok(framed.dialog(
        (title, "td"),
        ("/integrations", "Integrations"),
        &section,
        StatusCode::OK,
    ))
}

/// For the first route that can be called as it is written.
fn signed_call(visitor: &Visitor) -> String {
    let live = visitor.console.context.parts.live.load();
    let base = live.public.base_urls.first().map_or_else(
        || "http://127.0.0.1:8080/".to_owned(),
        crate::config::BaseUrl::with_slash,
    );
    let callable = live.routes.iter().map(|route| &route.config).find_map(|route| {
        let path = route.path.replace("/{store?}", "");
        (route.methods.iter().any(|method| method == "GET") && !path.contains('{')).then_some(path)
    });
    let path = callable.unwrap_or_else(|| "/rest/V1/store/storeConfigs".to_owned());
    format!(
        "URL={base}{}\nset -a; . ./countersign.env\ncurl -i -H \"$(countersign sign GET $URL --header)\" $URL",
        path.trim_start_matches('/')
    )
}

/// `GET /integrations/{id}/tokens`: shown again?
pub(super) async fn ask(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        Ok(showing(&visitor, &integration, None).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn showing(visitor: &Visitor, integration: &Integration, error: Option<&str>) -> Response {
    let title = format!("Show the keys of {}?", integration.name);
    let lead = "The audit log will say that you saw them. If the keys may have leaked, rotate the secret instead.";
    let action = format!("{}/tokens", integration.address());
    let form = Asked {
        title: &title,
        lead,
        action: &action,
        back: (&integration.address(), &integration.name),
        verb: html! { "Show keys" },
        ..Asked::default()
    };
    form.respond(visitor, error).await
}

/// `POST /integrations/{id}/tokens`
pub(super) async fn show(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        match confirm(&visitor, &form).await? {
            Confirmed::Yes => {}
            Confirmed::No(message) => return Ok(showing(&visitor, &integration, Some(&message)).await),
            Confirmed::Locked(away) => return Ok(away),
        }
        let path = format!("/consumers/{}/access-token", integration.consumer_id);
        let keys = visitor.api.read(&path).await?;
        four(&visitor, &format!("The keys of {}", integration.name), keys.body)
    };
    let page = page.await;
    visitor.show(page)
}

/// `GET /integrations/{id}/rotate`
pub(super) async fn ask_rotation(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (integration, version) = Integration::load_versioned(&visitor, &id).await?;
        Ok(rotation(&visitor, &integration, (&version, "24h"), None).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn rotation(
    visitor: &Visitor,
    integration: &Integration,
    (version, grace): (&str, &str),
    error: Option<&str>,
) -> Response {
    let title = format!("Rotate the consumer secret of {}?", integration.name);
    let action = format!("{}/rotate", integration.address());
    let fields = html! {
        input type="hidden" name="version" value=(version);
        div.field {
            label for="grace" { "Old secret stays valid for" }
            select.in id="grace" name="grace" {
                @for (value, label) in GRACES { option value=(value) selected[value == grace] { (label) } }
            }
        }
    };
    let form = Asked {
        title: &title,
        lead: "It gets a new secret now. The old one stays valid for the time you choose, so that the other side can change over without a gap.",
        action: &action,
        back: (&integration.address(), &integration.name),
        verb: html! { "Rotate secret" },
        fields,
        ..Asked::default()
    };
    form.respond(visitor, error).await
}

/// `POST /integrations/{id}/rotate`
pub(super) async fn rotate(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let integration = Integration::load(&visitor, &id).await?;
        let (version, chosen) = (form.get("version"), form.get("grace"));
        if !GRACES.iter().any(|(value, _)| *value == chosen) {
            let sentence = "Choose for how long the old secret stays valid: nothing was rotated.";
            return Err(Problem::refused(sentence));
        }
        match confirm(&visitor, &form).await? {
            Confirmed::Yes => {}
            Confirmed::No(message) => {
                return Ok(rotation(&visitor, &integration, (version, chosen), Some(&message)).await);
            }
            Confirmed::Locked(away) => return Ok(away),
        }
        let path = format!("/integrations/{}/rotate-secret", integration.id);
        let body = json!({ "grace": chosen });
        // Sent again, it must not end the secret that was promised to stay valid.
        match visitor.api.call(Method::POST, &path, Some(version), Some(&body)).await {
            Ok(answer) => rotated(&visitor, &integration, answer.body),
            Err(problem) if problem.status == StatusCode::PRECONDITION_FAILED => {
                let done = ("integration.secret_rotated", "given a new secret");
                Ok(not_again(&visitor, &integration, done).await)
            }
            Err(problem) => Err(problem),
        }
    };
    let page = page.await;
    visitor.show(page)
}

fn rotated(visitor: &Visitor, integration: &Integration, body: Value) -> Result<Response, Problem> {
    #[derive(Deserialize)]
    struct Rotated {
        consumer_secret: String,
        previous_valid_until: Option<u64>,
    }
    let rotated: Rotated = serde_json::from_value(body).map_err(|error| Problem::unreadable(&error))?;
    let title = format!("The new consumer secret of {}", integration.name);
    let section = html! {
        header {
            h1 id="rd" tabindex="-1" autofocus { (title) }
            p {
                "It is shown now. "
                @match rotated.previous_valid_until {
                    Some(until) => { "The old one stays valid until " (full_time(until)) " UTC." },
                    None => "The old one is no longer accepted.",
                }
            }
        }
        div.dlg-body { (secret("consumer_secret", "Consumer Secret", &rotated.consumer_secret, true)) }
        footer { a.b.main href=(integration.address()) { "Done" } }
    };
    let address = integration.address();
    let crumb = (address.as_str(), integration.name.as_str());
    Ok(visitor.frame().dialog((&title, "rd"), crumb, &section, StatusCode::OK))
}

const GRACES: [(&str, &str); 4] = [
    ("24h", "24 hours"),
    ("1h", "1 hour"),
    ("7d", "7 days"),
    ("0s", "Not at all"),
];
