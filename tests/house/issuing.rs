//! The main job, and its refusals.

use base64::Engine as _;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::jose::jwk::PublicJwk;
use vault_plugin_agentic::jose::{alg::Algorithm, jws};

use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START, World, body, lines, request};

fn ask() -> Value {
    json!({ "target": "crm", "action": "read", "resource": "customers/42", "reason": "ticket 7" })
}

async fn claims(world: &World, token: &str) -> Value {
    let response = world
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
    use base64::Engine as _;
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
    let verified = jws::verify(
        jws::decode(token, jws::MAX_TOKEN).unwrap(),
        &keys,
        &Algorithm::ALL,
    )
    .unwrap();
    assert!(verified.header().is_typ("at+jwt"));
    Value::Object(verified.claims().clone())
}

fn denied(answer: crate::world::Answer, code: &str) {
    match answer {
        Err(Error::Denied(text)) if text.contains(code) => {}
        other => panic!("expected a denial for {code}, got {other:?}"),
    }
}

#[tokio::test]
async fn an_allowed_request_gets_a_token_for_exactly_that() {
    let world = World::with_agent().await;
    let issued = world.issue(ask()).await.unwrap().unwrap();
    let claims = claims(&world, issued["credential"].as_str().unwrap()).await;
    let agent = world.read("agents/bot").await.unwrap();
    for (claim, expected) in [
        ("iss", json!("https://vault.example.com/v1/agentic")),
        ("sub", agent["id"].clone()),
        ("client_id", agent["id"].clone()),
        ("aud", json!("crm")),
        ("iat", json!(START)),
        ("nbf", json!(START)),
        ("exp", json!(START + 60)),
        ("jti", issued["jti"].clone()),
        ("txn", json!("6a8c1c6e-0000-4000-8000-000000000001")),
        (
            "authorization_details",
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/42"] }]),
        ),
    ] {
        assert_eq!(claims[claim], expected, "{claim}");
    }
    assert_eq!(claims["agentic"]["decision_id"], issued["decision_id"]);
    assert_eq!(claims["agentic"]["mode"], "autonomous");
    assert!(claims.get("act").is_none());
    assert_eq!(
        issued["authorization_details"],
        claims["authorization_details"]
    );
}

#[tokio::test]
async fn every_layer_can_refuse() {
    let world = World::with_agent().await;
    let with = |field: &str, value: Value| {
        let mut ask = ask();
        ask[field] = value;
        ask
    };
    denied(
        world.issue(with("target", json!("erp"))).await,
        "target.unknown",
    );
    denied(
        world.issue(with("action", json!("write"))).await,
        "target.action",
    );
    denied(
        world.issue(with("action", json!("delete"))).await,
        "ceiling.none_applies",
    );
    denied(
        world
            .issue(with("resource", json!("customers/42/orders")))
            .await,
        "ceiling.none_applies",
    );
    denied(
        world
            .issue(with(
                "delegation_id",
                json!("01890a5d-ac96-7774-bcce-b302099a8057"),
            ))
            .await,
        "delegation.none",
    );
    denied(
        world.issue(with("authorization_details", json!([]))).await,
        "details.not_covered",
    );
    denied(world.issue(with("ttl", json!(0))).await, "limits.no_time");
    denied(
        world
            .call(Operation::Update, "creds/issue", ask(), Some(HUMAN_ENTITY))
            .await,
        "agent.unknown",
    );
    denied(
        world
            .call(Operation::Update, "creds/issue", ask(), None)
            .await,
        "agent.unknown",
    );
    world
        .ok("agents/bot/suspend", json!({ "reason": "odd behaviour" }))
        .await;
    denied(world.issue(ask()).await, "agent.suspended");
    world.ok("agents/bot/resume", json!({})).await;
    assert!(world.issue(ask()).await.is_ok());
    world
        .ok("agents/bot", json!({ "expires_at": START + 30 }))
        .await;
    let issued = world.issue(ask()).await.unwrap().unwrap();
    assert_eq!(issued["ttl"], 30, "no credential outlives its agent");
    world.advance(30);
    denied(world.issue(ask()).await, "agent.expired");
}

