//! What the log says of a bad signature, and what nothing ever says.

use harness::{Call, Shop, Signing, eventually};

#[tokio::test]
async fn the_log_says_which_single_change_would_have_verified() {
    let shop = Shop::shared().await;
    let base = shop.gateway.base_url().to_owned();
    let url = |base: &str| format!("{base}/rest/V1/products/hint?a=1");
    let without_port = base.rsplit_once(':').map_or("", |(host, _)| host).to_owned();
    let mistakes = [
        ("https", of_url(&url(&base.replace("http://", "https://")))),
        ("port", of_url(&url(&without_port))),
        ("www.", of_url(&url(&base.replace("http://", "http://www.")))),
        ("query", of_url(&format!("{base}/rest/V1/products/hint"))),
        ("form", Box::new(|signing: Signing| signing.for_form(""))),
        ("hash", Box::new(|signing: Signing| signing.computed_by("HMAC-SHA1"))),
    ];
    for (word, mistake) in mistakes {
        let reader = shop.reader().await;
        let call = Call::new("PUT", "/rest/V1/products/hint?a=1").form("qty=2");

        let refused = call
            .signed(mistake(Signing::with(&reader)))
            .refusal(&shop.gateway)
            .await;

        assert_eq!(refused, (401, "signature_invalid"), "{word}");
        let line = eventually("a hint in the log", async || {
            let log = shop.gateway.log();
            let mut lines = log.lines();
            let line = lines.find(|line| line.contains(&reader.consumer_key) && line.contains("hint"));
            line.map(str::to_owned)
        });
        let line = line.await;
        assert!(line.contains(word), "{word}: {line:?}");
    }
}

#[tokio::test]
async fn no_secret_reaches_log_or_answer() {
    let shop = Shop::new().set("log", "level", "\"trace\"").start().await;
    let reader = shop.reader().await;
    let wrong = reader.with_token(reader.token(), "mistaken-secret");
    let served = Call::get("/rest/V1/products/secret")
        .signed_by(&reader)
        .send(&shop.gateway)
        .await;
    let refused = Call::get("/rest/V1/products/secret?a=1")
        .signed_by(&wrong)
        .send(&shop.gateway)
        .await;
    shop.gateway.access_line(&refused).await;

    let said = [
        shop.gateway.whole_log().await,
        shop.gateway.access_log(),
        refused.text(),
        format!("{:?}", refused.headers),
    ]
    .concat();

    assert_eq!((served.status, refused.status), (200, 401));
    assert!(!said.contains(&reader.consumer_secret));
    assert!(!said.contains(reader.token_secret()));
    assert!(!said.contains("oauth_signature="));
}

type Mistake = Box<dyn Fn(Signing) -> Signing>;

fn of_url(url: &str) -> Mistake {
    let url = url.to_owned();
    Box::new(move |signing| signing.for_url(&url))
}
