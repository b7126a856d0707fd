//! The life cycle over a real store and a real callback.

mod configured;
mod handshake;
mod sweep;

use std::collections::BTreeSet;

use token_store::{OpenOptions, OwnToken, Secret, Status, open};

use super::activation::{Activated, Renewal};
use super::address::OwnAddresses;
use super::double::{Callback, Manner};
use super::handshake::Step;
use super::verifier_post::PostError;
use super::*;
use crate::config::{Config, Environment};

/// A store in a folder of its own, and what works on it.
struct Bench {
    integrations: Integrations,
    _folder: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::with("[public]\nbase_url = \"https://shop.example/\"\n").await
    }

    async fn with(more: &str) -> Self {
        let text = format!(
            "{more}\n[callbacks]\nallow = [\"127.0.0.0/8\"]\ntimeout = \"500ms\"\n[[resources]]\nid = \"Magento_Catalog::products\"\ntitle = \"Products\"\n"
        );
        let (config, _) = Config::parse(&text, "test", &Environment::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = open(&OpenOptions {
            url: format!("embedded:{}", folder.path().join("store").display()),
            encryption_keys: Vec::new(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            cache: 100,
            now: clock.now(),
            serves: false,
        })
        .await
        .unwrap();
        let live = Arc::new(ArcSwap::from_pointee(Live::new(&config, 1).unwrap()));
        let own = OwnAddresses::default();
        Self {
            integrations: Integrations::new(store, clock, live, own, Arc::default()),
            _folder: folder,
        }
    }

    async fn create(&self, endpoint: Option<String>) -> IntegrationId {
        let made = self.integrations.create(definition("Courier", endpoint)).await.unwrap();
        made.integration.unwrap().id
    }

    async fn activated(&self, id: IntegrationId, renewal: Renewal) -> Activated {
        self.integrations.activate(id, None, None, renewal).await.unwrap()
    }

    /// What the partner does at `/oauth/token/request` and `/oauth/token/access`, with the same compare-and-set.
    async fn partner_makes(&self, id: IntegrationId, token: OwnToken, status: Status) {
        let change = self.integrations.change(id, None, |record, _| {
            record.token = Some(token.clone());
            record.integration.as_mut().unwrap().status = status;
            Ok(Next::Write)
        });
        change.await.unwrap();
    }
}

fn definition(name: &str, endpoint: Option<String>) -> NewIntegration {
    NewIntegration {
        name: name.to_owned(),
        email: String::new(),
        endpoint,
        identity_link_url: None,
        setup: Setup::Manual,
        grant: Grant::Listed(BTreeSet::new()),
        signature_methods: None,
        rsa_public_key: None,
        two_legged: false,
        placements: None,
        callback_urls: Vec::new(),
        flags: BTreeSet::new(),
    }
}

fn access(token: &str, revoked: bool) -> OwnToken {
    OwnToken::Access {
        token: token.to_owned(),
        secret: Secret::new("s"),
        revoked,
        created_at: 1,
        exchanged: None,
    }
}

fn request(verifier: &str) -> OwnToken {
    OwnToken::Request {
        token: "r".repeat(32),
        secret: Secret::new("s"),
        verifier: Secret::new(verifier),
        created_at: 1,
        expires_at: u64::MAX,
    }
}

#[tokio::test]
async fn the_verifier_post_carries_the_four_fields() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;

    let activated = bench.activated(id, Renewal::Keep).await;

    assert_eq!((activated.status, activated.exchange), (Status::Inactive, true));
    assert!(activated.credentials.is_none());
    let record = bench.integrations.get(id).await.unwrap();
    let Some(OwnToken::Verifier { verifier, .. }) = &record.token else {
        panic!("{record:?}")
    };
    let expected = [
        ("oauth_consumer_key", record.consumer.key.as_str()),
        ("oauth_consumer_secret", record.consumer.secret.expose()),
        ("store_base_url", "https://shop.example/"),
        ("oauth_verifier", verifier.expose()),
    ];
    assert_eq!(
        callback.form(0),
        expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert!(record.consumer.posted_at.is_some());
}

#[tokio::test]
async fn without_an_answer_the_same_verifier_can_be_posted_again() {
    let bench = Bench::new().await;
    let callback = Callback::start(Manner::Silent).await;
    let id = bench.create(Some(callback.url())).await;

    let first = bench.activated(id, Renewal::Keep).await;
    bench.activated(id, Renewal::Keep).await;

    assert!(matches!(first.delivery, Some(Err(PostError::Timeout))), "{first:?}");
    assert_eq!(callback.field(0, "oauth_verifier").len(), 32);
    assert_eq!(callback.field(0, "oauth_verifier"), callback.field(1, "oauth_verifier"));
}

#[tokio::test]
async fn activating_again_replaces_a_stuck_request_token_and_posts_its_verifier() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    let verifier = "v".repeat(32);
    bench.partner_makes(id, request(&verifier), Status::Inactive).await;

    bench.activated(id, Renewal::Keep).await;

    assert_eq!(callback.field(0, "oauth_verifier"), verifier);
    let record = bench.integrations.get(id).await.unwrap();
    assert!(matches!(record.token, Some(OwnToken::Verifier { .. })), "{record:?}");
}

