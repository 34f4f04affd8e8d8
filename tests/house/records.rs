//! One record of every version that was ever written, kept for ever. A release
//! that cannot read one of them loses somebody's data.
//!
//! A new version of a record adds a file; no file is changed or removed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;

use crate::people::crm;
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START, World};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records")
}

/// What is stored for a mount in use, by key. Ids and keys differ each time.
async fn written() -> Vec<(String, Vec<u8>)> {
    let world = World::with_agent().await;
    world
        .ok("locations/office", json!({ "cidrs": "10.0.0.0/8" }))
        .await;
    world
        .ok("baselines/group/support", json!({ "policies": "crm" }))
        .await;
    world
        .ok(
            &format!("baselines/entity/{HUMAN_ENTITY}"),
            json!({ "policies": "crm" }),
        )
        .await;
    world.ok("agents/bot", json!({
        "description": "d", "owner": "o", "labels": { "a": "b" }, "expires_at": START + 1_000_000, "issuer": "https://idp.example.com", "subject": "s",
        "software": { "vendor": "v", "model": "m", "version": "1" },
        "public_keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }],
    })).await;
    world
        .ok(
            "targets/crm",
            json!({ "labels": { "a": "b" }, "claims": { "c": 1 }, "signing_key": "default" }),
        )
        .await;
    world.ok("keys/default/rotate", json!({})).await;
    let opaque = json!({ "credential_type": "opaque", "leased": true, "max_uses": 2 });
    world.ok("targets/crm", opaque).await;
    world.credential().await;
    let listed =
        json!({ "credential_type": "jwt", "leased": false, "max_uses": 0, "status_list": true });
    world.ok("targets/crm", listed).await;
    let token = world.credential().await;
    world.ok("creds/revoke", json!({ "token": token })).await;
    world
        .ok("targets/crm", json!({ "status_list": false }))
        .await;
    delegate(&world).await;
    let entity = Entity {
        id: "third-entity".into(),
        name: "third".into(),
        ..Entity::default()
    };
    world.system.add(entity, &[]);
    let third = json!({ "name": "third", "entity_id": "third-entity", "ceiling_policies": "crm" });
    world.ok("agents/register", third).await;
    world
        .call(Operation::Delete, "agents/third", Value::Null, None)
        .await
        .unwrap();
    world
        .ok("config/identity", json!({ "not_humans": "robots" }))
        .await;
    world
        .ok(
            "config/issuers/idp",
            json!({
                "issuer_id": "https://idp.example.com", "use_jwks": false, "audiences": "vault",
                "public_keys": [{ "key_id": "a", "pem": "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}" }],
            }),
        )
        .await;
    world
        .ok(
            &format!("config/issuers/idp/subjects/{HUMAN_ENTITY}"),
            json!({ "subject": "alice" }),
        )
        .await;
    world
        .ok(
            "config/export",
            json!({ "otlp_endpoint": "http://127.0.0.1:9", "otlp_headers": "a=b" }),
        )
        .await;
    world
        .ok("config", json!({ "decision_retention": "400d" }))
        .await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/1" });
    world.issue(ask).await.unwrap();
    world.backend.cleanup().await;
    world
        .storage
        .keys()
        .into_iter()
        .map(|key| {
            let value = world.storage.value(&key).unwrap();
            (key, value)
        })
        .collect()
}

