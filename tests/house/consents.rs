//! Consent to one request: asked once, given by one, for exactly that, used
//! once.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;

use crate::people::{BOB, People, denied, refused, text};
use crate::world::{AGENT_ENTITY, Answer, HUMAN_ENTITY, START, request};

fn ask(delegation: &str) -> Value {
    json!({
        "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": delegation,
        "reason": "ticket 7", "context": { "amount": 5, "deep": { "b": 1, "a": [2] } },
    })
}

async fn issue(people: &People, ask: &Value) -> Answer {
    people.by(AGENT_ENTITY, "creds/issue", ask.clone()).await
}

/// The question that a request raises.
async fn question(people: &People, ask: &Value) -> Value {
    let answer = issue(people, ask).await.unwrap().unwrap();
    assert_eq!(answer["outcome"], "consent_required", "{answer}");
    assert!(answer.get("credential").is_none());
    answer
}

async fn answer(people: &People, who: &str, id: &str, verb: &str) -> Answer {
    people
        .by(who, &format!("consents/{id}/{verb}"), json!({}))
        .await
}

fn with(ask: &Value, id: &str) -> Value {
    let mut ask = ask.clone();
    ask["consent_id"] = json!(id);
    ask
}

#[tokio::test]
async fn the_whole_story() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let wanted = ask(&delegation);
    let asked = question(&people, &wanted).await;
    let id = text(&asked["consent_id"]);
    assert_eq!(asked["interval"], 5);
    let said = text(&asked["text"]);
    for part in [
        "`bot`",
        "`read`",
        "`customers/42`",
        "`crm`",
        "ticket 7",
        "'amount':5",
        "one credential",
        "1 minute",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let own = people.read(HUMAN_ENTITY, "self").await.unwrap().unwrap();
    assert_eq!(own["consents_waiting"][0]["id"], json!(id));
    assert_eq!(own["consents_waiting"][0]["text"], asked["text"]);
    let again = question(&people, &with(&wanted, &id)).await;
    assert_eq!(again["consent_id"], json!(id), "it waits");

    let approved = answer(&people, HUMAN_ENTITY, &id, "approve")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(approved["status"], "approved");
    let receipt = people
        .claims(&approved["receipt"], "agentic-consent+jwt")
        .await;
    assert_eq!(receipt["agentic"]["text"], asked["text"]);
    assert_eq!(receipt["agentic"]["consent_to"], "request");
    assert_eq!(
        (&receipt["sub"], &receipt["jti"]),
        (&json!(HUMAN_ENTITY), &json!(id))
    );
    assert_eq!(receipt["exp"], json!(START + 300));

    let issued = issue(&people, &with(&wanted, &id)).await.unwrap().unwrap();
    assert_eq!(issued["consent_id"], json!(id));
    let claims = people.claims(&issued["credential"], "at+jwt").await;
    assert_eq!(claims["agentic"]["consent_id"], json!(id));
    denied(issue(&people, &with(&wanted, &id)).await, "consent.used");
    let other = question(&people, &wanted).await;
    assert_ne!(
        other["consent_id"],
        json!(id),
        "the next time is asked anew"
    );
    let own = people.read(HUMAN_ENTITY, "self").await.unwrap().unwrap();
    assert_eq!(own["consents_waiting"].as_array().unwrap().len(), 1);
    let seen = people
        .read(AGENT_ENTITY, &format!("consents/{id}"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&seen["status"], &seen["used_at"]),
        (&json!("used"), &json!("2027-01-04T09:00:00Z"))
    );
}

