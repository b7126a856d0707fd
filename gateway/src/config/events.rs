//! `[events]` and `[[webhooks]]`: what is kept of events, and who is told.

use std::collections::BTreeSet;
use std::time::Duration;

use token_store::Secret;

use super::reader::Section;
use crate::integration::definition::is_url;
use crate::integration::events::{EventKind, refuse_secret};

/// `[events]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Events in the log that listeners read; about as many in the stream of a Redis store.
    pub log: usize,
    /// Deliveries that wait, for each webhook.
    pub outbox: usize,
    /// Deliveries that were given up.
    pub dead_letters: usize,
    /// Tries before a delivery is given up.
    pub tries: u32,
    /// After the first failed try.
    pub retry_first: Duration,
    /// Between two tries at most.
    pub retry_most: Duration,
    /// Listeners to the live stream at a time.
    pub listeners: u64,
}

/// A `[[webhooks]]` entry.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What its outbox, its dead letters and the log call it.
    pub name: String,
    /// Where events are posted.
    pub url: String,
    /// What signs them.
    pub secret: Secret,
    /// By name.
    events: Vec<&'static str>,
}

impl Webhook {
    /// Whether it is told of these.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.events.contains(&kind.as_str())
    }
}

pub(super) fn events(section: Section<'_, '_>) -> Events {
    let events = Events {
        log: section.count("log", 10_000, 100..=1_000_000),
        outbox: section.count("outbox", 10_000, 1..=1_000_000),
        dead_letters: section.count("dead_letters", 1000, 1..=100_000),
        tries: section.small("tries", 12, 1..=100),
        retry_first: section.duration("retry_first", "5s", ("1s", "1h")),
        retry_most: section.duration("retry_most", "1h", ("1s", "1d")),
        listeners: section.number("listeners", 16, 0..=1000),
    };
    section.finish();
    events
}

pub(super) fn webhooks(root: &Section<'_, '_>) -> Vec<Webhook> {
    let mut names = BTreeSet::new();
    let mut webhooks = Vec::new();
    for section in root.list_of_tables("webhooks") {
        if let Some(webhook) = webhook(&section) {
            if !names.insert(webhook.name.clone()) {
                section.fault("name", &format!("{:?} is defined twice", webhook.name));
            }
            webhooks.push(webhook);
        }
        section.finish();
    }
    webhooks
}

fn webhook(section: &Section<'_, '_>) -> Option<Webhook> {
    let name = section.required("name");
    if let Some((name, place)) = &name
        && !is_name(name)
    {
        section.fault_at(place, "name", "is 1 to 64 letters, digits, \".\", \"_\" and \"-\"");
    }
    let url = section.required("url");
    if let Some((url, place)) = &url
        && !is_url(url)
    {
        let what = "is an absolute http:// or https:// URL without user name or fragment";
        section.fault_at(place, "url", what);
    }
    let secret = section.secret("secret");
    match &secret {
        None if !section.is_set("secret") => section.fault("secret", "is missing: what signs the webhook's requests"),
        None => {}
        Some((secret, place)) => {
            if let Some(what) = refuse_secret(secret.expose()) {
                section.fault_at(place, "secret", what);
            }
        }
    }
    let known = EventKind::ALL.map(EventKind::as_str);
    let events = section.words("events", &known, &known);
    if events.is_empty() {
        section.fault("events", "is empty; leave it out for all");
    }
    Some(Webhook {
        name: name?.0,
        url: url?.0,
        secret: secret?.0,
        events,
    })
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet))
}
