//! Countersign's gateway: the map, and the life of one signed request.
//!
//! # The life of one signed request
//!
//! 1. [`listen`] accepts and counts the connection, shakes hands, reads heads within their bounds and deadlines.
//! 2. [`service`] takes the request: an endpoint of our own goes to [`exchange`], all else to [`proxy`], which finds its
//!    route (`proxy::route`); no route is a refusal.
//! 3. [`authenticate`] is the only maker of `Authenticated`. It takes the URL as the client saw it (`target`), reads a form
//!    that is signed (`body`), parses the OAuth parameters and checks the timestamp: garbage dies here, before the store
//!    is asked. Then consumer and token come from memory or the store, the signature is verified in constant time, and last
//!    the nonce is claimed, so that only who holds the secret can use one up.
//! 4. [`authorize`] makes `Permitted` of it: the route's resources, held against what was granted. [`limit`] counts.
//! 5. [`proxy`] rewrites the headers, adds what upstream demands and who calls, and streams through [`upstream`].
//! 6. Any error on the way is a [`refusal`]: a closed list of causes, and the one place that makes a response of one.
//!    [`observe`] writes one line and counts once.
//!
//! `proxy::serve` shows steps 2 to 5 as one screen of calls. Each step hands the next a type that only it can make.
//!
//! # The map
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | the command line, a file a command; [`config`]: the configuration, a file a section |
//! | [`app`] | the one place that wires every part, reloads and shuts down; [`live`]: what a reload swaps, prepared |
//! | [`listen`], [`service`], [`authenticate`], [`authorize`], [`limit`], [`proxy`], [`upstream`] | a request's way, above |
//! | [`exchange`] | the authorization server: request tokens, access tokens, users' consent and tokens |
//! | [`integration`] | an integration's life: created, activated by the verifier POST, withdrawn; those that files define; sweeps |
//! | [`explain`] | why a signature does not verify, as commands and the API tell it (the search is `oauth1::explain`) |
//! | [`rehearsal`] | what would become of a request that nobody sent, for the command line and the admin API |
//! | [`import`] | what a Magento declares, and whom it lets in, taken over |
//! | [`admin`] | the admin listener: API, health, metrics; the control socket beside an embedded store |
//! | [`refusal`], [`observe`] | what is said of an error; metrics, access log |
//! | [`clock`], [`random`], [`request_id`], [`body`] | the one place for time, for randomness, for ids, for response bodies |
//! | [`header`] | finding a header among the few that a request has |
//! | [`shared_key`] | keys of our own that all gateways of a store share |
//!
//! Calls go down: `cli` → `app` → `listen` → `service` → {`proxy`, `exchange`, `admin`} → {`authenticate`, `authorize`,
//! `integration`, `limit`} → `refusal`. `exchange` and `proxy` share the one request on its way (`proxy::Exchange`), `admin`
//! the users' sign-in of `exchange`. Every part is given its own section of the configuration, never the whole. The protocol
//! is the crate `oauth1` (bytes in, values out, no I/O), the records are the crate `token-store`; they don't know each other.
//!
//! # What always holds
//!
//! - No request is forwarded without `Permitted`, and no signed one without its nonce claimed: a store that can't answer is
//!   503, never 200 and never 401.
//! - A worker serves its requests on one thread, with nothing shared and contended on the way.
//! - Whatever a peer can make grow has a bound, and a key for it in `[public.limits]`.
//! - Time is read in [`clock`], the environment in [`config`], randomness in [`random`]; a secret is a `Secret`.

pub mod admin;
pub mod app;
pub mod authenticate;
pub mod authorize;
pub mod body;
pub mod cli;
pub mod clock;
pub mod config;
pub mod exchange;
pub mod explain;
pub mod header;
pub mod import;
pub mod integration;
pub mod limit;
pub mod listen;
pub mod live;
pub mod observe;
pub mod proxy;
pub mod random;
pub mod refusal;
pub mod rehearsal;
pub mod request_id;
pub mod service;
pub mod shared_key;
pub mod upstream;