#[tokio::test]
async fn it_is_bound_to_exactly_one_request() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("*").await;
    let wanted = ask(&delegation);
    let id = text(&question(&people, &wanted).await["consent_id"]);
    answer(&people, HUMAN_ENTITY, &id, "approve").await.unwrap();
    let second = people.delegation("read").await;
    for (field, value) in [
        ("action", json!("delete")),
        ("resource", json!("customers/43")),
        ("resource", json!("customers/42/x")),
        ("delegation_id", json!(second)),
        ("reason", json!("ticket 8")),
        ("context", json!({})),
        (
            "context",
            json!({ "amount": 6, "deep": { "b": 1, "a": [2] } }),
        ),
        (
            "context",
            json!({ "amount": 5, "deep": { "b": 1, "a": ["2"] } }),
        ),
        ("ttl", json!(10)),
        (
            "cnf_jwk",
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
        ),
        (
            "authorization_details",
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["*"], "resources": ["**"] }]),
        ),
    ] {
        let mut other = with(&wanted, &id);
        other[field] = value;
        denied(issue(&people, &other).await, "consent.mismatch");
    }
    people.register("second", "second-entity").await;
    let theirs = people
        .by("second-entity", "creds/issue", with(&wanted, &id))
        .await;
    refused(theirs);
    // The order of members is no difference.
    let mut same = with(&wanted, &id);
    same["context"] = json!({ "deep": { "a": [2], "b": 1 }, "amount": 5 });
    assert!(
        issue(&people, &same)
            .await
            .unwrap()
            .unwrap()
            .get("credential")
            .is_some()
    );
}

#[tokio::test]
async fn nobody_else_can_answer_or_see() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let id = text(&question(&people, &ask(&delegation)).await["consent_id"]);
    people.register("second", "second-entity").await;
    let unknown = "01890a5d-ac96-7774-bcce-b302099a8057";
    for who in [Some(BOB), Some("second-entity"), Some(AGENT_ENTITY), None] {
        for (operation, verb) in [
            (Operation::Read, ""),
            (Operation::Update, "/approve"),
            (Operation::Update, "/deny"),
        ] {
            let call = async |id: &str| {
                let path = format!("consents/{id}{verb}");
                let answer = people.world.call(operation, &path, json!({}), who).await;
                format!("{answer:?}").replace(id, "ID")
            };
            let told = call(&id).await;
            if who == Some(AGENT_ENTITY) && verb.is_empty() {
                assert!(
                    told.starts_with("Ok"),
                    "the agent that asked may see what became of it"
                );
            } else {
                assert_eq!(told, call(unknown).await, "{who:?} {verb}");
                assert!(told.starts_with("Err"), "{told}");
            }
        }
    }
    denied(
        issue(&people, &with(&ask(&delegation), unknown)).await,
        "consent.unknown",
    );
    // A consent to a delegation is not one to a request.
    let read = people
        .read(HUMAN_ENTITY, &format!("delegations/{delegation}"))
        .await;
    let standing = text(&read.unwrap().unwrap()["consent_id"]);
    denied(
        issue(&people, &with(&ask(&delegation), &standing)).await,
        "consent.unknown",
    );
    for verb in ["approve", "deny"] {
        let answer = answer(&people, HUMAN_ENTITY, &standing, verb).await;
        assert!(verb == "approve" || matches!(answer, Err(Error::Conflict(_))));
    }
}

#[tokio::test]
async fn one_question_however_often_it_is_asked_and_not_too_many() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let first = question(&people, &ask(&delegation)).await;
    let writes = people.world.storage.writes();
    for _ in 0..20 {
        let same = question(&people, &ask(&delegation)).await;
        assert_eq!(same["consent_id"], first["consent_id"]);
    }
    assert_eq!(people.world.storage.writes(), writes);
    let other = |delegation: &str, n: usize| {
        let mut other = ask(delegation);
        other["resource"] = json!(format!("customers/{n}"));
        other
    };
    for n in 1..4 {
        question(&people, &other(&delegation, n)).await;
    }
    let one_more = issue(&people, &other(&delegation, 4)).await;
    assert!(
        matches!(one_more, Err(Error::Limited(_))),
        "one agent's share"
    );
    // Other agents can still ask, until there are too many in all.
    let grant =
        |agent: &str| json!({ "agent": agent, "scope": crate::people::crm("read")["scope"] });
    for agent in ["two", "three", "four", "five"] {
        let entity = format!("{agent}-entity");
        people.register(agent, &entity).await;
        let granted = people
            .by(HUMAN_ENTITY, "delegations/grant", grant(agent))
            .await;
        let granted = text(&granted.unwrap().unwrap()["id"]);
        for n in 0..4 {
            let answer = people.by(&entity, "creds/issue", other(&granted, n)).await;
            assert_eq!(answer.is_ok(), agent != "five", "{agent}: {answer:?}");
        }
    }
    // Those that lapse make room.
    people.world.advance(300);
    question(&people, &other(&delegation, 4)).await;
}

