//! Verifiers that others wrote: proofs of possession, and status lists.

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Bao, python};

const CALL: &str = "https://crm.example.com/customers/42";

fn prove(wanted: &Value) -> Value {
    let output = python("dpop_proof.py", &[], &wanted.to_string());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn ath(token: &str) -> String {
    use base64::Engine as _;
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash)
}

/// Seconds, as the machine has them.
fn clock() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server has no other clock either"
    )]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn proofs_of_another_library_are_taken_and_broken_ones_are_not() {
    for kind in ["jwt", "opaque"] {
        let example = Example::secrets(Bao::dev());
        // A mount that has just begun takes what was surely made since.
        let begun = clock();
        Bao::dev().wait("some seconds older", |_| clock() > begun + 7);
        example
            .mount
            .write(
                "targets/crm",
                &json!({ "credential_type": kind, "proof_of_possession": true, "max_uses": 3, "max_ttl": "10m", "default_ttl": "5m" }),
            )
            .ok();
        example.issue().refused(403);
        let made = prove(&json!({}));
        let mut ask = example.ask();
        ask["cnf_jwk"] = made["jwk"].clone();
        let issued = example.issue_with(&ask).ok();
        assert_eq!(issued.data("token_type"), "DPoP");
        let token = issued.text_at("/data/credential");

        let good = json!({ "jti": "a-proof-with-96-bits", "htm": "GET", "htu": CALL, "iat": clock(), "ath": ath(&token) });
        let variant = |claim: &str, value: Value| {
            let mut claims = good.clone();
            claims["jti"] = json!(
                format!("broken-{claim}-{value}")
                    .chars()
                    .take(80)
                    .collect::<String>()
            );
            claims[claim] = value;
            json!({ "claims": claims })
        };
        let broken = [
            variant("htm", json!("POST")),
            variant("htm", json!("get")),
            variant("htm", json!(null)),
            variant("htu", json!("https://crm.example.com/customers/43")),
            variant("htu", json!("https://evil.example.com/customers/42")),
            variant("htu", json!("http://crm.example.com/customers/42")),
            variant("htu", json!(null)),
            variant("iat", json!(clock() - 120)),
            variant("iat", json!(clock() + 120)),
            variant("iat", json!("now")),
            variant("iat", json!(null)),
            variant("jti", json!(null)),
            variant("jti", json!("")),
            variant("ath", json!(ath("another token"))),
            variant("ath", json!(null)),
            json!({ "claims": good, "header": { "typ": "JWT" } }),
            json!({ "claims": good, "header": { "typ": null } }),
            json!({ "claims": good, "header": { "jwk": null } }),
            json!({ "claims": good, "header": { "jwk": made["key"] } }),
            json!({ "claims": good, "sign_with": made["other"] }),
        ];
        let mut wanted = broken.to_vec();
        wanted.push(json!({ "claims": good }));
        let proofs = prove(&json!({ "key": made["key"], "proofs": wanted }));
        let mut proofs: Vec<String> = proofs["proofs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|proof| proof.as_str().unwrap().to_owned())
            .collect();
        let good = proofs.pop().unwrap();
        let stranger = prove(
            &json!({ "proofs": [{ "claims": variant("jti", json!("a stranger's"))["claims"] }] }),
        );
        proofs.push(stranger["proofs"][0].as_str().unwrap().to_owned());
        proofs.push(format!("{good}, {good}"));
        let ask_with = |path: &str, proof: &str| {
            let body = json!({ "token": token, "dpop": proof, "method": "GET", "url": CALL });
            let answer = example.mount.write(path, &body).ok();
            let active = answer.data("active").as_bool().unwrap();
            assert!(active || answer.json["data"] == json!({ "active": false }));
            active
        };
        for proof in &proofs {
            assert!(!ask_with("creds/introspect", proof), "{proof}");
            assert!(!ask_with("creds/redeem", proof), "{proof}");
        }
        let plain = example
            .mount
            .write("creds/introspect", &json!({ "token": token }))
            .ok();
        assert_eq!(plain.data("active"), false, "bound, and offered as plain");
        assert!(ask_with("creds/redeem", &good), "nothing was used up");
        assert!(!ask_with("creds/redeem", &good), "a replay");
    }
}

#[test]
fn an_offline_verifier_sees_what_was_suspended_and_revoked() {
    let example = Example::secrets(Bao::dev());
    example
        .mount
        .write("targets/crm", &json!({ "status_list": true }))
        .ok();
    let issue = || example.issue().ok().text_at("/data/credential");
    let (one, other) = (issue(), issue());
    let status = |token: &str| {
        let keys = format!("{}/.well-known/jwks.json", example.issuer);
        let arguments = [
            "--jwks",
            &keys,
            "--token",
            token,
            "--issuer",
            &example.issuer,
        ];
        let output = python("status_list.py", &arguments, "");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!((status(&one), status(&other)), ("0".into(), "0".into()));
    let write = |path: &str, body: Value| example.mount.write(path, &body).ok();
    write("agents/bot/suspend", json!({}));
    assert_eq!((status(&one), status(&other)), ("2".into(), "2".into()));
    write("agents/bot/resume", json!({}));
    write("creds/revoke", json!({ "token": one }));
    assert_eq!((status(&one), status(&other)), ("1".into(), "0".into()));
    write("keys/default/rotate", json!({}));
    assert_eq!((status(&one), status(&other)), ("1".into(), "0".into()));
    write("agents/bot/revoke", json!({}));
    assert_eq!(status(&other), "1");
    for missing in ["7", "x"] {
        let path = format!(".well-known/status/{missing}");
        example.mount.read(&path).refused(404);
    }
}
