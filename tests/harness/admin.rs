//! The admin API's client, and integrations made by it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::call::Call;
use crate::gateway::Gateway;
use crate::partner::{Handshake, Partner};
use crate::shop::PASSWORD;
use crate::sign::Credentials;
use crate::wire::Response;

/// An account that is signed in.
#[derive(Clone)]
pub struct Admin {
    address: SocketAddr,
    token: String,
}

impl Admin {
    /// Signs in; panics where that is refused.
    pub async fn sign_in(address: SocketAddr, username: &str, password: &str) -> Self {
        let body = json!({ "username": username, "password": password });
        let answer = Call::post("/api/v1/tokens")
            .json(&body)
            .to_address(address, &format!("http://{address}"));
        let answer = answer.send().await;
        assert_eq!(answer.status, 200, "sign-in: {}", answer.text());
        Self {
            address,
            token: answer.field("token"),
        }
    }

    /// Any call of the API, with this account's token.
    pub async fn call(&self, call: Call) -> Response {
        let authorized = call.header("Authorization", &format!("Bearer {}", self.token));
        authorized
            .to_address(self.address, &format!("http://{}", self.address))
            .send()
            .await
    }

    /// `GET /api/v1…`
    pub async fn get(&self, path: &str) -> Response {
        self.call(Call::get(&format!("/api/v1{path}"))).await
    }

    /// `POST /api/v1…`; no body for null.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        let call = Call::post(&format!("/api/v1{path}"));
        self.call(if body.is_null() { call } else { call.json(body) }).await
    }

    /// `PUT /api/v1…`, whatever stands.
    pub async fn put(&self, path: &str, body: &Value) -> Response {
        let call = Call::new("PUT", &format!("/api/v1{path}")).header("If-Match", "*");
        self.call(call.json(body)).await
    }

    /// `DELETE /api/v1…`, whatever stands.
    pub async fn delete(&self, path: &str) -> Response {
        let call = Call::new("DELETE", &format!("/api/v1{path}")).header("If-Match", "*");
        self.call(call).await
    }

    /// The whole audit log, as the API shows it: other tests write in it, too, so that no page of it is sure to hold an entry.
    pub async fn audit(&self) -> Vec<Value> {
        let mut entries = Vec::new();
        let mut after = 0;
        loop {
            let page = self.get(&format!("/audit?limit=1000&after={after}")).await.json();
            entries.extend(page.get("items").and_then(Value::as_array).cloned().unwrap());
            match page.get("next").and_then(Value::as_u64) {
                Some(next) => after = next,
                None => return entries,
            }
        }
    }

    /// The account's own bearer token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// An account of that role and name, signed in.
    pub async fn colleague(&self, role: &str) -> Self {
        let new = json!({ "username": role, "password": PASSWORD, "role": role });
        assert_eq!(self.post("/admins", &new).await.status, 201);
        Self::sign_in(self.address, role, PASSWORD).await
    }

    /// A new integration.
    pub fn integration(&self) -> NewIntegration<'_> {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let name = format!("Integration {}", NUMBER.fetch_add(1, Ordering::Relaxed));
        NewIntegration {
            admin: self,
            body: json!({ "name": name, "resources": [] }),
        }
    }

    /// Activates; panics where that is refused.
    pub async fn activate(&self, id: u64) -> Response {
        let answer = self.post(&format!("/integrations/{id}/activate"), &Value::Null).await;
        assert_eq!(answer.status, 200, "activation: {}", answer.text());
        answer
    }

    /// An integration's status.
    pub async fn status(&self, id: u64) -> String {
        self.get(&format!("/integrations/{id}")).await.field("status")
    }
}

/// An integration that is being made.
pub struct NewIntegration<'a> {
    admin: &'a Admin,
    body: Value,
}

/// An integration with the credentials that it signs with.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its number.
    pub id: u64,
    /// Its consumer and access token.
    pub credentials: Credentials,
}

impl NewIntegration<'_> {
    /// Any field of the API.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        if let Some(members) = self.body.as_object_mut() {
            members.insert(field.to_owned(), value.into());
        }
        self
    }

    /// May use these resources.
    #[must_use]
    pub fn granted(self, resources: &[&str]) -> Self {
        self.with("resources", json!(resources))
    }

    /// May use everything.
    #[must_use]
    pub fn granted_all(self) -> Self {
        self.with("all_resources", true)
    }

    /// What the API answers to it.
    pub async fn send(self) -> Response {
        self.admin.post("/integrations", &self.body).await
    }

    /// Created, not activated: its number.
    pub async fn created(self) -> u64 {
        let answer = self.send().await;
        assert_eq!(answer.status, 201, "creation: {}", answer.text());
        answer.field("id").parse().unwrap()
    }

    /// Created and activated without an exchange.
    pub async fn active(self) -> Integration {
        let admin = self.admin;
        let id = self.created().await;
        let answer = admin.activate(id).await;
        let consumer = Credentials::consumer(&answer.field("consumer_key"), &answer.field("consumer_secret"));
        Integration {
            id,
            credentials: consumer.with_token(&answer.field("access_token"), &answer.field("access_token_secret")),
        }
    }

    /// Created and activated by the exchange, which the partner finishes.
    pub async fn exchanged(self, partner: &Partner, gateway: &Gateway) -> Integration {
        let (id, handshake) = self.posted(partner, gateway).await;
        Integration {
            id,
            credentials: handshake.finish().await,
        }
    }

    /// Created and activated; the partner has the verifier and nothing more.
    pub async fn posted(self, partner: &Partner, gateway: &Gateway) -> (u64, Handshake) {
        let admin = self.admin;
        let endpoint = partner.endpoint();
        let id = self.with("endpoint", endpoint.as_str()).created().await;
        admin.activate(id).await;
        (id, Handshake::with(&partner.posted(&endpoint).await, gateway))
    }
}
