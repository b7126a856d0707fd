//! What the form holds, what differs from what stands, and why the form comes back.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::super::client::Problem;
use super::super::super::parts::{Tone, note, sentence};
use super::super::super::resume::{BACK, is_again};
use super::super::super::visitor::Form;
use super::super::Integration;
use super::super::tree::Tree;
use super::signing::{self, Signing};
use crate::integration::definition::Invalid;

/// What the form holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) endpoint: String,
    pub(super) identity_link_url: String,
    pub(super) all_resources: bool,
    pub(super) resources: BTreeSet<String>,
    /// `None`: it stays as it stands.
    pub(super) signing: Option<Signing>,
    /// What is sought in the tree.
    pub(super) sought: String,
    /// The version that was read, for `If-Match`.
    pub(super) version: String,
}

/// Why the form comes back.
#[derive(Default)]
pub(super) struct Refused {
    /// By field.
    fields: Vec<(String, String)>,
    /// What belongs to no field.
    general: Option<Markup>,
    pub(super) status: StatusCode,
}

impl Entries {
    pub(super) fn of(form: &Form) -> Self {
        let text = |name: &str| form.get(name).trim().to_owned();
        Self {
            name: text("name"),
            email: text("email"),
            endpoint: text("endpoint"),
            identity_link_url: text("identity_link_url"),
            all_resources: form.get("all_resources") == "1",
            resources: form.all("resource[]").map(str::to_owned).collect(),
            signing: Signing::of(form),
            sought: text("find"),
            version: text("version"),
        }
    }

    pub(super) fn standing(integration: &Integration, version: String) -> Self {
        Self {
            name: integration.name.clone(),
            email: integration.email.clone(),
            endpoint: integration.endpoint.clone().unwrap_or_default(),
            identity_link_url: integration.identity_link_url.clone().unwrap_or_default(),
            all_resources: integration.all_resources,
            resources: integration.resources.iter().cloned().collect(),
            signing: Some(Signing::standing(integration)),
            sought: String::new(),
            version,
        }
    }

    /// Puts what the form has into an integration's JSON; the rest of it stays.
    pub(super) fn write(&self, tree: &Tree, granted: &BTreeSet<String>, body: &mut Value) {
        let resources = tree.grant(granted, &self.resources);
        for (name, value) in [
            ("name", json!(self.name)),
            ("email", json!(self.email)),
            ("endpoint", json!(self.endpoint)),
            ("identity_link_url", json!(self.identity_link_url)),
            ("all_resources", json!(self.all_resources)),
            ("resources", json!(resources)),
        ] {
            if let Some(members) = body.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        }
        if let Some(signing) = &self.signing {
            signing.write(body);
        }
    }

    /// What is typed here and stands otherwise there.
    fn differing(&self, standing: &Self) -> Vec<(&'static str, String)> {
        let mut differing = Vec::new();
        for (label, typed, stands) in [
            ("Name", &self.name, &standing.name),
            ("Email", &self.email, &standing.email),
            ("Callback URL", &self.endpoint, &standing.endpoint),
            (
                "Identity Link URL",
                &self.identity_link_url,
                &standing.identity_link_url,
            ),
        ] {
            if typed != stands {
                let stands = if stands.is_empty() {
                    "empty".to_owned()
                } else {
                    format!("“{stands}”")
                };
                differing.push((label, stands));
            }
        }
        if self.all_resources != standing.all_resources || self.resources != standing.resources {
            let stands = if standing.all_resources {
                "all of them".to_owned()
            } else {
                format!("{} of them", standing.resources.len())
            };
            differing.push(("Resources", stands));
        }
        if self.signing.is_some() && self.signing != standing.signing {
            differing.push(("How it signs", "otherwise".to_owned()));
        }
        differing
    }
}

impl Refused {
    /// Nothing was refused: it was shown again only, and why.
    pub(super) fn shown_again(form: &Form) -> Self {
        let general = html! { strong { "Nothing was saved yet." } " " (BACK) };
        Self {
            general: is_again(form).then_some(general),
            ..Self::default()
        }
    }

    pub(super) fn field(name: &str, message: String) -> Self {
        Self {
            fields: vec![(name.to_owned(), message)],
            general: None,
            status: StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    pub(super) fn of(problem: Problem) -> Self {
        let status = problem.status;
        let field = problem.field.or_else(|| {
            // The one sentence that is about a field without naming it (magento.md 6.7).
            problem
                .message
                .starts_with("The integration with name")
                .then(|| "name".to_owned())
        });
        let known = field.filter(|field| FIELDS.iter().chain(&signing::FIELDS).any(|known| known == field));
        let Some(field) = known else {
            return Self {
                fields: Vec::new(),
                general: Some(html! { strong { "Nothing was saved yet." } " " (problem.message) }),
                status,
            };
        };
        let message = match problem.message.as_str() {
            "\"name\" is required. Enter and try again." => NAMELESS.to_owned(),
            message => message.to_owned(),
        };
        Self {
            status,
            ..Self::field(&field, sentence(&message))
        }
    }

    /// With all else that is wrong in the form.
    pub(super) fn with(mut self, faults: Vec<Invalid>) -> Self {
        if self.fields.is_empty() {
            return self;
        }
        for fault in faults {
            let (field, message) = match fault {
                Invalid::Required(field) => (field, NAMELESS.to_owned()),
                Invalid::Field { field, what } => (field, sentence(what)),
                Invalid::Resource(unknown) => ("resources", sentence(&unknown.to_string())),
                Invalid::EndpointRefused(what) => ("endpoint", sentence(&what)),
            };
            if self.error(field).is_none() {
                self.fields.push((field.to_owned(), message));
            }
        }
        self
    }

    /// What stood there is gone; what was typed stays.
    pub(super) fn gone() -> Self {
        Self {
            general: Some(html! {
                strong { "Not saved: this integration was deleted while you were editing." }
                " Your entries are kept below. Saved from here they become a new one."
            }),
            status: StatusCode::NOT_FOUND,
            ..Self::default()
        }
    }

    pub(super) fn error(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, message)| message.as_str())
    }

    pub(super) fn note(&self) -> Markup {
        if let Some(general) = &self.general {
            return note(Tone::Bad, "warn", general);
        }
        if self.fields.is_empty() {
            return html! {};
        }
        let text = html! {
            strong { "Nothing was saved yet." }
            @if self.fields.len() == 1 { " One field below needs a change" } @else { " " (self.fields.len()) " fields below need a change" }
            "; everything you typed is still here, except the password."
        };
        note(Tone::Bad, "warn", &text)
    }
}

/// Somebody else was faster: what they wrote is told, what was typed stays.
pub(super) fn conflict(typed: &Entries, stands: &Entries, who: Option<&str>) -> Refused {
    let differing = typed.differing(stands);
    let general = html! {
        strong { "Not saved: " bdi { (who.unwrap_or("somebody")) } " saved this while you were editing." }
        " Your entries are kept below. "
        @if differing.is_empty() { "They say what stands there now." }
        @else {
            "Where they differ, this stands now: "
            @for (place, (label, now)) in differing.iter().enumerate() { @if place > 0 { "; " } (label) ": " (now) }
            ". Save again to replace it."
        }
    };
    Refused {
        general: Some(general),
        status: StatusCode::PRECONDITION_FAILED,
        ..Refused::default()
    }
}

const NAMELESS: &str = "This is a required field. Enter a name.";
/// What the form has a place for.
const FIELDS: [&str; 6] = [
    "name",
    "email",
    "endpoint",
    "identity_link_url",
    "resources",
    "current_password",
];
