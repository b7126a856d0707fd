//! How long a sign-in takes tells nobody which names there are.

use std::time::Duration;

use harness::{ADMIN, Call, Gateway, Shop};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test]
async fn an_unknown_name_takes_as_long_as_a_wrong_password() {
    let shop = Shop::new().set("lockout", "max_failures", "1000").start().await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());

    // By turns, and each first in every other round: what else the machine does meets both alike.
    for round in 0..TRIES {
        if round % 2 == 0 {
            known.push(refused_after(&shop.gateway, ADMIN).await);
        }
        unknown.push(refused_after(&shop.gateway, "nobody-here").await);
        if round % 2 == 1 {
            known.push(refused_after(&shop.gateway, ADMIN).await);
        }
    }

    let (known, unknown) = (median(known), median(unknown));
    let (short, long) = (known.min(unknown), known.max(unknown));
    assert!(
        long.as_secs_f64() <= short.as_secs_f64() * 1.2,
        "known {known:?}, unknown {unknown:?}"
    );
    // Without this both could be fast for a reason of their own.
    assert!(
        short > Duration::from_millis(2),
        "{short:?}: was a password verified at all?"
    );
}

async fn refused_after(gateway: &Gateway, username: &str) -> Duration {
    let credentials = json!({ "username": username, "password": "not the password" });
    let call = Call::post("/rest/V1/integration/admin/token").json(&credentials);
    let before = Instant::now();
    let told = call.send(gateway).await;
    let after = before.elapsed();
    assert_eq!(told.status, 401);
    after
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

const TRIES: usize = 200;
