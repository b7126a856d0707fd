//! What is remembered of handshakes, and what is told of them.

use super::*;

#[tokio::test]
async fn the_handshake_tells_what_the_callback_answered() {
    let bench = Bench::new().await;
    let answer = "HTTP/1.1 500 Oh\r\nContent-Length: 6\r\n\r\nbroken";
    let callback = Callback::start(Manner::Says(answer.to_owned())).await;
    let id = bench.create(Some(callback.url())).await;
    bench.activated(id, Renewal::Keep).await;

    let record = bench.integrations.get(id).await.unwrap();
    let events = bench.integrations.handshakes.of(&record);

    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    let Step::VerifierPosted { status, body, .. } = &event.step else {
        panic!("{event:?}")
    };
    assert_eq!((*status, body.as_deref()), (Some(500), Some("broken")));
}

#[tokio::test]
async fn another_gateway_knows_the_steps_from_the_record() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let id = bench.create(Some(callback.url())).await;
    bench.activated(id, Renewal::Keep).await;
    bench.partner_makes(id, request("v"), Status::Inactive).await;

    let record = bench.integrations.get(id).await.unwrap();
    let events = Handshakes::default().of(&record);

    let steps: Vec<&Step> = events.iter().map(|event| &event.step).collect();
    assert!(
        matches!(
            steps.as_slice(),
            [Step::RequestToken { .. }, Step::VerifierPosted { status: None, .. }]
        ),
        "{steps:?}"
    );
}

#[tokio::test]
async fn a_token_that_is_in_use_was_exchanged_where_its_verifier_was_posted() {
    let bench = Bench::new().await;
    let callback = Callback::friendly().await;
    let exchanged = bench.create(Some(callback.url())).await;
    bench.activated(exchanged, Renewal::Keep).await;
    bench
        .partner_makes(exchanged, access("in use", false), Status::Active)
        .await;
    let told = async || {
        let record = bench.integrations.get(exchanged).await.unwrap();
        let events = Handshakes::default().of(&record);
        events.into_iter().map(|event| event.step).collect::<Vec<_>>()
    };

    assert!(told().await.contains(&Step::AccessToken { refused: None }));

    bench
        .integrations
        .activate(exchanged, None, Some(false), Renewal::Replace)
        .await
        .unwrap();
    assert_eq!(told().await, [Step::TokensMade]);
}

#[test]
fn what_is_remembered_of_handshakes_is_bounded() {
    let handshakes = Handshakes::default();
    for number in 0..1000 {
        handshakes.saw(ConsumerId(number % 500), number, Step::TokensMade);
    }
    for number in 0..100 {
        handshakes.saw(ConsumerId(499), 2000 + number, Step::TokensMade);
    }

    assert_eq!(handshakes.size(), (128, 128 + 15));
}

#[tokio::test]
async fn a_refusal_that_nobody_signed_pushes_out_nothing_but_its_like() {
    let bench = Bench::new().await;
    let id = bench.create(None).await;
    let record = bench.integrations.get(id).await.unwrap();
    let consumer = record.consumer.id;
    let handshakes = Handshakes::default();
    handshakes.saw(consumer, 1, Step::RequestToken { refused: None });

    for at in 2..100 {
        handshakes.saw_unproven(consumer, at, "request_token", "timestamp_refused");
    }
    handshakes.saw_unproven(consumer, 100, "access_token", "signature_invalid");

    let steps: Vec<_> = handshakes
        .of(&record)
        .into_iter()
        .map(|one| (one.at, one.step))
        .collect();
    let refused = |call, cause| Step::Refused { call, cause };
    let expected = [
        (1, Step::RequestToken { refused: None }),
        (99, refused("request_token", "timestamp_refused")),
        (100, refused("access_token", "signature_invalid")),
    ];
    assert_eq!(steps, expected);
    for other in 1000..2000 {
        handshakes.saw_unproven(ConsumerId(other), 101, "request_token", "signature_invalid");
    }
    assert_eq!(handshakes.of(&record).len(), 1);
}