/// Delegations in every state that leaves records of its own.
async fn delegate(world: &World) {
    let by = async |who: &str, path: &str, data: Value| {
        let answer = world.call(Operation::Update, path, data, Some(who)).await;
        answer.unwrap().unwrap()
    };
    let mut wanted = crm("read");
    for (field, value) in [("max_ttl", 60), ("max_uses", 5)] {
        wanted[field] = json!(value);
    }
    let asked = by(AGENT_ENTITY, "delegations/request", wanted.clone()).await;
    let id = asked["id"].as_str().unwrap();
    by(
        HUMAN_ENTITY,
        &format!("delegations/{id}/approve"),
        json!({ "reason": "yes" }),
    )
    .await;
    by(AGENT_ENTITY, "delegations/request", wanted.clone()).await;
    wanted["subject_entity_id"] = Value::Null;
    by(AGENT_ENTITY, "delegations/request", wanted).await;
    let other = json!({ "name": "other", "entity_id": "other-entity", "ceiling_policies": "crm", "max_delegation_depth": 2 });
    world.ok("agents/register", other).await;
    by(
        AGENT_ENTITY,
        &format!("delegations/{id}/delegate"),
        json!({ "agent": "other" }),
    )
    .await;
    world
        .ok("targets/crm", json!({ "consent": "per_request" }))
        .await;
    for (resource, answer) in [("customers/1", "deny"), ("customers/2", "approve")] {
        world
            .ok(
                "config",
                json!({ "consent_cooldown": if answer == "deny" { 300 } else { 0 } }),
            )
            .await;
        world.advance(301);
        let ask = json!({ "target": "crm", "action": "read", "resource": resource, "delegation_id": id, "reason": "r" });
        let question = by(AGENT_ENTITY, "creds/issue", ask).await;
        let consent = question["consent_id"].as_str().unwrap();
        by(
            HUMAN_ENTITY,
            &format!("consents/{consent}/{answer}"),
            json!({ "reason": "r" }),
        )
        .await;
    }
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/3", "delegation_id": id });
    by(AGENT_ENTITY, "creds/issue", ask).await;
    world.ok("targets/crm", json!({ "consent": "none" })).await;
}

/// The file for the record of a key, by folder and version.
fn file(key: &str, value: &[u8]) -> String {
    let version = serde_json::from_slice::<Value>(value)
        .ok()
        .and_then(|value| Some(value.get("v")?.as_str()?.to_owned()));
    format!(
        "{}.v{}.json",
        key.split('/').next().unwrap(),
        version.unwrap_or_else(|| "1".to_owned())
    )
}

#[tokio::test]
async fn every_kind_of_record_has_its_file() {
    for (key, value) in written().await {
        let path = folder().join(file(&key, &value));
        if !path.exists() && std::env::var_os("UPDATE_GOLDEN").is_some() {
            let record: Value = serde_json::from_slice(&value).unwrap();
            fs::write(
                &path,
                format!("{:#}\n", json!({ "key": key, "value": record })),
            )
            .unwrap();
        }
        assert!(
            path.exists(),
            "{} is missing: run `make golden` and commit it",
            path.display()
        );
    }
}

#[tokio::test]
async fn every_record_ever_written_can_be_read() {
    let storage = Arc::new(MemoryStorage::default());
    let mut overseen = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let record: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let key = record["key"].as_str().unwrap();
        for (folder, place) in [
            ("delegation/", "oversight/delegations"),
            ("consent/", "oversight/consents"),
        ] {
            let id = key.strip_prefix(folder);
            overseen.extend(id.map(|id| format!("{place}/{id}")));
        }
        storage.set(
            record["key"].as_str().unwrap(),
            record["value"].to_string().as_bytes(),
        );
    }
    let world = World::over(storage);
    world.backend.initialize().await.unwrap();
    for path in [
        "config",
        "agents/bot",
        "targets/crm",
        "policies/crm",
        "keys/default",
        "locations/office",
        "baselines/group/support",
        "baselines/entity/human-entity",
        "config/issuers/idp",
        "config/issuers/idp/subjects/human-entity",
        "config/export",
    ] {
        assert!(world.read(path).await.is_some(), "{path}");
    }
    assert_eq!(overseen.len(), 2);
    for path in overseen {
        assert!(world.read(&path).await.is_some(), "{path}");
    }
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    world.issue(ask).await.unwrap();
    let log = world.read("decisions/verify").await.unwrap();
    assert_eq!(log["segments"], 1);
    // What has expired goes, and what cannot be read stays.
    world.advance(120);
    world.tick().await;
    let keys = world.storage.keys();
    let has = |prefix: &str| keys.iter().any(|key| key.starts_with(prefix));
    assert!(!has("credential/") && !has("status/") && has("revoked/"));
    world.advance(3600);
    world.tick().await;
    assert!(
        !world
            .storage
            .keys()
            .iter()
            .any(|key| key.starts_with("revoked/"))
    );
}
