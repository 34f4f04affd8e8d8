//! `.well-known/…`: how verifiers find the keys, without a token.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::response::{Raw, Reply};
use crate::model::authorization::AGENT_ACTION;
use crate::state::{Cx, State};

fn document(body: &Value) -> Result<Reply<Map<String, Value>>> {
    // A verifier that meets a key it does not know yet fetches again, as
    // OpenID Connect Core 10.1.1 has it; this only spares the server.
    Ok(Reply::Raw(Raw::json(body, "public, max-age=60")?))
}

/// The public keys that verify this mount's credentials, as a JWK set (RFC 7517).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadKeySet {}

impl Endpoint<State> for ReadKeySet {
    const PLACE: Place = Place {
        path: ".well-known/jwks.json",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        document(&cx.keys.set().await?.jwks(cx.now))
    }
}

/// What this mount is, as an OpenID provider configuration document.
///
/// Enough for verifiers that find keys by discovery, such as the server's own
/// `jwt` auth method.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadDiscovery {}

impl Endpoint<State> for ReadDiscovery {
    const PLACE: Place = Place {
        path: ".well-known/openid-configuration",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        let config = cx.config.get().await?;
        if config.issuer.is_empty() {
            return Err(Error::NotFound(
                "this mount has no issuer yet; an operator sets it under `config`".to_owned(),
            ));
        }
        let issuer = &config.issuer;
        let algorithms = &cx.keys.set().await?.algorithms;
        document(&json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "authorization_details_types_supported": [AGENT_ACTION],
        }))
    }
}
