//! How an integration signs: what it has beyond Magento's fields (product.md 5). Where nothing is chosen the configuration
//! decides.

use std::collections::BTreeSet;

use maud::{Markup, html};
use serde_json::{Value, json};

use super::super::super::parts::icon;
use super::super::super::visitor::Form;
use super::super::Integration;
use super::entries::Refused;

/// As the form holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Signing {
    /// None: the configured ones.
    methods: BTreeSet<String>,
    /// None: the configured ones.
    placements: BTreeSet<String>,
    rsa_public_key: String,
    is_two_legged: bool,
    /// One a line.
    callback_urls: String,
    flags: BTreeSet<String>,
}

impl Signing {
    /// `None`: the form was sent without this part, as by a program that knows Magento's fields alone.
    pub(super) fn of(form: &Form) -> Option<Self> {
        let all = |name: &str| form.all(name).map(str::to_owned).collect();
        (!form.get("signing").is_empty()).then(|| Self {
            methods: all("signature_methods[]"),
            placements: all("placements[]"),
            rsa_public_key: form.get("rsa_public_key").trim().replace("\r\n", "\n"),
            is_two_legged: form.get("two_legged") == "1",
            callback_urls: lines(form.get("callback_urls")).collect::<Vec<_>>().join("\n"),
            flags: all("flags[]"),
        })
    }

    pub(super) fn standing(integration: &Integration) -> Self {
        let some = |names: &Option<Vec<String>>| names.iter().flatten().cloned().collect();
        Self {
            methods: some(&integration.signature_methods),
            placements: some(&integration.placements),
            rsa_public_key: integration.rsa_public_key.clone().unwrap_or_default().trim().to_owned(),
            is_two_legged: integration.two_legged,
            callback_urls: integration.callback_urls.join("\n"),
            flags: integration.flags.iter().cloned().collect(),
        }
    }

    /// Into an integration's JSON.
    pub(super) fn write(&self, body: &mut Value) {
        let some = |names: &BTreeSet<String>| (!names.is_empty()).then_some(names.clone());
        let key = Some(&self.rsa_public_key).filter(|key| !key.is_empty());
        for (name, value) in [
            ("signature_methods", json!(some(&self.methods))),
            ("placements", json!(some(&self.placements))),
            ("rsa_public_key", json!(key)),
            ("two_legged", json!(self.is_two_legged)),
            ("callback_urls", json!(lines(&self.callback_urls).collect::<Vec<_>>())),
            ("flags", json!(self.flags)),
        ] {
            if let Some(members) = body.as_object_mut() {
                members.insert(name.to_owned(), value);
            }
        }
    }

    /// The part of the form; it is folded while nothing in it is chosen or wrong.
    pub(super) fn show(&self, refused: &Refused) -> Markup {
        let is_open = *self != Self::default() || FIELDS.iter().any(|field| refused.error(field).is_some());
        html! {
            input type="hidden" name="signing" value="1";
            details.stack open[is_open] {
                summary { "Change how it signs" }
                div.stack {
                    (boxes(("signature_methods", "Signature methods"), METHODS, &self.methods, "None ticked: those of the configuration.", refused))
                    (boxes(("placements", "Where its OAuth parameters may stand"), PLACEMENTS, &self.placements, "None ticked: as the configuration has it.", refused))
                    (area(("rsa_public_key", "RSA public key"), &self.rsa_public_key, "PEM, 2048 bits or more. With a key only RSA methods are accepted.", refused))
                    label.pick {
                        input.box type="checkbox" name="two_legged" value="1" checked[self.is_two_legged];
                        span { strong { "Two-legged" } span.hint { "It may sign with its consumer alone, without a token." } }
                    }
                    (area(("callback_urls", "Where its users are sent back to"), &self.callback_urls, "Callback URLs of the three-legged flow: one a line, at most 20, matched exactly. None: they copy a code.", refused))
                    (boxes(("flags", "For clients that sign in a way of their own"), FLAGS, &self.flags, "All but require_body_hash accept more than the standard does: tick one where an explanation proposes it.", refused))
                }
            }
        }
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

type Choice = (&'static str, &'static str);

fn boxes(
    (name, label): Choice,
    choices: &[Choice],
    chosen: &BTreeSet<String>,
    hint: &str,
    refused: &Refused,
) -> Markup {
    html! {
        fieldset.stack.tight {
            legend.lab { (label) }
            div.three {
                @for (value, means) in choices {
                    label.pick {
                        input.box type="checkbox" name={ (name) "[]" } value=(value) checked[chosen.contains(*value)];
                        span { strong { (value) } @if !means.is_empty() { span.hint { (means) } } }
                    }
                }
            }
            @if let Some(error) = refused.error(name) { p.err { (icon("warn")) span { (error) } } }
            p.hint { (hint) }
        }
    }
}

fn area((name, label): Choice, value: &str, hint: &str, refused: &Refused) -> Markup {
    let error = refused.error(name);
    let (error_id, hint_id) = (format!("e-{name}"), format!("h-{name}"));
    let described = if error.is_some() {
        format!("{error_id} {hint_id}")
    } else {
        hint_id.clone()
    };
    html! {
        div.field {
            label for=(name) { (label) " " span.opt { "optional" } }
            textarea.in id=(name) name=(name) rows="4" spellcheck="false" autocapitalize="none"
                aria-invalid=[error.map(|_| "true")] aria-describedby=(described) { "\n" (value) }
            @if let Some(error) = error { p.err id=(error_id) { (icon("warn")) span { (error) } } }
            p.hint id=(hint_id) { (hint) }
        }
    }
}

/// What has a place here.
pub(super) const FIELDS: [&str; 6] = [
    "signature_methods",
    "placements",
    "rsa_public_key",
    "two_legged",
    "callback_urls",
    "flags",
];
const METHODS: &[Choice] = &[
    ("HMAC-SHA256", ""),
    ("HMAC-SHA1", ""),
    ("HMAC-SHA512", ""),
    ("RSA-SHA256", "with its key"),
    ("RSA-SHA1", "with its key"),
    ("PLAINTEXT", "over TLS only"),
];
const PLACEMENTS: &[Choice] = &[("header", ""), ("query", ""), ("form", "")];
/// The catalogue of clients (oauth1.md 6).
const FLAGS: &[Choice] = &[
    ("accept_version_1_0A", "sends oauth_version=1.0A"),
    (
        "collapse_identical_pairs",
        "sends equal parameters twice, signs them once",
    ),
    ("mastercard", "leaves oauth_body_hash unencoded"),
    ("require_body_hash", "must hash its JSON and XML bodies"),
];
