//! End-to-end tests: the real binary, real sockets. One file a behaviour; each test is one sentence.

mod base_strings;
mod forgery;
mod grants;
mod methods;
mod parameters;
mod replay;
mod timestamps;
mod tokens;
