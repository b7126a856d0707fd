//! What the command says: progress while it works, a summary, and the list of what did not come over.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;

use super::output::Written;
use crate::clock::Clock;
use crate::import::settle::Plan;
use crate::import::{Imported, Note, Weight};

/// Where it speaks: to stdout, or to stderr while stdout carries the files.
pub(super) struct Voice {
    to_stderr: bool,
    is_terminal: bool,
    clock: Clock,
    last: Cell<u64>,
    has_line: Cell<bool>,
}

impl Voice {
    pub(super) fn new(to_stderr: bool) -> Self {
        Self {
            to_stderr,
            is_terminal: std::io::stderr().is_terminal(),
            clock: Clock::system(),
            last: Cell::new(0),
            has_line: Cell::new(false),
        }
    }

    /// Says how far it is, on a terminal five times a second, elsewhere every five seconds.
    pub(super) fn progress(&self, text: impl FnOnce() -> String) {
        let now = u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let pause = if self.is_terminal { 200 } else { 5000 };
        if now.saturating_sub(self.last.get()) < pause {
            return;
        }
        self.last.set(now);
        if self.is_terminal {
            eprint!("\r\x1b[K{}", text());
            self.has_line.set(true);
        } else {
            eprintln!("{}", text());
        }
    }

    fn say(&self, line: &str) {
        if self.has_line.replace(false) {
            eprint!("\r\x1b[K");
        }
        if self.to_stderr {
            eprintln!("{line}");
        } else if super::super::say(&line).is_err() {
            // It said why itself; the exit code follows from what was done.
            tracing::debug!("stdout can't be written");
        }
    }

    pub(super) fn summary(&self, imported: &Imported, texts: &BTreeMap<String, String>) {
        if texts.is_empty() {
            return;
        }
        self.say(&format!(
            "{} routes, {} resources and {} integrations in {} files",
            imported.routes.len(),
            imported.resources.len(),
            imported.integrations.len(),
            texts.len()
        ));
    }

    pub(super) fn written(&self, folder: &Path, written: &Written, is_dry: bool) {
        let Written {
            folder: _,
            new,
            changed,
            unchanged,
            removed,
        } = written;
        for path in removed {
            self.say(&format!(
                "{path}: {}",
                if is_dry { "would be removed" } else { "removed" }
            ));
        }
        let folder = folder.display();
        if (*new, *changed, removed.len()) == (0, 0, 0) {
            self.say(&format!(
                "{folder}: nothing to change, all {unchanged} files are as they should be"
            ));
        } else {
            let done = if is_dry { "would be " } else { "" };
            self.say(&format!(
                "{folder}: {new} files {done}new, {changed} {done}changed, {unchanged} unchanged"
            ));
        }
    }

    pub(super) fn settled(&self, store: &str, plan: &Plan, is_dry: bool) {
        let made: Vec<String> = plan.create.iter().map(|record| one(record, "new")).collect();
        let changed = plan.update.iter().map(|record| one(record, "changed"));
        for line in made.into_iter().chain(changed) {
            self.say(&line);
        }
        let done = if is_dry { "would be " } else { "" };
        if plan.create.is_empty() && plan.update.is_empty() {
            self.say(&format!(
                "{store}: nothing to change, {} consumers are as the export has them",
                plan.unchanged
            ));
        } else {
            self.say(&format!(
                "{store}: {} consumers {done}made, {} {done}changed, {} unchanged",
                plan.create.len(),
                plan.update.len(),
                plan.unchanged
            ));
        }
    }

    /// The list at the end, aligned.
    pub(super) fn notes(&self, notes: &[Note]) {
        let lists = [
            (Weight::NotCarried, "Not carried"),
            (Weight::Look, "Carried, but worth a look"),
        ];
        for (weight, title) in lists {
            let rows: Vec<[String; 3]> = notes
                .iter()
                .filter(|note| note.weight == weight)
                .map(|note| [note.place.to_string(), note.what.clone(), note.why.clone()].map(|text| plain(&text)))
                .collect();
            if rows.is_empty() {
                continue;
            }
            self.say(&format!("\n{title} ({}):", rows.len()));
            let width = |column: usize| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or_default()
                    .min(MOST_WIDTH)
            };
            let (first, second) = (width(0), width(1));
            for [place, what, why] in &rows {
                self.say(&format!("  {place:<first$}  {what:<second$}  {why}"));
            }
        }
    }
}

fn one(record: &token_store::ConsumerRecord, what: &str) -> String {
    match &record.integration {
        Some(integration) => plain(&format!(
            "  {what}: integration {} {:?}, consumer {}",
            integration.id.0, integration.definition.name, record.consumer.id.0
        )),
        None => format!("  {what}: consumer {}", record.consumer.id.0),
    }
}

/// A file's author may not write to the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

const MOST_WIDTH: usize = 72;
