//! The Redis backend.

use std::sync::Arc;

use crate::{OpenError, OpenOptions, Store};

/// Opens by URL.
#[expect(clippy::unused_async, reason = "connects once the backend is here")]
pub async fn open(options: &OpenOptions) -> Result<Arc<dyn Store>, OpenError> {
    Err(OpenError::BadUrl(
        options.url.clone(),
        "this build has no Redis backend yet".to_owned(),
    ))
}
