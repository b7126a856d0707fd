//! What the pages load: one stylesheet, one script, icons. Each has its hash in its name, so it is fetched once.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use sha2::Digest as _;

/// A file and where it is served.
pub(super) struct Asset {
    /// `/assets/…`
    pub(super) path: String,
    content_type: &'static str,
    text: String,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: String) -> Self {
        let digest = sha2::Sha256::digest(&text);
        let hash = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, digest);
        let hash: String = hash.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        Self {
            path: format!("/assets/{stem}-{hash}.{extension}"),
            content_type,
            text,
        }
    }
}

/// Design tokens and styles.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = [include_str!("assets/tokens.css"), include_str!("assets/console.css")].concat();
    Asset::new("console", "css", "text/css; charset=utf-8", text)
});
/// What the pages do beyond links and forms.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/console.js").to_owned();
    Asset::new("console", "js", "text/javascript; charset=utf-8", text)
});
/// Symbols by name.
pub(super) static ICONS: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/icons.svg").to_owned();
    Asset::new("icons", "svg", "image/svg+xml", text)
});
/// Two ticks: signed, countersigned.
pub(super) static MARK: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("assets/mark.svg").to_owned();
    Asset::new("mark", "svg", "image/svg+xml", text)
});

/// `GET /assets/{name}`
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let path = format!("/assets/{name}");
    let known = [&STYLE, &SCRIPT, &ICONS, &MARK];
    let Some(asset) = known.into_iter().find(|asset| asset.path == path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = asset.text.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("public, max-age=31536000, immutable"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
