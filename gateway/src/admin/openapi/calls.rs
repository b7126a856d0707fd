//! Every call of the admin listener, one entry each: what it takes, answers and refuses.

use super::{Answer, Call, Takes};

/// In the order of product areas; a path's calls stand together.
pub(super) const CALLS: &[Call] = &[
    // Signing in, and tokens.
    Call::post("/tokens", "Sign in as an admin.")
        .open()
        .takes("SignIn")
        .answers(200, "Token"),
    Call::get("/tokens", "Tokens that open something now, page by page.")
        .listing("TokenRow")
        .asks(&["kind", "user_id", "integration_id", "after", "limit"]),
    Call::delete("/tokens/{id}", "End one token, by the id that the list shows.")
        .operator()
        .answers(200, "Revoked"),
    // Integrations.
    Call::get("/integrations", "List integrations.")
        .listing("Integration")
        .asks(&[
        "name",
        "status",
        "consumer_id",
        "secure",
        "exchanging",
        "sort",
        "after",
        "limit",
    ]),
    Call::post("/integrations", "Create an integration, inactive.")
        .admin()
        .takes("IntegrationInput")
        .answers(201, "Integration"),
    Call::get("/integrations/{id}", "One integration, with its version as ETag.").answers(200, "Integration"),
    Call::put(
        "/integrations/{id}",
        "Replace what its creator gave; credentials and status stay.",
    )
    .admin()
    .if_match()
    .takes("IntegrationInput")
    .answers(200, "Integration"),
    Call::delete(
        "/integrations/{id}",
        "Delete it with its consumer and tokens; answers what it was.",
    )
    .admin()
    .if_match()
    .answers(200, "Integration"),
    Call::get(
        "/integrations/{id}/resources",
        "What it may use; \"all\" expands to the whole tree.",
    )
    .answers(200, "Granted"),
    Call::put("/integrations/{id}/resources", "Replace what it may use.")
        .admin()
        .if_match()
        .takes("Grant")
        .answers(200, "Granted"),
    Call::delete("/integrations/{id}/resources", "Take everything away.")
        .admin()
        .if_match()
        .answers(200, "Granted"),
    Call::post(
        "/integrations/{id}/activate",
        "Activate: post the verifier, or make the tokens at once.",
    )
    .operator()
    .may_match()
    .may_take("Activation")
    .answers(200, "Activated"),
    Call::post(
        "/integrations/{id}/reauthorize",
        "Activate anew: the old tokens end at once.",
    )
    .operator()
    .may_match()
    .may_take("Activation")
    .answers(200, "Activated"),
    Call::post(
        "/integrations/{id}/deactivate",
        "Pause it: its calls are a guest's until it is activated again.",
    )
    .operator()
    .answers(200, "Integration"),
    Call::post(
        "/integrations/{id}/rotate-secret",
        "A new consumer secret; the old one is accepted for the grace, 24h unless given, at most 90d.",
    )
    .admin()
    .may_match()
    .may_take("Rotation")
    .answers(200, "Rotated"),
    Call::get(
        "/integrations/{id}/handshake",
        "The handshake's steps, and what the callback answered. A step `refused` is the latest such call in its name whose \
         signature did not hold.",
    )
    .answers(200, "Handshake"),
    Call::post(
        "/integrations/{id}/debug-token",
        "A token for its developer: refusals explain themselves. Shown once.",
    )
    .admin()
    .may_take("Lifetime")
    .answers(200, "DebugToken"),
    // Consumers.
    Call::get("/consumers", "The consumer with a key, or none.")
        .listing("Consumer")
        .asks(&["key"]),
    Call::post("/consumers", "Create a consumer; its secret is in this answer only.")
        .admin()
        .takes("ConsumerInput")
        .answers(201, "NewConsumer"),
    Call::get("/consumers/{id}", "One consumer, with its version as ETag.").answers(200, "Consumer"),
    Call::delete(
        "/consumers/{id}",
        "Delete it with its integration and tokens; answers what it was.",
    )
    .admin()
    .if_match()
    .answers(200, "Consumer"),
    Call::get("/consumers/{id}/access-token", "Its credentials. Audited.")
        .admin()
        .answers(200, "Credentials"),
    Call::post(
        "/consumers/{id}/access-token",
        "Make its access token at once; 409 where a token stands.",
    )
    .admin()
    .may_take("Making")
    .answers(201, "Credentials"),
    Call::delete("/consumers/{id}/access-token", "End its token; false: it had none.")
        .operator()
        .answers(200, "Existed"),
    Call::post(
        "/consumers/{id}/verifier",
        "Post keys and verifier to an endpoint; answers the verifier. 409 where an access token stands.",
    )
    .admin()
    .may_take("Posting")
    .answers(200, "Verifier"),
    // Accounts and users.
    Call::get("/admins", "Admin accounts.").listing("Admin"),
    Call::post("/admins", "Create an admin account.")
        .admin()
        .takes("AdminInput")
        .answers(201, "Admin"),
    Call::get("/admins/{id}", "One account, with its version as ETag.").answers(200, "Admin"),
    Call::put("/admins/{id}", "Change an account; what is absent stays.")
        .admin()
        .if_match()
        .takes("AdminChange")
        .answers(200, "Admin"),
    Call::post("/admins/{id}/disable", "End its use, and its tokens.")
        .admin()
        .answers(200, "Admin"),
    Call::post("/admins/{id}/enable", "Let it sign in again.")
        .admin()
        .answers(200, "Admin"),
    Call::post(
        "/admins/{id}/password",
        "Set a password; its tokens end. By an admin, or one's own with the present one as current_password.",
    )
        .takes("Password")
        .answers(200, "Admin"),
    Call::post(
        "/admins/{id}/totp",
        "Hand out the secret of a second factor; for oneself, or by an admin.",
    )
    .answers(201, "Enrolment"),
    Call::delete("/admins/{id}/totp", "Take the second factor away.")
        .admin()
        .if_match()
        .answers(200, "Admin"),
    Call::post(
        "/admins/{id}/totp/confirm",
        "A code shows that the secret arrived: from now on it is asked for.",
    )
    .takes("Code")
    .answers(200, "Admin"),
    Call::delete("/admins/{id}/tokens", "End all tokens of an admin.")
        .operator()
        .answers(200, "Revoked"),
    Call::get("/customers", "Customer accounts that are kept here.")
        .listing("Customer")
        .asks(&["after", "limit"]),
    Call::post(
        "/customers",
        "Create a customer account with the storefront's number; 409 where number or e-mail address is taken.",
    )
    .admin()
    .takes("CustomerInput")
    .answers(201, "Customer"),
    Call::get("/customers/{id}", "One account, with its version as ETag.").answers(200, "Customer"),
    Call::delete(
        "/customers/{id}",
        "Delete it, and end the customer's tokens; answers what it was.",
    )
    .admin()
    .if_match()
    .answers(200, "Customer"),
    Call::delete("/customers/{id}/tokens", "End all tokens of a customer.")
        .operator()
        .answers(200, "Revoked"),
    // The configuration at work.
    Call::get("/resources", "The ACL tree, flat.").listing("Resource"),
    Call::get("/routes", "The routes at work.")
        .listing("Route")
        .asks(&["path", "method", "resource", "after", "limit"]),
    Call::post("/routes/test", "What would become of a request that nobody sends.")
        .operator()
        .takes("Question")
        .answers(200, "Decision"),
    Call::get("/upstreams", "Upstreams and how their targets are.")
        .listing("Upstream")
        .asks(&["after", "limit"]),
    Call::get("/limits", "Limits, and how many subjects each counts now.")
        .listing("Limit")
        .asks(&["after", "limit"]),
    Call::post("/reload", "Read the configuration again; 422 with its faults.")
        .admin()
        .answers(200, "Reloaded"),
    Call::post(
        "/store/reseal",
        "Seal anew, with the first encryption key, what others sealed.",
    )
    .admin()
    .answers(200, "Resealed"),
    // What happened.
    Call::get(
        "/usage",
        "Which integration uses which resource, or asks for it without a grant, since this gateway started.",
    )
    .listing("Use")
    .asks(&["integration_id", "resource", "after", "limit"]),
    Call::get(
        "/traffic",
        "Requests and refusals of the last hour on this gateway, in steps, and how long answers took.",
    )
    .answers(200, "Traffic"),
    Call::get("/audit", "Who changed what, in order and chained.")
        .listing("AuditEntry")
        .asks(&["after", "limit"]),
    Call::get(
        "/rejections",
        "Signed requests that this gateway refused of late, the latest first.",
    )
    .listing("Rejection")
    .asks(&["cause", "consumer_key", "limit"]),
    Call::get("/rejections/{request_id}", "Why one of them was refused. Audited.")
        .operator()
        .answers(200, "Explained"),
    Call::post(
        "/explain",
        "Why a request that is sent along is refused: with the store's secrets, or with given ones. Audited.",
    )
    .operator()
    .takes("Pasted")
    .answers(200, "Explanation"),
    Call::get("/events", "Events as they happen (SSE); Last-Event-ID goes on.").answers_stream(),
    Call::get("/events/dead", "Deliveries to webhooks that were given up.")
        .listing("Letter")
        .asks(&["after", "limit"]),
    Call::post("/events/dead/replay", "Deliver all of them again.")
        .operator()
        .answers(200, "Replayed"),
    Call::post("/events/dead/{name}/replay", "Deliver one of them again.")
        .operator()
        .answers(200, "Letter"),
    Call::get("/sweeps", "Sweeps and what they did.").listing("Sweep"),
    Call::post("/sweeps/{name}", "Run a sweep to its end.")
        .operator()
        .answers(200, "Swept"),
    Call::get("/openapi.json", "This document.")
        .open()
        .answers(200, "Document"),
];