#[tokio::test]
async fn activating_an_active_integration_changes_nothing() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    bench.partner_makes(id, access("a", false), Status::Active).await;
    let before = bench.integrations.get(id).await.unwrap();

    let activated = bench.activated(id, Renewal::Keep).await;

    assert_eq!((activated.status, activated.exchange), (Status::Active, true));
    assert_eq!(bench.integrations.get(id).await.unwrap(), before);
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn a_revoked_access_token_is_replaced_by_activating() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    bench.partner_makes(id, access("a", true), Status::Active).await;

    let activated = bench.activated(id, Renewal::Keep).await;

    assert_eq!(activated.status, Status::Inactive);
    assert_eq!(callback.requests().len(), 1);
}

#[tokio::test]
async fn reauthorizing_ends_the_old_token_before_the_partner_has_a_new_one() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    bench
        .partner_makes(id, access(&"a".repeat(32), false), Status::Active)
        .await;

    let activated = bench.activated(id, Renewal::Replace).await;

    assert_eq!(activated.status, Status::Inactive);
    let found = bench
        .integrations
        .store
        .consumer_of_token(&"a".repeat(32))
        .await
        .unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn the_partner_may_finish_while_the_post_still_waits() {
    let bench = Bench::new().await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned();
    let callback = Callback::start(Manner::Late(Duration::from_millis(300), answer)).await;
    let id = bench.create(Some(callback.url())).await;

    let partner = async {
        while callback.requests().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.partner_makes(id, access("a", false), Status::Active).await;
    };
    let (activated, ()) = tokio::join!(bench.integrations.activate(id, None, None, Renewal::Keep), partner);

    assert_eq!(activated.unwrap().status, Status::Active);
    let record = bench.integrations.get(id).await.unwrap();
    assert_eq!(record.token.as_ref().and_then(OwnToken::token), Some("a"));
}

#[tokio::test]
async fn without_an_endpoint_the_tokens_are_made_and_shown_once() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;

    let first = bench.activated(id, Renewal::Keep).await;
    let second = bench.activated(id, Renewal::Keep).await;

    assert_eq!((first.status, first.exchange), (Status::Active, false));
    let issued = first.credentials.unwrap();
    assert_eq!(issued.access_token.len(), 32);
    assert!(second.credentials.is_none());
    let record = bench.integrations.get(id).await.unwrap();
    assert_eq!(
        record.token.as_ref().and_then(OwnToken::token),
        Some(issued.access_token.as_str())
    );
}

#[tokio::test]
async fn of_activations_at_the_same_time_one_makes_the_tokens() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;
    let activate = || bench.integrations.activate(id, None, None, Renewal::Keep);

    let all = tokio::join!(activate(), activate(), activate(), activate());

    let all = [all.0, all.1, all.2, all.3].map(Result::unwrap);
    let shown: Vec<_> = all.iter().filter_map(|one| one.credentials.as_ref()).collect();
    assert_eq!(shown.len(), 1);
    let record = bench.integrations.get(id).await.unwrap();
    assert_eq!(
        record.token.as_ref().and_then(OwnToken::token),
        Some(shown[0].access_token.as_str())
    );
}

