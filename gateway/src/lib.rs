//! Countersign's gateway: the map, and the life of one signed request.
pub mod app;
pub mod authenticate;
pub mod authorize;
pub mod body;
pub mod clock;
pub mod config;
pub mod exchange;
pub mod listen;
pub mod live;
pub mod observe;
pub mod proxy;
pub mod random;
pub mod refusal;
pub mod request_id;
pub mod service;
pub mod upstream;