impl Call {
    const fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            summary,
            role: Some("viewer"),
            query: &[],
            if_match: false,
            may_match: false,
            takes: Takes::Nothing,
            answer: Answer::Json(200, "Document"),
        }
    }

    const fn get(path: &'static str, summary: &'static str) -> Self {
        Self::new("get", path, summary)
    }

    const fn post(path: &'static str, summary: &'static str) -> Self {
        Self::new("post", path, summary)
    }

    const fn put(path: &'static str, summary: &'static str) -> Self {
        Self::new("put", path, summary)
    }

    const fn delete(path: &'static str, summary: &'static str) -> Self {
        Self::new("delete", path, summary)
    }

    const fn open(self) -> Self {
        Self { role: None, ..self }
    }

    const fn operator(self) -> Self {
        Self {
            role: Some("operator"),
            ..self
        }
    }

    const fn admin(self) -> Self {
        Self {
            role: Some("admin"),
            ..self
        }
    }

    const fn asks(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    const fn if_match(self) -> Self {
        Self { if_match: true, ..self }
    }

    const fn may_match(self) -> Self {
        Self {
            may_match: true,
            ..self
        }
    }

    const fn takes(self, schema: &'static str) -> Self {
        Self {
            takes: Takes::Json(schema),
            ..self
        }
    }

    const fn may_take(self, schema: &'static str) -> Self {
        Self {
            takes: Takes::Maybe(schema),
            ..self
        }
    }

    const fn answers(self, status: u16, schema: &'static str) -> Self {
        Self {
            answer: Answer::Json(status, schema),
            ..self
        }
    }

    const fn listing(self, schema: &'static str) -> Self {
        Self {
            answer: Answer::List(schema),
            ..self
        }
    }

    const fn answers_stream(self) -> Self {
        Self {
            answer: Answer::Events,
            ..self
        }
    }
}
