//! What needs somebody: the list of the overview, and the line of the rail on every page.

use serde::Deserialize;
use token_store::Status;

use super::client::{Client, Problem, query};
use super::integrations::Integration;
use super::integrations::handshake::{self, Waiting};

/// All of it. Of each kind a few are named, all are counted.
pub(super) struct Needs {
    pub(super) reset: Integrations,
    pub(super) waiting: Vec<(Integration, Waiting)>,
    /// More exchanges that are under way.
    unread: u64,
    pub(super) upstreams: Upstreams,
}

#[derive(Deserialize)]
pub(super) struct Integrations {
    pub(super) items: Vec<Integration>,
    pub(super) total: u64,
}

#[derive(Deserialize)]
pub(super) struct Upstreams {
    pub(super) items: Vec<Upstream>,
}

#[derive(Deserialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) targets: Vec<Target>,
}

#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) status: String,
}

impl Upstream {
    pub(super) fn down(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.status != "ok")
    }
}

impl Needs {
    pub(super) async fn load(api: &Client, now: u64) -> Result<Self, Problem> {
        let listed = async |kind, sort, limit| -> Result<Integrations, Problem> {
            let listing = query([kind, ("sort", sort), ("limit", limit)]);
            api.get(&format!("/integrations?{listing}")).await
        };
        let reset = listed(("status", "recreated"), "id", FEW).await?;
        let under_way = listed(("exchanging", "true"), "-updated_at", LATEST).await?;
        let unread = under_way
            .total
            .saturating_sub(u64::try_from(under_way.items.len()).unwrap_or_default());
        let mut waiting = Vec::new();
        for one in under_way.items.into_iter().filter(|one| one.status == Status::Inactive) {
            if let Some(at) = handshake::waiting(api, &one, now).await? {
                waiting.push((one, at));
            }
        }
        Ok(Self {
            reset,
            waiting,
            unread,
            upstreams: api.get("/upstreams?limit=1000").await?,
        })
    }

    /// Targets that do not answer.
    pub(super) fn down(&self) -> impl Iterator<Item = (&Upstream, &Target)> {
        let all = self.upstreams.items.iter();
        all.flat_map(|one| one.down().map(move |target| (one, target)))
    }

    pub(super) fn count(&self) -> u64 {
        let rest = self.waiting.len() + self.down().count();
        self.reset.total + self.unread + u64::try_from(rest).unwrap_or_default()
    }
}

const FEW: &str = "5";
/// Of the exchanges under way, those that changed last are looked at; the others are counted.
const LATEST: &str = "10";
