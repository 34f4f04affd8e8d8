//! Issuers, and kinds of tokens.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::error::Error;
use vault_plugin_agentic::host::framework::request::Operation;
use vault_plugin_agentic::jose::alg::Algorithm;

use super::Doors;
use crate::idp::{AUDIENCE, IDP, Signer, access, with};
use crate::world::{HUMAN_ENTITY, START};

#[tokio::test]
async fn the_right_subject_of_the_wrong_issuer_is_nobody() {
    let doors = Doors::new().await;
    let rogue = Signer::new(Algorithm::EdDsa, "idp-1");
    let other = json!({ "issuer_id": "https://rogue.example.com", "use_jwks": false, "audiences": [AUDIENCE], "public_keys": [rogue.listed()] });
    doors.world.ok("config/issuers/rogue", other.clone()).await;
    // Both have a key called `idp-1`: each is its own issuer's.
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &access()))
            .await
            .contains("token.refused")
    );
    let named = with(access(), json!({ "iss": "https://rogue.example.com" }));
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &named))
            .await
            .contains("agent.unknown")
    );
    let act = json!({ "sub": "bot-client", "iss": IDP });
    let named = with(named, json!({ "sub": "alice", "act": act }));
    assert!(
        doors
            .refusal(&rogue.sign("at+jwt", &named))
            .await
            .contains("token.refused")
    );
    // Two definitions of one issuer would be two ways in.
    let again = doors
        .world
        .refused(
            "config/issuers/again",
            with(other, json!({ "issuer_id": IDP })),
        )
        .await;
    assert!(again.contains("`idp` has it already"), "{again}");
    doors
        .world
        .ok("config/issuers/idp", json!({ "enabled": false }))
        .await;
    assert!(doors.said(&access()).await.contains("unknown_issuer"));
}

#[tokio::test]
async fn kinds_of_tokens_exclude_each_other() {
    for (kind, typ, claims, taken) in [
        ("jwt", "JWT", json!({}), true),
        ("jwt", "", json!({}), true),
        ("jwt", "at+jwt", json!({}), false),
        ("jwt", "JWT", json!({ "nonce": "n" }), false),
        ("jwt", "JWT", json!({ "at_hash": "h" }), false),
        ("jwt", "JWT", json!({ "events": {} }), false),
        ("transaction_token", "txntoken+jwt", json!({}), true),
        ("transaction_token", "at+jwt", json!({}), false),
        ("access_token", "application/at+jwt", json!({}), true),
        ("id_token", "JWT", json!({}), false),
        ("assertion", "JWT", json!({ "exp": START + 300 }), true),
        ("assertion", "JWT", json!({ "exp": START + 301 }), false),
        (
            "assertion",
            "JWT",
            json!({ "exp": START + 60, "jti": null }),
            false,
        ),
        (
            "assertion",
            "JWT",
            json!({ "exp": START + 60, "aud": [AUDIENCE, "other"] }),
            false,
        ),
        ("assertion", "at+jwt", json!({ "exp": START + 60 }), false),
    ] {
        let doors = Doors::of(json!({ "jwt_type": kind })).await;
        let jwt = doors.idp.sign(typ, &with(access(), claims.clone()));
        let asked = doors.ask(&jwt).await;
        assert_eq!(asked.is_ok(), taken, "{kind} {typ} {claims}: {asked:?}");
    }
}

#[tokio::test]
async fn an_issuer_whose_tokens_must_say_what_they_are_for() {
    let doors = Doors::of(
        json!({ "optional_authorization_details": false, "authorization_details_claim": "rar" }),
    )
    .await;
    assert!(doors.said(&access()).await.contains("details.required"));
    // A claim that the issuer's definition does not name says nothing.
    let details = json!([{ "type": "agentic:action", "targets": ["kv"], "actions": ["read"], "resources": ["**"] }]);
    assert!(
        doors
            .said(&with(access(), json!({ "authorization_details": details })))
            .await
            .contains("details.required")
    );
    let said = with(access(), json!({ "rar": details }));
    doors.ask(&doors.idp.sign("at+jwt", &said)).await.unwrap();
}

#[tokio::test]
async fn an_operator_is_told_what_a_stranger_is_not() {
    let doors = Doors::new().await;
    let check = async |claims: Value| {
        let jwt = doors.idp.sign("at+jwt", &claims);
        doors
            .world
            .ok("config/issuers/idp/check", json!({ "jwt": jwt }))
            .await
    };
    let good = check(access()).await;
    assert_eq!(
        (&good["token_accepted"], &good["agent"], &good["keys"]),
        (&json!(true), &json!("bot"), &json!(1))
    );
    for (changes, why) in [
        (json!({ "aud": "other" }), "`aud`"),
        (json!({ "client_id": null }), "no `client_id`"),
        (
            json!({ "client_id": "other", "sub": "other" }),
            "no agent has",
        ),
        (json!({ "sub": "alice" }), "no entity is mapped"),
        (json!({ "exp": START - 100 }), "expired"),
    ] {
        let told = check(with(access(), changes.clone())).await;
        assert_eq!(told["token_accepted"], false);
        let problem = told["token_problem"].as_str().unwrap();
        assert!(problem.contains(why), "{changes}: {problem}");
    }
}

