//! `report`, on a story of delegation, consent and login: the chain from the
//! human to the use, out of the audit log alone.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may be brief"
)]

use serde_json::{Value, json};
use vault_plugin_agentic::jose::alg::Algorithm;
use vault_plugin_agentic::model::time::{Clock as _, SystemClock};

use crate::example::Example;
use crate::report::{log, report, tuned};
use crate::support::{Bao, Login, Mount, Signer, unique};

/// The id of a delegation that Ada was asked for and gave.
fn delegated(example: &Example<'_>, ada: &Login) -> String {
    let wanted = json!({
        "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }],
        "purpose": "answer customers", "subject_entity_id": ada.entity_id,
    });
    let by =
        |who: &Login, path: &str, body: &Value| who.client.write(&example.mount.at(path), body);
    let asked = by(&example.agent, "delegations/request", &wanted).ok();
    let id = asked.text_at("/data/id");
    // Nobody consents for another.
    let approve = format!("delegations/{id}/approve");
    let brook = example.mount.human("brook");
    assert!(by(&brook, &approve, &json!({})).status >= 400);
    by(ada, &approve, &json!({})).ok();
    id
}

/// What Ada delegates is used, once with her yes to one request, redeemed, and
/// refused after she has ended it.
fn on_behalf_of(example: &Example<'_>, ada: &Login) -> String {
    let mount = &example.mount;
    mount
        .write(
            &format!("baselines/entity/{}", ada.entity_id),
            &json!({ "policies": "crm" }),
        )
        .ok();
    let id = delegated(example, ada);
    let mut ask = example.ask();
    ask["delegation_id"] = json!(id);
    let issued = example.issue_with(&ask).ok();
    let token = json!({ "token": issued.text_at("/data/credential") });
    assert_eq!(
        *mount.write("creds/redeem", &token).ok().data("active"),
        true
    );
    assert_eq!(
        *mount.write("creds/introspect", &token).ok().data("active"),
        true
    );

    mount
        .write("targets/crm", &json!({ "consent": "per_request" }))
        .ok();
    let waits = example.issue_with(&ask).ok();
    let consent = waits.text_at("/data/consent_id");
    ada.client
        .write(
            &mount.at(&format!("consents/{consent}/approve")),
            &json!({}),
        )
        .ok();
    ask["consent_id"] = json!(consent);
    example.issue_with(&ask).ok();

    ada.client
        .write(&mount.at(&format!("delegations/{id}/revoke")), &json!({}))
        .ok();
    example.issue_with(&ask).refused(403);
    // What was issued under it does not hold any more.
    assert_eq!(
        *mount.write("creds/redeem", &token).ok().data("active"),
        false
    );
    id
}

/// Logs the agent in by a key of its own, and uses the token: for what it is
/// for, for something else, and for the first again when the agent is suspended.
fn logged_in(bao: &Bao) -> String {
    let mount = Mount {
        bao,
        path: "auth/agentic".to_owned(),
    };
    let secrets = bao.enable("sys/mounts", "", "kv");
    let (path, other) = (secrets.at("app"), secrets.at("other"));
    secrets.write("app", &json!({ "value": "x" })).ok();
    let (key, agent) = (
        Signer::new(Algorithm::Es256, "own-1"),
        bao.login("robot", ""),
    );
    let issuer = format!("{}/v1/{}", bao.url(), mount.path);
    let policy =
        "rule \"read\" {\n  effect = \"allow\"\n  targets = [\"kv\"]\n  actions = [\"read\"]\n}\n";
    for (at, body) in [
        ("config", json!({ "issuer": issuer })),
        ("policies/kv", json!({ "policy": policy })),
        (
            "targets/kv",
            json!({
                "credential_type": "vault_token", "actions": "read", "resources": "**",
                "vault_policies": unique("kv"), "vault_paths": [{ "path": path, "capabilities": ["read"] }],
            }),
        ),
        (
            "agents/robot",
            json!({ "entity_id": agent.entity_id, "ceiling_policies": "kv", "public_keys": [key.jwk()] }),
        ),
    ] {
        mount.write(at, &body).ok();
    }
    let acl = mount.read("targets/kv/acl").ok();
    let name = acl.text_at("/data/vault_policies/0");
    let body = json!({ "policy": acl.text_at("/data/policy") });
    bao.client()
        .write(&format!("sys/policies/acl/{name}"), &body)
        .ok();
    // A mount that has just begun takes what was surely made since.
    let begun = SystemClock.now().unix();
    bao.wait("some seconds older", |_| {
        SystemClock.now().unix() > begun + 5
    });
    let ahead = SystemClock.now().unix() + 28;
    let claims = json!({
        "iss": "robot", "sub": "robot", "aud": issuer, "iat": ahead, "exp": ahead + 60, "jti": unique("jti"),
    });
    let ask = json!({ "jwt": key.sign("JWT", &claims), "target": "kv", "action": "read", "resource": "app" });
    let nobody = bao.client_with("");
    let login = nobody.write(&mount.at("login"), &ask).ok();
    assert!(
        nobody.write(&mount.at("login"), &ask).status >= 400,
        "a replay"
    );
    let token = bao.client_with(&login.text_at("/auth/client_token"));
    token.read(&path).ok();
    token.read(&other).refused(403);
    mount
        .write("agents/robot/suspend", &json!({ "reason": "drill" }))
        .ok();
    token.read(&path);
    path
}

