//! `/explain`: a pasted request explained, with the store's secrets or typed ones. What was pasted comes back, secrets never.

use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::{Value, json};
use token_store::Role;

use super::client::Problem;
use super::explanation::{Explanation, copy_report};
use super::integrations::who_may;
use super::page::{Page, Place, only_look};
use super::parts::{Field, Tone, csrf, icon, note};
use super::resume::{BACK, is_again};
use super::visitor::{Form, Submitted, Visitor};

#[derive(Deserialize)]
struct Explained {
    consumer_key: String,
    integration_id: Option<u64>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Why nothing was explained: beside which field, and what is wrong with it.
struct Refused {
    field: Option<String>,
    message: String,
    status: StatusCode,
}

/// `GET /explain`
pub(super) async fn page(visitor: Visitor) -> Response {
    asking(&visitor, &Form::default(), None).await
}

/// `POST /explain`
pub(super) async fn submit(Submitted { visitor, form }: Submitted) -> Response {
    if !visitor.may(Role::Operator) {
        return asking(&visitor, &form, None).await;
    }
    if is_again(&form) {
        let back = Refused {
            field: None,
            message: BACK.to_owned(),
            status: StatusCode::OK,
        };
        return asking(&visitor, &form, Some(&back)).await;
    }
    match explained(&visitor, &form).await {
        Ok(explained) => answered(&visitor, &form, &explained),
        Err(refused) => asking(&visitor, &form, Some(&refused)).await,
    }
}

async fn explained(visitor: &Visitor, form: &Form) -> Result<Explained, Refused> {
    let is_typed = form.get("secrets") == TYPED;
    if form.get("raw").trim().is_empty() {
        let what = "Paste the request line and its headers, and a form’s body behind an empty line.";
        return Err(Refused::field("request", what));
    }
    if is_typed && form.get("consumer_secret").is_empty() {
        let what = "Type the consumer secret, or take the store’s.";
        return Err(Refused::field("consumer_secret", what));
    }
    let body = json!({ "request": as_pasted(form.get("raw")), "secrets": is_typed.then(|| typed(form)) });
    let answer = visitor.api.post("/explain", Some(&body)).await.map_err(Refused::of)?;
    let explained: Explained = serde_json::from_value(answer.body)
        .map_err(|error| Problem::unreadable(&error))
        .map_err(Refused::of)?;
    // Nothing was signed, so the text is what to look at.
    if explained.explanation.result == "malformed" {
        return Err(Refused {
            field: Some("request".to_owned()),
            message: explained.explanation.first().unwrap_or_default().to_owned(),
            status: StatusCode::UNPROCESSABLE_ENTITY,
        });
    }
    Ok(explained)
}

fn typed(form: &Form) -> Value {
    let mut known = json!({
        "consumer_secret": form.get("consumer_secret"),
        "token_secret": form.get("token_secret"),
    });
    let address = form.get("base_url").trim();
    if let (false, Some(known)) = (address.is_empty(), known.as_object_mut()) {
        known.insert("base_url".to_owned(), address.into());
    }
    known
}

impl Refused {
    fn field(name: &str, message: &str) -> Self {
        Self {
            field: Some(name.to_owned()),
            message: message.to_owned(),
            status: StatusCode::BAD_REQUEST,
        }
    }

    fn of(problem: Problem) -> Self {
        Self {
            field: problem.field,
            message: problem.message,
            status: problem.status,
        }
    }

    fn beside<'a>(refused: Option<&'a Self>, field: &str) -> Option<&'a str> {
        let refused = refused.filter(|one| one.field.as_deref() == Some(field));
        refused.map(|one| one.message.as_str())
    }
}

async fn asking(visitor: &Visitor, form: &Form, refused: Option<&Refused>) -> Response {
    let may = visitor.may(Role::Operator);
    let is_beside = refused.is_some_and(|one| one.field.as_deref().is_some_and(|field| FIELDS.contains(&field)));
    let body = html! {
        @if !may { (only_look(visitor, Role::Operator, &who_may(visitor, Role::Operator).await)) }
        @if let Some(refused) = refused {
            @if is_beside { (note(Tone::Bad, "warn", &html! { strong { "Not explained:" } " one entry needs a look." })) }
            @else { (note(Tone::Bad, "warn", &html! { strong { "Not explained." } " " (refused.message) })) }
        }
        (the_form(visitor, form, refused))
    };
    let status = if may {
        refused.map_or(StatusCode::OK, |one| one.status)
    } else {
        StatusCode::FORBIDDEN
    };
    let page = Page {
        crumb: Some(("/rejections", "Rejections")),
        lead: html! { p.lead { "Paste the request as it went over the wire. Nothing of it is stored." } },
        is_narrow: true,
        status,
        ..Page::new(Place::Rejections, "Explain a pasted request", body)
    };
    visitor.frame().page(&page)
}

