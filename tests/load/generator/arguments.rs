//! `COMMAND --name value …`, each name at most once except those that may repeat.

use std::str::FromStr;

use super::Failure;

/// What is left of the command line.
pub(super) struct Arguments {
    command: String,
    pairs: Vec<(String, String)>,
}

impl Arguments {
    pub(super) fn of_process() -> Result<Self, Failure> {
        let mut words = std::env::args().skip(1);
        let command = words.next().ok_or("a command is needed")?;
        let mut pairs = Vec::new();
        while let Some(name) = words.next() {
            let name = name.strip_prefix("--").ok_or("arguments are written --name value")?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            pairs.push((name.to_owned(), value));
        }
        Ok(Self { command, pairs })
    }

    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// A value that may be absent.
    pub(super) fn optional<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let Some(at) = self.pairs.iter().position(|(given, _)| given == name) else {
            return Ok(None);
        };
        let (_, value) = self.pairs.remove(at);
        let parsed = value.parse().map_err(|_| format!("--{name} {value:?} can't be read"))?;
        Ok(Some(parsed))
    }

    pub(super) fn or<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    pub(super) fn required<T: FromStr>(&mut self, name: &str) -> Result<T, Failure> {
        self.optional(name)?.ok_or_else(|| format!("--{name} is needed").into())
    }

    /// Every value of a name that may be given several times.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, left) = self.pairs.drain(..).partition(|(given, _)| given == name);
        self.pairs = left;
        let taken: Vec<(String, String)> = taken;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Everything must have been taken.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match self.pairs.first() {
            None => Ok(()),
            Some((name, _)) => Err(format!("--{name} is not known to {}", self.command).into()),
        }
    }
}
