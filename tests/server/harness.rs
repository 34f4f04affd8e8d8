//! The harness itself, before anything is built on it.

use std::process::Command;

use serde_json::json;

use crate::support::{Bao, Mount, python};

#[test]
fn a_login_has_the_entity_that_was_made_for_it() {
    let bao = Bao::dev();
    let login = bao.login("ada", "path \"sys/mounts\" { capabilities = [\"read\"] }");
    let found = login.client.read("auth/token/lookup-self").ok();
    assert_eq!(found.data("entity_id"), &json!(login.entity_id));
    login.client.read("sys/mounts").ok();
    login.client.read("sys/auth").refused(403);
    bao.client_with("").read("sys/mounts").refused(403);
    assert_ne!(bao.login("ada", "").entity_id, login.entity_id);
}

#[test]
fn the_command_line_and_the_audit_log_see_the_same_server() {
    let bao = Bao::dev();
    let name = crate::support::unique("group");
    let output = bao.cli(&["write", "identity/group", &format!("name={name}")]);
    assert!(output.status.success(), "{output:?}");
    let answer = bao.client().list("identity/group/name").ok();
    assert!(answer.keys().contains(&name));
    assert!(bao.audit_of("identity/group").len() >= 2);
    assert!(bao.log().contains("core: vault is unsealed"));
}

#[test]
fn storage_outlives_a_restart_a_crash_and_a_seal() {
    let mut bao = Bao::persistent();
    let login = bao.login("bob", "");
    let path = format!("identity/entity/id/{}", login.entity_id);
    bao.restart();
    bao.client().read(&path).ok();
    bao.crash();
    bao.start();
    bao.unseal();
    bao.client().read(&path).ok();
    bao.seal();
    bao.client().read(&path).refused(503);
    bao.unseal();
    bao.client().read(&path).ok();
}

#[test]
fn a_mount_is_of_one_test_and_open_to_those_it_lets_in() {
    let bao = Bao::dev();
    let mount: Mount<'_> = bao.enable("sys/mounts", "", "kv");
    mount.write("creds/a", &json!({ "x": 1 })).ok();
    assert_eq!(mount.list("creds").keys(), ["a"]);
    assert_eq!(mount.read("creds/a").data("x"), &json!(1));

    let (agent, human) = (mount.agent_login("bot"), mount.human("ada"));
    let path = mount.at("creds/a");
    agent.client.read(&path).ok();
    let answer = human.client.read(&path).refused(403);
    assert!(answer.errors().contains("permission denied"), "{answer:?}");
    assert_eq!(answer.warnings(), Vec::<String>::new());
    assert_eq!(agent.client.token(), agent.token);

    mount.delete("creds/a").ok();
    mount.read("creds/a").refused(404);
    assert_eq!(mount.disable().status, 204);
}

#[test]
fn wrapping_shows_that_headers_are_sent_and_received() {
    let client = Bao::dev().client().with_header("X-Vault-Wrap-TTL", "60s");
    let answer = client.read("auth/token/lookup-self").ok();
    answer.text_at("/wrap_info/token");
    assert_eq!(
        answer.headers.get("content-type").unwrap(),
        "application/json"
    );
}

/// The server signs tokens itself, so they show that the verifier verifies.
#[test]
fn the_verifier_takes_a_good_token_and_no_other() {
    let bao = Bao::dev();
    let root = bao.client();
    root.write(
        "identity/oidc/key/harness",
        &json!({ "algorithm": "EdDSA", "allowed_client_ids": ["*"] }),
    )
    .ok();
    let template = "{\"jti\": \"1\"}";
    root.write(
        "identity/oidc/role/harness",
        &json!({ "key": "harness", "client_id": "crm", "template": template }),
    )
    .ok();
    let login = bao.login(
        "signer",
        "path \"identity/oidc/token/*\" { capabilities = [\"read\"] }",
    );
    let token = login
        .client
        .read("identity/oidc/token/harness")
        .ok()
        .text_at("/data/token");
    let issuer = format!("{}/v1/identity/oidc", bao.url());
    let jwks = format!("{issuer}/.well-known/keys");
    let verify = |audience, token| {
        let args = [
            "--jwks",
            &jwks,
            "--token",
            token,
            "--audience",
            audience,
            "--issuer",
            &issuer,
        ];
        python("verify_jwt.py", &args, "")
    };
    let output = verify("crm", &token);
    assert!(output.status.success(), "{output:?}");
    let claims: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(claims.get("sub"), Some(&json!(login.entity_id)));

    let (rest, _) = token.rsplit_once('.').unwrap();
    for output in [
        verify("other", &token),
        verify("crm", &format!("{rest}.AAAA")),
    ] {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        assert!(
            said.contains("PyJWT: ") && said.contains("joserfc: "),
            "{said}"
        );
    }
}

#[test]
fn the_openapi_check_knows_a_document_from_another() {
    let document = json!({
        "openapi": "3.0.2",
        "info": { "title": "t", "version": "1" },
        "paths": { "/m/x": { "get": { "responses": { "200": { "description": "ok" } } } } },
    });
    let check = |args: &[&str], text: &str| python("openapi_check.py", args, text);
    assert!(check(&[], &document.to_string()).status.success());
    let undescribed = check(&["--below", "/m/"], &document.to_string());
    let said = String::from_utf8(undescribed.stderr).unwrap();
    assert_eq!(said, "/m/x: get has no summary\n");
    let text = document.to_string().replace("responses", "answers");
    assert!(!check(&[], &text).status.success());
}

#[test]
fn a_server_ends_with_its_handle_and_leaves_nothing() {
    let bao = Bao::own();
    let pid = bao.pid();
    // The server has started the plugin for a moment, to ask for its version.
    bao.wait("done asking", |bao| bao.plugins().is_empty());
    assert_eq!(bao.kill9_plugins(), 0);
    assert_eq!(bao.orphans(), []);
    assert_eq!(bao.leftovers(), Vec::<std::path::PathBuf>::new());
    drop(bao);
    let alive = Command::new("kill").arg("-0").arg(pid.to_string()).output();
    assert!(!alive.unwrap().status.success());
}
