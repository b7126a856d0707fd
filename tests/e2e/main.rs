//! End-to-end tests: the real binary, real sockets. One file a behaviour; each test is one sentence.

mod forgery;
mod grants;
mod replay;
mod tokens;
