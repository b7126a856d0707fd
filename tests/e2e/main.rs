//! End-to-end tests: the real binary, real sockets. One file a behaviour; each test is one sentence.

mod access_token;
mod activation;
mod base_strings;
mod body_hash;
mod callbacks;
mod delegation;
mod forgery;
mod grants;
mod headers;
mod hints;
mod hostile_corpus;
mod hostile_framing;
mod hostile_heads;
mod hostile_limits;
mod hostile_methods;
mod hostile_targets;
mod listeners;
mod methods;
mod observe;
mod parameters;
mod refusals;
mod replay;
mod request_token;
mod timestamps;
mod tokens;
