//! Authority passed from agent to agent: never wider, never in circles, and
//! gone at once with any link above.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::people::{BOB, People, crm, denied, refused, text};
use crate::world::{AGENT_ENTITY, Answer, HUMAN_ENTITY};

/// Three agents after bot, each of which may stand at any depth.
async fn people() -> People {
    let people = People::new().await;
    people
        .world
        .ok("config", json!({ "max_delegation_depth": 8 }))
        .await;
    for name in ["two", "three", "four"] {
        people.register(name, &format!("{name}-entity")).await;
    }
    people
}

async fn pass(people: &People, by: &str, id: &str, to: &str, mut part: Value) -> Answer {
    part["agent"] = json!(to);
    people
        .by(by, &format!("delegations/{id}/delegate"), part)
        .await
}

async fn passed(people: &People, by: &str, id: &str, to: &str) -> String {
    let answer = pass(people, by, id, to, json!({})).await;
    text(&answer.unwrap().unwrap()["id"])
}

#[tokio::test]
async fn a_chain_nests_its_actors() {
    let people = people().await;
    let one = people.delegation("read").await;
    let two = passed(&people, AGENT_ENTITY, &one, "two").await;
    let three = passed(&people, "two-entity", &two, "three").await;
    let issued = people
        .issue_as("three-entity", &three)
        .await
        .unwrap()
        .unwrap();
    let claims = people.claims(&issued["credential"], "at+jwt").await;
    let id = async |name: &str| {
        let agent = people.world.read(&format!("agents/{name}")).await;
        agent.unwrap()["id"].clone()
    };
    let (a, b, c) = (id("bot").await, id("two").await, id("three").await);
    assert_eq!(claims["sub"], HUMAN_ENTITY);
    assert_eq!(claims["client_id"], c);
    assert_eq!(
        claims["act"],
        json!({ "sub": c, "act": { "sub": b, "act": { "sub": a } } })
    );
    // The yes it rests on is the human's to the first link.
    let first = people
        .read(HUMAN_ENTITY, &format!("delegations/{one}"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(claims["agentic"]["consent_id"], first["consent_id"]);
    assert_eq!(claims["agentic"]["delegation_id"], json!(three));
    // Only who holds it can use it.
    refused(people.issue_as("two-entity", &three).await);
    refused(people.issue_as(AGENT_ENTITY, &two).await);
    // The parties of each link see it, and nobody else.
    for (who, sees) in [
        (HUMAN_ENTITY, true),
        ("two-entity", true),
        ("three-entity", true),
        (AGENT_ENTITY, false),
        ("four-entity", false),
        (BOB, false),
    ] {
        let read = people.read(who, &format!("delegations/{three}")).await;
        assert_eq!(read.is_ok(), sees, "{who}");
    }
}

#[tokio::test]
async fn to_end_any_link_ends_all_below_it_with_few_writes() {
    for ended in 0..3 {
        let people = people().await;
        let one = people.delegation("read").await;
        let two = passed(&people, AGENT_ENTITY, &one, "two").await;
        let three = passed(&people, "two-entity", &two, "three").await;
        for _ in 0..20 {
            passed(&people, "two-entity", &two, "four").await;
        }
        let chain = [
            (&one, AGENT_ENTITY),
            (&two, "two-entity"),
            (&three, "three-entity"),
        ];
        for (id, by) in chain {
            people.issue_as(by, id).await.unwrap();
        }
        let writes = people.world.storage.writes();
        let path = format!("delegations/{}/revoke", chain[ended].0);
        people.by(HUMAN_ENTITY, &path, json!({})).await.unwrap();
        assert!(people.world.storage.writes() - writes <= 3);
        for (depth, (id, by)) in chain.into_iter().enumerate() {
            let answer = people.issue_as(by, id).await;
            if depth < ended {
                answer.unwrap();
            } else {
                denied(answer, "delegation.revoked");
            }
        }
        let late = pass(&people, chain[ended].1, chain[ended].0, "four", json!({})).await;
        assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
    }
}

#[tokio::test]
async fn who_passed_it_on_can_take_it_back_and_others_cannot() {
    let people = people().await;
    let one = people.delegation("read").await;
    let two = passed(&people, AGENT_ENTITY, &one, "two").await;
    let revoke = format!("delegations/{two}/revoke");
    for who in [BOB, "three-entity"] {
        refused(people.by(who, &revoke, json!({})).await);
    }
    people.issue_as("two-entity", &two).await.unwrap();
    people.by(AGENT_ENTITY, &revoke, json!({})).await.unwrap();
    denied(
        people.issue_as("two-entity", &two).await,
        "delegation.revoked",
    );
    people.issue_as(AGENT_ENTITY, &one).await.unwrap();
    // Nobody can answer for a link: the human has answered for the first.
    for verb in ["approve", "deny"] {
        refused(
            people
                .by(
                    HUMAN_ENTITY,
                    &format!("delegations/{two}/{verb}"),
                    json!({}),
                )
                .await,
        );
    }
}

#[tokio::test]
async fn a_part_is_never_wider() {
    let people = people().await;
    let mut wanted = crm("read");
    for (field, value) in [
        ("ttl", json!("1h")),
        ("max_ttl", json!("30s")),
        ("max_uses", json!(3)),
    ] {
        wanted[field] = value;
    }
    let one = text(&people.ask(&wanted).await["id"]);
    people.approve(&one, json!({})).await.unwrap();
    let detail = |target: &str, action: &str, resource: &str| json!([{ "type": "agentic:action", "targets": [target], "actions": [action], "resources": [resource] }]);
    for wider in [
        detail("crm", "delete", "customers/1"),
        detail("crm", "*", "customers/1"),
        detail("c*", "read", "customers/1"),
        detail("crm", "read", "**"),
        detail("crm", "read", "customers"),
        detail("crm", "read", "*/1"),
        json!([]),
        json!([{ "type": "vault:path_access", "path": "kv/*", "capabilities": ["read"] }]),
    ] {
        let answer = pass(
            &people,
            AGENT_ENTITY,
            &one,
            "two",
            json!({ "scope": wider }),
        )
        .await;
        assert!(
            matches!(&answer, Err(Error::Invalid(told)) if told.contains("scope")),
            "{wider}: {answer:?}"
        );
    }
    for path in ["customers/../x", "customers/%2e%2e/x", "customers//x"] {
        let answer = pass(
            &people,
            AGENT_ENTITY,
            &one,
            "two",
            json!({ "scope": detail("crm", "read", path) }),
        )
        .await;
        assert!(matches!(answer, Err(Error::Invalid(_))), "{path}");
    }
    people.world.advance(600);
    let more = json!({ "ttl": "10h", "max_ttl": "1h", "max_uses": 100 });
    let child = pass(&people, AGENT_ENTITY, &one, "two", more)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&child["ttl"], &child["max_ttl"], &child["max_uses"]),
        (&json!(3000), &json!(30), &json!(3))
    );
    let two = text(&child["id"]);
    // A use below is a use above.
    for _ in 0..2 {
        people.issue_as("two-entity", &two).await.unwrap();
    }
    people.issue(&one).await.unwrap();
    denied(
        people.issue_as("two-entity", &two).await,
        "delegation.used_up",
    );
    denied(people.issue(&one).await, "delegation.used_up");
}

