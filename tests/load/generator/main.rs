//! The load generator of `tests/load/run`: one thread, its own HTTP/1.1 client and its own signer, one JSON line as result.
//!
//! | command | does |
//! |---|---|
//! | `fill` | makes consumers with access tokens in a store, in batches, through the `Store` trait; and bearer tokens |
//! | `expired` | puts bearer tokens that have expired into a store, many at once, through the `Store` trait |
//! | `credentials` | prints the same credentials, for peers that keep them in their own way |
//! | `closed` | keeps every connection busy: the saturated cost and the peak |
//! | `open` | sends at a fixed rate whatever comes back: latency, counted from when a request was due |
//! | `idle` | holds connections open until its standard input ends |
//! | `replay` | sends each signed request on several connections at once: one of them may pass |
//! | `verify` | verifies in its own process: what `oauth1` alone costs |
//!
//! Credentials are made from a number, so a run over a million consumers needs no list of them.

#![expect(clippy::print_stdout, reason = "the JSON line is this program's result")]

mod arguments;
mod client;
mod closed;
mod consumers;
mod counter;
mod expired;
mod idle;
mod open;
mod pollset;
mod replay;
mod signer;
mod verify;

use std::process::ExitCode;

use self::arguments::Arguments;

/// Whatever ends the run early.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("{}", serde_json::json!({ "failure": failure.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = Arguments::of_process()?;
    let result = match arguments.command() {
        "fill" => consumers::fill(&mut arguments),
        "expired" => expired::put(&mut arguments),
        "credentials" => consumers::print(&mut arguments),
        "closed" => closed::run(&mut arguments),
        "open" => open::run(&mut arguments),
        "idle" => idle::run(&mut arguments),
        "replay" => replay::run(&mut arguments),
        "verify" => verify::run(&mut arguments),
        other => Err(format!("{other:?} is no command").into()),
    }?;
    println!("{result}");
    Ok(())
}
