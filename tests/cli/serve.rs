//! `serve`: what it says at the start, what stops it, and how it ends.

use std::path::Path;
use std::time::Duration;

use harness::{Answer, Call, Shop, eventually, free_port};

use crate::{Run, folder};

#[tokio::test]
async fn the_start_says_which_url_clients_must_sign() {
    let shop = Shop::new().signed_as("https://shop.example").start().await;

    shop.gateway.logged("clients must sign URLs that begin with this").await;
    assert!(shop.gateway.log().contains("https://shop.example/"));
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

/// A store that was made, served and closed, in the folder `store` of a shop that stands still.
async fn closed_store() -> Shop {
    let shop = Shop::new().start().await;
    assert!(shop.gateway.stop().await.success());
    shop
}

fn damage(path: &Path, from: usize) {
    let mut octets = std::fs::read(path).unwrap();
    // No two octets in a row that were there before, whatever was.
    for (place, octet) in octets.iter_mut().enumerate().skip(from) {
        *octet ^= u8::try_from(place % 255).unwrap() + 1;
    }
    std::fs::write(path, octets).unwrap();
}

#[tokio::test]
async fn a_damaged_store_is_called_so_and_nothing_breaks() {
    for from in [0, 4096, 30_000] {
        let shop = closed_store().await;
        let folder = shop.gateway.folder();
        damage(&folder.join("store/store.redb"), from);

        for command in [
            &["serve", "-c", "countersign.toml"][..],
            &["admin", "list", "-c", "countersign.toml"],
        ] {
            let told = Run::within(folder).told(command);

            assert_eq!(told.code, Some(1), "{from} {command:?}: {}", told.err);
            assert!(
                told.err.contains("damaged: restore a backup"),
                "{from} {command:?}: {}",
                told.err
            );
            assert!(!told.err.contains("panicked"), "{from} {command:?}: {}", told.err);
        }
        let told = Run::within(folder).told(&["doctor", "-c", "countersign.toml"]);
        assert_eq!(told.code, Some(1), "{from}: {}", told.out);
        assert!(told.out.contains("damaged"), "{from}: {}", told.out);
    }
}

#[tokio::test]
async fn a_file_where_the_store_s_folder_should_be_is_the_configuration_s_fault_and_a_cut_store_is_not() {
    let shop = closed_store().await;
    let folder = shop.gateway.folder();
    let store = folder.join("store/store.redb");
    let octets = std::fs::read(&store).unwrap();
    let serve = || Run::within(folder).told(&["serve", "-c", "countersign.toml"]);

    std::fs::write(&store, &octets[..octets.len() / 2]).unwrap();
    let cut = serve();
    std::fs::remove_dir_all(folder.join("store")).unwrap();
    std::fs::write(folder.join("store"), "text").unwrap();
    let file = serve();

    assert_eq!(cut.code, Some(1), "{}", cut.err);
    assert!(!cut.err.contains("names a folder"), "{}", cut.err);
    assert_eq!(file.code, Some(78), "{}", file.err);
    assert!(file.err.contains("store is a file; store.url"), "{}", file.err);
}

#[tokio::test]
async fn the_doctor_misses_a_key_that_is_gone() {
    let shop = closed_store().await;
    let folder = shop.gateway.folder();
    let doctor = || Run::within(folder).told(&["doctor", "-c", "countersign.toml"]);

    let sound = doctor();
    std::fs::remove_file(folder.join("store/encryption.key")).unwrap();
    let keyless = doctor();

    assert!(sound.out.contains("can be read, and its key opens it"), "{}", sound.out);
    assert_eq!(keyless.code, Some(1), "{}", keyless.out);
    assert!(keyless.out.contains("encryption.key is missing"), "{}", keyless.out);
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
