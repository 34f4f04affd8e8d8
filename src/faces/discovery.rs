//! `.well-known/…`: how verifiers find the keys, without a token.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Raw, Reply};
use crate::issue::Cx;
use crate::issue::credentials::introspection::PROOF_ALGORITHMS;
use crate::model::authorization::{AGENT_ACTION, VAULT_PATH_ACCESS};

fn document(body: &Value) -> Result<Reply<Map<String, Value>>> {
    // A verifier that meets a key it does not know yet fetches again, as
    // OpenID Connect Core 10.1.1 has it; this only spares the server.
    Ok(Reply::Raw(Raw::json(body, "public, max-age=60")?))
}

/// The public keys that verify this mount's credentials, as a JWK set (RFC 7517).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadKeySet {}

impl Endpoint<Cx> for ReadKeySet {
    const PLACE: Place = Place {
        path: ".well-known/jwks.json",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        document(&cx.facts.keys.set().await?.jwks(cx.now))
    }
}

/// What this mount is, as a metadata document: of an OpenID provider, or of an
/// OAuth authorization server (RFC 8414).
///
/// Enough for verifiers that find keys by discovery, such as the server's own
/// `jwt` auth method. The endpoints take and give the server's JSON.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadDiscovery<const OPENID: bool> {}

impl<const OPENID: bool> Endpoint<Cx> for ReadDiscovery<OPENID> {
    const PLACE: Place = Place {
        path: if OPENID {
            ".well-known/openid-configuration"
        } else {
            ".well-known/oauth-authorization-server"
        },
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        let config = cx.config().await?;
        if config.issuer.is_empty() {
            return Err(Error::NotFound(
                "this mount has no issuer yet; an operator sets it under `config`".to_owned(),
            ));
        }
        let issuer = &config.issuer;
        let algorithms = &cx.facts.keys.set().await?.algorithms;
        let mut metadata = json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "response_types_supported": ["none"],
            "introspection_endpoint": format!("{issuer}/creds/introspect"),
            "revocation_endpoint": format!("{issuer}/creds/revoke"),
            "dpop_signing_alg_values_supported": PROOF_ALGORITHMS,
            "authorization_details_types_supported": [AGENT_ACTION, VAULT_PATH_ACCESS],
        });
        if OPENID && let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("subject_types_supported".to_owned(), json!(["public"]));
            metadata.insert(
                "id_token_signing_alg_values_supported".to_owned(),
                json!(algorithms),
            );
        }
        document(&metadata)
    }
}
