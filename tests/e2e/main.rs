//! End-to-end tests: the real binary, real sockets. One file a behaviour; each test is one sentence.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's helper finds broken fails the test at once"
)]

mod access_token;
mod accounts;
mod activation;
mod admin_access;
mod admin_api;
mod admin_bodies;
mod admin_roles;
mod assertion;
mod audit_entries;
mod audit_kills;
mod base_strings;
mod body_hash;
mod callbacks;
mod configured;
mod conformance;
mod console;
mod console_forms;
mod console_sessions;
mod customers;
mod delegation;
mod events;
mod events_faults;
mod events_stream;
mod explain;
mod explain_debug_token;
mod explain_fault;
mod explain_pasted;
mod forced;
mod forgery;
mod grants;
mod headers;
mod hints;
mod hostile_corpus;
mod hostile_floods;
mod hostile_frames;
mod hostile_framing;
mod hostile_h2;
mod hostile_heads;
mod hostile_limits;
mod hostile_methods;
mod hostile_slow;
mod hostile_targets;
mod identity_link;
mod import_code;
mod import_credentials;
mod jwt_tokens;
mod lifecycle;
mod listeners;
mod methods;
mod observe;
mod openapi;
mod parameters;
mod preflight;
mod proxy_answers;
mod proxy_balance;
mod proxy_double;
mod proxy_drain;
mod proxy_faults;
mod proxy_log;
mod proxy_streaming;
mod recovery_codes;
mod refusals;
mod replay;
mod request_token;
mod reseal;
mod resting;
mod rotation;
mod seed;
mod services;
mod sign_in_timing;
mod store_faults;
mod store_time;
mod storefront_vouches;
mod three_legged;
mod three_legged_token;
mod timestamps;
mod tls_certificates;
mod tls_listener;
mod tls_upstream;
mod token_list;
mod tokens;
mod totp;
mod two_gateways;
mod upstream_breaker;
mod upstream_connections;
mod upstream_health;
mod upstream_oauth1;
mod user_tokens;
mod withdrawn;
