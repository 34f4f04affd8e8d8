//! The main job on a real server, and its credential at other verifiers.

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Bao, python};

/// What two libraries of another language, with our key set, read in a token.
fn verified(example: &Example<'_>, token: &str) -> Value {
    let keys = format!("{}/.well-known/jwks.json", example.issuer);
    let arguments = [
        "--jwks",
        &keys,
        "--token",
        token,
        "--audience",
        "https://crm.example.com",
        "--issuer",
        &example.issuer,
    ];
    let output = python("verify_jwt.py", &arguments, "");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_credential_verifies_in_another_language() {
    for mount in [Bao::dev().secrets(), Bao::dev().auth()] {
        let example = Example::on(mount);
        let issued = example.issue().ok();
        let claims = verified(&example, &issued.text_at("/data/credential"));
        assert_eq!(claims["sub"], *issued.data("agent_id"));
        assert_eq!(claims["jti"], *issued.data("jti"));
        assert_eq!(
            claims["agentic"]["decision_id"],
            *issued.data("decision_id")
        );
        assert_eq!(claims["txn"], issued.json["request_id"]);
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            60
        );
    }
}

#[test]
fn every_kind_of_key_verifies_and_rotation_overlaps() {
    let example = Example::secrets(Bao::dev());
    let rsa = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/crates/core/src/jose/signer/test_rsa_pkcs8.pem"
    ))
    .unwrap();
    example
        .mount
        .write("keys/es", &json!({ "algorithm": "ES256" }))
        .ok();
    example
        .mount
        .write(
            "keys/rs",
            &json!({ "algorithm": "RS256", "private_key": rsa }),
        )
        .ok();
    example
        .mount
        .write("keys/rs2", &json!({ "algorithm": "RS256" }))
        .refused(400);
    let mut tokens = Vec::new();
    for key in ["", "es", "rs"] {
        example
            .mount
            .write("targets/crm", &json!({ "signing_key": key }))
            .ok();
        tokens.push(example.issue().ok().text_at("/data/credential"));
    }
    example.mount.write("keys/default/rotate", &json!({})).ok();
    example.mount.write("keys/es/rotate", &json!({})).ok();
    for token in tokens {
        verified(&example, &token);
    }
    let shown = example.mount.read("keys/rs").ok();
    assert!(
        !shown.text.contains("PRIVATE") && !shown.text.contains("pkcs8"),
        "{shown:?}"
    );
    example.mount.delete("keys/rs").refused(400);
    example.mount.delete("keys/default").refused(400);
    // It has just signed, and what it signed lives on.
    example.mount.delete("keys/es").refused(400);
    example.mount.write("keys/spare", &json!({})).ok();
    example.mount.delete("keys/spare").ok();
    assert_eq!(example.mount.read("keys/spare").status, 404);
}

#[test]
fn the_servers_own_jwt_method_accepts_it_by_discovery() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let root = bao.client();
    let path = crate::support::unique("jwt");
    root.write(&format!("sys/auth/{path}"), &json!({ "type": "jwt" }))
        .ok();
    root.write(
        &format!("auth/{path}/config"),
        &json!({ "oidc_discovery_url": example.issuer, "bound_issuer": example.issuer }),
    )
    .ok();
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["https://crm.example.com"],
        "token_policies": ["default"], "token_ttl": 60, "clock_skew_leeway": -1, "expiration_leeway": -1, "not_before_leeway": -1,
    });
    root.write(&format!("auth/{path}/role/crm"), &role).ok();
    let token = example.issue().ok().text_at("/data/credential");
    let login = bao
        .client_with("")
        .write(
            &format!("auth/{path}/login"),
            &json!({ "role": "crm", "jwt": token }),
        )
        .ok();
    assert!(!login.text_at("/auth/client_token").is_empty());
    let mut forged = token;
    forged.pop();
    bao.client_with("")
        .write(
            &format!("auth/{path}/login"),
            &json!({ "role": "crm", "jwt": forged }),
        )
        .refused(400);
}

#[test]
fn a_plain_get_does_the_same() {
    let example = Example::secrets(Bao::dev());
    let issued = example
        .agent
        .client
        .read(
            &example
                .mount
                .at("creds/crm?action=read&resource=customers/42&ttl=30s"),
        )
        .ok();
    verified(&example, &issued.text_at("/data/credential"));
    assert_eq!(*issued.data("ttl"), 30);
    let refused = example
        .agent
        .client
        .read(&example.mount.at("creds/crm?action=delete"))
        .refused(403);
    assert!(
        refused.errors().contains("ceiling.none_applies"),
        "{refused:?}"
    );
    assert!(
        !refused.errors().contains("1 error occurred"),
        "a clean sentence: {refused:?}"
    );
}

#[test]
fn the_command_line_works_and_says_why_not() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let run = |args: &[&str]| bao.cli_as(&example.agent.token, args);
    let path = example.mount.at("creds/issue");
    let allowed = run(&[
        "write",
        &path,
        "target=crm",
        "action=read",
        "resource=customers/1",
        "ttl=5m",
        "context={\"n\":1}",
    ]);
    assert!(allowed.status.success(), "{allowed:?}");
    let refused = run(&["write", &path, "target=crm", "action=delete"]);
    assert!(!refused.status.success());
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("ceiling.none_applies"),
        "{refused:?}"
    );
}

#[test]
fn requests_leave_nothing_secret_in_the_audit_log() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let token = example.issue().ok().text_at("/data/credential");
    let audit: Vec<String> = bao.audit().iter().map(ToString::to_string).collect();
    assert!(audit.iter().any(|line| line.contains(&example.mount.path)));
    assert!(!audit.iter().any(|line| line.contains(&token)));
    assert!(!bao.log().contains(&token));
}
