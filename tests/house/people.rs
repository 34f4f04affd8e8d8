//! A mount with an agent and humans who can let it act for them.

use base64::Engine as _;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::jose::jwk::PublicJwk;
use vault_plugin_agentic::jose::jws;

use crate::world::{AGENT_ENTITY, Answer, HUMAN_ENTITY, World, body, request};

/// Another human.
pub(crate) const BOB: &str = "bob-entity";

/// The agent `bot` may read and delete customers, as may those in `support`.
pub(crate) struct People {
    pub(crate) world: World,
}

/// What `bot` asks of alice: one action on customers.
pub(crate) fn crm(action: &str) -> Value {
    json!({
        "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": [action], "resources": ["customers/**"] }],
        "purpose": "answer customers",
        "subject_entity_id": HUMAN_ENTITY,
    })
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[track_caller]
pub(crate) fn denied(answer: Answer, code: &str) {
    match answer {
        Err(Error::Denied(told)) if told.contains(code) => {}
        other => panic!("expected a denial for {code}, got {other:?}"),
    }
}

/// Refused as what is not there, or as somebody who may not.
#[track_caller]
pub(crate) fn refused(answer: Answer) {
    match answer {
        Err(Error::Denied(_) | Error::NotFound(_)) => {}
        other => panic!("expected a refusal, got {other:?}"),
    }
}

impl People {
    pub(crate) async fn new() -> Self {
        Self::on(World::with_agent().await).await
    }

    pub(crate) async fn on(world: World) -> Self {
        let people = Self { world };
        let bob = Entity {
            id: BOB.into(),
            name: "bob".into(),
            ..Entity::default()
        };
        people.world.system.add(bob, &["support"]);
        people
            .world
            .policy(
                "crm",
                r#"rule "all" { effect = "allow"; targets = ["crm"] }"#,
            )
            .await;
        people
            .world
            .ok("baselines/group/support", json!({ "policies": "crm" }))
            .await;
        people
    }

    /// A write by an entity.
    pub(crate) async fn by(&self, entity: &str, path: &str, data: Value) -> Answer {
        self.world
            .call(Operation::Update, path, data, Some(entity))
            .await
    }

    pub(crate) async fn read(&self, entity: &str, path: &str) -> Answer {
        self.world
            .call(Operation::Read, path, Value::Null, Some(entity))
            .await
    }

    pub(crate) async fn list(&self, entity: Option<&str>) -> Answer {
        self.world
            .call(Operation::List, "delegations", json!({}), entity)
            .await
    }

    pub(crate) async fn try_ask(&self, wanted: &Value) -> Answer {
        self.by(AGENT_ENTITY, "delegations/request", wanted.clone())
            .await
    }

    pub(crate) async fn ask(&self, wanted: &Value) -> Value {
        self.try_ask(wanted).await.unwrap().unwrap()
    }

    pub(crate) async fn approve(&self, id: &str, less: Value) -> Answer {
        self.by(HUMAN_ENTITY, &format!("delegations/{id}/approve"), less)
            .await
    }

    /// Bot asks to read a customer under a delegation.
    pub(crate) async fn issue(&self, delegation: &str) -> Answer {
        self.issue_as(AGENT_ENTITY, delegation).await
    }

    pub(crate) async fn issue_as(&self, entity: &str, delegation: &str) -> Answer {
        let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": delegation });
        self.by(entity, "creds/issue", ask).await
    }

    /// Another process over the same storage, as after a crash.
    pub(crate) fn again(&self) -> Self {
        let world = World::over(std::sync::Arc::clone(&self.world.storage));
        world.system.know(&self.world.system);
        Self { world }
    }

    /// From now on, each request needs the human's yes to it.
    pub(crate) async fn per_request(&self) {
        self.world
            .ok("targets/crm", json!({ "consent": "per_request" }))
            .await;
    }

    /// A delegation to bot that alice has approved.
    pub(crate) async fn delegation(&self, action: &str) -> String {
        let id = text(&self.ask(&crm(action)).await["id"]);
        self.approve(&id, json!({})).await.unwrap();
        id
    }

    /// Another agent, with the ceiling of bot.
    pub(crate) async fn register(&self, name: &str, entity: &str) {
        let known = Entity {
            id: entity.into(),
            name: name.into(),
            ..Entity::default()
        };
        self.world.system.add(known, &["support"]);
        let agent = json!({ "name": name, "entity_id": entity, "ceiling_policies": "crm", "max_delegation_depth": 8 });
        self.world.ok("agents/register", agent).await;
    }

    /// The claims of a token that verifies against the published keys.
    pub(crate) async fn claims(&self, token: &Value, typ: &str) -> Value {
        let response = self
            .world
            .backend
            .handle(request(
                Operation::Read,
                ".well-known/jwks.json",
                Value::Null,
                None,
            ))
            .await
            .unwrap()
            .unwrap();
        let raw = base64::engine::general_purpose::STANDARD
            .decode(body(&response)["http_raw_body"].as_str().unwrap())
            .unwrap();
        let set: Value = serde_json::from_slice(&raw).unwrap();
        let keys: Vec<PublicJwk> = set["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| PublicJwk::from_value(key).unwrap())
            .collect();
        let token = token.as_str().unwrap();
        let decoded = jws::decode(token, 128 * 1024).unwrap();
        let verified = jws::verify(decoded, &keys, &Algorithm::ALL).unwrap();
        assert!(verified.header().is_typ(typ));
        Value::Object(verified.claims().clone())
    }
}
