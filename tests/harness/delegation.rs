//! The three-legged flow of RFC 5849, all three parties: the app asks, a user signs in and allows, the app gets its token.

use crate::call::Call;
use crate::gateway::Gateway;
use crate::shop::PASSWORD;
use crate::sign::{Credentials, Signing, pairs_of_form, percent_encode};
use crate::wire::Response;

impl Gateway {
    /// `/oauth/initiate`, by the consumer alone.
    pub async fn initiate(&self, consumer: &Credentials) -> Response {
        let signing = Signing::with(&consumer.without_token()).set("oauth_callback", CALLBACK);
        Call::post("/oauth/initiate").signed(signing).send(self).await
    }

    /// `/oauth/authorize`: the user opens the page, signs in with [`PASSWORD`] and decides (`allow`, `reject`).
    pub async fn decide(&self, request_token: &str, username: &str, decision: &str) -> Response {
        self.decide_with_code(request_token, username, decision, "").await
    }

    /// The same, by a user who has a second factor.
    pub async fn decide_with_code(&self, request_token: &str, username: &str, decision: &str, code: &str) -> Response {
        let page = Call::get(&format!("/oauth/authorize?oauth_token={request_token}"))
            .send(self)
            .await;
        let cookie = page
            .header("set-cookie")
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        let text = page.text();
        let csrf = text
            .split("name=\"csrf\" value=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let fields = [
            ("oauth_token", request_token),
            ("username", username),
            ("password", PASSWORD),
            ("code", code),
            ("decision", decision),
            ("csrf", csrf.unwrap_or_default()),
        ];
        let form = fields
            .map(|(name, value)| format!("{name}={}", percent_encode(value)))
            .join("&");
        Call::post("/oauth/authorize")
            .header("Cookie", &cookie)
            .form(&form)
            .send(self)
            .await
    }

    /// The verifier that the user brings back to the app.
    pub async fn allowed_by(&self, request_token: &str, username: &str) -> String {
        let sent_back = self.decide(request_token, username, "allow").await;
        let location = sent_back
            .header("location")
            .unwrap_or_else(|| panic!("not allowed: {}", sent_back.text()));
        let query = location.split_once('?').map_or("", |(_, query)| query);
        let fields = pairs_of_form(query).into_iter();
        fields
            .filter(|(name, _)| name == "oauth_verifier")
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }

    /// `/oauth/token`
    pub async fn exchange_delegated(&self, request_token: &Credentials, verifier: &str) -> Response {
        let signing = Signing::with(request_token).set("oauth_verifier", verifier);
        Call::post("/oauth/token").signed(signing).send(self).await
    }

    /// The whole flow: what the app signs with on the user's behalf. The integration must have registered [`CALLBACK`].
    pub async fn delegated_by(&self, username: &str, consumer: &Credentials) -> Credentials {
        let asked = self.initiate(consumer).await;
        assert_eq!(asked.status, 200, "initiate: {}", asked.text());
        let request_token = consumer.with_token(&asked.form("oauth_token"), &asked.form("oauth_token_secret"));
        let verifier = self.allowed_by(request_token.token(), username).await;
        let given = self.exchange_delegated(&request_token, &verifier).await;
        assert_eq!(given.status, 200, "token: {}", given.text());
        consumer.with_token(&given.form("oauth_token"), &given.form("oauth_token_secret"))
    }
}

/// The app's callback.
pub const CALLBACK: &str = "https://app.example/callback";