fn the_form(visitor: &Visitor, form: &Form, refused: Option<&Refused>) -> Markup {
    let may = visitor.may(Role::Operator);
    let is_typed = form.get("secrets") == TYPED;
    let error = Refused::beside(refused, "request");
    let own = visitor.console.store_base_url();
    let hint = format!("What clients sign, if it is not {own}");
    let secret = |name, label| Field {
        kind: "password",
        is_optional: true,
        error: Refused::beside(refused, name),
        is_disabled: !may,
        ..Field::new(name, label, "")
    };
    let address = Field {
        is_optional: true,
        kind: "url",
        error: Refused::beside(refused, "base_url"),
        hint: Some(&hint),
        is_disabled: !may,
        ..Field::new("base_url", "Public address", form.get("base_url"))
    };
    html! {
        form.stack method="post" action="/explain" novalidate {
            (csrf(&visitor.csrf()))
            div.field {
                label for="raw" { "Raw request" }
                textarea.in id="raw" name="raw" rows="9" maxlength=(LONGEST) spellcheck="false" autocapitalize="none" placeholder=(EXAMPLE) disabled[!may]
                    aria-invalid=[error.map(|_| "true")] aria-describedby=[error.map(|_| "e-raw")] { "\n" (form.get("raw")) }
                @if let Some(error) = error { p.err id="e-raw" { (icon("warn")) span { (error) } } }
            }
            fieldset.stack.tight disabled[!may] {
                legend.lab { "Secrets" }
                div.two {
                    (pick("store", "From the store", "Those of the consumer key in the request", !is_typed))
                    (pick(TYPED, "I type them", "Used once, never written down", is_typed))
                }
            }
            div.stack.typed {
                div.two {
                    (secret("consumer_secret", "Consumer secret").show())
                    (secret("token_secret", "Token secret").show())
                }
                (address.show())
            }
            div.acts { button.b.main type="submit" disabled[!may] { "Explain" } }
        }
    }
}

fn pick(value: &str, name: &str, hint: &str, is_chosen: bool) -> Markup {
    html! {
        label.pick {
            input.dot-in type="radio" name="secrets" value=(value) checked[is_chosen];
            span { strong { (name) } span.hint { (hint) } }
        }
    }
}

fn answered(visitor: &Visitor, form: &Form, explained: &Explained) -> Response {
    let raw = form.get("raw").trim_start();
    let line = raw.lines().next().unwrap_or_default();
    let call: String = line.chars().take(MOST_OF_A_LINE).collect();
    let context = html! {
        section.card aria-labelledby="ctx" {
            header { h2 id="ctx" { "Request" } }
            div.in-card { dl.kv {
                dt { "Call" } dd { code { (call) } }
                dt { "Consumer key" } dd { code { (explained.consumer_key) } }
                dt { "Secrets" } dd { @if form.get("secrets") == TYPED { "as typed" } @else { "the store’s" } }
                @if let Some(id) = explained.integration_id { dt { "Integration" } dd { a href={ "/integrations/" (id) } { "Open it" } } }
            } }
        }
    };
    let again = html! {
        details.card {
            summary { "Change it and explain again" }
            div.in-card { (the_form(visitor, form, None)) }
        }
    };
    let valid = html! { "Here it would be refused only for its time, its nonce, its token or what it may not reach." };
    let subject = format!("{}: a pasted request.", call.split('?').next().unwrap_or_default());
    let page = Page {
        crumb: Some(("/explain", "Explain a pasted request")),
        lead: html! { p.lead { code { (call) } } },
        acts: copy_report(),
        ..Page::new(
            Place::Rejections,
            "Why its signature fails",
            html! { (explained.explanation.show(&valid, &context, &subject)) (again) },
        )
    };
    visitor.frame().page(&page)
}

/// The text as it was before the form made each line end CRLF: a body's own line ends count for its length and its hash.
/// They were LF unless the declared length says otherwise.
fn as_pasted(text: &str) -> String {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return text.to_owned();
    };
    let declared = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.trim().eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let plain = body.replace("\r\n", "\n");
    if declared.is_some_and(|declared| declared > plain.len()) {
        return text.to_owned();
    }
    format!("{head}\r\n\r\n{plain}")
}

const TYPED: &str = "typed";
/// Which have an error of their own.
const FIELDS: [&str; 4] = ["request", "consumer_secret", "token_secret", "base_url"];
/// As the API takes it.
const LONGEST: usize = 256 * 1024;
const MOST_OF_A_LINE: usize = 400;
const EXAMPLE: &str =
    "GET /rest/V1/products/24-MB01 HTTP/1.1\nHost: api.shop.example\nAuthorization: OAuth oauth_consumer_key=\"…\", …";

#[cfg(test)]
mod tests {
    use super::as_pasted;

    #[test]
    fn a_bodys_line_ends_are_what_its_length_says() {
        let head = |length: &str| format!("PUT / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n");
        let sent = "{\r\n}";

        let lf = as_pasted(&format!("{}{sent}", head("3")));
        let crlf = as_pasted(&format!("{}{sent}", head("4")));
        let unsaid = as_pasted(&format!("PUT / HTTP/1.1\r\nHost: h\r\n\r\n{sent}"));

        assert!(lf.ends_with("\r\n\r\n{\n}"), "{lf:?}");
        assert!(crlf.ends_with("{\r\n}"), "{crlf:?}");
        assert!(unsaid.ends_with("{\n}"), "{unsaid:?}");
        assert_eq!(as_pasted("GET / HTTP/1.1\r\n"), "GET / HTTP/1.1\r\n");
    }
}
