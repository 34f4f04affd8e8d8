//! Nothing secret is anywhere but where it must be, after everything was done
//! that can be done with credentials.

use std::fs;

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Bao, python};

/// What is stored under a key of the mount, in the clear: the server's own view.
fn stored(example: &Example<'_>, key: &str) -> Value {
    let root = example.mount.bao.client();
    let mounts = root.read("sys/mounts").ok();
    let uuid = mounts.text_at(&format!("/data/{}~1/uuid", example.mount.path));
    let raw = root.read(&format!("sys/raw/logical/{uuid}/{key}")).ok();
    let entry: Value = serde_json::from_str(&raw.text_at("/data/value")).unwrap_or_default();
    entry
}

#[test]
fn secrets_are_nowhere_but_in_the_answer_that_issues() {
    let bao = Bao::own();
    let root = bao.client();
    root.write("sys/loggers", &json!({ "level": "trace" })).ok();
    let example = Example::secrets(&bao);
    let mut secrets: Vec<String> = Vec::new();
    let mut told: Vec<String> = Vec::new();

    let pem = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/core/src/jose/signer/test_rsa_pkcs8.pem"
    ))
    .unwrap();
    secrets.extend(
        pem.lines()
            .filter(|line| line.len() > 40)
            .map(str::to_owned),
    );
    let import = json!({ "algorithm": "RS256", "private_key": pem });
    told.push(example.mount.write("keys/rs", &import).ok().text);
    told.push(
        example
            .mount
            .write("keys/rs", &json!({ "private_key": format!("{pem}x") }))
            .text,
    );

    let made = python("dpop_proof.py", &[], "{}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let kinds = [
        json!({ "credential_type": "jwt" }),
        json!({ "credential_type": "jwt", "max_uses": 2, "status_list": true, "leased": true }),
        json!({ "credential_type": "opaque", "max_uses": 2, "status_list": false }),
        json!({ "credential_type": "jwt", "leased": false, "signing_key": "rs", "max_uses": 0 }),
    ];
    for kind in kinds {
        example.mount.write("targets/crm", &kind).ok();
        let mut ask = example.ask();
        for bound in [false, true] {
            if bound {
                ask["cnf_jwk"] = made["jwk"].clone();
            }
            let issued = example.issue_with(&ask).ok();
            let token = issued.text_at("/data/credential");
            let proof = json!({ "key": made["key"], "proofs": [{ "claims": { "jti": "x", "htm": "GET" } }] });
            let proof = python("dpop_proof.py", &[], &proof.to_string());
            let proof: Value = serde_json::from_slice(&proof.stdout).unwrap();
            let proof = proof["proofs"][0].as_str().unwrap().to_owned();
            for path in ["creds/introspect", "creds/redeem", "creds/revoke"] {
                let body = json!({ "token": token, "dpop": proof, "method": "GET", "url": "https://crm.example.com" });
                told.push(example.mount.write(path, &body).text);
                // And in every wrong place and form.
                for wrong in [
                    json!({ "token": [token] }),
                    json!({ "token": { "a": token } }),
                    json!({ "jti": token, "target": token, "audience": token, "dpop": token, "url": token, "method": token }),
                    json!({ "token": format!("{token}{token}") }),
                ] {
                    told.push(example.mount.write(path, &wrong).text);
                }
            }
            secrets.extend([token, proof]);
        }
    }
    for path in [
        "keys/default/rotate",
        "keys/default/retire",
        "agents/bot/suspend",
    ] {
        told.push(example.mount.write(path, &json!({})).ok().text);
    }
    for path in [
        "keys/default",
        "keys/rs",
        "agents/bot",
        "targets/crm",
        "config",
        "decisions",
        "metrics",
    ] {
        told.push(example.mount.read(path).text);
        told.push(example.mount.list(path).text);
    }
    told.push(root.read("sys/metrics?format=prometheus").text);
    bao.kill9_plugins();
    told.push(example.mount.read("config").text);

    let hash_key = stored(&example, "credential-key/mount")["key"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(hash_key.len(), 44, "32 bytes in base64");
    secrets.push(hash_key);
    for key in ["key/default", "key/rs"] {
        let ring = stored(&example, key);
        for version in ring["versions"].as_array().unwrap() {
            secrets.push(version["pkcs8"].as_str().unwrap().to_owned());
        }
    }
    secrets.push(made["key"]["d"].as_str().unwrap().to_owned());

    let audit: String = bao.audit().iter().map(|line| format!("{line}\n")).collect();
    let places = [
        ("the answers", told.join("\n")),
        ("the server's log", bao.log()),
        ("the audit log", audit),
    ];
    assert!(places.iter().all(|(_, text)| text.len() > 1000));
    for secret in &secrets {
        assert!(secret.len() > 20, "{secret} proves nothing");
        // A part is as bad as the whole.
        let part: String = secret
            .chars()
            .rev()
            .take(40)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        for (place, text) in &places {
            assert!(!text.contains(&part), "{part} is in {place}");
        }
    }
}

#[test]
fn the_plugin_leaves_no_core_behind() {
    let bao = Bao::own();
    let example = Example::secrets(&bao);
    example.issue().ok();
    let plugins = bao.plugins();
    assert!(!plugins.is_empty());
    for plugin in plugins {
        let limits = fs::read_to_string(format!("/proc/{}/limits", plugin.pid)).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let fields: Vec<&str> = core.split_whitespace().collect();
        assert_eq!(fields.get(4..6), Some(&["0", "0"][..]), "{core}");
    }
}
