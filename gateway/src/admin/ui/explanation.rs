//! An explanation as people read it: the sentence first, then its proof. The same for a refused request and a pasted one.

use maud::{Markup, html};
use serde::Deserialize;

use super::base_string;
use super::parts::{Tone, count, icon, note, tag};

/// As the API answers it.
#[derive(Deserialize)]
pub(super) struct Explanation {
    /// `valid`, `diagnosed`, `unknown` or `malformed`.
    pub(super) result: String,
    #[serde(default)]
    diagnosis: Vec<Finding>,
    base_string: Option<String>,
    signed_base_string: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
    key_shape: Option<String>,
    cost: Option<Cost>,
    advice: Option<String>,
}

#[derive(Deserialize)]
struct Finding {
    id: String,
    sentence: String,
    #[serde(default)]
    also: Vec<String>,
    usual_cause: Option<String>,
    fault_reason: Option<String>,
    operator_sentence: Option<String>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    value: String,
    origin: String,
    signed: bool,
}

#[derive(Deserialize)]
struct Cost {
    macs: u64,
}

/// The button for [`Explanation::show`]'s report.
pub(super) fn copy_report() -> Markup {
    html! { button.b.js-only type="button" data-copy="report" data-name="Report" { (icon("copy")) "Copy report" } }
}

impl Explanation {
    /// All of it. `valid`: what to say of a signature that holds; `context`: the card about the request; `subject`: how the
    /// report begins, without keys and secrets.
    pub(super) fn show(&self, valid: &str, context: &Markup, subject: &str) -> Markup {
        html! {
            (self.verdict(valid))
            div.cols.a21 {
                div.stack {
                    @if let Some(built) = &self.base_string { (base_string::card(built, self.signed_base_string.as_deref())) }
                    @if !self.parameters.is_empty() { (parameters(&self.parameters)) }
                }
                div.stack {
                    (context)
                    @if let Some(shape) = &self.key_shape {
                        section.card aria-labelledby="sig" {
                            header { h2 id="sig" { "The key’s shape" } }
                            div.in-card { p { code { (shape) } } p.hint { "Secrets are never shown here." } }
                        }
                    }
                }
            }
            textarea.vh id="report" tabindex="-1" readonly aria-label="Report for the developer" { (self.report(subject)) }
        }
    }

    /// What was found first, as a sentence.
    pub(super) fn first(&self) -> Option<&str> {
        self.diagnosis.first().map(|finding| finding.sentence.as_str())
    }

    /// The finding first; never a guess dressed as one.
    fn verdict(&self, valid: &str) -> Markup {
        let Some((first, more)) = self.diagnosis.split_first() else {
            let (message, rest) = match self.result.as_str() {
                "valid" => ("The signature holds now.", valid),
                "malformed" => (
                    "The request can’t be read as OAuth.",
                    "What it sends is not well-formed, so no signature could be tried.",
                ),
                _ => (
                    "None of the known mistakes gives this signature, alone or two together.",
                    "",
                ),
            };
            let advice = self.advice.as_deref().unwrap_or(rest);
            return note(Tone::Plain, "info", &html! { strong { (message) } " " (advice) });
        };
        html! {
            section.verdict aria-label="Finding" {
                p.say { (first.sentence) }
                (first.more())
                p {
                    "Mistake " code { (first.id) }
                    @if !first.also.is_empty() { ", together with " code { (first.also.join(", ")) } }
                    @if let Some(cost) = &self.cost { ": it reproduces the client’s signature, found after " (count(cost.macs)) " tries" }
                    "."
                }
                @for finding in more { p { (finding.sentence) " " span.faint { (finding.id) } } (finding.more()) }
            }
        }
    }

    /// For a ticket: without keys and secrets.
    fn report(&self, subject: &str) -> String {
        let mut text = subject.to_owned();
        for finding in &self.diagnosis {
            text.push('\n');
            text.push_str(&finding.sentence);
            if finding.fault_reason.is_some() {
                text.push_str(" That is for the operator of the gateway to change, not in the client.");
            }
            if let Some(cause) = &finding.usual_cause {
                text.push(' ');
                text.push_str(cause);
            }
        }
        text
    }
}

impl Finding {
    /// Whose it is, and the usual cause.
    fn more(&self) -> Markup {
        html! {
            @if let Some(reason) = &self.fault_reason { p { (tag(Tone::Warn, "For the operator")) " " (reason) " So the client is hardly wrong." } }
            @if let Some(cause) = &self.usual_cause { p { strong { "The usual cause. " } (cause) } }
            @if let Some(sentence) = &self.operator_sentence { p { strong { "Or the gateway’s. " } (sentence) } }
        }
    }
}

fn parameters(parameters: &[Parameter]) -> Markup {
    html! {
        section.card aria-labelledby="par" {
            header { h2 id="par" { "Parameters" } span.sm.faint { (parameters.len()) ", with where they came from" } }
            div.scroll { table.fold {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Value, decoded" } th scope="col" { "Came from" } } }
                tbody { @for one in parameters {
                    tr {
                        td.lead { code { (one.name) } }
                        td.line { code { (one.value) } }
                        td { span.tag.sq { (one.origin) } @if !one.signed { " " span.faint { "not signed" } } }
                    }
                } }
            } }
        }
    }
}
