//! Claiming a nonce: one round trip, never retried. A request that nonce memory can't vouch for is told to sign anew.

use std::sync::Arc;
use std::time::Instant;

use super::keys;
use super::lane::{Claimed, Lane, Member, Up};
use super::memory::{Known, Shared, unavailable};
use super::records::{Committed, Records};
use super::script::{Calls, Commit};
use crate::codec::token_digest;
use crate::nonce::LONGEST_WINDOW;
use crate::{Claim, NonceClaim, StoreError, UnixSeconds};

/// What is known before the server is asked.
enum Step {
    Unsure,
    Ask(Asking),
}

struct Asking {
    member: Member,
    lane: Arc<Lane>,
    up: Option<Arc<Up>>,
    /// Unix seconds of the store's clock.
    store_now: UnixSeconds,
    /// To be marked first: the timestamp is ahead of the store's clock.
    ahead: Option<String>,
    is_cluster: bool,
}

/// What is rare is boxed: each request makes one of these.
pub(super) async fn claim(records: &Records, claim: &NonceClaim<'_>) -> Result<Claim, StoreError> {
    let shared = &records.shared;
    for _ in 0..REDIRECTS {
        let Asking {
            member,
            lane,
            up,
            store_now,
            ahead,
            is_cluster,
        } = match first_step(shared, claim)? {
            Step::Unsure => return Ok(Claim::Unsure),
            Step::Ask(asking) => asking,
        };
        let Some(up) = up else {
            // Who was met meanwhile may have told of a loss: all is judged anew.
            Box::pin(lane.dialled()).await?;
            continue;
        };
        if let Some(ahead) = ahead.as_ref().filter(|_| is_cluster) {
            Box::pin(mark_apart(records, ahead, claim.timestamp)).await?;
        }
        let mark = ahead
            .clone()
            .filter(|_| !is_cluster)
            .map(|member| (member, claim.timestamp));
        let claimed = match lane.claim(&up, member, mark, false).await? {
            Claimed::Ask(host, port) => Box::pin(at_importer(shared, member, &host, port)).await?,
            other @ (Claimed::Fresh | Claimed::Used | Claimed::Moved) => other,
        };
        let claimed = match claimed {
            Claimed::Fresh => Claim::Fresh,
            Claimed::Used => Claim::Used,
            Claimed::Moved | Claimed::Ask(..) => {
                Box::pin(wait_for_map(shared)).await?;
                continue;
            }
        };
        if claimed == Claim::Fresh {
            up.server().note_served(store_now);
            if let Some(ahead) = ahead
                && !shared.mark(ahead, claim.timestamp)
            {
                return Err(unavailable("too many clients are ahead of the clock"));
            }
            // The feed may have met another server meanwhile: what the old one says doesn't count any more.
            if !is_current(shared.load().known()?, &up) {
                return Err(unavailable("the server was replaced"));
            }
        }
        return Ok(claimed);
    }
    Err(unavailable("the slot is moving between servers"))
}

fn is_current(known: &Known, up: &Up) -> bool {
    known.servers.iter().any(|server| Arc::ptr_eq(server, up.server()))
}

/// Writes the floor where every gateway's next heartbeat sees that something changed. The second in which nobody serves is
/// for gateways' own marks; here there are none.
pub(super) async fn raise_floor(records: &Records, to: UnixSeconds) -> Result<(), StoreError> {
    loop {
        let calls = Calls::default().add("HGET", keys::STORE, &[b"floor"]);
        let floor: Option<UnixSeconds> = records.call_one(&calls).await?;
        let floor = floor.unwrap_or_default();
        if floor >= to {
            return Ok(());
        }
        let mut commit = Commit::default();
        commit.expect(keys::STORE, "floor", Some(floor.to_string().as_bytes()));
        commit.write("HSET", keys::STORE, &[b"floor", to.to_string().as_bytes()]);
        commit.write("HINCRBY", keys::STORE, &[b"version", b"1"]);
        if records.commit(&commit, &[]).await? == Committed::Done {
            return Ok(());
        }
    }
}