#[tokio::test]
async fn two_agents_are_not_one_at_an_issuer() {
    let doors = Doors::new().await;
    let twin = json!({ "name": "twin", "entity_id": "other-entity", "issuer": IDP, "subject": "bot-client" });
    let said = doors.world.refused("agents/register", twin.clone()).await;
    assert!(said.contains("`bot` has this subject"), "{said}");
    doors
        .world
        .ok(
            "agents/register",
            with(twin.clone(), json!({ "subject": "twin-client" })),
        )
        .await;
    let said = doors
        .world
        .refused("agents/twin", json!({ "subject": "bot-client" }))
        .await;
    assert!(said.contains("`bot` has this subject"), "{said}");
    let said = doors
        .world
        .refused("agents/twin", json!({ "issuer": "" }))
        .await;
    assert!(said.contains("is needed too"), "{said}");
    // What an agent was called before, another may be called.
    doors
        .world
        .ok("agents/bot", json!({ "subject": "bot-2" }))
        .await;
    assert!(doors.said(&access()).await.contains("agent.unknown"));
    doors
        .world
        .ok("agents/twin", json!({ "subject": "bot-client" }))
        .await;
    assert!(doors.said(&access()).await.contains("ceiling.empty"));
    doors
        .world
        .call(Operation::Delete, "agents/twin", Value::Null, None)
        .await
        .unwrap();
    assert!(doors.said(&access()).await.contains("agent.unknown"));
    assert_eq!(
        doors
            .world
            .storage
            .keys()
            .iter()
            .filter(|key| key.starts_with("agent-external/"))
            .count(),
        1
    );
}

/// Storage that fails at any write leaves a human who they were, or nobody.
#[tokio::test]
async fn a_mapping_that_fails_anywhere_is_the_old_one_or_none() {
    for transactional in [true, false] {
        for position in 0..3 {
            let doors = Doors::new().await;
            let path = format!("config/issuers/idp/subjects/{HUMAN_ENTITY}");
            doors.world.ok(&path, json!({ "subject": "alice" })).await;
            doors.world.storage.transactional(transactional);
            doors.world.storage.fail_after(position);
            let failed = doors
                .world
                .call(
                    Operation::Update,
                    &path,
                    json!({ "subject": "alicia" }),
                    None,
                )
                .await;
            assert!(matches!(failed, Err(Error::Host(_))), "{failed:?}");
            doors.world.storage.fail_writes(false);
            let known = |name: &str| with(access(), json!({ "sub": name }));
            assert!(
                doors
                    .said(&known("alicia"))
                    .await
                    .contains("subject.unknown")
            );
            if transactional {
                assert!(
                    !doors
                        .said(&known("alice"))
                        .await
                        .contains("subject.unknown")
                );
            }
            doors.world.ok(&path, json!({ "subject": "alicia" })).await;
            assert!(
                !doors
                    .said(&known("alicia"))
                    .await
                    .contains("subject.unknown")
            );
            assert!(
                doors
                    .said(&known("alice"))
                    .await
                    .contains("subject.unknown")
            );
            // Whoever is called alice now may be somebody else.
            let other = "config/issuers/idp/subjects/other-entity";
            doors.world.ok(other, json!({ "subject": "alice" })).await;
        }
    }
}

/// The same for who an agent is at its issuer.
#[tokio::test]
async fn an_agent_that_becomes_another_at_its_issuer_is_never_two() {
    for transactional in [true, false] {
        for position in 0..3 {
            let doors = Doors::new().await;
            doors.world.storage.transactional(transactional);
            doors.world.storage.fail_after(position);
            let change = json!({ "subject": "bot-2" });
            let failed = doors
                .world
                .call(Operation::Update, "agents/bot", change.clone(), None)
                .await;
            assert!(matches!(failed, Err(Error::Host(_))), "{failed:?}");
            doors.world.storage.fail_writes(false);
            let renamed = with(access(), json!({ "sub": "bot-2", "client_id": "bot-2" }));
            assert!(doors.said(&renamed).await.contains("agent.unknown"));
            doors.world.ok("agents/bot", change).await;
            doors
                .ask(&doors.idp.sign("at+jwt", &renamed))
                .await
                .unwrap();
            assert!(doors.said(&access()).await.contains("agent.unknown"));
        }
    }
}
