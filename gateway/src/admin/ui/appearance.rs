//! `/appearance`: light, dark, or as the system is.

use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use maud::{Markup, html};

use super::parts::csrf;
use super::visitor::{Submitted, THEMES, Visitor, see_other};

/// A cookie, so that the server writes it into the page and nothing flickers.
pub(super) fn choice(visitor: &Visitor) -> Markup {
    let theme = visitor.view().theme;
    let theme_button = |value: &str, label: &str| {
        let is_chosen = theme.unwrap_or("auto") == value;
        html! { button.b type="submit" name="theme" value=(value) aria-pressed=(is_chosen.to_string()) { (label) } }
    };
    html! {
        section.card aria-labelledby="th" {
            header { h2 id="th" { "Appearance" } }
            div.in-card { form method="post" action="/appearance" {
                (csrf(&visitor.csrf()))
                fieldset.join { legend.vh { "Theme" } (theme_button("auto", "As the system")) (theme_button("light", "Light")) (theme_button("dark", "Dark")) }
            } }
        }
    }
}

/// `POST /appearance`
pub(super) async fn chosen(Submitted { form, .. }: Submitted) -> Response {
    let mut response = see_other("/accounts");
    let theme = THEMES.into_iter().find(|theme| *theme == form.get("theme"));
    let (theme, lifetime) = theme.map_or(("", 0), |theme| (theme, 31_536_000));
    let cookie = format!("theme={theme}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lifetime}");
    response
        .headers_mut()
        .extend(HeaderValue::try_from(cookie).ok().map(|cookie| (SET_COOKIE, cookie)));
    response
}
