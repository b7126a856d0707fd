//! Nonces: what makes a signed request count once.

use std::time::Duration;

use super::Stores;
use crate::{Claim, ConsumerId, NonceClaim, Store, StoreError};

/// A claim that [`vary`] changes in one way.
fn claim<'a>(stores: &Stores, nonce: &'a [u8]) -> NonceClaim<'a> {
    NonceClaim {
        consumer: ConsumerId(1),
        token: Some("token"),
        timestamp: stores.now,
        nonce,
        now: stores.now,
    }
}

async fn fresh(stores: &Stores, claim: NonceClaim<'_>) -> bool {
    match stores.one.claim_nonce(claim).await.unwrap() {
        Claim::Fresh => true,
        Claim::Used => false,
        Claim::Unsure => panic!("nothing was lost: {claim:?}"),
    }
}

pub(crate) async fn a_nonce_counts_once(stores: &Stores) {
    let first = stores.one.claim_nonce(claim(stores, b"n")).await.unwrap();
    let second = stores.one.claim_nonce(claim(stores, b"n")).await.unwrap();
    let elsewhere = stores.other.claim_nonce(claim(stores, b"n")).await.unwrap();
    let later = stores
        .one
        .claim_nonce(NonceClaim {
            now: stores.now + 30,
            ..claim(stores, b"n")
        })
        .await
        .unwrap();

    assert_eq!((first, second), (Claim::Fresh, Claim::Used));
    assert_eq!((elsewhere, later), (Claim::Used, Claim::Used));
}

pub(crate) async fn a_new_store_has_no_past_to_be_unsure_of(stores: &Stores) {
    for (store, nonce) in [(&stores.one, b"first"), (&stores.other, b"other")] {
        let old = NonceClaim {
            timestamp: stores.now - 590,
            ..claim(stores, nonce)
        };
        assert_eq!(store.claim_nonce(old).await.unwrap(), Claim::Fresh);
    }
}

pub(crate) async fn what_was_signed_before_an_import_is_unsure_everywhere(stores: &Stores) {
    let before = claim(stores, b"before");
    assert!(fresh(stores, claim(stores, b"in time")).await);

    stores.one.raise_floor(before.timestamp).await.unwrap();

    for (store, ahead) in [(&stores.one, 1), (&stores.other, 2)] {
        let unsure = claimed_until(store.as_ref(), before, |claimed| *claimed == Claim::Unsure).await;
        let later = NonceClaim {
            timestamp: stores.now + ahead,
            ..before
        };
        let sure = claimed_until(store.as_ref(), later, |claimed| *claimed != Claim::Unsure).await;
        assert_eq!((unsure, sure), (Some(Claim::Unsure), Some(Claim::Fresh)));
    }
}

