//! What runs in Redis: the scripts, and how their arguments are put together.

use std::sync::LazyLock;

use redis::{Script, ScriptInvocation};

use super::keys;
use crate::NewAuditEntry;

pub(super) static CALL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/call.lua")));
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/commit.lua")));
pub(super) static FAILURE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/failure.lua")));
pub(super) static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
pub(super) static BEAT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/beat.lua")));
pub(super) static MARK: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/mark.lua")));
pub(super) static GREET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/greet.lua")));

/// Commands for `call.lua`: each is a name, a key and further words.
#[derive(Debug, Default)]
pub(super) struct Calls {
    keys: Keys,
    words: Vec<Vec<u8>>,
}

impl Calls {
    /// Adds a command.
    pub(super) fn add(mut self, name: &str, key: &str, words: &[&[u8]]) -> Self {
        push_command(&mut self.keys, &mut self.words, name, key, words);
        self
    }

    /// Adds a read through an index: from a field of `index` to the row of `table`.
    pub(super) fn via(mut self, index: &str, field: &str, table: &str) -> Self {
        let table = self.keys.number(table).to_string();
        push_command(
            &mut self.keys,
            &mut self.words,
            "VIA",
            index,
            &[field.as_bytes(), table.as_bytes()],
        );
        self
    }

    pub(super) fn invocation(&self, identity: &str) -> ScriptInvocation<'static> {
        let mut invocation = CALL.prepare_invoke();
        self.keys.add_to(&mut invocation);
        invocation.arg(identity);
        for word in &self.words {
            invocation.arg(word);
        }
        invocation
    }
}

/// Expectations and commands for `commit.lua`.
#[derive(Clone, Debug, Default)]
pub(super) struct Commit {
    keys: Keys,
    expectations: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
    /// Goes to the end of the audit log, wherever that is by then.
    pub(super) entry: Option<NewAuditEntry>,
}

impl Commit {
    /// The field holds exactly this, or `None`: isn't there. Answers the place that a refusal names.
    pub(super) fn expect(&mut self, key: &str, field: &str, value: Option<&[u8]>) -> usize {
        let number = self.keys.number(key).to_string();
        self.expectations.push(number.into_bytes());
        self.expectations.push(field.as_bytes().to_vec());
        self.expectations.push(value.unwrap_or_default().to_vec());
        self.expectations.len() / 3 - 1
    }

    /// The field is there.
    pub(super) fn expect_some(&mut self, key: &str, field: &str) {
        self.expect(key, field, Some(b"*"));
    }

    /// Then deletes the hash `key`, and of `index` every field that it has.
    pub(super) fn drop_with_index(&mut self, key: &str, index: &str) {
        let index = self.keys.number(index).to_string();
        self.write("DROP", key, &[index.as_bytes()]);
    }

    /// Then drops the oldest fields of the hash `key` over `most`, with what two sorted sets have of them, and counts them
    /// in a field of another hash.
    pub(super) fn bound(
        &mut self,
        key: &str,
        (order, due): (&str, &str),
        most: usize,
        (counters, counter): (&str, &str),
    ) {
        let order = self.keys.number(order).to_string();
        let due = self.keys.number(due).to_string();
        let counters = self.keys.number(counters).to_string();
        let most = most.to_string();
        let words = [&order, &due, &most, &counters].map(String::as_bytes);
        let [order, due, most, counters] = words;
        self.write("BOUND", key, &[order, due, most, counters, counter.as_bytes()]);
    }

    /// Then does this.
    pub(super) fn write(&mut self, name: &str, key: &str, words: &[&[u8]]) {
        push_command(&mut self.keys, &mut self.words, name, key, words);
    }

    pub(super) fn invocation(&self, identity: &str, channel: &str, message: &str) -> ScriptInvocation<'static> {
        let mut invocation = COMMIT.prepare_invoke();
        self.keys.add_to(&mut invocation);
        invocation
            .arg(identity)
            .arg(channel)
            .arg(message)
            .arg(self.expectations.len() / 3);
        for word in self.expectations.iter().chain(&self.words) {
            invocation.arg(word);
        }
        invocation
    }
}

/// Keys by the number under which a script finds them; the store's own hash is the first.
#[derive(Clone, Debug, Default)]
struct Keys(Vec<String>);

impl Keys {
    fn number(&mut self, key: &str) -> usize {
        let place = self.0.iter().position(|known| known == key).unwrap_or_else(|| {
            self.0.push(key.to_owned());
            self.0.len() - 1
        });
        place + 2
    }

    fn add_to(&self, invocation: &mut ScriptInvocation<'static>) {
        invocation.key(keys::STORE);
        for key in &self.0 {
            invocation.key(key);
        }
    }
}

fn push_command(keys: &mut Keys, to: &mut Vec<Vec<u8>>, name: &str, key: &str, words: &[&[u8]]) {
    to.push((words.len() + 2).to_string().into_bytes());
    to.push(name.as_bytes().to_vec());
    to.push(keys.number(key).to_string().into_bytes());
    to.extend(words.iter().map(|word| word.to_vec()));
}
