//! What every hostile message must meet: an answer of ours in time, a closed connection where more could follow, nothing
//! upstream, and a gateway that still serves.

use harness::{Call, Connection, Response, Shop};

/// A route that asks for no credentials, so that only the message itself can be what is refused.
pub(crate) const ANONYMOUS: &str = "/rest/V1/store";

/// One message.
pub(crate) struct Case {
    pub(crate) mark: String,
    pub(crate) octets: Vec<u8>,
    pub(crate) statuses: &'static [u16],
    pub(crate) closes: bool,
}

impl Case {
    /// To be refused as malformed, and the connection closed.
    pub(crate) fn malformed(mark: &str, octets: impl Into<Vec<u8>>) -> Self {
        Self {
            mark: mark.to_owned(),
            octets: octets.into(),
            statuses: &[400],
            closes: true,
        }
    }

    /// Refused with one of these.
    pub(crate) fn with(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    /// The connection may go on: the message's end is beyond doubt.
    pub(crate) fn may_go_on(self) -> Self {
        Self { closes: false, ..self }
    }
}

/// Sends each on a connection of its own and holds what comes back against what must hold.
pub(crate) async fn refused_all(shop: &Shop, cases: &[Case]) {
    for case in cases {
        refused(shop, case).await;
    }
    assert_eq!(shop.gateway.metric("countersign_panics_total").await, 0);
    let honest = Call::get(&format!("{ANONYMOUS}/honest")).send(&shop.gateway).await;
    assert_eq!(honest.status, 200);
}

async fn refused(shop: &Shop, case: &Case) {
    let what = format!("{}: {}", case.mark, case.octets.escape_ascii());
    let what = what.get(..what.len().min(600)).unwrap_or(&what);
    let response = answer(shop, case, what).await;
    assert!(
        case.statuses.contains(&response.status),
        "{} for {what}",
        response.status
    );
    assert!(response.header("x-request-id").is_some(), "no id for {what}");
    assert!(response.header("date").is_some(), "no date for {what}");
    assert_eq!(
        shop.upstream.count(&format!("smuggled-{}", case.mark)),
        0,
        "smuggled by {what}"
    );
    assert_eq!(shop.upstream.count(&case.mark), 0, "forwarded: {what}");
}

async fn answer(shop: &Shop, case: &Case, what: &str) -> Response {
    let opened = Connection::open(shop.gateway.public()).await;
    let mut connection = opened.unwrap_or_else(|error| panic!("{error} for {what}"));
    if let Err(error) = connection.write(&case.octets).await {
        assert!(case.octets.len() > 60_000, "{error} for {what}");
    }
    let answered = connection.response("POST").await;
    let response = answered.unwrap_or_else(|error| panic!("{error} instead of an answer for {what}"));
    if case.closes {
        assert!(connection.closes().await, "still open after {what}");
    }
    response
}
