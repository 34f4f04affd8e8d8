//! Delegation, over fakes: who may ask, give, narrow, take back and see; and
//! what comes of it at the next decision.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::host::framework::system::Entity;

use crate::people::{BOB, People, crm, denied, refused, text};
use crate::world::{AGENT_ENTITY, HUMAN_ENTITY, START, World, request};

#[tokio::test]
async fn the_whole_story() {
    let people = People::new().await;
    let ask = people.ask(&crm("read")).await;
    assert_eq!(ask["status"], "pending");
    assert_eq!(ask["user_code"], "");
    assert_eq!(ask["agent"], "bot");
    let said = text(&ask["text"]);
    for part in ["`bot`", "`read`", "`crm`", "`customers/**`", "1 day"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let id = text(&ask["id"]);
    denied(people.issue(&id).await, "delegation.pending");

    let narrowed = json!({
        "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }],
        "ttl": "1h", "max_ttl": "30s", "max_uses": 2,
    });
    let agreed = people.approve(&id, narrowed).await.unwrap().unwrap();
    assert_eq!(agreed["status"], "active");
    assert_eq!(
        (&agreed["ttl"], &agreed["max_uses"]),
        (&json!(3600), &json!(2))
    );

    let issued = people.issue(&id).await.unwrap().unwrap();
    assert_eq!(issued["ttl"], 30);
    assert_eq!(issued["mode"], "on_behalf_of");
    assert_eq!(issued["subject"], HUMAN_ENTITY);
    assert_eq!(issued["delegation_id"], json!(id));
    assert_eq!(issued["consent_id"], agreed["consent_id"]);
    let claims = people.claims(&issued["credential"], "at+jwt").await;
    assert_eq!(claims["sub"], HUMAN_ENTITY);
    assert_eq!(claims["act"], json!({ "sub": issued["agent_id"] }));
    assert_eq!(claims["agentic"]["delegation_id"], json!(id));
    assert_eq!(claims["agentic"]["consent_id"], agreed["consent_id"]);
    assert_eq!(
        claims["authorization_details"],
        json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/42"] }])
    );

    assert!(people.issue(&id).await.is_ok(), "the second use");
    denied(people.issue(&id).await, "delegation.used_up");
    people
        .by(
            HUMAN_ENTITY,
            &format!("delegations/{id}/revoke"),
            json!({ "reason": "enough" }),
        )
        .await
        .unwrap();
    denied(people.issue(&id).await, "delegation.revoked");
    let seen = people
        .read(AGENT_ENTITY, &format!("delegations/{id}"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (&seen["status"], &seen["reason"]),
        (&json!("revoked"), &json!("enough"))
    );
}

#[tokio::test]
async fn the_receipt_says_who_agreed_to_what() {
    let people = People::new().await;
    let ask = people.ask(&crm("read")).await;
    let id = text(&ask["id"]);
    let agreed = people
        .approve(&id, json!({ "ttl": "1h" }))
        .await
        .unwrap()
        .unwrap();
    let claims = people
        .claims(&agreed["receipt"], "agentic-consent+jwt")
        .await;
    assert_eq!(claims["iss"], "https://vault.example.com/v1/agentic");
    assert_eq!(claims["sub"], HUMAN_ENTITY);
    assert_eq!(claims["aud"], agreed["agent_id"]);
    assert_eq!(claims["jti"], agreed["consent_id"]);
    assert_eq!(
        (&claims["iat"], &claims["exp"]),
        (&json!(START), &json!(START + 3600))
    );
    assert_eq!(claims["authorization_details"], agreed["scope"]);
    assert_eq!(claims["purpose"], "answer customers");
    assert_eq!(claims["agentic"]["delegation_id"], json!(id));
    let shown = text(&claims["agentic"]["text"]);
    assert!(shown.starts_with(&text(&ask["text"])) && shown.contains("may act for you until"));
    let hash = ring::digest::digest(&ring::digest::SHA256, shown.as_bytes());
    let hash: String = hash
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(claims["agentic"]["text_sha256"], json!(hash));
    // It can be read again, by both, and by nobody else.
    let consent = format!("consents/{}", text(&agreed["consent_id"]));
    for who in [HUMAN_ENTITY, AGENT_ENTITY] {
        let seen = people.read(who, &consent).await.unwrap().unwrap();
        assert_eq!(seen["receipt"], agreed["receipt"]);
        assert_eq!(seen["consent_to"], "delegation");
    }
    refused(people.read(BOB, &consent).await);
    refused(people.read("other-entity", &consent).await);
}

#[tokio::test]
async fn nobody_else_can_consent() {
    let people = People::new().await;
    let id = text(&people.ask(&crm("read")).await["id"]);
    people.register("second", "second-entity").await;
    for (who, why) in [
        (Some(BOB), "no delegation"),
        (Some(AGENT_ENTITY), "agents cannot consent"),
        (Some("second-entity"), "agents cannot consent"),
        (None, "no identity entity"),
    ] {
        // To refuse what is in one's own name is barred to nobody: to others it is
        // not there.
        for verb in ["approve", "deny"] {
            let why = match (verb, who) {
                ("deny", Some(_)) => "no delegation",
                _ => why,
            };
            let path = format!("delegations/{id}/{verb}");
            let answer = people
                .world
                .call(Operation::Update, &path, json!({}), who)
                .await;
            match answer {
                Err(Error::Denied(told) | Error::NotFound(told)) if told.contains(why) => {}
                other => panic!("{who:?} {verb}: {other:?}"),
            }
        }
        let grant = json!({ "agent": "bot", "scope": crm("read")["scope"] });
        let answer = people
            .world
            .call(Operation::Update, "delegations/grant", grant, who)
            .await;
        match who {
            // Somebody else can give what is theirs, and it is theirs.
            Some(BOB) => assert_eq!(answer.unwrap().unwrap()["subject_entity_id"], BOB),
            _ => assert!(matches!(answer, Err(Error::Denied(_))), "{who:?}"),
        }
    }
    denied(people.issue(&id).await, "delegation.pending");
    // The subject itself became an agent: it is a human no more.
    people.register("alice", HUMAN_ENTITY).await;
    refused(people.approve(&id, json!({})).await);
}

#[tokio::test]
async fn what_is_not_yours_is_not_there() {
    let people = People::new().await;
    let id = text(&people.ask(&crm("read")).await["id"]);
    let unknown = "01890a5d-ac96-7774-bcce-b302099a8057";
    people.register("second", "second-entity").await;
    for who in [Some(BOB), Some("second-entity"), None] {
        for (operation, verb) in [
            (Operation::Read, ""),
            (Operation::Update, "/approve"),
            (Operation::Update, "/deny"),
            (Operation::Update, "/revoke"),
            (Operation::Update, "/delegate"),
        ] {
            let data = json!({ "agent": "bot" });
            let ask = async |id: &str| {
                let path = format!("delegations/{id}{verb}");
                let answer = people.world.call(operation, &path, data.clone(), who).await;
                format!("{answer:?}").replace(id, "ID")
            };
            assert_eq!(ask(&id).await, ask(unknown).await, "{who:?} {verb}");
        }
        denied_or_none(people.list(who).await);
    }
    assert_eq!(
        people.list(Some(HUMAN_ENTITY)).await.unwrap().unwrap()["keys"],
        json!([id])
    );
    assert_eq!(
        people.list(Some(AGENT_ENTITY)).await.unwrap().unwrap()["keys"],
        json!([id])
    );
    // A delegation of another agent is as good as none, for whoever asks.
    people.approve(&id, json!({})).await.unwrap();
    let ask = |delegation: &str| json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": delegation });
    let mut answers = Vec::new();
    for delegation in [&id, unknown] {
        let answer = people
            .by("second-entity", "creds/issue", ask(delegation))
            .await;
        let told = answer.unwrap_err().to_string();
        answers.push(told.split(" Decision").next().unwrap().to_owned());
    }
    assert_eq!(answers[0], answers[1]);
}

fn denied_or_none(answer: crate::world::Answer) {
    match answer {
        Ok(Some(list)) => assert!(list.get("keys").is_none(), "{list}"),
        Err(Error::Denied(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn operators_see_all_and_can_end_all_and_consent_to_nothing() {
    let people = People::new().await;
    let one = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&one, json!({})).await.unwrap();
    // Ids are in the order of their milliseconds.
    people.world.advance(1);
    let two = text(&people.ask(&crm("delete")).await["id"]);
    let list = async |data: Value| {
        let answer = people
            .world
            .call(Operation::List, "oversight/delegations", data, None)
            .await;
        answer
            .unwrap()
            .unwrap()
            .get("keys")
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(list(json!({})).await, json!([one, two]));
    assert_eq!(list(json!({ "limit": 1 })).await, json!([one]));
    assert_eq!(list(json!({ "after": one })).await, json!([two]));
    assert_eq!(list(json!({ "status": "pending" })).await, json!([two]));
    assert_eq!(
        list(json!({ "status": "pending", "limit": 1 })).await,
        json!([two])
    );
    assert_eq!(
        list(json!({ "agent": "bot", "after": one })).await,
        json!([two])
    );
    assert_eq!(
        list(json!({ "subject": HUMAN_ENTITY, "after": one })).await,
        json!([two])
    );
    assert_eq!(list(json!({ "subject": BOB })).await, Value::Null);
    assert_eq!(
        list(json!({ "agent": "bot", "subject": HUMAN_ENTITY })).await,
        json!([one, two])
    );
    let agents = people
        .world
        .call(
            Operation::List,
            "oversight/delegations",
            json!({}),
            Some(AGENT_ENTITY),
        )
        .await;
    assert!(matches!(agents, Err(Error::Denied(_))));
    for (status, what) in [("odd", "status"), ("", "after")] {
        let data = if what == "after" {
            json!({ "after": "odd" })
        } else {
            json!({ "status": status })
        };
        let wrong = people
            .world
            .call(Operation::List, "oversight/delegations", data, None)
            .await;
        assert!(matches!(wrong, Err(Error::Invalid(told)) if told.contains(what)));
    }
    people
        .world
        .ok(
            &format!("oversight/delegations/{one}/revoke"),
            json!({ "reason": "policy" }),
        )
        .await;
    denied(people.issue(&one).await, "delegation.revoked");
    let read = people
        .world
        .read(&format!("oversight/delegations/{one}"))
        .await
        .unwrap();
    assert_eq!(read["answered_by"], "test");
    let consent = text(&read["consent_id"]);
    assert!(
        people
            .world
            .read(&format!("oversight/consents/{consent}"))
            .await
            .is_some()
    );
    let listed = people
        .world
        .call(Operation::List, "oversight/consents", json!({}), None)
        .await;
    assert_eq!(listed.unwrap().unwrap()["keys"], json!([consent]));
}

#[tokio::test]
async fn an_approval_narrows_and_never_widens() {
    let people = People::new().await;
    let mut wanted = crm("read");
    for (field, value) in [
        ("ttl", json!("2h")),
        ("max_ttl", json!("1m")),
        ("max_uses", json!(3)),
    ] {
        wanted[field] = value;
    }
    let id = text(&people.ask(&wanted).await["id"]);
    let detail = |target: &str, action: &str, resources: &[&str]| json!([{ "type": "agentic:action", "targets": [target], "actions": [action], "resources": resources }]);
    for (field, value) in [
        ("scope", detail("crm", "delete", &["customers/1"])),
        ("scope", detail("*", "read", &["customers/1"])),
        ("scope", detail("crm", "read", &["**"])),
        ("scope", detail("crm", "read", &["orders/1"])),
        ("scope", detail("crm", "read", &[])),
        ("scope", json!([])),
        ("scope", json!([{ "type": "payment" }])),
        ("ttl", json!("3h")),
        ("ttl", json!(0)),
        ("max_ttl", json!("2m")),
        ("max_ttl", json!(0)),
        ("max_uses", json!(4)),
        ("max_uses", json!(0)),
    ] {
        match people.approve(&id, json!({ field: value })).await {
            Err(Error::Invalid(told)) if told.contains(field) => {}
            other => panic!("{field} = {value}: {other:?}"),
        }
    }
    let agreed = people
        .approve(&id, json!({ "scope": detail("crm", "read", &["customers/42"]), "ttl": "1h", "max_ttl": "30s", "max_uses": 1 }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(agreed["scope"], detail("crm", "read", &["customers/42"]));
    let ask = json!({ "target": "crm", "action": "read", "resource": "customers/7", "delegation_id": id });
    denied(
        people.by(AGENT_ENTITY, "creds/issue", ask).await,
        "delegation.scope",
    );
}

#[tokio::test]
async fn what_was_answered_is_answered() {
    let people = People::new().await;
    let id = text(&people.ask(&crm("read")).await["id"]);
    let first = people
        .approve(&id, json!({ "ttl": "1h" }))
        .await
        .unwrap()
        .unwrap();
    let again = people.approve(&id, json!({})).await.unwrap().unwrap();
    assert_eq!(
        first["receipt"], again["receipt"],
        "the same answer again is the same"
    );
    assert!(matches!(
        people.approve(&id, json!({ "ttl": "1m" })).await,
        Err(Error::Conflict(_))
    ));
    let deny = format!("delegations/{id}/deny");
    assert!(matches!(
        people.by(HUMAN_ENTITY, &deny, json!({})).await,
        Err(Error::Conflict(_))
    ));

    let id = text(&people.ask(&crm("delete")).await["id"]);
    let deny = format!("delegations/{id}/deny");
    people
        .by(HUMAN_ENTITY, &deny, json!({ "reason": "no" }))
        .await
        .unwrap();
    people.by(HUMAN_ENTITY, &deny, json!({})).await.unwrap();
    assert!(matches!(
        people.approve(&id, json!({})).await,
        Err(Error::Conflict(_))
    ));
    denied(people.issue(&id).await, "delegation.denied");
    // The human is left alone for a while.
    assert!(matches!(
        people.try_ask(&crm("delete")).await,
        Err(Error::Limited(_))
    ));
    people.world.advance(301);
    people.ask(&crm("delete")).await;
}

#[tokio::test]
async fn a_request_lapses_and_so_does_a_delegation() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["ttl"] = json!("10m");
    let id = text(&people.ask(&wanted).await["id"]);
    people.world.advance(24 * 3600);
    assert!(
        matches!(people.approve(&id, json!({})).await, Err(Error::Conflict(told)) if told.contains("lapsed"))
    );
    let id = text(&people.ask(&wanted).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    people.world.advance(590);
    assert_eq!(
        people.issue(&id).await.unwrap().unwrap()["ttl"],
        10,
        "no credential outlives it"
    );
    people.world.advance(10);
    denied(people.issue(&id).await, "delegation.expired");
}

#[tokio::test]
async fn a_code_is_for_whoever_has_it() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["subject_entity_id"] = Value::Null;
    let ask = people.ask(&wanted).await;
    let (id, code) = (text(&ask["id"]), text(&ask["user_code"]));
    assert!(code.len() == 9 && code.as_bytes()[4] == b'-', "{code}");
    assert!(
        !people
            .world
            .storage
            .keys()
            .iter()
            .any(|key| key.contains(&code.replace('-', "")))
    );
    // Its id is of no use to those who might be asked.
    refused(people.approve(&id, json!({})).await);
    for who in [None, Some(AGENT_ENTITY)] {
        for (operation, verb) in [
            (Operation::Read, ""),
            (Operation::Update, "/approve"),
            (Operation::Update, "/deny"),
        ] {
            let path = format!("delegations/code/{code}{verb}");
            let answer = people.world.call(operation, &path, json!({}), who).await;
            assert!(matches!(answer, Err(Error::Denied(_))), "{who:?} {verb}");
        }
    }
    let typed = code.to_lowercase().replace('-', "");
    let seen = people
        .read(BOB, &format!("delegations/code/{typed}"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen["id"], json!(id));
    let approve = format!("delegations/code/{code}/approve");
    let agreed = people
        .by(BOB, &approve, json!({ "max_uses": 1 }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(agreed["subject_entity_id"], BOB);
    let issued = people.issue(&id).await.unwrap().unwrap();
    assert_eq!(issued["subject"], BOB);
    // Used, and therefore unknown; also to those who had it right.
    let used = people.read(BOB, &format!("delegations/code/{code}")).await;
    let wrong = people.read(BOB, "delegations/code/BBBB-BBBB").await;
    assert_eq!(format!("{used:?}"), format!("{wrong:?}"));
}

#[tokio::test]
async fn codes_expire_and_cannot_be_guessed() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["subject_entity_id"] = Value::Null;
    let code = text(&people.ask(&wanted).await["user_code"]);
    let look =
        async |who: &str, code: &str| people.read(who, &format!("delegations/code/{code}")).await;
    let writes = people.world.storage.writes();
    for _ in 0..5 {
        refused(look(BOB, "BBBB-BBBB").await);
    }
    for code in [code.as_str(), "BBBB-BBBB", "nonsense"] {
        assert!(
            matches!(look(BOB, code).await, Err(Error::Limited(_))),
            "also the right one"
        );
    }
    assert_eq!(
        people.world.storage.writes(),
        writes,
        "guessing writes nothing"
    );
    assert!(look(HUMAN_ENTITY, &code).await.is_ok());
    people.world.advance(600);
    refused(look(HUMAN_ENTITY, &code).await);
    refused(
        people
            .by(BOB, &format!("delegations/code/{code}/approve"), json!({}))
            .await,
    );
}

#[tokio::test]
async fn requests_are_bounded() {
    let people = People::new().await;
    let purpose = |n: usize| {
        let mut wanted = crm("read");
        wanted["purpose"] = json!(format!("purpose {n}"));
        wanted
    };
    let first = people.ask(&purpose(0)).await;
    let writes = people.world.storage.writes();
    assert_eq!(
        people.ask(&purpose(0)).await["id"],
        first["id"],
        "the same is asked once"
    );
    assert_eq!(people.world.storage.writes(), writes);
    for n in 1..8 {
        people.ask(&purpose(n)).await;
    }
    assert!(
        matches!(people.try_ask(&purpose(8)).await, Err(Error::Limited(_))),
        "of one agent"
    );
    let mut anybody = purpose(9);
    anybody["subject_entity_id"] = Value::Null;
    for _ in 8..64 {
        people.ask(&anybody).await;
    }
    assert!(matches!(
        people.try_ask(&anybody).await,
        Err(Error::Limited(_))
    ));
    // What is withdrawn counts no more.
    let withdraw = format!("delegations/{}/revoke", text(&first["id"]));
    people.by(AGENT_ENTITY, &withdraw, json!({})).await.unwrap();
    people.ask(&anybody).await;
}

#[tokio::test]
async fn asking_and_withdrawing_is_bounded_too() {
    let people = People::new().await;
    let mut anybody = crm("read");
    anybody["subject_entity_id"] = Value::Null;
    let mut kept = 0;
    let refused = loop {
        match people.try_ask(&anybody).await {
            Ok(asked) => {
                let withdraw = format!("delegations/{}/revoke", text(&asked.unwrap()["id"]));
                people.by(AGENT_ENTITY, &withdraw, json!({})).await.unwrap();
                kept += 1;
            }
            refused => break refused,
        }
        assert!(kept <= 256, "without end");
    };
    assert!(matches!(refused, Err(Error::Limited(_))), "{refused:?}");
    people.world.advance(600);
    people.world.tick().await;
    people.ask(&anybody).await;
    let left = people.world.storage.keys();
    let left = left.iter().filter(|key| key.starts_with("delegation/"));
    assert_eq!(left.count(), 1, "the others are gone");
}

#[tokio::test]
async fn nothing_is_learnt_of_who_has_not_agreed() {
    let people = People::new().await;
    // Whatever alice may do, the answer is the same.
    let mut told = std::collections::BTreeSet::new();
    let wanted = text(&people.ask(&crm("read")).await["id"]);
    for rule in ["allow", "deny"] {
        let text = format!(r#"rule "all" {{ effect = "{rule}"; targets = ["crm"] }}"#);
        people.world.policy("baseline", &text).await;
        people
            .world
            .ok("baselines/group/support", json!({ "policies": "baseline" }))
            .await;
        denied(people.issue(&wanted).await, "delegation.pending");
        let dry = json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": wanted });
        let dry = people.by(AGENT_ENTITY, "self/evaluate", dry).await;
        told.insert(dry.unwrap().unwrap()["context"]["reason"].to_string());
    }
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told.contains("\"delegation.pending\""));
    // Operators see all.
    let dry = json!({ "agent": "bot", "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": wanted });
    let seen = people.world.ok("decisions/evaluate", dry).await;
    assert_eq!(seen["context"]["reason"], "baseline.denied");
}

#[tokio::test]
async fn a_broken_chain_does_not_hide_a_delegation_that_holds() {
    let people = People::new().await;
    people
        .world
        .ok("config", json!({ "max_delegation_depth": 8 }))
        .await;
    people.register("two", "two-entity").await;
    let one = people.delegation("read").await;
    let pass = json!({ "agent": "two" });
    people
        .by(AGENT_ENTITY, &format!("delegations/{one}/delegate"), pass)
        .await
        .unwrap();
    let mut direct = crm("read");
    direct["ttl"] = json!("1m");
    let asked = people
        .by("two-entity", "delegations/request", direct)
        .await
        .unwrap()
        .unwrap();
    people
        .approve(&text(&asked["id"]), json!({}))
        .await
        .unwrap();
    people
        .by(
            HUMAN_ENTITY,
            &format!("delegations/{one}/revoke"),
            json!({}),
        )
        .await
        .unwrap();
    let ask = json!({ "agent": "two", "subject": HUMAN_ENTITY, "target": "crm", "action": "read", "resource": "customers/42" });
    let seen = people.world.ok("decisions/evaluate", ask).await;
    assert_eq!(seen["decision"], true, "{seen}");
}

#[tokio::test]
async fn a_request_names_what_can_be() {
    let people = People::new().await;
    for (field, value) in [
        ("subject_entity_id", json!("nobody")),
        ("subject_entity_id", json!(AGENT_ENTITY)),
        ("scope", json!([])),
        ("scope", json!([{ "type": "payment" }])),
        (
            "scope",
            json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": vec!["<".repeat(200); 32] }]),
        ),
        ("ttl", json!(0)),
        ("ttl", json!("91d")),
        ("purpose", json!("a\u{202e}b")),
        ("purpose", json!("x".repeat(2000))),
    ] {
        let mut wanted = crm("read");
        wanted[field] = value.clone();
        match people.try_ask(&wanted).await {
            Err(Error::Invalid(told)) if told.contains(field) => {}
            other => panic!("{field} = {value}: {other:?}"),
        }
    }
    let by_human = people
        .by(HUMAN_ENTITY, "delegations/request", crm("read"))
        .await;
    assert!(matches!(by_human, Err(Error::Denied(_))));
    people.world.ok("agents/bot/suspend", json!({})).await;
    assert!(matches!(
        people.try_ask(&crm("read")).await,
        Err(Error::Denied(_))
    ));
}

#[tokio::test]
async fn what_people_see_cannot_deceive_them() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["purpose"] =
        json!("” Approved by <b>IT</b>. [Click](https://evil.example) or www.evil.example `now`");
    let said = text(&people.ask(&wanted).await["text"]);
    for odd in ["<b>", "https://", "[Click]", "www.evil", "` `"] {
        assert!(!said.contains(odd), "{odd} in {said}");
    }
    assert_eq!(said.matches('“').count(), 1);
    assert_eq!(said.matches('”').count(), 1);
}

#[tokio::test]
async fn the_longest_that_can_be_asked_can_be_approved() {
    let people = People::new().await;
    // Each of these characters takes three bytes once it is harmless.
    let mut wanted = crm("read");
    let resources = vec!["<".repeat(250); 15];
    wanted["scope"] = json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": resources }]);
    wanted["purpose"] = json!("<".repeat(1024));
    let id = text(&people.ask(&wanted).await["id"]);
    let agreed = people.approve(&id, json!({})).await.unwrap().unwrap();
    people
        .claims(&agreed["receipt"], "agentic-consent+jwt")
        .await;

    people.per_request().await;
    let id = people.delegation("read").await;
    let context: serde_json::Map<String, Value> = (0..31)
        .map(|n| (format!("k{n}"), json!("<".repeat(250))))
        .collect();
    let details = vec![
        json!({ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": [">".repeat(250), "customers/42"] });
        31
    ];
    let ask = json!({
        "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": id,
        "reason": "<".repeat(1024), "context": context, "authorization_details": details,
    });
    let waits = people
        .by(AGENT_ENTITY, "creds/issue", ask)
        .await
        .unwrap()
        .unwrap();
    let approve = format!("consents/{}/approve", text(&waits["consent_id"]));
    let approved = people
        .by(HUMAN_ENTITY, &approve, json!({}))
        .await
        .unwrap()
        .unwrap();
    people
        .claims(&approved["receipt"], "agentic-consent+jwt")
        .await;
}

#[tokio::test]
async fn the_next_decision_sees_what_changed() {
    let people = People::new().await;
    let id = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    people.issue(&id).await.unwrap();
    let human = |disabled: bool, groups: &[&str]| {
        let entity = Entity {
            id: HUMAN_ENTITY.into(),
            name: "alice".into(),
            disabled,
            ..Entity::default()
        };
        people.world.system.add(entity, groups);
    };
    human(true, &["support"]);
    denied(people.issue(&id).await, "subject.disabled");
    human(false, &[]);
    denied(people.issue(&id).await, "baseline.none_given");
    human(false, &["support"]);
    people.issue(&id).await.unwrap();
    people.world.ok("agents/bot/suspend", json!({})).await;
    denied(people.issue(&id).await, "agent.suspended");
    people.world.ok("agents/bot/resume", json!({})).await;
    people.issue(&id).await.unwrap();
    people.world.ok("agents/bot/revoke", json!({})).await;
    people.world.ok("agents/bot/resume", json!({})).await;
    denied(people.issue(&id).await, "delegation.void");
    let asked = people.ask(&crm("read")).await;
    people.world.ok("agents/bot/revoke", json!({})).await;
    people.world.ok("agents/bot/resume", json!({})).await;
    let late = people.approve(&text(&asked["id"]), json!({})).await;
    assert!(
        matches!(late, Err(Error::Conflict(_))),
        "asked in an epoch that has ended"
    );
}

#[tokio::test]
async fn a_subject_finds_its_delegation() {
    // `subject` without `delegation_id` comes with a token; a dry run can say it.
    let people = People::new().await;
    let evaluate = async || {
        let ask = json!({ "agent": "bot", "subject": HUMAN_ENTITY, "target": "crm", "action": "read", "resource": "customers/42" });
        people.world.ok("decisions/evaluate", ask).await["context"]["reason"].clone()
    };
    assert_eq!(evaluate().await, "delegation.none");
    let mut other = crm("delete");
    other["ttl"] = json!("30d");
    let id = text(&people.ask(&other).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    assert_eq!(
        evaluate().await,
        "delegation.none",
        "it covers something else"
    );
    let id = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    let writes = people.world.storage.writes();
    assert_eq!(evaluate().await, Value::Null);
    assert_eq!(
        people.world.storage.writes(),
        writes,
        "a dry run writes nothing"
    );
}

#[tokio::test]
async fn self_shows_what_is_ones_own() {
    let people = People::new().await;
    let waits = text(&people.ask(&crm("delete")).await["id"]);
    let id = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    for who in [HUMAN_ENTITY, AGENT_ENTITY] {
        let own = people.read(who, "self").await.unwrap().unwrap();
        assert_eq!(own["delegations"], json!([id]), "{who}");
        assert_eq!(own["delegations_waiting"][0]["id"], json!(waits), "{who}");
    }
    let own = people.read(BOB, "self").await.unwrap().unwrap();
    assert_eq!(
        (&own["delegations"], &own["delegations_waiting"]),
        (&json!([]), &json!([]))
    );
}

#[tokio::test]
async fn what_has_ended_is_tidied_and_leaves_nothing() {
    let people = People::new().await;
    let before = people.world.storage.keys();
    let mut wanted = crm("read");
    wanted["ttl"] = json!("1h");
    let id = text(&people.ask(&wanted).await["id"]);
    people.approve(&id, json!({})).await.unwrap();
    let revoked = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&revoked, json!({})).await.unwrap();
    people
        .by(
            HUMAN_ENTITY,
            &format!("delegations/{revoked}/revoke"),
            json!({}),
        )
        .await
        .unwrap();
    let lapses = text(&people.ask(&wanted).await["id"]);
    let mut anybody = wanted.clone();
    anybody["subject_entity_id"] = Value::Null;
    people.ask(&anybody).await;
    let no = text(&people.ask(&crm("delete")).await["id"]);
    people
        .by(HUMAN_ENTITY, &format!("delegations/{no}/deny"), json!({}))
        .await
        .unwrap();
    let tick = async || {
        let periodic = request(Operation::Periodic, "", Value::Null, None);
        people.world.backend.handle(periodic).await.unwrap();
    };
    tick().await;
    for id in [&id, &revoked, &lapses, &no] {
        assert!(
            people
                .read(HUMAN_ENTITY, &format!("delegations/{id}"))
                .await
                .is_ok()
        );
    }
    people.world.advance(24 * 3600 + 601);
    tick().await;
    assert!(
        people
            .read(HUMAN_ENTITY, &format!("delegations/{id}"))
            .await
            .is_ok(),
        "kept for a day"
    );
    refused(
        people
            .read(HUMAN_ENTITY, &format!("delegations/{revoked}"))
            .await,
    );
    people.world.advance(3600);
    tick().await;
    let mut left = people.world.storage.keys();
    left.retain(|key| key != "key/receipts");
    assert_eq!(left, before, "every key is gone");
}

#[tokio::test]
async fn a_standby_asks_to_be_forwarded() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["max_uses"] = json!(2);
    let limited = text(&people.ask(&wanted).await["id"]);
    people.approve(&limited, json!({})).await.unwrap();
    let free = text(&people.ask(&crm("read")).await["id"]);
    people.approve(&free, json!({})).await.unwrap();
    people.world.storage.read_only(true);
    let standby = World::over(std::sync::Arc::clone(&people.world.storage));
    standby.system.read_only(true);
    standby.backend.initialize().await.unwrap();
    let ask = |id: &str| json!({ "target": "crm", "action": "read", "resource": "customers/42", "delegation_id": id });
    let counted = standby.issue(ask(&limited)).await;
    assert!(matches!(counted, Err(Error::Host(text)) if text.contains("readonly")));
    assert!(
        standby.issue(ask(&free)).await.is_ok(),
        "nothing to count, nothing to write"
    );
    let periodic = request(Operation::Periodic, "", Value::Null, None);
    standby.backend.handle(periodic).await.unwrap();
}

/// Receipts outlive credentials: what a rotation drops must not be their key.
#[tokio::test]
async fn a_receipt_verifies_after_any_rotation() {
    let people = People::new().await;
    let mut wanted = crm("read");
    wanted["ttl"] = json!("30d");
    let ask = people.ask(&wanted).await;
    let approved = people
        .approve(&text(&ask["id"]), json!({ "ttl": "30d" }))
        .await;
    let receipt = approved.unwrap().unwrap()["receipt"].clone();
    for key in ["default", "receipts"] {
        let rotate = format!("keys/{key}/rotate");
        people.world.ok(&rotate, json!({})).await;
    }
    people.world.advance(2 * 24 * 3600);
    people.world.tick().await;
    people.claims(&receipt, "agentic-consent+jwt").await;

    // The key is for nothing else, stays, and is no choice for anything.
    let world = &people.world;
    let refused = world
        .refused("targets/crm", json!({ "signing_key": "receipts" }))
        .await;
    assert!(refused.contains("nothing else"), "{refused}");
    let refused = world
        .refused("keys/receipts", json!({ "rotation_period": "1d" }))
        .await;
    assert!(refused.contains("rotation_period"), "{refused}");
    let delete = world.call(Operation::Delete, "keys/receipts", json!({}), None);
    assert!(matches!(delete.await, Err(Error::Invalid(_))));
}
