//! Those who sign tokens, for tests: an issuer, an agent with a key.

use serde_json::{Map, Value, json};

use crate::world::START;

#[path = "../server/support/idp.rs"]
mod server;

pub(crate) use server::{Answer, Idp, Signer, encode};

pub(crate) const IDP: &str = "https://idp.example.com";
pub(crate) const AUDIENCE: &str = "https://vault.example.com";

/// The claims of a good access token of the agent `bot-client`.
pub(crate) fn access() -> Value {
    json!({
        "iss": IDP, "sub": "bot-client", "client_id": "bot-client", "aud": AUDIENCE,
        "iat": START, "exp": START + 600, "jti": "1",
    })
}

/// The claims, with some of them replaced; null takes one away.
pub(crate) fn with(mut claims: Value, changes: Value) -> Value {
    let changes: Map<String, Value> = changes.as_object().cloned().unwrap();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            members.remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    claims
}