#[tokio::test]
async fn circles_strangers_and_depth_are_refused() {
    let people = people().await;
    let one = people.delegation("read").await;
    let two = passed(&people, AGENT_ENTITY, &one, "two").await;
    for (by, id, to, why) in [
        (AGENT_ENTITY, &one, "bot", "circles"),
        ("two-entity", &two, "bot", "circles"),
        ("two-entity", &two, "two", "circles"),
        (AGENT_ENTITY, &one, "nobody", "no agent"),
    ] {
        let answer = pass(&people, by, id, to, json!({})).await;
        assert!(
            matches!(&answer, Err(Error::Invalid(told)) if told.contains(why)),
            "{to}: {answer:?}"
        );
    }
    for who in [HUMAN_ENTITY, BOB, "three-entity", "two-entity"] {
        refused(pass(&people, who, &one, "four", json!({})).await);
    }
    let refuses = async |why: &str| {
        let answer = pass(&people, AGENT_ENTITY, &one, "three", json!({})).await;
        assert!(
            matches!(&answer, Err(Error::Invalid(told)) if told.contains(why)),
            "{answer:?}"
        );
    };
    people
        .world
        .ok("agents/three", json!({ "max_delegation_depth": 1 }))
        .await;
    refuses("may stand at the end of 1").await;
    people
        .world
        .ok("agents/three", json!({ "max_delegation_depth": 8 }))
        .await;
    people
        .world
        .ok("config", json!({ "max_delegation_depth": 1 }))
        .await;
    refuses("may stand at the end of 1").await;
    denied(
        people.issue_as("two-entity", &two).await,
        "delegation.too_deep",
    );
    people
        .world
        .ok("config", json!({ "max_delegation_depth": 8 }))
        .await;
    people
        .world
        .ok("agents/three", json!({ "delegation_modes": "autonomous" }))
        .await;
    refuses("on_behalf_of").await;
    people.world.ok("agents/three/suspend", json!({})).await;
    refuses("suspended").await;
    // A pending request cannot be passed on.
    let waits = text(&people.ask(&crm("delete")).await["id"]);
    assert!(matches!(
        pass(&people, AGENT_ENTITY, &waits, "two", json!({})).await,
        Err(Error::Conflict(_))
    ));
}

