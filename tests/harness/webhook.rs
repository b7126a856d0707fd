//! A receiver of events: it verifies what comes as Standard Webhooks 1.0 says, with another implementation of HMAC than the
//! gateway's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::gateway::Gateway;
use crate::partner::{Partner, PartnerAnswer, Posted};
use crate::sign::now;
use crate::wait::eventually;

/// A webhook on a partner's server.
pub struct Webhook {
    partner: Partner,
    endpoint: String,
}

impl Webhook {
    /// With an endpoint of its own, which no gateway knows yet.
    pub fn new(partner: &Partner) -> Self {
        Self {
            partner: partner.clone(),
            endpoint: partner.endpoint(),
        }
    }

    /// Its entry in the configuration; `more`: further keys.
    pub fn entry(&self, name: &str, more: &str) -> String {
        let url = &self.endpoint;
        format!("[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{WEBHOOK_SECRET}\"\n{more}\n")
    }

    /// One that a gateway tells of everything from now on.
    pub async fn of(gateway: &Gateway, partner: &Partner, name: &str) -> Self {
        let webhook = Self::new(partner);
        let entry = webhook.entry(name, "");
        gateway.reload(|config| config.append(&entry)).await;
        webhook
    }

    /// From now on, how it answers.
    pub fn answers(&self, answer: PartnerAnswer) {
        self.partner.answers(&self.endpoint, answer);
    }

    /// Everything that came so far.
    pub fn posts(&self) -> Vec<Posted> {
        self.partner.posts(&self.endpoint)
    }

    /// All events so far, each verified, of that name.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let all = self.posts().into_iter().map(|posted| verified(&posted));
        all.filter(|event| event.get("event").and_then(Value::as_str) == Some(name))
            .collect()
    }

    /// The first event of that name, which may still be on its way.
    pub async fn event(&self, name: &str) -> Value {
        eventually(name, async || self.events(name).into_iter().next()).await
    }
}

/// The event of a request whose signature holds; panics where it doesn't.
fn verified(posted: &Posted) -> Value {
    let header = |name: &str| {
        let found = posted
            .headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map_or_else(|| panic!("the request lacks {name}"), |(_, value)| value.clone())
    };
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let mut mac = Hmac::<Sha256>::new_from_slice(WEBHOOK_SECRET.as_bytes()).unwrap();
    mac.update(format!("{id}.{timestamp}.{}", posted.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    assert!(timestamp.parse::<u64>().unwrap().abs_diff(now()) < 60);
    assert_eq!(header("content-type"), "application/json");
    let event: Value = serde_json::from_str(&posted.body).unwrap();
    assert_eq!(event.get("id").and_then(Value::as_str), Some(id.as_str()));
    event
}

/// What signs.
pub const WEBHOOK_SECRET: &str = "a secret of more than sixteen octets";
