//! Storage that fails at every position of every change, with and without
//! transactions: nothing is granted by halves, and nothing is lost that cannot
//! be done again.
#![expect(clippy::arithmetic_side_effects, reason = "small numbers, in a test")]

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::people::{People, crm, text};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, request};

/// Makes `change` fail at each of its writes in turn, until it has none left
/// to fail at, and lets `check` look at what another process finds.
async fn at_every_write<S>(
    prepare: impl AsyncFn(&People) -> S,
    change: impl AsyncFn(&People, &S) -> crate::world::Answer,
    check: impl AsyncFn(&People, &S, bool),
) {
    for transactional in [true, false] {
        for lost in [false, true] {
            let mut positions = 0;
            loop {
                let people = People::new().await;
                people.world.storage.transactional(transactional);
                let state = prepare(&people).await;
                if lost {
                    // Made, and reported as failed.
                    people.world.storage.lose_replies(true);
                } else {
                    people.world.storage.fail_after(positions);
                }
                let failed = change(&people, &state).await;
                people.world.storage.fail_writes(false);
                people.world.storage.lose_replies(false);
                let done = failed.is_ok();
                if !done {
                    assert!(matches!(failed, Err(Error::Host(_))), "{failed:?}");
                }
                // In this process, with its caches, and in another.
                for people in [&people.again(), &people] {
                    check(people, &state, done).await;
                }
                positions += 1;
                if done || lost {
                    break;
                }
                assert!(positions < 20, "a change has few writes");
            }
            assert!(lost || positions > 1, "there was something to fail");
        }
    }
}

