//! How far a handshake is: what the API knows of it, told as five steps.

use serde::Deserialize;
use token_store::Status;

/// What the API knows of it.
#[derive(Deserialize)]
pub(super) struct Handshake {
    pub(super) status: Status,
    pub(super) exchange: bool,
    pub(super) stage: Option<String>,
    pub(super) deadline: Option<u64>,
    pub(super) steps: Vec<Event>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    pub(super) at: u64,
    #[serde(flatten)]
    pub(super) step: Step,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(super) enum Step {
    VerifierPosted {
        endpoint: Option<String>,
        took_ms: Option<u64>,
        address: Option<String>,
        status: Option<u16>,
        body: Option<String>,
        error: Option<String>,
    },
    RequestToken {
        refused: Option<String>,
    },
    AccessToken {
        refused: Option<String>,
    },
    Refused {
        call: String,
        cause: String,
    },
    TokensMade,
}

/// A call that was refused.
pub(super) struct RefusedCall<'a> {
    pub(super) at: u64,
    pub(super) path: &'static str,
    pub(super) cause: &'a str,
    /// Whether its signature held.
    pub(super) is_proven: bool,
}

/// How far one of the steps is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Done,
    Now,
    Failed,
    Waiting,
}

impl Mark {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Now => "now",
            Self::Failed => "fail",
            Self::Waiting => "wait",
        }
    }

    pub(super) fn pip(self) -> &'static str {
        match self {
            Self::Done => "on",
            Self::Now => "at",
            Self::Failed => "no",
            Self::Waiting => "",
        }
    }
}

/// The steps of this handshake, each with its mark.
pub(super) struct Progress<'a> {
    pub(super) posts: Vec<&'a Event>,
    pub(super) requested: Option<&'a Event>,
    pub(super) granted: Option<&'a Event>,
    /// The last that it signed itself, and the last of each call in its name.
    pub(super) refused: Vec<RefusedCall<'a>>,
    pub(super) marks: [Mark; 5],
    pub(super) is_lapsed: bool,
}

impl<'a> RefusedCall<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        let (is_request, cause, is_proven) = match &event.step {
            Step::RequestToken { refused } => (true, refused.as_deref()?, true),
            Step::AccessToken { refused } => (false, refused.as_deref()?, true),
            Step::Refused { call, cause } => (call == "request_token", cause.as_str(), false),
            Step::VerifierPosted { .. } | Step::TokensMade => return None,
        };
        Some(Self {
            at: event.at,
            path: if is_request {
                "/oauth/token/request"
            } else {
                "/oauth/token/access"
            },
            cause,
            is_proven,
        })
    }
}

impl<'a> Progress<'a> {
    pub(super) fn of(handshake: &'a Handshake, now: u64) -> Self {
        let is_post = |event: &&Event| matches!(event.step, Step::VerifierPosted { .. });
        let posts: Vec<&Event> = handshake.steps.iter().filter(is_post).collect();
        // What happened before the last posting belongs to a handshake that is over, but while that POST ran partners ask.
        let since = posts.last().map_or(0, |event| event.at);
        let current = || handshake.steps.iter().filter(move |event| event.at >= since);
        let last = |wanted: fn(&Step) -> bool| current().rfind(|event| wanted(&event.step));
        let requested = last(|step| matches!(step, Step::RequestToken { refused: None }));
        let granted = last(|step| matches!(step, Step::AccessToken { refused: None }));
        let refused = current().filter_map(RefusedCall::of);
        let (proven, mut refused): (Vec<_>, Vec<_>) = refused.partition(|call| call.is_proven);
        refused.extend(proven.into_iter().next_back());
        let is_lapsed = handshake.deadline.is_some_and(|deadline| deadline <= now);
        let is_active = handshake.status == Status::Active && handshake.stage.as_deref() == Some("access");
        let delivered = posts
            .last()
            .is_some_and(|event| matches!(&event.step, Step::VerifierPosted { error: None, .. }));
        let marks = if is_active {
            [Mark::Done; 5]
        } else if posts.is_empty() || handshake.stage.is_none() {
            [Mark::Now, Mark::Waiting, Mark::Waiting, Mark::Waiting, Mark::Waiting]
        } else if !delivered {
            [Mark::Done, Mark::Failed, Mark::Waiting, Mark::Waiting, Mark::Waiting]
        } else if requested.is_some() || handshake.stage.as_deref() == Some("request") {
            [Mark::Done, Mark::Done, Mark::Done, Mark::Done, Mark::Now]
        } else {
            [Mark::Done, Mark::Done, Mark::Now, Mark::Waiting, Mark::Waiting]
        };
        Self {
            posts,
            requested,
            granted,
            refused: if is_active { Vec::new() } else { refused },
            marks,
            is_lapsed: is_lapsed && !is_active,
        }
    }

    pub(super) fn mark(&self, place: usize) -> Mark {
        self.marks.get(place).copied().unwrap_or(Mark::Waiting)
    }

    /// What the callback answered last.
    pub(super) fn answered(&self) -> Option<u16> {
        match self.posts.last()?.step {
            Step::VerifierPosted { status, .. } => status,
            Step::RequestToken { .. } | Step::AccessToken { .. } | Step::Refused { .. } | Step::TokensMade => None,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.mark(4) == Mark::Done
    }
}