#[tokio::test]
async fn an_activation_of_another_version_than_was_seen_changes_nothing() {
    let callback = Callback::friendly().await;
    for endpoint in [None, Some(callback.url())] {
        let bench = Bench::new().await;
        let id = bench.create(endpoint).await;
        let before = bench.integrations.get(id).await.unwrap();
        for renewal in [Renewal::Keep, Renewal::Replace] {
            let stale = Some(before.version + 1);

            let failure = bench.integrations.activate(id, stale, None, renewal).await.unwrap_err();

            assert!(matches!(failure, Failure::Changed), "{failure:?}");
            assert_eq!(bench.integrations.get(id).await.unwrap(), before);
        }
        let seen = Some(before.version);
        bench
            .integrations
            .activate(id, seen, None, Renewal::Keep)
            .await
            .unwrap();
    }
    assert_eq!(callback.requests().len(), 1);
}

#[tokio::test]
async fn an_exchange_can_be_skipped_though_there_is_an_endpoint() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;

    let activated = bench
        .integrations
        .activate(id, None, Some(false), Renewal::Keep)
        .await
        .unwrap();

    assert_eq!((activated.status, activated.exchange), (Status::Active, false));
    assert!(activated.credentials.is_some());
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn an_exchange_without_a_base_url_asks_for_it_and_changes_nothing() {
    let bench = Bench::with("").await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;

    let failure = bench
        .integrations
        .activate(id, None, None, Renewal::Keep)
        .await
        .unwrap_err();

    assert!(matches!(failure, Failure::NoBaseUrl), "{failure:?}");
    assert_eq!(bench.integrations.get(id).await.unwrap().token, None);
}

#[tokio::test]
async fn a_private_endpoint_is_refused_when_it_is_written_down() {
    let bench = Bench::new().await;
    let endpoint = Some("http://169.254.169.254/latest".to_owned());

    let failure = bench
        .integrations
        .create(definition("Thief", endpoint))
        .await
        .unwrap_err();

    assert!(
        matches!(failure, Failure::Invalid(Invalid::EndpointRefused(_))),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let bench = Bench::new().await;
    bench.create(None).await;

    let failure = bench
        .integrations
        .create(definition("Courier", None))
        .await
        .unwrap_err();

    assert!(matches!(failure, Failure::NameTaken(name) if name == "Courier"));
}

#[tokio::test]
async fn deactivating_keeps_the_token_and_activating_goes_on_with_it() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    bench.partner_makes(id, access("a", false), Status::Active).await;

    let paused = bench.integrations.deactivate(id).await.unwrap();
    let resumed = bench.activated(id, Renewal::Keep).await;

    assert_eq!(paused.integration.unwrap().status, Status::Inactive);
    assert_eq!(paused.token, Some(access("a", false)));
    assert_eq!((resumed.status, resumed.exchange), (Status::Active, false));
    assert!(resumed.credentials.is_none());
    assert_eq!(resumed.record.token, paused.token);
    assert!(callback.requests().is_empty());
}

#[tokio::test]
async fn deactivating_ends_a_handshake_that_is_under_way() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;
    bench.partner_makes(id, request("v"), Status::Inactive).await;

    let paused = bench.integrations.deactivate(id).await.unwrap();

    assert_eq!(paused.token, None);
}

#[tokio::test]
async fn reauthorizing_a_paused_integration_ends_its_token() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;
    let first = bench.activated(id, Renewal::Keep).await;
    let token = first.credentials.unwrap().access_token;
    bench.integrations.deactivate(id).await.unwrap();

    let renewed = bench.activated(id, Renewal::Replace).await;

    assert_eq!(renewed.status, Status::Active);
    assert_eq!(bench.integrations.store.consumer_of_token(&token).await.unwrap(), None);
}
