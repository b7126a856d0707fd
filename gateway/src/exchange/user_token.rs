//! Users' tokens.

use bytes::Bytes;
use http::{HeaderMap, Response};

use crate::body::ResponseBody;
use crate::refusal::{Cause, Refusal};

/// Signs users in.
pub struct UserTokens;

impl UserTokens {
    /// New.
    pub fn new(
        _store: std::sync::Arc<dyn token_store::Store>,
        _clock: crate::clock::Clock,
        _config: &crate::config::Config,
    ) -> Self {
        Self
    }
    /// Reload.
    pub fn reload(&self, _config: &crate::config::Config) {}
    /// Admin.
    pub async fn admin_token(&self, _headers: &HeaderMap, _body: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
        Err(Cause::Internal.into())
    }
    /// Customer.
    pub async fn customer_token(&self, _headers: &HeaderMap, _body: &Bytes) -> Result<Response<ResponseBody>, Refusal> {
        Err(Cause::Internal.into())
    }
    /// Revoke.
    pub async fn revoke_customer_token(&self, _headers: &HeaderMap) -> Result<Response<ResponseBody>, Refusal> {
        Err(Cause::Internal.into())
    }
}
