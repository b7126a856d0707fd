//! An explanation as people read it: the sentence first, then its proof. The same for a refused request and a pasted one.

use maud::{Markup, html};
use serde::Deserialize;

use super::base_string;
use super::parts::{Tone, count, icon, note, sentence, tag};
use crate::clock::span;

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
    pub(super) fn show(&self, valid: &Markup, context: &Markup, subject: &str) -> Markup {
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
    fn verdict(&self, valid: &Markup) -> Markup {
        let Some((first, more)) = self.diagnosis.split_first() else {
            let text = match (self.result.as_str(), self.advice.as_deref()) {
                ("valid", _) => html! { strong { "The signature holds now." } " " (valid) },
                ("malformed", _) => html! {
                    strong { "The request can’t be read as OAuth." }
                    " What it sends is not well-formed, so no signature could be tried."
                },
                // Its first sentence is the message.
                (_, Some(advice)) => {
                    let (message, rest) = advice.split_once(". ").unwrap_or((advice, ""));
                    html! { strong { (coded(message.trim_end_matches('.'))) "." } " " (coded(rest)) }
                }
                (_, None) => {
                    html! { strong { "No mistake was found." } }
                }
            };
            return note(Tone::Plain, "info", &text);
        };
        html! {
            section.verdict aria-label="Finding" {
                p.say { (first.sentence) @if let Some(off) = first.clock() { " That is " (off) "." } }
                (first.more())
                p {
                    "Mistake " code { (first.id) }
                    @if !first.also.is_empty() { ", together with " code { (first.also.join(", ")) } }
                    // What was found without a signature proves none, and a note is no mistake in one.
                    @if let Some(cost) = self.cost.as_ref().filter(|cost| cost.macs > 0 && first.id.starts_with('E')) {
                        ": it reproduces the client’s signature, found after " (count(cost.macs)) @if cost.macs == 1 { " try" } @else { " tries" }
                    }
                    "."
                }
                @if let Some(advice) = &self.advice { p { (coded(advice)) } }
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
                text.push_str(" The usual cause: ");
                text.push_str(cause);
                text.push('.');
            }
        }
        if let (true, Some(advice)) = (self.diagnosis.is_empty(), &self.advice) {
            text.push('\n');
            text.push_str(advice);
        }
        let strings = [
            ("Base string here", &self.base_string),
            ("Base string that the client signed", &self.signed_base_string),
        ];
        for (label, base) in strings {
            if let Some(base) = base {
                text.extend(["\n\n", label, ":\n", &without_keys(base)]);
            }
        }
        if !self.parameters.is_empty() {
            text.push_str("\n\nParameters:");
        }
        for one in &self.parameters {
            let value = if KEYS.contains(&one.name.as_str()) {
                "…"
            } else {
                &one.value
            };
            text.extend(["\n", &one.name, " = ", value, " (", &one.origin, ")"]);
        }
        text
    }
}

impl Finding {
    /// By how much a clock is off, where seconds say little.
    fn clock(&self) -> Option<String> {
        let (before, _) = self.sentence.split_once(" s ")?;
        let seconds: u64 = before.rsplit(' ').next()?.parse().ok()?;
        (self.id == CLOCK && seconds >= 120).then(|| span(seconds))
    }

    /// Whose it is, and the usual cause.
    fn more(&self) -> Markup {
        html! {
            @if let Some(reason) = &self.fault_reason { p { (tag(Tone::Warn, "For the operator")) " " (reason) " So the client is hardly wrong." } }
            @if let Some(cause) = &self.usual_cause { p { strong { "The usual cause. " } (sentence(cause)) } }
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
                        td.lead.name { code { (one.name) } }
                        td.line { code { (one.value) } }
                        td { span.tag.sq { (one.origin) } @if !one.signed { " " span.faint { "not signed" } } }
                    }
                } }
            } }
        }
    }
}

/// What stands between back-ticks is code.
fn coded(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() { @if place % 2 == 1 { code { (part) } } @else { (part) } }
    }
}