#[tokio::test]
async fn every_agent_on_the_way_must_still_be_good() {
    let people = people().await;
    let one = people.delegation("read").await;
    let two = passed(&people, AGENT_ENTITY, &one, "two").await;
    let issue = async || people.issue_as("two-entity", &two).await;
    issue().await.unwrap();
    people.world.ok("agents/bot/suspend", json!({})).await;
    denied(issue().await, "delegation.agent");
    people.world.ok("agents/bot/resume", json!({})).await;
    issue().await.unwrap();
    let system = |disabled| {
        let entity = vault_plugin_agentic::host::framework::system::Entity {
            id: AGENT_ENTITY.into(),
            name: "bot".into(),
            disabled,
            ..Default::default()
        };
        people.world.system.add(entity, &[]);
    };
    system(true);
    denied(issue().await, "delegation.agent");
    let merged = vault_plugin_agentic::host::framework::system::Entity {
        id: "another-entity".into(),
        name: "bot".into(),
        ..Default::default()
    };
    people.world.system.answer_with(AGENT_ENTITY, merged);
    denied(issue().await, "delegation.agent");
    system(false);
    people
        .world
        .policy("none", r#"rule "none" { effect = "deny" }"#)
        .await;
    people
        .world
        .ok("agents/bot", json!({ "ceiling_policies": "none" }))
        .await;
    denied(issue().await, "delegation.ceiling");
    people
        .world
        .ok("agents/bot", json!({ "ceiling_policies": "crm" }))
        .await;
    issue().await.unwrap();
    people.world.ok("agents/bot/revoke", json!({})).await;
    people.world.ok("agents/bot/resume", json!({})).await;
    denied(issue().await, "delegation.void");
    people
        .world
        .call(Operation::Delete, "agents/bot", Value::Null, None)
        .await
        .unwrap();
    people
        .world
        .ok(
            "agents/register",
            json!({ "name": "bot", "entity_id": AGENT_ENTITY, "ceiling_policies": "crm" }),
        )
        .await;
    denied(issue().await, "delegation.agent");
}

#[tokio::test]
async fn policies_see_the_purpose_that_the_subject_saw() {
    let people = people().await;
    let one = people.delegation("read").await;
    let lied = pass(
        &people,
        AGENT_ENTITY,
        &one,
        "two",
        json!({ "purpose": "audit" }),
    )
    .await;
    let two = text(&lied.unwrap().unwrap()["id"]);
    let wants = |purpose: &str| {
        format!(
            r#"rule "r" {{ effect = "allow"; targets = ["crm"]; condition = delegation.purpose == "{purpose}" }}"#
        )
    };
    people.world.policy("purpose", &wants("audit")).await;
    people
        .world
        .ok("agents/two", json!({ "ceiling_policies": "purpose" }))
        .await;
    denied(people.issue_as("two-entity", &two).await, "ceiling.");
    people
        .world
        .policy("purpose", &wants("answer customers"))
        .await;
    people.issue_as("two-entity", &two).await.unwrap();
}

#[tokio::test]
async fn fan_out_is_bounded() {
    let people = people().await;
    let one = people.delegation("read").await;
    for _ in 0..32 {
        passed(&people, AGENT_ENTITY, &one, "two").await;
    }
    let answer = pass(&people, AGENT_ENTITY, &one, "three", json!({})).await;
    assert!(matches!(answer, Err(Error::Limited(_))));
}

#[tokio::test]
async fn a_link_whose_parent_is_gone_is_broken() {
    let people = people().await;
    let one = people.delegation("read").await;
    let two = passed(&people, AGENT_ENTITY, &one, "two").await;
    people.world.storage.remove(&format!("delegation/{one}"));
    people
        .world
        .backend
        .invalidate(&format!("delegation/{one}"))
        .await;
    denied(
        people.issue_as("two-entity", &two).await,
        "delegation.broken",
    );
}