#[tokio::test]
async fn limits_are_the_least_of_all() {
    let world = World::with_agent().await;
    let ttl = async |ask: Value| world.issue(ask).await.unwrap().unwrap()["ttl"].clone();
    let mut long = ask();
    long["ttl"] = json!("2h");
    assert_eq!(ttl(long.clone()).await, 600, "the target's");
    world.ok("config", json!({ "max_ttl": 300 })).await;
    assert_eq!(ttl(long.clone()).await, 300, "the mount's");
    world
        .policy(
            "crm",
            r#"rule "read" { effect = "allow"; limits { max_ttl = "90s" } }"#,
        )
        .await;
    assert_eq!(ttl(long).await, 90, "the policy's");
}

#[tokio::test]
async fn a_rate_holds_per_agent_and_rule() {
    let world = World::with_agent().await;
    world
        .policy(
            "crm",
            r#"rule "read" { effect = "allow"; limits { rate = "2/1m" } }"#,
        )
        .await;
    assert!(world.issue(ask()).await.is_ok());
    let mut dry = ask();
    dry["agent"] = json!("bot");
    for _ in 0..5 {
        world.ok("decisions/evaluate", dry.clone()).await;
    }
    assert!(world.issue(ask()).await.is_ok(), "dry runs count nothing");
    denied(world.issue(ask()).await, "rate.exceeded");
    world.advance(65);
    assert!(world.issue(ask()).await.is_ok());
}

