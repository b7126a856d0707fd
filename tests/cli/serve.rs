//! `serve`: what it says at the start, what stops it, and how it ends.

use std::time::Duration;

use harness::{Answer, Call, Shop, eventually, free_port};

use crate::{Run, folder};

#[tokio::test]
async fn the_start_says_which_url_clients_must_sign() {
    let shop = Shop::new().signed_as("https://shop.example").start().await;

    let log = shop.gateway.log();
    assert!(log.contains("clients must sign URLs that begin with this"), "{log}");
    assert!(log.contains("https://shop.example/"), "{log}");
}

#[tokio::test]
async fn a_port_in_use_and_a_store_in_use_are_named() {
    let shop = Shop::new().start().await;
    let (public, admin) = (shop.gateway.public(), shop.gateway.admin());
    let serve = |store: &str, public: &str, admin: &str| {
        let folder = folder(&format!(
            "[public]\nlisten = [\"{public}\"]\n[admin]\nlisten = \"{admin}\"\n[store]\nurl = \"embedded:{store}\"\n"
        ));
        Run::within(folder.path()).told(&["serve", "-c", "c.toml"])
    };
    let free = || format!("127.0.0.1:{}", free_port());
    let store = shop.gateway.folder().join("store");

    let taken = serve("s", &public.to_string(), &free());
    let admin_taken = serve("s", &free(), &admin.to_string());
    let locked = serve(&store.display().to_string(), &free(), &free());

    for (told, words) in [
        (taken, format!("{public} is in use")),
        (admin_taken, format!("{admin} is in use")),
        (locked, "is open in another process".to_owned()),
    ] {
        assert_eq!(told.code, Some(1), "{}", told.err);
        assert!(told.err.contains(&words), "{words}: {}", told.err);
    }
}

#[tokio::test]
async fn term_lets_a_request_end_and_a_second_int_does_not() {
    for (first, second, code) in [("TERM", None, 0), ("INT", Some("INT"), 1)] {
        let shop = Shop::new().start().await;
        let reader = shop.reader().await;
        let answer = if second.is_some() {
            Answer::Never
        } else {
            Answer::Late(Duration::from_secs(2))
        };
        shop.upstream.answers("under-way", answer);
        let message = Call::get("/rest/V1/products/under-way")
            .signed_by(&reader)
            .to(&shop.gateway);
        let under_way = tokio::spawn(async move { message.try_send().await });
        eventually("the request is under way", async || {
            (shop.upstream.count("under-way") == 1).then_some(())
        })
        .await;

        shop.gateway.signal(first);
        if let Some(second) = second {
            eventually("the drain", async || {
                shop.gateway.log().contains("draining").then_some(())
            })
            .await;
            shop.gateway.signal(second);
        }
        let ended = shop.gateway.end().await;
        let answered = under_way.await.unwrap().is_ok_and(|answer| answer.status == 200);

        assert_eq!(
            (ended.code(), answered),
            (Some(code), second.is_none()),
            "{first} {second:?}"
        );
    }
}
