//! What becomes of credentials: introspection, revocation, possession.

use serde_json::{Map, Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::jose::jws::{self, Header};
use vault_plugin_agentic::jose::signer::SigningKey;

use crate::world::{AGENT_ENTITY, START, World};

const CALL: &str = "https://crm.example.com/customers/42";

/// The kinds that a target can have, none of them a lease.
fn kinds() -> [Value; 5] {
    [
        json!({ "credential_type": "jwt" }),
        json!({ "credential_type": "jwt", "max_uses": 3 }),
        json!({ "credential_type": "jwt", "status_list": true }),
        json!({ "credential_type": "opaque" }),
        json!({ "credential_type": "opaque", "max_uses": 3 }),
    ]
}

#[tokio::test]
async fn every_kind_says_the_same_when_asked() {
    let mut said = Vec::new();
    for kind in kinds() {
        let world = World::with_target(kind.clone()).await;
        let token = world.credential().await;
        assert_eq!(
            token.starts_with("agt_"),
            kind["credential_type"] == "opaque"
        );
        let mut answer = world.introspect(&token).await;
        assert_eq!(answer["active"], true, "{kind}");
        assert_eq!(answer["token_type"], "Bearer");
        assert_eq!(answer["uses_left"], kind["max_uses"]);
        assert_eq!(answer["exp"], START + 60);
        let claims = answer.as_object_mut().unwrap();
        for varying in ["jti", "sub", "client_id", "uses_left", "status", "agentic"] {
            claims.remove(varying);
        }
        said.push(answer);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[tokio::test]
async fn what_does_not_hold_is_inactive_and_says_nothing_more() {
    for kind in kinds() {
        let world = World::with_target(kind).await;
        let token = world.credential().await;
        let mut cut = token.clone();
        cut.pop();
        let mut forged = token.clone().into_bytes();
        let last = forged.len() - 10;
        forged[last] = if forged[last] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        let long = "x".repeat(20_000);
        for other in [cut.as_str(), &forged, "agt_", "a.b.c", " ", &long] {
            assert!(!world.is_active(other).await, "{other}");
        }
        for (field, value, active) in [
            ("audience", "crm", true),
            ("audience", "other", false),
            ("target", "crm", true),
            ("target", "other", false),
        ] {
            let answer = world
                .ok("creds/introspect", json!({ "token": token, field: value }))
                .await;
            assert_eq!(answer["active"], active, "{field} {value}");
        }
        world.advance(59);
        assert!(world.is_active(&token).await);
        world.advance(1);
        assert!(!world.is_active(&token).await, "it has expired");
    }
}

#[tokio::test]
async fn credentials_of_another_mount_are_nobodys() {
    for kind in kinds() {
        let (one, other) = (
            World::with_target(kind.clone()).await,
            World::with_target(kind).await,
        );
        let token = one.credential().await;
        other.credential().await;
        assert!(!other.is_active(&token).await);
        assert_eq!(other.redeem(&token).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn the_kill_switch_ends_every_kind_and_resume_brings_back_what_was_only_suspended() {
    for kind in kinds() {
        let world = World::with_target(kind.clone()).await;
        let token = world.credential().await;
        world.ok("agents/bot/suspend", json!({})).await;
        assert!(!world.is_active(&token).await, "{kind}");
        assert_eq!(world.redeem(&token).await["active"], false);
        world.ok("agents/bot/resume", json!({})).await;
        assert!(world.is_active(&token).await, "nothing was used: {kind}");
        world.ok("agents/bot/revoke", json!({})).await;
        world.ok("agents/bot/resume", json!({})).await;
        assert!(!world.is_active(&token).await, "{kind}");
        world.advance(1);
        assert!(world.is_active(&world.credential().await).await);
    }
}

#[tokio::test]
async fn what_it_rests_on_must_be_there() {
    for kind in kinds() {
        let world = World::with_target(kind).await;
        let token = world.credential().await;
        let entity = |disabled| Entity {
            id: AGENT_ENTITY.into(),
            name: "bot".into(),
            disabled,
            ..Entity::default()
        };
        world.system.add(entity(true), &[]);
        assert!(!world.is_active(&token).await, "a disabled entity");
        world.system.add(entity(false), &[]);
        assert!(world.is_active(&token).await);

        world
            .ok("agents/bot", json!({ "expires_at": START + 1 }))
            .await;
        world.advance(1);
        assert!(!world.is_active(&token).await, "an expired agent");
        world.ok("agents/bot", json!({ "expires_at": "" })).await;
        assert!(world.is_active(&token).await);

        world.system.fail(true);
        let ask = json!({ "token": token });
        let unknown = world
            .call(Operation::Update, "creds/introspect", ask, None)
            .await;
        assert!(matches!(unknown, Err(Error::Host(_))), "{unknown:?}");
        world.system.fail(false);

        world
            .call(Operation::Delete, "agents/bot", Value::Null, None)
            .await
            .unwrap();
        let again = json!({ "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "crm" });
        world.ok("agents/register", again).await;
        assert!(!world.is_active(&token).await, "another agent by that name");
    }
}

#[tokio::test]
async fn one_can_be_revoked_and_the_others_stay() {
    for kind in kinds() {
        let world = World::with_target(kind.clone()).await;
        let (one, two, other) = (
            world.credential().await,
            world.credential().await,
            world.credential().await,
        );
        let jti = world.introspect(&two).await["jti"].clone();
        for (path, body) in [
            ("creds/revoke", json!({ "token": one })),
            ("oversight/revoke", json!({ "jti": jti })),
        ] {
            let writes = world.storage.writes();
            world.ok(path, body.clone()).await;
            assert_eq!(world.storage.writes() - writes, 1, "{kind}");
            world.ok(path, body).await;
        }
        assert!(!world.is_active(&one).await, "{kind}");
        assert!(!world.is_active(&two).await, "{kind}");
        assert!(world.is_active(&other).await, "{kind}");
        assert_eq!(world.redeem(&one).await, json!({ "active": false }));
    }
}

#[tokio::test]
async fn revoking_a_token_that_nobody_knows_is_a_success() {
    let world = World::with_agent().await;
    let token = world.credential().await;
    let writes = world.storage.writes();
    for unknown in ["", "x", "agt_zzz", "a.b.c"] {
        world.ok("creds/revoke", json!({ "token": unknown })).await;
    }
    world.advance(60);
    world.ok("creds/revoke", json!({ "token": token })).await;
    assert_eq!(world.storage.writes(), writes);
    for (path, body) in [
        ("creds/revoke", json!({})),
        ("creds/revoke", json!({ "token": "x", "agent": "bot" })),
        ("creds/revoke", json!({ "jti": "x" })),
        ("oversight/revoke", json!({})),
        ("oversight/revoke", json!({ "agent": "nobody" })),
        ("oversight/revoke", json!({ "agent": "bot", "owner": "x" })),
        ("oversight/revoke", json!({ "owner": "nobody" })),
        ("oversight/revoke", json!({ "target": "nothing" })),
        ("oversight/revoke", json!({ "issuer": "nobody" })),
        ("oversight/revoke", json!({ "subject": "nobody" })),
        ("oversight/revoke", json!({ "agent": "bot", "reason": " " })),
    ] {
        let refused = world.call(Operation::Update, path, body, None).await;
        assert!(
            matches!(refused, Err(Error::Invalid(_) | Error::NotFound(_))),
            "{path} {refused:?}"
        );
    }
    assert_eq!(world.storage.writes(), writes);
}

#[tokio::test]
async fn all_of_an_agent_end_in_one_write_and_it_may_have_new_ones() {
    for kind in kinds() {
        let world = World::with_target(kind.clone()).await;
        let tokens = [
            world.credential().await,
            world.credential().await,
            world.credential().await,
        ];
        world.advance(1);
        let writes = world.storage.writes();
        world
            .ok("oversight/revoke", json!({ "agent": "bot" }))
            .await;
        assert_eq!(world.storage.writes() - writes, 1, "{kind}");
        for token in &tokens {
            assert!(!world.is_active(token).await, "{kind}");
        }
        let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        assert!(
            matches!(world.issue(ask).await, Err(Error::Denied(_))),
            "not in the same second"
        );
        world.advance(1);
        assert!(world.is_active(&world.credential().await).await);
        for token in &tokens {
            assert!(!world.is_active(token).await, "{kind}");
        }
    }
}

#[tokio::test]
async fn an_agent_ends_its_own_credentials_and_no_others() {
    let world = World::with_agent().await;
    world
        .ok(
            "agents/register",
            json!({ "name": "two", "entity_id": "other-entity", "ceiling_policies": "crm" }),
        )
        .await;
    let token = world.credential().await;
    let jti = world.introspect(&token).await["jti"].clone();
    let as_other = |path: &'static str, body: Value| {
        world.call(Operation::Update, path, body, Some("other-entity"))
    };
    for body in [
        json!({ "agent": "bot" }),
        json!({ "jti": jti }),
        json!({ "subject": "human-entity" }),
        json!({ "delegation_id": "01a2dfed-4a80-7864-9c76-4c316d56d6e2" }),
    ] {
        let refused = as_other("creds/revoke", body).await;
        assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    }
    as_other("creds/revoke", json!({ "agent": "two" }))
        .await
        .unwrap();
    as_other("self/revoke", json!({})).await.unwrap();
    assert!(world.is_active(&token).await);
    as_other("creds/revoke", json!({ "token": token }))
        .await
        .unwrap();
    assert!(
        !world.is_active(&token).await,
        "whoever holds it may end it"
    );

    world.advance(1);
    let token = world.credential().await;
    world
        .call(
            Operation::Update,
            "self/revoke",
            json!({}),
            Some(AGENT_ENTITY),
        )
        .await
        .unwrap();
    assert!(!world.is_active(&token).await);
    let nobody = world
        .call(Operation::Update, "self/revoke", json!({}), None)
        .await;
    assert!(matches!(nobody, Err(Error::Denied(_))), "{nobody:?}");
}

#[tokio::test]
async fn a_record_under_another_id_is_of_no_use() {
    let world = World::with_target(json!({ "credential_type": "opaque" })).await;
    let one = world.credential().await;
    // Ids sort by time.
    world.advance(1);
    let two = world.credential().await;
    let keys: Vec<String> = world
        .storage
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("credential/"))
        .collect();
    let first = world.storage.value(&keys[0]).unwrap();
    world.storage.set(&keys[1], &first);
    assert!(world.is_active(&one).await);
    assert!(!world.is_active(&two).await);
    let stored = String::from_utf8(first).unwrap();
    for token in [&one, &two] {
        let (_, end) = token.split_at_checked(30).unwrap();
        assert!(!stored.contains(end));
    }
}

#[tokio::test]
async fn a_record_that_is_gone_takes_its_credential_along() {
    for kind in [
        json!({ "credential_type": "opaque" }),
        json!({ "max_uses": 2 }),
    ] {
        let world = World::with_target(kind).await;
        let token = world.credential().await;
        let after = World::over(std::sync::Arc::default());
        for key in world.storage.keys() {
            if !key.starts_with("credential/") {
                after.storage.set(&key, &world.storage.value(&key).unwrap());
            }
        }
        assert!(!after.is_active(&token).await);
    }
}

#[tokio::test]
async fn a_target_of_server_tokens_points_to_login() {
    let world = World::with_target(
        json!({ "credential_type": "vault_token", "vault_policies": "kv-reader" }),
    )
    .await;
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    let refusal = world.issue(ask).await.unwrap_err();
    assert!(matches!(&refusal, Error::Invalid(text) if text.contains("`login`")));
}

#[tokio::test]
async fn the_agent_may_ask_for_fewer_uses() {
    let world = World::with_target(json!({ "max_uses": 5 })).await;
    for (asked, given) in [(Some(2), 2), (Some(9), 5), (None, 5)] {
        let mut ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
        ask["max_uses"] = json!(asked);
        let issued = world.issue(ask).await.unwrap().unwrap();
        assert_eq!(issued["max_uses"], given);
    }
}

/// A bound credential, the key it is bound to, and its kind.
async fn bound(kind: Value) -> (World, String, SigningKey) {
    let world = World::with_target(kind).await;
    world
        .ok(
            "targets/crm",
            json!({ "proof_of_possession": true, "audience": "https://crm.example.com" }),
        )
        .await;
    let key = SigningKey::generate(Algorithm::Es256, &ring::rand::SystemRandom::new()).unwrap();
    let mut ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    ask["cnf_jwk"] = key.public().to_value();
    let issued = world.issue(ask).await.unwrap().unwrap();
    assert_eq!(issued["token_type"], "DPoP");
    let token = issued["credential"].as_str().unwrap().to_owned();
    (world, token, key)
}

/// A proof for a call with a token; `change` breaks it.
fn proof(
    key: &SigningKey,
    token: &str,
    jti: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    use base64::Engine as _;
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let mut claims = Map::from_iter([
        ("jti".to_owned(), json!(jti)),
        ("htm".to_owned(), json!("GET")),
        ("htu".to_owned(), json!(CALL)),
        ("iat".to_owned(), json!(START)),
        (
            "ath".to_owned(),
            json!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)),
        ),
    ]);
    change(&mut claims);
    let header = Header::new(key.alg())
        .with_typ("dpop+jwt")
        .with_jwk(key.public().clone());
    jws::encode(&header, Value::Object(claims).to_string().as_bytes(), key).unwrap()
}

fn call(token: &str, proof: &str) -> Value {
    json!({ "token": token, "dpop": proof, "method": "GET", "url": CALL })
}

#[tokio::test]
async fn a_bound_credential_needs_a_proof_and_each_proof_counts_once() {
    for kind in kinds() {
        let (world, token, key) = bound(kind).await;
        assert!(!world.is_active(&token).await, "it is no bearer token");
        assert_eq!(world.redeem(&token).await["active"], false);
        let good = proof(&key, &token, "proof-number-one", |_| {});
        let answer = world.ok("creds/introspect", call(&token, &good)).await;
        assert_eq!(answer["active"], true);
        assert_eq!(answer["token_type"], "DPoP");
        for path in ["creds/introspect", "creds/redeem"] {
            let replayed = world.ok(path, call(&token, &good)).await;
            assert_eq!(replayed, json!({ "active": false }));
        }
        let next = proof(&key, &token, "proof-number-two", |_| {});
        assert_eq!(
            world.ok("creds/redeem", call(&token, &next)).await["active"],
            true
        );
    }
}

#[tokio::test]
async fn every_broken_proof_is_refused_and_uses_nothing_up() {
    let (world, token, key) = bound(json!({ "credential_type": "opaque", "max_uses": 1 })).await;
    let stranger =
        SigningKey::generate(Algorithm::Es256, &ring::rand::SystemRandom::new()).unwrap();
    let set = |claim: &'static str, value: Value| {
        let key = &key;
        let token = &token;
        proof(key, token, "broken", move |claims| {
            claims.insert(claim.to_owned(), value);
        })
    };
    let mut broken = vec![
        proof(&stranger, &token, "broken", |_| {}),
        proof(&key, "agt_other", "broken", |_| {}),
        set("htm", json!("POST")),
        set("htu", json!("https://crm.example.com/customers/43")),
        set("iat", json!(START - 61)),
        set("iat", json!(START + 6)),
        set("ath", json!(null)),
        token.clone(),
        "x".to_owned(),
        String::new(),
    ];
    for claim in ["jti", "htm", "htu", "iat", "ath"] {
        broken.push(proof(&key, &token, "broken", move |claims| {
            claims.remove(claim);
        }));
    }
    for proof in &broken {
        for path in ["creds/introspect", "creds/redeem"] {
            let answer = world.ok(path, call(&token, proof)).await;
            assert_eq!(answer, json!({ "active": false }), "{proof}");
        }
    }
    // A proof for a call to somebody else, who passes it on as one to itself.
    let elsewhere = "https://evil.example.com/customers/42";
    let mut passed_on = call(&token, &set("htu", json!(elsewhere)));
    passed_on["url"] = json!(elsewhere);
    assert_eq!(world.ok("creds/redeem", passed_on).await["active"], false);
    for missing in ["method", "url"] {
        let mut half = call(&token, &broken[0]);
        half.as_object_mut().unwrap().remove(missing);
        assert!(world.refused("creds/redeem", half).await.contains(missing));
    }
    let good = proof(&key, &token, "the good one", |_| {});
    assert_eq!(
        world.ok("creds/redeem", call(&token, &good)).await["active"],
        true,
        "nothing was used up"
    );
}

#[tokio::test]
async fn a_process_that_takes_over_takes_no_proof_from_before() {
    let (world, token, key) = bound(json!({})).await;
    let used = proof(&key, &token, "used before the crash", |_| {});
    assert_eq!(
        world.ok("creds/introspect", call(&token, &used)).await["active"],
        true
    );
    let after = World::over(std::sync::Arc::clone(&world.storage));
    after.backend.initialize().await.unwrap();
    assert_eq!(
        after.ok("creds/introspect", call(&token, &used)).await["active"],
        false
    );
    // Whoever made it may have had a clock that runs 5 seconds ahead, and nodes
    // differ by 2.
    after.advance(4);
    for (seconds, active) in [(1, false), (7, false), (8, true)] {
        let fresh = proof(&key, &token, "made after it", |claims| {
            claims.insert("iat".to_owned(), json!(START + seconds));
        });
        let said = after.ok("creds/introspect", call(&token, &fresh)).await;
        assert_eq!(said["active"], active, "{seconds}");
    }
}

#[tokio::test]
async fn a_registered_key_binds_by_its_thumbprint() {
    let world = World::with_agent().await;
    let key = SigningKey::generate(Algorithm::EdDsa, &ring::rand::SystemRandom::new()).unwrap();
    world
        .ok(
            "agents/bot",
            json!({ "public_keys": [key.public().to_value()] }),
        )
        .await;
    let mut ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    ask["cnf_jkt"] = json!(key.public().thumbprint());
    let issued = world.issue(ask.clone()).await.unwrap().unwrap();
    assert_eq!(issued["token_type"], "DPoP");
    ask["cnf_jkt"] = json!("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    let refusal = world.issue(ask.clone()).await.unwrap_err().to_string();
    assert!(refusal.contains("cnf_jkt"), "{refusal}");
    ask["cnf_jwk"] = key.public().to_value();
    assert!(matches!(world.issue(ask).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn a_standby_answers_what_it_can_and_forwards_the_rest() {
    let world = World::with_target(json!({ "credential_type": "opaque", "max_uses": 1 })).await;
    let token = world.credential().await;
    let standby = World::over(std::sync::Arc::clone(&world.storage));
    standby.system.read_only(true);
    standby.storage.read_only(true);
    standby.backend.initialize().await.unwrap();
    assert!(standby.is_active(&token).await);
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42" });
    for (path, body, entity) in [
        ("creds/redeem", json!({ "token": token }), None),
        ("creds/revoke", json!({ "token": token }), None),
        (
            "creds/introspect",
            json!({ "token": token, "dpop": "x", "method": "GET", "url": CALL }),
            None,
        ),
        ("creds/issue", ask, Some(AGENT_ENTITY)),
    ] {
        let answer = standby.call(Operation::Update, path, body, entity).await;
        assert!(
            matches!(&answer, Err(Error::Host(text)) if text.contains(Error::READ_ONLY)),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn what_has_expired_goes_bit_by_bit() {
    let world = World::with_target(json!({ "credential_type": "opaque", "ttl": "60s" })).await;
    world
        .ok("targets/crm", json!({ "status_list": false }))
        .await;
    for _ in 0..30 {
        let token = world.credential().await;
        world.ok("creds/revoke", json!({ "token": token })).await;
    }
    world
        .ok(
            "targets/crm",
            json!({ "credential_type": "jwt", "status_list": true }),
        )
        .await;
    for _ in 0..30 {
        world.credential().await;
    }
    let left = |prefix: &str| {
        let keys = world.storage.keys();
        keys.iter().filter(|key| key.starts_with(prefix)).count()
    };
    let folders = ["credential/", "revoked/", "status/"];
    assert_eq!(folders.map(left), [30, 30, 30]);
    world.tick().await;
    assert_eq!(folders.map(left), [30, 30, 30]);
    world.advance(120);
    world.tick().await;
    assert_eq!(folders.map(left), [0, 30, 0], "what was revoked stays so");
    world.advance(3600);
    world.tick().await;
    assert_eq!(folders.map(left), [0, 0, 0]);
}

#[tokio::test]
async fn a_mountain_of_the_expired_goes_in_bounded_parts() {
    let world = World::with_target(json!({ "credential_type": "opaque" })).await;
    world.credential().await;
    let key = world
        .storage
        .keys()
        .into_iter()
        .find(|key| key.starts_with("credential/"))
        .unwrap();
    let record = world.storage.value(&key).unwrap();
    for number in 0..12_000 {
        // As old as the first, which is what an id tells.
        let (time, _) = key.split_at_checked(key.len() - 12).unwrap();
        let name = format!("{time}{number:012x}");
        world.storage.set(&name, &record);
    }
    world.advance(3661);
    let left = || {
        let keys = world.storage.keys();
        keys.iter()
            .filter(|key| key.starts_with("credential/"))
            .count()
    };
    let reads = world.storage.reads();
    world.tick().await;
    assert_eq!(left(), 2001, "a bound");
    assert!(world.storage.reads() - reads < 100, "their ids tell");
    world.tick().await;
    assert_eq!(left(), 0);
}