#[test]
fn the_chain_from_the_human_to_the_use_is_told() {
    let bao = tuned();
    let example = Example::on(Mount {
        bao: &bao,
        path: "agentic".to_owned(),
    });
    let ada = example.mount.human("ada");
    let delegation = on_behalf_of(&example, &ada);
    let path = logged_in(&bao);

    let told = report(&[], &log(&bao));
    let agents = told["agents"].as_array().unwrap();
    let of = |name: &str| agents.iter().find(|agent| agent["name"] == name).unwrap();
    let chain = &of("bot")["chains"][0];
    assert_eq!(chain["subject"], json!(ada.entity_id));
    assert_eq!(
        chain["subject_name"],
        json!(format!("userpass-{}", ada.name))
    );
    let counts = &chain["counts"];
    let counted = ["issued", "used", "checked", "consent_required", "refused"];
    let counted = counted.map(|name| counts[name].as_u64().unwrap());
    assert_eq!(counted, [2, 1, 1, 1, 2], "{told:#}");
    let reasons: Vec<&Value> = chain["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["code"])
        .collect();
    assert_eq!(reasons, ["credential.inactive", "delegation.revoked"]);

    let consents = told["consents"].as_array().unwrap();
    let done: Vec<_> = consents
        .iter()
        .map(|one| (one["what"].as_str().unwrap(), one["outcome"] == "allowed"))
        .collect();
    assert_eq!(
        done,
        [
            ("request_delegation", true),
            ("approve_delegation", false),
            ("approve_delegation", true),
            ("approve_consent", true),
            ("revoke_delegation", true),
        ]
    );
    for one in consents {
        assert_eq!(one["delegation_id"], json!(delegation), "{one}");
        assert_eq!(
            (&one["agent"], &one["subject"]),
            (&json!("bot"), &json!(ada.entity_id)),
            "{one}"
        );
    }
    assert_eq!(told["totals"]["consents_given"], 2);

    let robot = of("robot");
    assert_eq!(robot["status"], "suspended");
    let counts = &robot["counts"];
    assert_eq!(
        (&counts["logins"], &robot["chains"][0]["subject"]),
        (&json!(1), &Value::Null)
    );
    let paths = robot["chains"][0]["paths"].as_array().unwrap();
    assert!(
        paths.iter().any(|one| one["path"] == json!(path)),
        "{paths:?}"
    );
    let rules: Vec<_> = told["anomalies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["rule"], &one["agent"]))
        .collect();
    assert_eq!(
        rules,
        [
            (&json!("use_after_stop"), &json!("robot")),
            (&json!("use_after_revocation"), &json!("bot")),
        ]
    );
    let strangers: Vec<_> = agents
        .iter()
        .filter(|agent| agent["registered"] == false)
        .collect();
    assert_eq!(strangers.len(), 1, "the replay: {strangers:?}");
}
