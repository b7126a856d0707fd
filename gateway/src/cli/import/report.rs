//! What the command says: progress while it works, a summary, and the list of what did not come over.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use token_store::ConsumerRecord;

use super::super::{beside, counted, remark, say, table};
use super::output::Output;
use crate::clock::Clock;
use crate::import::settle::Plan;
use crate::import::{Imported, Note, Weight};

/// Where it speaks: to stdout, or to stderr while stdout carries the files.
pub(super) struct Voice {
    to_stderr: bool,
    is_dry: bool,
    is_terminal: bool,
    clock: Clock,
    last: Cell<Duration>,
    has_line: Cell<bool>,
}

impl Voice {
    pub(super) fn new(to_stderr: bool, is_dry: bool) -> Self {
        Self {
            to_stderr,
            is_dry,
            is_terminal: std::io::stderr().is_terminal(),
            clock: Clock::system(),
            last: Cell::new(Duration::ZERO),
            has_line: Cell::new(false),
        }
    }

    /// Says how far it is, on a terminal five times a second, elsewhere every five seconds.
    pub(super) fn progress(&self, text: impl FnOnce() -> String) {
        let now = self.clock.monotonic();
        let pause = if self.is_terminal { ON_TERMINAL } else { ELSEWHERE };
        if now.saturating_sub(self.last.get()) < pause {
            return;
        }
        self.last.set(now);
        if self.is_terminal {
            beside(&format_args!("\r\x1b[K{}", text()));
            self.has_line.set(true);
        } else {
            remark(&text());
        }
    }

    fn say(&self, text: &str) -> Result<(), ExitCode> {
        if self.has_line.replace(false) {
            beside(&"\r\x1b[K");
        }
        if self.to_stderr {
            remark(&text);
            return Ok(());
        }
        say(&text)
    }

    /// What was made.
    pub(super) fn summary(&self, imported: &Imported, texts: &BTreeMap<String, String>) -> Result<(), ExitCode> {
        if texts.is_empty() {
            return Ok(());
        }
        self.say(&format!(
            "{}, {} and {} in {}",
            counted(imported.routes.len(), "route"),
            counted(imported.resources.len(), "resource"),
            counted(imported.integrations.len(), "integration"),
            counted(texts.len(), "file")
        ))
    }

    /// What became of the files.
    pub(super) fn written(&self, output: &Output) -> Result<(), ExitCode> {
        let (new, changed, unchanged, stale) = output.counts();
        let folder = output.folder().display();
        if new + changed + stale == 0 {
            return self.say(&format!(
                "{folder}: nothing to change, {}",
                match unchanged {
                    1 => "its file is as it should be".to_owned(),
                    _ => format!("all {unchanged} files are as they should be"),
                }
            ));
        }
        let done = if self.is_dry { "would be " } else { "" };
        self.say(&format!(
            "{folder}: {} {done}made, {changed} {done}changed, {stale} {done}removed, {unchanged} unchanged",
            counted(new, "file")
        ))
    }

    /// What became of the credentials.
    pub(super) fn settled(&self, store: &str, plan: &Plan) -> Result<(), ExitCode> {
        let made = plan.create.iter().map(|record| named(record, "new"));
        let changed = plan.update.iter().map(|record| named(record, "changed"));
        let mut lines: Vec<String> = made.chain(changed).collect();
        let done = if self.is_dry { "would be " } else { "" };
        lines.push(if lines.is_empty() {
            format!(
                "{store}: nothing to change, {} {} as the export has {}",
                counted(plan.unchanged, "consumer"),
                if plan.unchanged == 1 { "is" } else { "are" },
                if plan.unchanged == 1 { "it" } else { "them" }
            )
        } else {
            let (new, changed, unchanged) = (plan.create.len(), plan.update.len(), plan.unchanged);
            format!(
                "{store}: {} {done}made, {changed} {done}changed, {unchanged} unchanged",
                counted(new, "consumer")
            )
        });
        self.say(&lines.join("\n"))
    }

    /// The list at the end, aligned.
    pub(super) fn notes(&self, notes: &[Note]) -> Result<(), ExitCode> {
        let lists = [
            (Weight::NotCarried, "Not carried"),
            (Weight::Look, "Carried, but worth a look"),
        ];
        for (weight, title) in lists {
            let of_weight = notes.iter().filter(|note| note.weight == weight);
            let cells = |note: &Note| vec![plain(&note.place.to_string()), plain(&note.what), plain(&note.why)];
            let rows: Vec<Vec<String>> = of_weight.map(cells).collect();
            if !rows.is_empty() {
                let table = table::of_rows(&["WHERE", "WHAT", "WHY"], &rows);
                self.say(&format!("\n{title} ({}):\n{table}", rows.len()))?;
            }
        }
        Ok(())
    }
}

fn named(record: &ConsumerRecord, what: &str) -> String {
    let consumer = record.consumer.id.0;
    match &record.integration {
        Some(one) => plain(&format!(
            "{what}: integration {} {:?}, consumer {consumer}",
            one.id.0, one.definition.name
        )),
        None => format!("{what}: consumer {consumer}"),
    }
}

/// A file's author may not write to the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '?' } else { one })
        .collect()
}

const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(5);
