//! Questions on the terminal: passwords are never echoed and never taken on the command line, where `ps` shows them.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use token_store::Secret;

/// A user name and a password.
pub(super) fn credentials() -> io::Result<(String, Secret)> {
    Ok((line("User name: ")?, secret("Password: ")?))
}

/// A visible answer.
pub(super) fn line(question: &str) -> io::Result<String> {
    eprint!("{question}");
    io::stderr().flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer.trim().to_owned())
}

/// A hidden answer.
pub(super) fn secret(question: &str) -> io::Result<Secret> {
    rpassword::prompt_password(question).map(Secret::new)
}

/// What is piped in, or a hidden answer on a terminal.
pub(super) fn secret_of_stdin(question: &str) -> io::Result<Secret> {
    if io::stdin().is_terminal() {
        return secret(question);
    }
    let mut text = String::new();
    io::stdin().take(LONGEST).read_to_string(&mut text)?;
    Ok(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

const LONGEST: u64 = 64 * 1024;
