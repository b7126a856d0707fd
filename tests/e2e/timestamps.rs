//! `oauth_timestamp`: seconds as digits, inside the window, both sides inclusive.

use harness::{Call, Refusal, Shop, Signing, now};

#[tokio::test]
async fn what_is_no_positive_number_of_seconds_is_refused() {
    let now = now();
    let spelled = [
        String::new(),
        "0".to_owned(),
        "00".to_owned(),
        "-1".to_owned(),
        format!("-{now}"),
        format!("+{now}"),
        format!("{now}.0"),
        format!("{now},0"),
        "1.7e9".to_owned(),
        format!("{now:#x}"),
        format!("{now:o}o"),
        format!(" {now}"),
        format!("{now} "),
        format!("{now}\n"),
        format!("{now}\0"),
        format!("{now}000"),
        format!("{now}s"),
        "9223372036854775807".to_owned(),
        "9223372036854775808".to_owned(),
        "18446744073709551615".to_owned(),
        (u128::from(u64::MAX) + 1 + u128::from(now)).to_string(),
        (4_294_967_296 + now).to_string(),
        "NaN".to_owned(),
        "Infinity".to_owned(),
        "null".to_owned(),
        "2026-01-01T00:00:00Z".to_owned(),
        "١٧٠٠٠٠٠٠٠٠".to_owned(),
        "１７００００００００".to_owned(),
        "9".repeat(2000),
    ];
    for timestamp in spelled {
        let refused = refused(|signing| signing.set("oauth_timestamp", &timestamp)).await;

        assert_eq!(refused, (401, "timestamp_refused"), "{timestamp:?}");
    }
}

#[tokio::test]
async fn leading_zeros_name_the_same_second_and_its_nonces() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let now = now();
    let call = async |timestamp: &str| {
        let signing = Signing::with(&reader)
            .set("oauth_timestamp", timestamp)
            .set("oauth_nonce", "the one nonce of that second");
        let call = Call::get("/rest/V1/products/zeros").signed(signing);
        call.send(&shop.gateway).await
    };

    assert_eq!(call(&format!("0{now}")).await.status, 200);

    assert_eq!(call(&now.to_string()).await.refusal(), (401, "nonce_used"));
    assert_eq!(call(&format!("00{now}")).await.refusal(), (401, "nonce_used"));
    // Twelve digits at most, zeros among them.
    assert_eq!(call(&format!("000{now}")).await.refusal(), (401, "timestamp_refused"));
}

#[tokio::test]
async fn the_refusal_says_what_magento_says() {
    let shop = Shop::shared().await;
    let signing = Signing::with(&shop.reader().await).set("oauth_timestamp", "tomorrow");

    let told = Call::get("/rest/V1/products/time")
        .signed(signing)
        .send(&shop.gateway)
        .await;

    assert_eq!(told.field("message"), "An error occurred validating the nonce");
}

#[tokio::test]
async fn a_timestamp_just_outside_the_window_is_refused() {
    // A second passes easily between signing and judging: one side gets more room.
    assert_eq!(refused(|signing| signing.at(-601)).await, (401, "timestamp_refused"));
    assert_eq!(refused(|signing| signing.at(660)).await, (401, "timestamp_refused"));
}

#[tokio::test]
async fn a_timestamp_just_inside_the_window_is_served() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for offset in [-570, 600] {
        let call = Call::get("/rest/V1/products/time").signed(Signing::with(&reader).at(offset));
        assert_eq!(call.send(&shop.gateway).await.status, 200, "{offset}");
    }
}

#[tokio::test]
async fn who_holds_the_secret_is_told_which_timestamps_would_do() {
    let shop = Shop::shared().await;
    let call = Call::get("/rest/V1/products/time").signed(Signing::with(&shop.reader().await).at(-86_400));

    let told = call.send(&shop.gateway).await;

    let challenge = told.header("www-authenticate").unwrap_or_default().to_owned();
    let range = challenge
        .split("oauth_acceptable_timestamps=\"")
        .nth(1)
        .unwrap_or_default();
    let (low, high) = range.trim_end_matches('"').split_once('-').unwrap_or_default();
    let (low, high): (u64, u64) = (low.parse().unwrap_or(0), high.parse().unwrap_or(0));
    assert_eq!(high - low, 1200, "{challenge}");
    assert!(now() - 600 - low < 30, "{challenge}");
    assert!(told.header("date").is_some());
}

#[tokio::test]
async fn who_does_not_hold_the_secret_is_not_told() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let wrong = reader.with_token(reader.token(), "wrong");

    let told = Call::get("/rest/V1/products/time")
        .signed(Signing::with(&wrong).at(-86_400))
        .send(&shop.gateway)
        .await;

    assert_eq!(told.refusal(), (401, "timestamp_refused"));
    assert!(
        !told
            .header("www-authenticate")
            .unwrap_or_default()
            .contains("acceptable")
    );
}

#[tokio::test]
async fn a_refused_timestamp_does_not_use_its_nonce() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;
    let call = |offset| {
        let signing = Signing::with(&reader).set("oauth_nonce", "late-nonce").at(offset);
        Call::get("/rest/V1/products/time").signed(signing)
    };

    assert_eq!(call(-900).refusal(&shop.gateway).await, (401, "timestamp_refused"));
    assert_eq!(call(0).send(&shop.gateway).await.status, 200);
}

#[tokio::test]
async fn timestamps_need_not_rise() {
    let shop = Shop::shared().await;
    let reader = shop.reader().await;

    for offset in [100, 0, -100, 50] {
        let call = Call::get("/rest/V1/products/time").signed(Signing::with(&reader).at(offset));
        assert_eq!(call.send(&shop.gateway).await.status, 200);
    }
}

async fn refused(sign: impl FnOnce(Signing) -> Signing) -> Refusal {
    let shop = Shop::shared().await;
    let signing = sign(Signing::with(&shop.reader().await));
    let refusal = Call::get("/rest/V1/products/refused-time")
        .signed(signing)
        .refusal(&shop.gateway)
        .await;
    assert_eq!(shop.upstream.count("refused-time"), 0);
    refusal
}
