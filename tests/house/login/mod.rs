//! `login` on an auth mount over fakes: who gets a token, which one, and all
//! those who get none.

mod grants;
mod humans;
mod kinds;
mod logged;
mod once;
mod tokens;

use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::{Error, Result};
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::request::{Kept, Operation};
use vault_plugin_agentic::host::framework::response::{Auth, Response};
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::Ttl;

use crate::idp::{AUDIENCE, IDP, Signer, with};
use crate::world::{AGENT_ENTITY, START, World, request};

const OWN: &str = "https://vault.example.com/v1/auth/agentic";

/// An auth mount, an identity provider that it believes, and `bot`, who may
/// read one path.
struct Doors {
    world: World,
    idp: Signer,
    own: Signer,
}

impl Doors {
    async fn new() -> Self {
        Self::of(json!({})).await
    }

    /// The same, with some fields of the issuer replaced.
    async fn of(changes: Value) -> Self {
        let world = World::auth(Arc::new(MemoryStorage::default()));
        world.begin_before().await;
        let (idp, own) = (
            Signer::new(Algorithm::EdDsa, "idp-1"),
            Signer::new(Algorithm::Es256, "bot-1"),
        );
        world.ok("config", json!({ "issuer": OWN })).await;
        let issuer = json!({
            "issuer_id": IDP, "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [idp.listed()],
        });
        world.ok("config/issuers/idp", with(issuer, changes)).await;
        world.policy("kv", r#"rule "read" { effect = "allow"; targets = ["kv", "many", "wide"]; actions = ["read", "write"]; resources = ["**"] }"#).await;
        let path = json!([{ "path": "secret/data/app", "capabilities": ["read"] }]);
        world
            .ok(
                "targets/kv",
                json!({
                    "credential_type": "vault_token", "actions": "read", "resources": "**",
                    "vault_policies": "kv-app", "vault_paths": path, "max_ttl": "10m",
                }),
            )
            .await;
        world
            .ok(
                "agents/register",
                json!({
                    "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "kv",
                    "issuer": IDP, "subject": "bot-client", "public_keys": [own.jwk()],
                }),
            )
            .await;
        Self { world, idp, own }
    }

    async fn try_login(&self, data: Value) -> Result<Response> {
        let mut request = request(Operation::Update, "login", data, None);
        request.unauthenticated = true;
        request.mount_point = "auth/agentic/".into();
        self.world
            .backend
            .handle(request)
            .await
            .map(|answer| answer.unwrap())
    }

    /// A login for the one thing that the agent may do.
    async fn ask(&self, jwt: &str) -> Result<Auth> {
        let response = self
            .try_login(json!({ "jwt": jwt, "target": "kv", "action": "read" }))
            .await?;
        Ok(response.auth.unwrap())
    }

    /// What a token of the identity provider is answered.
    async fn said(&self, claims: &Value) -> String {
        self.refusal(&self.idp.sign("at+jwt", claims)).await
    }

    async fn refusal(&self, jwt: &str) -> String {
        match self.ask(jwt).await {
            Ok(auth) => panic!("it was let in: {auth:?}"),
            Err(Error::Host(text) | Error::Internal(text)) => panic!("{text}"),
            Err(error) => error.to_string(),
        }
    }

    fn assertion(&self, changes: Value) -> String {
        let claims = json!({
            "iss": "bot", "sub": "bot", "aud": OWN, "iat": START, "exp": START + 60, "jti": "a",
        });
        self.own.sign("JWT", &with(claims, changes))
    }

    async fn renew(&self, auth: &Auth) -> Result<Option<Response>> {
        let mut request = request(Operation::Renew, "login", Value::Null, None);
        request.login = Some(Kept {
            internal: auth.internal.clone(),
            issued_at: Some(auth.issued_at),
            increment: Ttl::ZERO,
        });
        self.world.backend.handle(request).await
    }
}
