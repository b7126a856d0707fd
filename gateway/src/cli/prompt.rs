//! Questions on the terminal: passwords are never echoed and never taken on the command line, where `ps` shows them.

use std::io::{self, IsTerminal as _, Read as _};

use token_store::Secret;

use super::beside;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// Nobody is there to ask.
    #[error("stdin is no terminal to ask on; {0}")]
    NoTerminal(&'static str),
    #[error("the question was not answered: {0}")]
    Io(#[from] io::Error),
    #[error("the two answers differ")]
    Differ,
    #[error("nothing came on stdin")]
    Nothing,
}

/// A visible answer; `instead` says how to do without a terminal.
pub(super) fn line(question: &str, instead: &'static str) -> Result<String, Unanswered> {
    needs_terminal(instead)?;
    beside(&question);
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    Ok(answer.trim().to_owned())
}

/// A hidden answer.
pub(super) fn secret(question: &str, instead: &'static str) -> Result<Secret, Unanswered> {
    needs_terminal(instead)?;
    Ok(Secret::new(rpassword::prompt_password(question)?))
}

/// The first line that is piped in, or a hidden answer on a terminal, asked twice.
pub(super) fn new_password() -> Result<Secret, Unanswered> {
    if io::stdin().is_terminal() {
        let first = rpassword::prompt_password("Password for the new account: ")?;
        let again = rpassword::prompt_password("The same again: ")?;
        return if first == again {
            Ok(Secret::new(first))
        } else {
            Err(Unanswered::Differ)
        };
    }
    let mut text = String::new();
    io::stdin().take(LONGEST).read_to_string(&mut text)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        Some(_) | None => Err(Unanswered::Nothing),
    }
}

fn needs_terminal(instead: &'static str) -> Result<(), Unanswered> {
    if io::stdin().is_terminal() {
        Ok(())
    } else {
        Err(Unanswered::NoTerminal(instead))
    }
}

const LONGEST: u64 = 64 * 1024;