#[tokio::test]
async fn a_request() {
    at_every_write(
        async |_: &People| (),
        async |people, ()| people.try_ask(&crm("read")).await,
        async |people, (), _| {
            // However much of it is there, it can be asked again and answered.
            let id = text(&people.ask(&crm("read")).await["id"]);
            people.approve(&id, json!({})).await.unwrap();
            people.issue(&id).await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn an_approval() {
    at_every_write(
        async |people: &People| text(&people.ask(&crm("read")).await["id"]),
        async |people, id| people.approve(id, json!({ "max_uses": 8 })).await,
        async |people, id, done| {
            let granted = people.issue(id).await.is_ok();
            assert!(granted || !done, "what was acknowledged holds");
            let read = people
                .read(HUMAN_ENTITY, &format!("delegations/{id}"))
                .await;
            let read = read.unwrap().unwrap();
            assert_eq!(read["status"] == "active", granted);
            if granted {
                // With the limit that it was granted with, and with its receipt.
                assert_eq!(read["max_uses"], 8);
                let consent = format!("consents/{}", text(&read["consent_id"]));
                let consent = people.read(HUMAN_ENTITY, &consent).await.unwrap().unwrap();
                people
                    .claims(&consent["receipt"], "agentic-consent+jwt")
                    .await;
            } else {
                people.approve(id, json!({ "max_uses": 8 })).await.unwrap();
                people.issue(id).await.unwrap();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_grant() {
    let grant = async |people: &People| {
        let grant = json!({ "agent": "bot", "scope": crm("read")["scope"] });
        people.by(HUMAN_ENTITY, "delegations/grant", grant).await
    };
    at_every_write(
        async |_: &People| (),
        async |people, ()| grant(people).await,
        async |people, (), done| {
            let list = people.list(Some(HUMAN_ENTITY)).await.unwrap().unwrap();
            let listed = list
                .get("keys")
                .and_then(Value::as_array)
                .map_or(0, Vec::len);
            assert!(listed > 0 || !done);
            let again = grant(people).await.unwrap().unwrap();
            people.issue(&text(&again["id"])).await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_denial() {
    at_every_write(
        async |people: &People| text(&people.ask(&crm("read")).await["id"]),
        async |people, id| {
            people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/deny"), json!({}))
                .await
        },
        async |people, id, done| {
            assert!(people.issue(id).await.is_err());
            let read = people
                .read(HUMAN_ENTITY, &format!("delegations/{id}"))
                .await;
            let status = read.unwrap().unwrap()["status"].clone();
            assert!(
                status == "denied" || (status == "pending" && !done),
                "{status}"
            );
            people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/deny"), json!({}))
                .await
                .unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_revocation() {
    at_every_write(
        async |people: &People| people.delegation("read").await,
        async |people, id| {
            people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/revoke"), json!({}))
                .await
        },
        async |people, id, done| {
            assert!(
                people.issue(id).await.is_err() || !done,
                "what was revoked is revoked"
            );
            people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/revoke"), json!({}))
                .await
                .unwrap();
            assert!(people.issue(id).await.is_err());
        },
    )
    .await;
}

#[tokio::test]
async fn passing_on() {
    let pass = async |people: &People, id: &str| {
        let path = format!("delegations/{id}/delegate");
        people
            .by(AGENT_ENTITY, &path, json!({ "agent": "two" }))
            .await
    };
    at_every_write(
        async |people: &People| {
            people.register("two", "two-entity").await;
            people.delegation("read").await
        },
        async |people, id| pass(people, id).await,
        async |people, id, _| {
            let part = pass(people, id).await.unwrap().unwrap();
            let part = text(&part["id"]);
            people.issue_as("two-entity", &part).await.unwrap();
            people
                .by(HUMAN_ENTITY, &format!("delegations/{id}/revoke"), json!({}))
                .await
                .unwrap();
            assert!(people.issue_as("two-entity", &part).await.is_err());
        },
    )
    .await;
}

#[tokio::test]
async fn a_counted_use() {
    at_every_write(
        async |people: &People| {
            people.register("two", "two-entity").await;
            let mut wanted = crm("read");
            wanted["max_uses"] = json!(5);
            let one = text(&people.ask(&wanted).await["id"]);
            people.approve(&one, json!({})).await.unwrap();
            let pass = json!({ "agent": "two", "max_uses": 1 });
            let two = people
                .by(AGENT_ENTITY, &format!("delegations/{one}/delegate"), pass)
                .await;
            text(&two.unwrap().unwrap()["id"])
        },
        async |people, id| people.issue_as("two-entity", id).await,
        async |people, id, done| {
            // One credential at most, whatever failed. Both who look share it.
            let answer = people.issue_as("two-entity", id).await;
            assert!(!done || answer.is_err(), "it was used");
            assert!(
                people.issue_as("two-entity", id).await.is_err(),
                "and never twice"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_question_and_its_answers_and_its_use() {
    let ask = |id: &str| json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": id });
    let issue = async |people: &People, id: &str, consent: Option<&str>| {
        let mut ask = ask(id);
        if let Some(consent) = consent {
            ask["consent_id"] = json!(consent);
        }
        people.by(AGENT_ENTITY, "creds/issue", ask).await
    };
    let prepare = async |people: &People| {
        people.per_request().await;
        people.delegation("read").await
    };
    let asked = async |people: &People, id: &str| {
        let answer = issue(people, id, None).await.unwrap().unwrap();
        text(&answer["consent_id"])
    };
    at_every_write(
        prepare,
        async |people, id| issue(people, id, None).await,
        async |people, id, _| {
            let consent = asked(people, id).await;
            let seen = people
                .read(HUMAN_ENTITY, &format!("consents/{consent}"))
                .await;
            assert_eq!(seen.unwrap().unwrap()["status"], "pending");
            let own = people.read(HUMAN_ENTITY, "self").await.unwrap().unwrap();
            assert_eq!(own["consents_waiting"].as_array().unwrap().len(), 1);
        },
    )
    .await;
    at_every_write(
        async |people: &People| {
            let id = prepare(people).await;
            let consent = asked(people, &id).await;
            (id, consent)
        },
        async |people, (_, consent)| {
            people
                .by(
                    HUMAN_ENTITY,
                    &format!("consents/{consent}/approve"),
                    json!({}),
                )
                .await
        },
        async |people, (_, consent), done| {
            let seen = people
                .read(HUMAN_ENTITY, &format!("consents/{consent}"))
                .await
                .unwrap()
                .unwrap();
            if seen["status"] == "approved" {
                people.claims(&seen["receipt"], "agentic-consent+jwt").await;
            } else {
                assert!(!done && seen["status"] == "pending" && seen["receipt"] == "");
            }
        },
    )
    .await;
    at_every_write(
        async |people: &People| {
            let id = prepare(people).await;
            let consent = asked(people, &id).await;
            (id, consent)
        },
        async |people, (_, consent)| {
            people
                .by(HUMAN_ENTITY, &format!("consents/{consent}/deny"), json!({}))
                .await
        },
        async |people, (id, consent), _| {
            assert!(matches!(
                issue(people, id, Some(consent)).await,
                Err(Error::Denied(_)) | Ok(Some(_))
            ));
            people
                .by(HUMAN_ENTITY, &format!("consents/{consent}/deny"), json!({}))
                .await
                .unwrap();
            assert!(issue(people, id, Some(consent)).await.is_err());
            assert!(
                issue(people, id, None)
                    .await
                    .unwrap_err()
                    .to_string()
                    .contains("cooling_down")
            );
        },
    )
    .await;
    at_every_write(
        async |people: &People| {
            let id = prepare(people).await;
            let consent = asked(people, &id).await;
            people
                .by(
                    HUMAN_ENTITY,
                    &format!("consents/{consent}/approve"),
                    json!({}),
                )
                .await
                .unwrap();
            (id, consent)
        },
        async |people, (id, consent)| issue(people, id, Some(consent)).await,
        async |people, (id, consent), done| {
            let first = issue(people, id, Some(consent)).await;
            assert!(!done || first.is_err(), "one yes, one credential");
            assert!(issue(people, id, Some(consent)).await.is_err());
        },
    )
    .await;
}

#[tokio::test]
async fn tidying_that_fails_is_done_the_next_time() {
    for transactional in [true, false] {
        for position in 0..12 {
            let people = People::new().await;
            people.per_request().await;
            let before = people.world.storage.keys();
            people.world.storage.transactional(transactional);
            let id = people.delegation("read").await;
            let ask = json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": id });
            people.by(AGENT_ENTITY, "creds/issue", ask).await.unwrap();
            let mut anybody = crm("read");
            anybody["subject_entity_id"] = Value::Null;
            people.ask(&anybody).await;
            people.world.advance(49 * 3600);
            let tick = async || {
                let periodic = request(Operation::Periodic, "", Value::Null, None);
                people.world.backend.handle(periodic).await
            };
            people.world.storage.fail_after(position);
            let _ = tick().await;
            people.world.storage.fail_writes(false);
            tick().await.unwrap();
            let mut left = people.world.storage.keys();
            left.retain(|key| key != "key/receipts");
            assert_eq!(left, before, "{transactional} {position}");
        }
    }
}