#[tokio::test]
async fn silence_and_no_are_no() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("*").await;
    let wanted = ask(&delegation);
    let id = text(&question(&people, &wanted).await["consent_id"]);
    people.world.advance(300);
    denied(issue(&people, &with(&wanted, &id)).await, "consent.expired");
    let late = answer(&people, HUMAN_ENTITY, &id, "approve").await;
    assert!(matches!(late, Err(Error::Conflict(told)) if told.contains("expired")));

    let id = text(&question(&people, &wanted).await["consent_id"]);
    answer(&people, HUMAN_ENTITY, &id, "deny").await.unwrap();
    answer(&people, HUMAN_ENTITY, &id, "deny").await.unwrap();
    assert!(matches!(
        answer(&people, HUMAN_ENTITY, &id, "approve").await,
        Err(Error::Conflict(_))
    ));
    denied(issue(&people, &with(&wanted, &id)).await, "consent.denied");
    denied(issue(&people, &wanted).await, "consent.cooling_down");
    let mut reworded = wanted.clone();
    reworded["reason"] = json!("please");
    reworded["resource"] = json!("customers/7");
    denied(issue(&people, &reworded).await, "consent.cooling_down");
    let mut other = wanted.clone();
    other["action"] = json!("delete");
    question(&people, &other).await;
    people.world.advance(301);
    question(&people, &wanted).await;

    // A yes that nobody used is a yes no more.
    let id = text(&question(&people, &reworded).await["consent_id"]);
    answer(&people, HUMAN_ENTITY, &id, "approve").await.unwrap();
    people.world.advance(300);
    denied(
        issue(&people, &with(&reworded, &id)).await,
        "consent.expired",
    );
}

#[tokio::test]
async fn what_changed_since_the_yes_counts() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let wanted = ask(&delegation);
    let approved = async || {
        let id = text(&question(&people, &wanted).await["consent_id"]);
        answer(&people, HUMAN_ENTITY, &id, "approve").await.unwrap();
        with(&wanted, &id)
    };
    let retry = approved().await;
    let human = |disabled: bool| {
        let entity = Entity {
            id: HUMAN_ENTITY.into(),
            name: "alice".into(),
            disabled,
            ..Entity::default()
        };
        people.world.system.add(entity, &["support"]);
    };
    human(true);
    denied(issue(&people, &retry).await, "subject.disabled");
    human(false);
    people.world.ok("agents/bot/suspend", json!({})).await;
    denied(issue(&people, &retry).await, "agent.suspended");
    people.world.ok("agents/bot/resume", json!({})).await;
    issue(&people, &retry).await.unwrap();
    let retry = approved().await;
    people
        .by(
            HUMAN_ENTITY,
            &format!("delegations/{delegation}/revoke"),
            json!({}),
        )
        .await
        .unwrap();
    denied(issue(&people, &retry).await, "delegation.revoked");
    // A denial uses nothing up.
    let seen = people
        .read(
            HUMAN_ENTITY,
            &format!("consents/{}", text(&retry["consent_id"])),
        )
        .await;
    assert_eq!(seen.unwrap().unwrap()["status"], "approved");
    people.world.ok("agents/bot/suspend", json!({})).await;
}

