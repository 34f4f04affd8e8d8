//! What is seen of decisions, and by whom.

use base64::Engine as _;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, World};

fn ask(action: &str) -> Value {
    json!({ "target": "crm", "action": action, "resource": "customers/42", "reason": "ticket 7" })
}

pub(crate) async fn metrics(world: &World) -> String {
    let raw = world.read("metrics").await.unwrap();
    assert_eq!(
        raw["http_content_type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let body = base64::engine::general_purpose::STANDARD
        .decode(raw["http_raw_body"].as_str().unwrap())
        .unwrap();
    String::from_utf8(body).unwrap()
}

/// The value of a sample.
pub(crate) fn sample(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or("0").parse().unwrap()
}

async fn list(world: &World, path: &str, data: Value, entity: Option<&str>) -> Value {
    world
        .call(Operation::List, path, data, entity)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn every_decision_is_listed_and_explained() {
    let world = World::with_agent().await;
    let allowed = world.issue(ask("read")).await.unwrap().unwrap();
    world.issue(ask("delete")).await.unwrap_err();
    world
        .call(
            Operation::Update,
            "creds/issue",
            ask("read"),
            Some("other-entity"),
        )
        .await
        .unwrap_err();
    world
        .ok("agents/bot/suspend", json!({ "reason": "odd traffic" }))
        .await;
    world.issue(ask("read")).await.unwrap_err();
    let listed = list(&world, "decisions/", json!({}), None).await;
    let ids: Vec<&str> = listed["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    let seen: Vec<_> = ids
        .iter()
        .map(|id| {
            let info = &listed["key_info"][id];
            ["kind", "outcome", "reason", "agent"].map(|key| info[key].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        seen,
        [
            ["issue", "deny", "agent.suspended", "bot"],
            ["agent.suspend", "allow", "", "bot"],
            ["issue", "deny", "agent.unknown", ""],
            ["issue", "deny", "ceiling.none_applies", "bot"],
            ["issue", "allow", "", "bot"],
        ]
    );
    let read = world.read(&format!("decisions/{}", ids[4])).await.unwrap();
    assert_eq!(read["id"], allowed["decision_id"]);
    for (key, value) in [
        ("agent_id", &allowed["agent_id"]),
        ("policy", &json!("crm")),
        ("rule", &json!("read")),
        ("mode", &json!("autonomous")),
        ("target", &json!("crm")),
        ("action", &json!("read")),
        ("resource", &json!("customers/42")),
        ("purpose", &json!("ticket 7")),
        ("ttl", &json!(60)),
        ("request_id", &json!("6a8c1c6e-0000-4000-8000-000000000001")),
        ("remote_address", &json!("127.0.0.1")),
        ("caller", &json!(AGENT_ENTITY)),
    ] {
        assert_eq!(&read[key], value, "{key}");
    }
    assert_eq!(read["explanation"]["layers"].as_array().unwrap().len(), 8);
    let suspended = world.read(&format!("decisions/{}", ids[1])).await.unwrap();
    assert_eq!(suspended["purpose"], "odd traffic");
    assert!(suspended.get("explanation").is_none());
    let narrowed = list(
        &world,
        "decisions/",
        json!({ "agent": "bot", "outcome": "deny", "limit": 1 }),
        None,
    )
    .await;
    assert_eq!(narrowed["keys"], json!([ids[0]]));
    assert_eq!(narrowed["next"], ids[2], "the last that was looked at");
    let rest = list(
        &world,
        "decisions/",
        json!({ "agent": "bot", "outcome": "deny", "after": ids[2] }),
        None,
    )
    .await;
    assert_eq!(rest["keys"], json!([ids[3]]));
}

#[tokio::test]
async fn the_names_beside_an_id_keep_their_meaning() {
    let world = World::with_agent().await;
    let evaluate =
        json!({ "agent": "bot", "target": "crm", "action": "read", "resource": "customers/1" });
    assert_eq!(
        world.ok("decisions/evaluate", evaluate).await["decision"],
        true
    );
    for path in ["decisions/evaluate", "decisions/none"] {
        let answer = world.call(Operation::Read, path, Value::Null, None).await;
        assert!(
            matches!(answer, Err(Error::Unsupported | Error::Invalid(_))),
            "{path}: {answer:?}"
        );
    }
    assert_eq!(world.read("decisions/verify").await.unwrap()["ok"], true);
    let absent = "decisions/01a2062d-d731-7335-be88-0c6ee36d31a9";
    assert!(world.read(absent).await.is_none());
    let bad = world
        .call(Operation::List, "decisions", json!({ "after": "x" }), None)
        .await;
    assert!(matches!(bad, Err(Error::Invalid(text)) if text.contains("after")));
}

#[tokio::test]
async fn those_who_do_not_govern_see_their_own_only() {
    let world = World::with_agent().await;
    world.ok("agents/register", json!({ "name": "owned", "entity_id": "other-entity", "owner": HUMAN_ENTITY, "ceiling_policies": "crm" })).await;
    let mine = world.issue(ask("read")).await.unwrap().unwrap()["decision_id"].clone();
    let refused = world.issue(ask("delete")).await.unwrap_err().to_string();
    let owned = world
        .call(
            Operation::Update,
            "creds/issue",
            ask("read"),
            Some("other-entity"),
        )
        .await
        .unwrap()
        .unwrap()["decision_id"]
        .clone();
    for path in ["decisions/", "activity/", "activity/agents"] {
        let denied = world
            .call(Operation::List, path, json!({}), Some(AGENT_ENTITY))
            .await;
        assert!(matches!(denied, Err(Error::Denied(_))), "{path}");
    }
    let of = |listed: &Value| listed["keys"].clone();
    let agent = list(&world, "self/decisions", json!({}), Some(AGENT_ENTITY)).await;
    // What it tried to govern is there, too.
    assert_eq!(of(&agent).as_array().unwrap().len(), 5);
    let human = list(&world, "self/decisions", json!({}), Some(HUMAN_ENTITY)).await;
    assert_eq!(of(&human), json!([owned]));
    let nobody = world
        .call(Operation::List, "self/decisions", json!({}), None)
        .await;
    assert!(matches!(nobody, Err(Error::Denied(_))));
    let path = |id: &Value| format!("self/decisions/{}", id.as_str().unwrap());
    let read = |id: Value, entity: &'static str| {
        let (world, path) = (&world, path(&id));
        async move {
            world
                .call(Operation::Read, &path, Value::Null, Some(entity))
                .await
                .unwrap()
        }
    };
    assert!(read(mine.clone(), AGENT_ENTITY).await.is_some());
    assert!(
        read(mine, HUMAN_ENTITY).await.is_none(),
        "another's is as one that is not there"
    );
    assert!(read(owned.clone(), AGENT_ENTITY).await.is_none());
    let shown = read(owned, HUMAN_ENTITY).await.unwrap();
    assert!(shown.get("rule").is_none() && shown.get("explanation").is_none());
    // A refused agent reads no more than it was told.
    world.ok("config", json!({ "denial_detail": "none" })).await;
    let id = refused
        .rsplit("Decision ")
        .next()
        .unwrap()
        .trim_end_matches('.')
        .to_owned();
    let shown = read(json!(id), AGENT_ENTITY).await.unwrap();
    assert_eq!(
        (&shown["outcome"], &shown["reason"]),
        (&json!("deny"), &json!(""))
    );
    assert!(shown.get("reasons").is_none() && shown.get("layer").is_none());
}

#[tokio::test]
async fn what_was_done_is_counted() {
    let world = World::with_agent().await;
    for _ in 0..3 {
        world.issue(ask("read")).await.unwrap();
    }
    world.issue(ask("delete")).await.unwrap_err();
    let other = json!({ "target": "nothing", "action": "read" });
    world.issue(other).await.unwrap_err();
    let text = metrics(&world).await;
    for (name, value) in [
        (
            "agentic_decisions_total{kind=\"issue\",outcome=\"allow\"}",
            3.0,
        ),
        (
            "agentic_decisions_total{kind=\"issue\",outcome=\"deny\"}",
            2.0,
        ),
        (
            "agentic_refusals_total{reason=\"ceiling.none_applies\"}",
            1.0,
        ),
        ("agentic_refusals_total{reason=\"target.unknown\"}", 1.0),
        (
            "agentic_target_decisions_total{target=\"crm\",outcome=\"allow\"}",
            3.0,
        ),
        (
            "agentic_target_decisions_total{target=\"\",other=\"true\",outcome=\"deny\"}",
            1.0,
        ),
        ("agentic_decision_log_entries", 5.0),
    ] {
        assert_eq!(sample(&text, name), value, "{name}\n{text}");
    }
    assert!(
        !text.contains("nothing"),
        "a name that only a caller claims is no label"
    );
    let agent = world.read("activity/agents/bot").await.unwrap();
    assert_eq!(
        (&agent["allowed"], &agent["denied"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(agent["last_reason"], "target.unknown");
    assert_eq!(
        world.read("activity/targets/crm").await.unwrap()["allowed"],
        3
    );
    assert!(world.read("activity/targets/nothing").await.is_none());
    assert_eq!(
        list(&world, "activity/agents/", json!({}), None).await["keys"],
        json!(["bot"])
    );
}

/// Every line of the text format is a comment or a sample of a family that was
/// announced, and no series comes twice.
#[tokio::test]
async fn the_text_format_is_kept() {
    let world = World::with_agent().await;
    world.issue(ask("read")).await.unwrap();
    world.issue(ask("delete")).await.unwrap_err();
    let text = metrics(&world).await;
    let mut family = "";
    let mut series = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap();
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with(family), "{line}");
        value.parse::<f64>().unwrap();
        assert!(series.insert(name.to_owned()), "{line} comes twice");
    }
    let buckets: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("_bucket{"))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(buckets.is_sorted());
    assert_eq!(
        *buckets.last().unwrap(),
        sample(&text, "agentic_decision_duration_seconds_count")
    );
    assert!(text.ends_with('\n'));
}

#[tokio::test]
async fn targets_cannot_make_more_series_than_there_is_room_for() {
    let world = World::with_agent().await;
    for number in 0..120 {
        world
            .ok(&format!("targets/t{number}"), json!({ "actions": "read" }))
            .await;
        let request = json!({ "target": format!("t{number}"), "action": "read" });
        world.issue(request).await.unwrap_err();
    }
    let text = metrics(&world).await;
    let series = text
        .lines()
        .filter(|line| line.starts_with("agentic_target_decisions_total{"))
        .count();
    assert_eq!(series, 101);
    assert_eq!(
        sample(
            &text,
            "agentic_target_decisions_total{target=\"\",other=\"true\",outcome=\"deny\"}"
        ),
        20.0
    );
}

#[tokio::test]
async fn settings_of_the_log_are_checked() {
    let world = World::with_agent().await;
    for (field, value) in [
        ("decision_retention", json!("401d")),
        ("decision_memory", json!(0)),
        ("decision_memory", json!(100_001)),
    ] {
        let refused = world.refused("config", json!({ field: value })).await;
        assert!(refused.contains(field), "{refused}");
    }
    let written = world
        .ok(
            "config",
            json!({ "decision_retention": "90d", "decision_memory": 5, "decision_lines": false }),
        )
        .await;
    assert_eq!(written["decision_retention"], 90 * 24 * 3600);
    for _ in 0..9 {
        world.issue(ask("read")).await.unwrap();
    }
    let text = metrics(&world).await;
    assert_eq!(sample(&text, "agentic_decision_log_entries"), 5.0);
    assert_eq!(sample(&text, "agentic_decision_log_pending"), 9.0);
}

#[tokio::test]
async fn what_is_taken_away_is_logged() {
    let world = World::with_agent().await;
    let token = world.credential().await;
    for token in ["garbage", token.as_str()] {
        world.ok("creds/revoke", json!({ "token": token })).await;
    }
    let key = json!({ "version": 1 });
    world.ok("keys/default/retire", key).await;
    let suspend = json!({ "reason": "an operator's own words" });
    world.ok("agents/bot/suspend", suspend).await;
    // One that is suspended can do nothing, not even look.
    let path = "self/decisions";
    let barred = world.call(Operation::List, path, json!({}), Some(AGENT_ENTITY));
    assert!(matches!(barred.await, Err(Error::Denied(why)) if why.contains("agent.suspended")));
    world.ok("agents/bot/resume", json!({})).await;
    let own = list(&world, "self/decisions", json!({}), Some(AGENT_ENTITY)).await;
    let id = own["keys"][1].as_str().unwrap();
    let path = format!("self/decisions/{id}");
    let answer = world
        .call(Operation::Read, &path, Value::Null, Some(AGENT_ENTITY))
        .await
        .unwrap();
    let shown = answer.unwrap();
    assert_eq!(shown["kind"], "agent.suspend");
    for hidden in ["caller", "request_id", "remote_address", "purpose"] {
        assert_eq!(shown[hidden], Value::Null, "{shown}");
    }
    world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    let all = list(&world, "decisions", json!({}), None).await;
    let kinds: Vec<_> = all["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| {
            let entry = &all["key_info"][id.as_str().unwrap()];
            (
                entry["kind"].as_str().unwrap(),
                entry["agent"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("agent.delete", "bot"),
        ("agent.resume", "bot"),
        ("agent.suspend", "bot"),
        ("key.retire", ""),
        ("credential.revoke", "bot"),
        ("issue", "bot"),
    ];
    assert_eq!(kinds, expected);
}