/// What a claim gets as soon as it is as wanted, each time with another nonce: while a gateway hears of a change, one that
/// is on its way may have to be made anew.
async fn claimed_until(store: &dyn Store, like: NonceClaim<'_>, is_wanted: fn(&Claim) -> bool) -> Option<Claim> {
    for round in 0_u32..300 {
        let nonce = round.to_be_bytes();
        let claimed = store.claim_nonce(NonceClaim { nonce: &nonce, ..like }).await;
        if let Ok(claimed) = claimed
            && is_wanted(&claimed)
        {
            return Some(claimed);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

pub(crate) async fn a_nonce_is_another_for_another_consumer_token_or_timestamp(stores: &Stores) {
    let first = claim(stores, b"nonce");
    assert!(fresh(stores, first).await);

    for other in [
        NonceClaim {
            consumer: ConsumerId(2),
            ..first
        },
        NonceClaim {
            consumer: ConsumerId(257),
            ..first
        },
        NonceClaim {
            token: Some("Token"),
            ..first
        },
        NonceClaim { token: None, ..first },
        NonceClaim {
            timestamp: first.timestamp + 1,
            ..first
        },
        NonceClaim {
            timestamp: first.timestamp + 60,
            ..first
        },
        NonceClaim {
            nonce: b"Nonce",
            ..first
        },
        NonceClaim {
            nonce: b"nonce ",
            ..first
        },
    ] {
        assert!(fresh(stores, other).await, "{other:?}");
        assert!(!fresh(stores, other).await, "{other:?}");
    }
    assert!(!fresh(stores, first).await);
}

pub(crate) async fn what_stands_in_the_token_is_never_taken_for_a_part_of_the_nonce(stores: &Stores) {
    let first = NonceClaim {
        token: Some("ab"),
        ..claim(stores, b"cd")
    };
    assert!(fresh(stores, first).await);

    for (token, nonce) in [
        ("a", &b"bcd"[..]),
        ("abc", b"d"),
        ("abcd", b""),
        ("ab\0", b"cd"),
        ("ab", b"\0cd"),
    ] {
        assert!(
            fresh(
                stores,
                NonceClaim {
                    token: Some(token),
                    nonce,
                    ..first
                }
            )
            .await,
            "{token:?}"
        );
    }
    assert!(
        fresh(
            stores,
            NonceClaim {
                token: None,
                nonce: b"abcd",
                ..first
            }
        )
        .await
    );
}

pub(crate) async fn a_nonce_is_made_of_any_octets(stores: &Stores) {
    let longest = [0xff; 255];
    let almost = [0xff; 254];
    for nonce in [
        &b"\0"[..],
        b"\0\0",
        b"\xff",
        b"\xc3\x28",
        b"\r\n",
        "é".as_bytes(),
        "e\u{301}".as_bytes(),
        &longest,
        &almost,
    ] {
        assert!(fresh(stores, claim(stores, nonce)).await, "{nonce:?}");
        assert!(!fresh(stores, claim(stores, nonce)).await, "{nonce:?}");
    }
    for octet in 0..=u8::MAX {
        assert!(fresh(stores, claim(stores, &[b'x', octet])).await, "{octet}");
    }
}

pub(crate) async fn a_nonce_counts_once_at_every_timestamp_of_the_window(stores: &Stores) {
    // The past of a store that was just made is not known to it: `stores.now` is its first second.
    for ahead in [0, 1, 59, 60, 61, 300, 600, 899] {
        let timestamp = stores.now + ahead;
        let one = NonceClaim {
            timestamp,
            ..claim(stores, b"n")
        };
        assert!(fresh(stores, one).await, "{ahead} s ahead");
        assert!(!fresh(stores, one).await, "{ahead} s ahead");
        // What came later in time doesn't open what came before.
        assert!(!fresh(stores, claim(stores, b"n")).await);
    }
}

pub(crate) async fn of_many_claims_at_once_one_is_fresh(stores: &Stores) {
    for round in 0_u32..20 {
        let nonce = round.to_be_bytes();
        let claims = stores
            .at_once(16, async |store, _| {
                store.claim_nonce(claim(stores, &nonce)).await.unwrap()
            })
            .await;

        assert_eq!(
            claims.iter().filter(|claim| **claim == Claim::Fresh).count(),
            1,
            "{claims:?}"
        );
        assert_eq!(
            claims.iter().filter(|claim| **claim == Claim::Used).count(),
            15,
            "{claims:?}"
        );
    }
}

pub(crate) async fn of_claims_from_many_threads_one_is_fresh(stores: &Stores) {
    let nonces: Vec<[u8; 2]> = (0..200_u16).map(u16::to_be_bytes).collect();
    let claims = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|turn| {
                let nonces = &nonces;
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let store = if turn % 2 == 0 { &stores.one } else { &stores.other };
                        let mut fresh = Vec::new();
                        for nonce in nonces {
                            fresh.push(store.claim_nonce(claim(stores, nonce)).await.unwrap() == Claim::Fresh);
                        }
                        fresh
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });

    for place in 0..nonces.len() {
        assert_eq!(claims.iter().filter(|fresh| fresh[place]).count(), 1, "nonce {place}");
        assert!(!fresh(stores, claim(stores, &nonces[place])).await);
    }
}

pub(crate) async fn of_claims_ahead_of_the_clock_one_is_fresh(stores: &Stores) {
    for round in 0..10 {
        let ahead = NonceClaim {
            timestamp: stores.now + 300 + round,
            ..claim(stores, b"n")
        };
        let claims = stores
            .at_once(8, async |store, _| store.claim_nonce(ahead).await.unwrap())
            .await;

        assert_eq!(
            claims.iter().filter(|claim| **claim == Claim::Fresh).count(),
            1,
            "{claims:?}"
        );
    }
}

pub(crate) async fn different_nonces_at_once_are_all_fresh(stores: &Stores) {
    let claims = stores
        .at_once(64, async |store, turn| {
            let mut all_fresh = true;
            for round in 0_usize..20 {
                let nonce = (turn * 1000 + round).to_be_bytes();
                all_fresh &= store.claim_nonce(claim(stores, &nonce)).await.unwrap() == Claim::Fresh;
            }
            all_fresh
        })
        .await;

    assert!(claims.into_iter().all(|all_fresh| all_fresh));
}

pub(crate) async fn a_timestamp_that_no_clock_shows_is_never_a_fault_of_the_store(stores: &Stores) {
    for timestamp in [0, 1, u64::MAX / 2, u64::MAX - 1, u64::MAX] {
        for _ in 0..2 {
            let claimed = stores
                .one
                .claim_nonce(NonceClaim {
                    timestamp,
                    ..claim(stores, b"n")
                })
                .await;
            assert!(
                !matches!(claimed, Err(StoreError::IdentityLost | StoreError::Corrupt(_))),
                "{claimed:?}"
            );
        }
    }
    assert!(fresh(stores, claim(stores, b"n")).await);
}
