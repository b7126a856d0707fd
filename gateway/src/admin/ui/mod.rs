//! The console: pages on the admin listener, made by the server, embedded in the binary (product.md 5; magento.md 6).
//!
//! It is a client of the admin API: what it shows and does goes through `client`, in the process, with the API's own checks.
//! Links and forms do everything; the script adds dialogs, live parts and comfort. One file a page; `parts` and `page` are
//! what they share. Nothing is loaded from elsewhere, nothing is inline.

mod accounts;
mod appearance;
mod assets;
mod audit;
mod base_string;
mod client;
mod confirm;
mod explain;
mod explanation;
mod integrations;
mod live;
mod needs;
mod overview;
mod own_password;
mod page;
mod parts;
mod rejections;
mod resume;
mod routing;
mod sign_in;
mod totp;
mod usage;
mod visitor;
mod withdraw;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use self::visitor::Visitor;
use super::{Context, answer};

/// What the pages work on.
#[derive(Clone)]
pub(super) struct Console {
    context: Context,
    /// The admin API.
    api: Router,
    /// Who follows along.
    streams: Arc<live::Streams>,
}

impl Console {
    /// Which gateway this is: the address that clients call.
    fn name(&self) -> String {
        let live = self.context.parts.live.load();
        let base = live.public.base_urls.first();
        base.map_or_else(|| "this gateway".to_owned(), |base| base.authority.clone())
    }

    /// Which address integrations are told.
    fn store_base_url(&self) -> String {
        let live = self.context.parts.live.load();
        let base = live.public.base_urls.first();
        base.map(crate::config::BaseUrl::with_slash).unwrap_or_default()
    }

    fn now(&self) -> u64 {
        self.context.parts.clock.now()
    }
}

/// All pages, on the API that they are made from.
pub(super) fn router(context: Context, api: Router) -> Router {
    Router::new()
        .route("/", get(overview::index))
        .route("/live", get(live::overview))
        .route("/limits/live", get(live::limits))
        .route("/upstreams/live", get(live::upstreams))
        .route("/integrations/{id}/handshake/live", get(live::handshake))
        .route("/rejections", get(rejections::index))
        .route("/rejections/{request_id}", get(rejections::show))
        .route("/explain", get(explain::page).post(explain::submit))
        .route("/assets/{name}", get(assets::serve))
        .route(
            "/sign-in",
            get(sign_in::page)
                .post(sign_in::submit)
                .layer(DefaultBodyLimit::max(sign_in::LARGEST_FORM)),
        )
        .route("/sign-out", post(sign_in::sign_out))
        .route("/appearance", post(appearance::chosen))
        .route("/audit", get(audit::index))
        .route("/routes", get(routing::routes))
        .route("/resources", get(routing::resources))
        .route("/limits", get(routing::limits))
        .route("/upstreams", get(routing::upstreams))
        .route("/usage", get(usage::index))
        .merge(integrations::router())
        .merge(accounts::router())
        .fallback(lost)
        .with_state(Console {
            context,
            api,
            streams: Arc::default(),
        })
}

/// Whoever browses gets a page, all others JSON.
async fn lost(method: Method, uri: Uri, headers: HeaderMap, visitor: Result<Visitor, Response>) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let browses = method == Method::GET
        && !uri.path().starts_with("/api/")
        && accepts.is_some_and(|accept| accept.contains("text/html"));
    match visitor {
        Ok(visitor) if browses => page::not_found(&visitor),
        Err(away) if browses => away,
        Ok(_) | Err(_) => answer::not_found().into_response(),
    }
}