#[tokio::test]
async fn a_bound_credential_carries_the_keys_thumbprint() {
    let world = World::with_agent().await;
    world
        .policy(
            "crm",
            r#"rule "read" { effect = "allow"; limits { proof_of_possession = true } }"#,
        )
        .await;
    denied(world.issue(ask()).await, "proof.required");
    let mut bound = ask();
    // RFC 8037 A.2 and A.3.
    bound["cnf_jwk"] = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let issued = world.issue(bound.clone()).await.unwrap().unwrap();
    assert_eq!(issued["token_type"], "DPoP");
    let claims = claims(&world, issued["credential"].as_str().unwrap()).await;
    assert_eq!(
        claims["cnf"]["jkt"],
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    bound["cnf_jwk"]["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
    assert!(
        matches!(world.issue(bound).await, Err(Error::Invalid(_))),
        "a private key is refused"
    );
}

#[tokio::test]
async fn nothing_is_issued_before_the_mount_has_an_issuer() {
    let world = World::new().await;
    world
        .policy("p", r#"rule "all" { effect = "allow" }"#)
        .await;
    world
        .ok(
            "targets/crm",
            json!({ "actions": "read", "resources": "**" }),
        )
        .await;
    world
        .ok(
            "agents/bot",
            json!({ "entity_id": AGENT_ENTITY, "ceiling_policies": "p" }),
        )
        .await;
    assert!(
        matches!(world.issue(ask()).await, Err(Error::Invalid(text)) if text.contains("issuer"))
    );
}

#[tokio::test]
async fn rotation_overlaps_and_ends() {
    let world = World::with_agent().await;
    let before = world.issue(ask()).await.unwrap().unwrap();
    world.ok("keys/default/rotate", json!({})).await;
    let after = world.issue(ask()).await.unwrap().unwrap();
    for issued in [&before, &after] {
        claims(&world, issued["credential"].as_str().unwrap()).await;
    }
    let kids = async || {
        let key = world.read("keys/default").await.unwrap();
        key["versions"].as_array().unwrap().len()
    };
    assert_eq!(kids().await, 2);
    world.advance(3601);
    world.ok("keys/default/rotate", json!({})).await;
    assert_eq!(
        kids().await,
        2,
        "the first version is gone, the second verifies, the third signs"
    );
}

#[tokio::test]
async fn a_deleted_agent_is_not_revived_by_its_name() {
    let world = World::with_agent().await;
    let first = world.read("agents/bot").await.unwrap()["id"].clone();
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    denied(world.issue(ask()).await, "agent.unknown");
    world
        .ok(
            "agents/bot",
            json!({ "entity_id": AGENT_ENTITY, "ceiling_policies": "crm" }),
        )
        .await;
    assert_ne!(world.read("agents/bot").await.unwrap()["id"], first);
}

#[tokio::test]
async fn a_host_that_does_not_answer_is_a_refusal() {
    let world = World::with_agent().await;
    world.storage.fail_reads(true);
    assert!(matches!(world.issue(ask()).await, Err(Error::Host(_))));
    world.storage.fail_reads(false);
    world.system.fail(true);
    assert!(
        matches!(world.issue(ask()).await, Err(Error::Host(_))),
        "the longest lease is not known"
    );
}

#[tokio::test]
async fn a_new_policy_is_tried_before_it_is_written() {
    let world = World::with_agent().await;
    world.issue(ask()).await.unwrap();
    let mut delete = ask();
    delete["action"] = json!("delete");
    denied(world.issue(delete).await, "ceiling.none_applies");
    let tried = world.ok("policies/check", json!({ "name": "crm", "policy": lines(r#"rule "x" { effect = "allow"; actions = ["delete"] }"#) })).await;
    assert_eq!(tried["replayed"], 2);
    let changed = tried["changed"].as_array().unwrap();
    assert_eq!(changed.len(), 2);
    assert_eq!(
        (&changed[0]["before"], &changed[0]["after"]),
        (&json!("allow"), &json!("deny"))
    );
    assert_eq!(
        (&changed[1]["before"], &changed[1]["after"]),
        (&json!("deny"), &json!("allow"))
    );
    assert!(world.issue(ask()).await.is_ok(), "nothing was written");
    // Who has tried policies as 0.1 did must not write the live one.
    let old = json!({ "dry_run": true, "policy": "rule \"x\" {\n  effect = \"deny\"\n}" });
    let refused = world.refused("policies/crm", old).await;
    assert!(refused.contains("policies/check"), "{refused}");
    assert!(world.issue(ask()).await.is_ok(), "nothing was written");
}

#[tokio::test]
async fn a_refused_caller_sees_what_the_mount_tells() {
    let world = World::with_agent().await;
    let text = async || {
        let mut ask = ask();
        ask["action"] = json!("delete");
        world.issue(ask).await.unwrap_err().to_string()
    };
    assert!(text().await.contains("ceiling.none_applies"));
    world.ok("config", json!({ "denial_detail": "full" })).await;
    let full = text().await;
    assert!(
        full.contains("crm/read") && full.contains("actions"),
        "{full}"
    );
    world.ok("config", json!({ "denial_detail": "none" })).await;
    let none = text().await;
    assert!(
        none.starts_with("denied; decision ") && !none.contains("ceiling"),
        "{none}"
    );
}

#[tokio::test]
async fn an_agent_asks_about_itself_only() {
    let world = World::with_agent().await;
    world
        .ok(
            "agents/other",
            json!({ "entity_id": "other-entity", "ceiling_policies": "crm" }),
        )
        .await;
    let evaluate = async |path: &str, who: &str| {
        let mut data = ask();
        if path == "decisions/evaluate" {
            data["agent"] = json!("bot");
        }
        world.call(Operation::Update, path, data, Some(who)).await
    };
    let own = evaluate("self/evaluate", AGENT_ENTITY).await;
    let own = own.unwrap().unwrap();
    assert_eq!(own["decision"], true);
    assert_eq!(own["context"]["layers"], json!([]));
    denied(
        evaluate("self/evaluate", HUMAN_ENTITY).await,
        "only a registered agent",
    );
    denied(
        evaluate("decisions/evaluate", AGENT_ENTITY).await,
        "may not govern",
    );
    let about = async |agent: &str, who: &str| {
        let data = json!({
            "subject": { "type": "agent", "id": agent }, "action": { "name": "read" },
            "resource": { "type": "crm", "id": "customers/42" },
        });
        let path = "access/v1/evaluation";
        world.call(Operation::Update, path, data, Some(who)).await
    };
    denied(about("other", AGENT_ENTITY).await, "itself only");
    // Who verifies learns the bare answer; the agent as much as when it is refused.
    let answer = |raw: Value| {
        let text = raw["http_raw_body"].as_str().unwrap().to_owned();
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(text)
            .unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let bare = answer(about("bot", "verifier-entity").await.unwrap().unwrap());
    assert_eq!(bare, json!({ "decision": true }));
    let own = answer(about("bot", AGENT_ENTITY).await.unwrap().unwrap());
    assert_eq!(own["context"]["outcome"], "allow");
}