/// All that needs no waiting, under one look at the state.
fn first_step(shared: &Arc<Shared>, claim: &NonceClaim<'_>) -> Result<Step, StoreError> {
    let state = shared.load();
    let known = state.known()?;
    let store_now = known.clock.now(now());
    // Nonces are kept by the store's clock: past these bounds one may have been forgotten before its time, whatever our
    // own clock says.
    let vouched = store_now.saturating_sub(ALLOWED)..=store_now.saturating_add(ALLOWED);
    if !known.settled || claim.timestamp <= known.floor || !vouched.contains(&claim.timestamp) {
        return Ok(Step::Unsure);
    }
    let is_ahead = claim.timestamp > store_now;
    let mut ahead = None;
    if is_ahead || !known.ahead_before.is_empty() {
        let member = format!(
            "{}:{}",
            claim.consumer.0,
            claim.token.map(token_digest).unwrap_or_default()
        );
        if known
            .ahead_before
            .get(&member)
            .is_some_and(|served| claim.timestamp <= *served)
        {
            return Ok(Step::Unsure);
        }
        if is_ahead && !shared.is_marked(&member, claim.timestamp) {
            ahead = Some(member);
        }
    }
    let hash = claim.hash(&known.hash_key);
    let bucket = u16::try_from(hash >> 52).unwrap_or_default();
    let slot = if known.map.is_cluster() {
        keys::slot(&keys::guard(bucket))
    } else {
        0
    };
    let (node, server) = known
        .holder(slot)
        .ok_or_else(|| unavailable("no server holds the slot"))?;
    let lane = Lane::of_thread(shared, node);
    let up = lane.current(server)?;
    Ok(Step::Ask(Asking {
        member: Member {
            bucket,
            minute: claim.timestamp / 60,
            hash,
        },
        lane,
        up,
        store_now,
        ahead,
        is_cluster: known.map.is_cluster(),
    }))
}

/// In a Cluster marks stand with the records, on another server than the nonce.
async fn mark_apart(records: &Records, member: &str, timestamp: UnixSeconds) -> Result<(), StoreError> {
    let mut commit = Commit::default();
    let timestamp = timestamp.to_string();
    commit.write("ZADD", keys::AHEAD, &[b"GT", timestamp.as_bytes(), member.as_bytes()]);
    records.commit(&commit, &[]).await?;
    Ok(())
}

/// While a slot migrates, keys that have left already are claimed where they went.
async fn at_importer(shared: &Arc<Shared>, member: Member, host: &str, port: u16) -> Result<Claimed, StoreError> {
    let known = shared.known()?;
    let node = known
        .map
        .nodes()
        .iter()
        .find(|node| node.host == host && node.port == port);
    let node = node.ok_or_else(|| unavailable("the slot moves to a server that was not met yet"))?;
    let lane = Lane::of_thread(shared, node);
    let up = lane.dialled().await?;
    lane.claim(&up, member, None, true).await
}

/// Nothing was claimed: the feed is asked for the new map.
async fn wait_for_map(shared: &Shared) -> Result<(), StoreError> {
    let mut moved = shared.moved();
    shared.look.notify_one();
    let limit = shared.dialer.timeout + shared.dialer.connect_timeout;
    match tokio::time::timeout(limit, moved.changed()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(unavailable("the slot has moved to another server")),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tells the store's clock from the moment it was heard"
)]
fn now() -> Instant {
    Instant::now()
}

/// Seconds by which the gateway's clock and the store's may disagree without a request being refused at the window's edge.
const SLACK: u64 = 30;
/// Seconds by which a timestamp may be off the store's clock, whatever the window.
pub(super) const ALLOWED: u64 = LONGEST_WINDOW + SLACK;
/// Dials and redirects before a claim is given up; each one did nothing.
const REDIRECTS: usize = 4;
