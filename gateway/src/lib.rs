//! Countersign's gateway.
pub mod body;
pub mod clock;
pub mod config;
pub mod proxy;
pub mod random;
pub mod refusal;