/// A base string without the values of the consumer key and the token, however it is encoded.
fn without_keys(base: &str) -> String {
    let mut text = String::with_capacity(base.len());
    let mut rest = base;
    while let Some(at) = KEYS.iter().filter_map(|name| Some(rest.find(name)? + name.len())).min() {
        let (before, behind) = rest.split_at(at);
        text.push_str(before);
        let equals = EQUALS.iter().find(|equals| behind.starts_with(**equals));
        let Some((equals, value)) = equals.and_then(|equals| Some((*equals, behind.strip_prefix(*equals)?))) else {
            rest = behind;
            continue;
        };
        let end = AMPERSANDS.iter().filter_map(|one| value.find(one)).min();
        let (_, after) = value.split_at(end.unwrap_or(value.len()));
        text.push_str(equals);
        text.push('…');
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Whose values say whose request it is.
const KEYS: [&str; 2] = ["oauth_consumer_key", "oauth_token"];
/// As they stand in a base string that was encoded twice, once, or not at all.
const EQUALS: [&str; 3] = ["%253D", "%3D", "="];
const AMPERSANDS: [&str; 3] = ["%2526", "%26", "&"];
/// The finding about the client's clock.
const CLOCK: &str = "N1";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(explanation: serde_json::Value) -> String {
        let explanation: Explanation = serde_json::from_value(explanation).unwrap();
        explanation.verdict(&html! { "valid" }).0
    }

    #[test]
    fn only_a_signature_that_was_reproduced_is_called_a_proof() {
        let finding = |macs: u64| {
            shown(serde_json::json!({
                "result": "diagnosed",
                "diagnosis": [{ "id": "E73", "sentence": "It is so." }],
                "cost": { "macs": macs },
            }))
        };

        let clock = shown(serde_json::json!({
            "result": "diagnosed",
            "diagnosis": [{ "id": "N1", "sentence": "It is late." }, { "id": "E73", "sentence": "It is so." }],
            "cost": { "macs": 34 },
        }));
        assert!(clock.contains("It is so.") && !clock.contains("reproduces"), "{clock}");
        assert!(!finding(0).contains("reproduces"));
        assert!(finding(1).contains("found after 1 try."), "{}", finding(1));
        assert!(finding(34).contains("found after 34 tries."));
    }

    #[test]
    fn a_report_has_the_base_string_and_the_parameters_without_keys() {
        let explanation: Explanation = serde_json::from_value(serde_json::json!({
            "result": "diagnosed",
            "diagnosis": [{ "id": "E73", "sentence": "It is so.", "usual_cause": "a habit" }],
            "base_string": "GET&http%3A%2F%2Fh%2F&oauth_consumer_key%3Dck%26oauth_nonce%3Dn%26oauth_token%3Dtk",
            "signed_base_string": "GET&http://h/&oauth_consumer_key=ck&oauth_token=tk&oauth_token_verifier=1",
            "parameters": [
                { "name": "oauth_consumer_key", "value": "ck", "origin": "header", "signed": true },
                { "name": "page", "value": "2", "origin": "query", "signed": true },
            ],
        }))
        .unwrap();

        let report = explanation.report("It was refused.");

        let expected = "It was refused.\nIt is so. The usual cause: a habit.\n\n\
                        Base string here:\n\
                        GET&http%3A%2F%2Fh%2F&oauth_consumer_key%3D…%26oauth_nonce%3Dn%26oauth_token%3D…\n\n\
                        Base string that the client signed:\n\
                        GET&http://h/&oauth_consumer_key=…&oauth_token=…&oauth_token_verifier=1\n\n\
                        Parameters:\noauth_consumer_key = … (header)\npage = 2 (query)";
        assert_eq!(report, expected);
    }

    #[test]
    fn a_clock_is_off_by_days_where_seconds_say_little() {
        let finding = |seconds: &str| {
            let sentence = format!("Your clock is {seconds} s behind; the server's time is in the Date header.");
            shown(serde_json::json!({ "result": "diagnosed", "diagnosis": [{ "id": "N1", "sentence": sentence }] }))
        };

        assert!(
            finding("295827328").contains("That is 3423 d 22 h."),
            "{}",
            finding("295827328")
        );
        assert!(!finding("60").contains("That is"));
    }

    #[test]
    fn a_command_in_an_advice_is_code() {
        let advice = "Nothing was tried. Give it to `countersign explain` instead.";

        let said = shown(serde_json::json!({ "result": "unknown", "advice": advice }));

        assert!(
            said.contains("Give it to <code>countersign explain</code> instead."),
            "{said}"
        );
    }

    #[test]
    fn what_was_not_found_is_said_once() {
        let advice = "None of the known mistakes gives it. Compare the two.";

        let said = shown(serde_json::json!({ "result": "unknown", "advice": advice }));

        assert!(
            said.contains("<strong>None of the known mistakes gives it.</strong> Compare the two."),
            "{said}"
        );
    }
}
