//! Many at once, over storage that lets others go first at every call.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::{Error, Result};
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::storage::{Storage, Write};

use crate::people::{People, crm, text};
use crate::world::{AGENT_ENTITY, Answer, HUMAN_ENTITY, World};

/// Storage that yields before and after everything it does, as a round trip to
/// the host does.
#[derive(Debug)]
struct Slow(Arc<MemoryStorage>);

#[async_trait]
impl Storage for Slow {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>> {
        tokio::task::yield_now().await;
        let found = self.0.get(key).await;
        tokio::task::yield_now().await;
        found
    }

    async fn list(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>> {
        tokio::task::yield_now().await;
        self.0.list(prefix, after, limit).await
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        tokio::task::yield_now().await;
        let done = self.0.commit(writes).await;
        tokio::task::yield_now().await;
        done
    }

    async fn replace(&self, key: &str, seen: &[u8], value: Vec<u8>) -> Result<()> {
        tokio::task::yield_now().await;
        let done = self.0.replace(key, seen, value).await;
        tokio::task::yield_now().await;
        done
    }
}

async fn people() -> Arc<People> {
    let first = People::new().await;
    let storage = Arc::clone(&first.world.storage);
    let world = World::over_as(Arc::clone(&storage), Arc::new(Slow(storage)));
    Arc::new(People::on(world).await)
}

/// Makes all calls at once, on several threads.
async fn at_once(people: &Arc<People>, calls: Vec<(&'static str, String, Value)>) -> Vec<Answer> {
    let start = Arc::new(tokio::sync::Barrier::new(calls.len()));
    let tasks: Vec<_> = calls
        .into_iter()
        .map(|(who, path, data)| {
            let (people, start) = (Arc::clone(people), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                people.by(who, &path, data).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

fn credentials(answers: &[Answer]) -> usize {
    answers
        .iter()
        .filter(|answer| matches!(answer, Ok(Some(body)) if body.get("credential").is_some()))
        .count()
}

fn ask(id: &str) -> Value {
    json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": id })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_consent_is_used_once_by_fifty() {
    let people = people().await;
    people.per_request().await;
    let id = people.delegation("read").await;
    for _ in 0..5 {
        let asked = people
            .by(AGENT_ENTITY, "creds/issue", ask(&id))
            .await
            .unwrap()
            .unwrap();
        let consent = text(&asked["consent_id"]);
        people
            .by(
                HUMAN_ENTITY,
                &format!("consents/{consent}/approve"),
                json!({}),
            )
            .await
            .unwrap();
        let mut retry = ask(&id);
        retry["consent_id"] = json!(consent);
        let calls = vec![(AGENT_ENTITY, "creds/issue".to_owned(), retry); 50];
        let answers = at_once(&people, calls).await;
        assert_eq!(credentials(&answers), 1);
        for answer in answers.iter().filter(|answer| answer.is_err()) {
            let told = answer.as_ref().unwrap_err().to_string();
            assert!(told.contains("consent.used"), "{told}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn uses_are_counted_one_by_one() {
    let people = people().await;
    people.register("two", "two-entity").await;
    let mut wanted = crm("read");
    wanted["max_uses"] = json!(7);
    let one = text(&people.ask(&wanted).await["id"]);
    people.approve(&one, json!({})).await.unwrap();
    let path = format!("delegations/{one}/delegate");
    let two = people
        .by(
            AGENT_ENTITY,
            &path,
            json!({ "agent": "two", "max_uses": 5 }),
        )
        .await;
    let two = text(&two.unwrap().unwrap()["id"]);
    let mut calls = vec![(AGENT_ENTITY, "creds/issue".to_owned(), ask(&one)); 20];
    calls.extend(vec![
        ("two-entity", "creds/issue".to_owned(), ask(&two));
        20
    ]);
    let answers = at_once(&people, calls).await;
    assert_eq!(credentials(&answers), 7, "those below count above");
    assert!(credentials(&answers[20..]) <= 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_answer_wins() {
    let people = people().await;
    for round in 0..20 {
        let mut wanted = crm("read");
        wanted["purpose"] = json!(format!("round {round}"));
        let id = text(&people.ask(&wanted).await["id"]);
        let approve = |ttl: &str| {
            (
                HUMAN_ENTITY,
                format!("delegations/{id}/approve"),
                json!({ "ttl": ttl }),
            )
        };
        let deny = (HUMAN_ENTITY, format!("delegations/{id}/deny"), json!({}));
        let answers = at_once(&people, vec![approve("1h"), deny, approve("2h")]).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.is_ok()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer, Ok(_) | Err(Error::Conflict(_))))
        );
        let won = won[0].as_ref().unwrap().as_ref().unwrap();
        let read = people
            .read(HUMAN_ENTITY, &format!("delegations/{id}"))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (&read["status"], &read["ttl"]),
            (&won["status"], &won["ttl"])
        );
        assert_eq!(people.issue(&id).await.is_ok(), read["status"] == "active");
        people.world.advance(301);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_answer_to_a_question_wins() {
    let people = people().await;
    people.per_request().await;
    let id = people.delegation("read").await;
    for _ in 0..20 {
        let asked = people
            .by(AGENT_ENTITY, "creds/issue", ask(&id))
            .await
            .unwrap()
            .unwrap();
        let consent = text(&asked["consent_id"]);
        let answer = |verb: &str| {
            (
                HUMAN_ENTITY,
                format!("consents/{consent}/{verb}"),
                json!({}),
            )
        };
        let answers = at_once(
            &people,
            vec![
                answer("approve"),
                answer("deny"),
                answer("approve"),
                answer("deny"),
            ],
        )
        .await;
        let read = people
            .read(HUMAN_ENTITY, &format!("consents/{consent}"))
            .await
            .unwrap()
            .unwrap();
        for answer in answers {
            match answer {
                Ok(Some(body)) => assert_eq!(body["status"], read["status"]),
                Err(Error::Conflict(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        let mut retry = ask(&id);
        retry["consent_id"] = json!(consent);
        let issued = people.by(AGENT_ENTITY, "creds/issue", retry).await;
        assert_eq!(issued.is_ok(), read["status"] == "approved");
        people.world.advance(301);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_issued_once_a_revocation_is_acknowledged() {
    let people = people().await;
    for _ in 0..10 {
        let id = people.delegation("read").await;
        let mut calls = vec![(AGENT_ENTITY, "creds/issue".to_owned(), ask(&id)); 20];
        calls.push((HUMAN_ENTITY, format!("delegations/{id}/revoke"), json!({})));
        at_once(&people, calls).await;
        let late = at_once(
            &people,
            vec![(AGENT_ENTITY, "creds/issue".to_owned(), ask(&id)); 10],
        )
        .await;
        assert_eq!(credentials(&late), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_is_used_by_one() {
    let people = people().await;
    for _ in 0..10 {
        let mut wanted = crm("read");
        wanted["subject_entity_id"] = Value::Null;
        let code = text(&people.ask(&wanted).await["user_code"]);
        let approve =
            |who: &'static str| (who, format!("delegations/code/{code}/approve"), json!({}));
        let answers = at_once(
            &people,
            vec![approve(HUMAN_ENTITY), approve(crate::people::BOB)],
        )
        .await;
        assert_eq!(
            answers.iter().filter(|answer| answer.is_ok()).count(),
            1,
            "{answers:?}"
        );
        people.world.advance(601);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn questions_asked_at_once_are_one() {
    let people = people().await;
    people.per_request().await;
    let id = people.delegation("read").await;
    let answers = at_once(
        &people,
        vec![(AGENT_ENTITY, "creds/issue".to_owned(), ask(&id)); 50],
    )
    .await;
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| text(&answer.as_ref().unwrap().as_ref().unwrap()["consent_id"]))
        .collect();
    assert_eq!(ids.len(), 1);
    // And so are the limits on how many there may be.
    let other = |n: usize| {
        let mut ask = ask(&id);
        ask["resource"] = json!(format!("customers/{n}"));
        (AGENT_ENTITY, "creds/issue".to_owned(), ask)
    };
    let answers = at_once(&people, (100..140).map(other).collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3);
    let asks = (0..40).map(|n| {
        let mut wanted = crm("read");
        wanted["purpose"] = json!(format!("purpose {n}"));
        (AGENT_ENTITY, "delegations/request".to_owned(), wanted)
    });
    let answers = at_once(&people, asks.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 8);
}
