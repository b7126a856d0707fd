//! Sweeps over a real store.

use token_store::{User, UserKind, UserToken};

use super::super::sweep::{STEP, Sweep, Sweeps, Swept};
use super::super::*;
use super::Bench;

fn sweeps(bench: &Bench) -> Sweeps {
    let parts = &bench.integrations;
    Sweeps::new(Arc::clone(&parts.store), parts.clock, Arc::clone(&parts.live)).unwrap()
}

/// So many tokens of a kind, all of them expired but for one.
async fn put_tokens(bench: &Bench, kind: UserKind, expired: u64) {
    let now = bench.integrations.clock.now();
    for number in 0..=expired {
        let token = UserToken {
            digest: format!("{kind:?}{number:060}"),
            user: User {
                kind,
                id: 1 + number % 7,
            },
            created_at: 1,
            expires_at: Some(if number == 0 { now + 600 } else { now - number % 3 }),
            upstream_token: None,
            is_beside_jwt: false,
        };
        bench.integrations.store.put_user_token(&token).await.unwrap();
    }
}

async fn left(bench: &Bench) -> usize {
    let (tokens, _) = bench.integrations.store.list_user_tokens(None, 1000).await.unwrap();
    tokens.len()
}

#[tokio::test]
async fn a_sweep_goes_on_until_nothing_of_either_kind_is_left() {
    let bench = Bench::new().await;
    put_tokens(&bench, UserKind::Admin, STEP).await;
    put_tokens(&bench, UserKind::Customer, 2 * STEP + 1).await;
    let sweeps = sweeps(&bench);

    let swept = sweeps.once(Sweep::ExpiredTokens).await.unwrap();
    let again = sweeps.once(Sweep::ExpiredTokens).await.unwrap();

    assert_eq!((swept, again), (Swept::Removed(3 * STEP + 1), Swept::Removed(0)));
    assert_eq!(left(&bench).await, 2);
}

#[tokio::test]
async fn a_sweep_that_another_gateway_runs_is_left_to_it() {
    let bench = Bench::new().await;
    put_tokens(&bench, UserKind::Customer, 1).await;
    let name = Sweep::ExpiredTokens.as_str();
    assert!(bench.integrations.store.lease(name, "another", 60).await.unwrap());
    let sweeps = sweeps(&bench);

    let tokens = sweeps.once(Sweep::ExpiredTokens).await.unwrap();
    let failures = sweeps.once(Sweep::AuthenticationFailures).await.unwrap();

    assert_eq!((tokens, failures), (Swept::Elsewhere, Swept::Removed(0)));
    assert_eq!(left(&bench).await, 2);
}