#[tokio::test]
async fn nothing_is_got_but_what_was_shown() {
    let people = People::new().await;
    people.per_request().await;
    let wanted = ask(&people.delegation("read").await);
    let approved = async || {
        let id = text(&question(&people, &wanted).await["consent_id"]);
        answer(&people, HUMAN_ENTITY, &id, "approve").await.unwrap();
        with(&wanted, &id)
    };
    let retry = approved().await;
    let longer = json!({ "default_ttl": "10m", "max_ttl": "10m" });
    people.world.ok("targets/crm", longer).await;
    let issued = issue(&people, &retry).await.unwrap().unwrap();
    let claims = people.claims(&issued["credential"], "at+jwt").await;
    assert_eq!(claims["exp"], json!(START + 60), "as was shown");
    for changed in [
        json!({ "audience": "https://elsewhere" }),
        json!({ "claims": { "admin": true } }),
        json!({ "credential_type": "opaque" }),
    ] {
        let retry = approved().await;
        people.world.ok("targets/crm", changed).await;
        denied(issue(&people, &retry).await, "consent.mismatch");
    }
    let id = text(&question(&people, &wanted).await["consent_id"]);
    people.world.ok("agents/bot/revoke", json!({})).await;
    people.world.ok("agents/bot/resume", json!({})).await;
    let late = answer(&people, HUMAN_ENTITY, &id, "approve").await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
}

#[tokio::test]
async fn a_dry_run_asks_nobody_and_uses_nothing() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let writes = people.world.storage.writes();
    let mut dry = ask(&delegation);
    for (path, who) in [
        ("self/evaluate", Some(AGENT_ENTITY)),
        ("decisions/evaluate", None),
    ] {
        if who.is_none() {
            dry["agent"] = json!("bot");
        }
        let evaluated = people
            .world
            .call(Operation::Update, path, dry.clone(), who)
            .await;
        let evaluated = evaluated.unwrap().unwrap();
        assert_eq!(evaluated["context"]["reason"], "consent.required");
    }
    assert_eq!(people.world.storage.writes(), writes);
}

#[tokio::test]
async fn clients_that_only_read_are_refused_in_words() {
    let people = People::new().await;
    people.per_request().await;
    let delegation = people.delegation("read").await;
    let mut wanted = ask(&delegation);
    let read = async |ask: &Value| {
        let answer = people.world.call(
            Operation::Read,
            "creds/crm",
            ask.clone(),
            Some(AGENT_ENTITY),
        );
        answer.await
    };
    let Err(Error::Denied(told)) = read(&wanted).await else {
        panic!("not refused");
    };
    let own = people.read(HUMAN_ENTITY, "self").await.unwrap().unwrap();
    let id = text(&own["consents_waiting"][0]["id"]);
    assert!(
        told.contains("consent.required") && told.contains(&id),
        "{told}"
    );
    answer(&people, HUMAN_ENTITY, &id, "approve").await.unwrap();
    wanted["consent_id"] = json!(id);
    assert!(
        read(&wanted)
            .await
            .unwrap()
            .unwrap()
            .get("credential")
            .is_some()
    );
}

#[tokio::test]
async fn what_has_ended_is_tidied_and_leaves_nothing() {
    let people = People::new().await;
    people.per_request().await;
    people
        .world
        .ok("config", json!({ "max_delegation_ttl": "365d" }))
        .await;
    let mut long = crate::people::crm("*");
    long["ttl"] = json!("30d");
    let delegation = text(&people.ask(&long).await["id"]);
    people.approve(&delegation, json!({})).await.unwrap();
    let before = people.world.storage.keys();
    let other = |n: usize| {
        let mut other = ask(&delegation);
        other["resource"] = json!(format!("customers/{n}"));
        other
    };
    let lapses = text(&question(&people, &other(0)).await["consent_id"]);
    let used = text(&question(&people, &other(1)).await["consent_id"]);
    answer(&people, HUMAN_ENTITY, &used, "approve")
        .await
        .unwrap();
    issue(&people, &with(&other(1), &used)).await.unwrap();
    let no = text(&question(&people, &other(2)).await["consent_id"]);
    answer(&people, HUMAN_ENTITY, &no, "deny").await.unwrap();
    let tick = async || {
        let periodic = request(Operation::Periodic, "", Value::Null, None);
        people.world.backend.handle(periodic).await.unwrap();
    };
    people.world.advance(901);
    tick().await;
    refused(
        people
            .read(HUMAN_ENTITY, &format!("consents/{lapses}"))
            .await,
    );
    assert!(
        people
            .read(HUMAN_ENTITY, &format!("consents/{used}"))
            .await
            .is_ok()
    );
    people.world.advance(24 * 3600);
    tick().await;
    assert_eq!(people.world.storage.keys(), before, "every key is gone");
}
