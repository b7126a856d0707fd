//! A request's body before it goes on: read whole where it is signed, hashed or rewritten, and cleared of OAuth material.

use bytes::Bytes;
use http::Uri;
use http::request::Parts;
use hyper::body::{Body as _, Incoming};
use oauth1::Placement;

use super::Exchange;
use crate::authenticate::body::{self, Bound};
use crate::authenticate::signature::Proven;
use crate::config::Limits;
use crate::live::Route;
use crate::refusal::{Cause, Refusal};
use crate::service::in_flight::Turn;

/// A request body, read or still to come.
pub enum Payload {
    /// It was signed (or its hash was), so it was read whole.
    Read(Bytes),
    /// Nothing of it was read.
    Unread(Incoming),
}

impl Payload {
    /// What was read; of an empty one that is all.
    pub fn octets(&self) -> Option<&[u8]> {
        match self {
            Self::Read(octets) => Some(octets),
            Self::Unread(incoming) if incoming.is_end_stream() => Some(&[]),
            Self::Unread(_) => None,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Read(octets) => octets.is_empty(),
            Self::Unread(incoming) => incoming.is_end_stream(),
        }
    }

    /// All of it, within the bounds. While it is waited for, the request gives its turn back.
    pub async fn read(&mut self, turn: &Turn, bound: Bound) -> Result<Bytes, Refusal> {
        let read = match self.take() {
            Self::Read(bytes) => bytes,
            Self::Unread(incoming) => turn.while_waiting(body::read(incoming, bound)).await?,
        };
        *self = Self::Read(read.clone());
        Ok(read)
    }

    /// Leaves an empty one.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Read(Bytes::new()))
    }
}

/// Form fields are part of the signature (RFC 5849 section 3.4.1.3.1): a form is read whole before anything is judged.
pub(super) async fn read_form(exchange: &Exchange<'_>, parts: &Parts, payload: &mut Payload) -> Result<Bytes, Refusal> {
    let limits = &exchange.local.live.public.limits;
    let size = u64::try_from(limits.signed_form).unwrap_or(u64::MAX);
    let form = payload
        .read(&exchange.served.turn, Bound { size, ..bound(limits) })
        .await?;
    if !form.is_empty() && body::is_encoded(&parts.headers) {
        return Err(Cause::FormEncoded.into());
    }
    Ok(form)
}

/// A declared hash is compared before the nonce is spent (oauth1.md X3): never on a form, whose fields are signed.
pub(super) async fn check_body_hash(
    exchange: &Exchange<'_>,
    proven: &Proven<'_>,
    declared: &[u8],
    is_form: bool,
    payload: &mut Payload,
) -> Result<(), Refusal> {
    if is_form {
        return Err(Cause::ParameterRejected.into());
    }
    let limits = &exchange.local.live.public.limits;
    let bound = Bound {
        size: u64::try_from(limits.signed_form).unwrap_or(u64::MAX),
        ..bound(limits)
    };
    let octets = payload.read(&exchange.served.turn, bound).await?;
    let sha1_allowed = proven.credential.methods().contains(oauth1::SignatureMethod::HmacSha1)
        || proven.credential.methods().contains(oauth1::SignatureMethod::RsaSha1);
    oauth1::body_hash::check(&octets, declared, sha1_allowed).map_err(Refusal::from)
}

pub(super) fn bound(limits: &Limits) -> Bound {
    Bound {
        size: limits.body,
        timeout: limits.body_timeout,
        rate: limits.body_rate,
    }
}

/// The OAuth material ends here (C102): upstream gets the query and the form without `oauth_*`, all else as it was.
pub(super) fn strip(
    parts: &mut Parts,
    payload: &mut Payload,
    placement: Placement,
    route: &Route,
) -> Result<(), Refusal> {
    if route.config.keep_oauth {
        return Ok(());
    }
    match placement {
        Placement::Header => Ok(()),
        Placement::Query => strip_query(parts),
        Placement::Form => {
            strip_form(payload);
            Ok(())
        }
    }
}

/// A request that goes on unjudged, or although it was refused, may carry credentials that are still good, wherever they
/// stand: they end here as well. What may pass for a form is read for it, however early the refusal came.
pub(super) async fn strip_unjudged(
    exchange: &Exchange<'_>,
    parts: &mut Parts,
    payload: &mut Payload,
    route: &Route,
) -> Result<(), Refusal> {
    if route.config.keep_oauth {
        return Ok(());
    }
    strip_query(parts)?;
    if body::is_form(&parts.headers) == Ok(false) {
        return Ok(());
    }
    if matches!(payload, Payload::Unread(_)) {
        read_form(exchange, parts, payload).await?;
    }
    strip_form(payload);
    Ok(())
}

fn strip_query(parts: &mut Parts) -> Result<(), Refusal> {
    let Some(query) = parts
        .uri
        .query()
        .and_then(|query| body::without_oauth(query.as_bytes()))
    else {
        return Ok(());
    };
    let path = parts.uri.path().as_bytes();
    let target = if query.is_empty() {
        path.to_vec()
    } else {
        [path, b"?", &query].concat()
    };
    parts.uri = Uri::from_maybe_shared(target).map_err(|_| Cause::RequestMalformed)?;
    Ok(())
}

fn strip_form(payload: &mut Payload) {
    if let Payload::Read(form) = payload
        && let Some(stripped) = body::without_oauth(form)
    {
        *form = Bytes::from(stripped);
    }
}
