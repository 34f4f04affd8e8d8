//! Credentials as leases of a real server.

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Answer, Bao};

fn leased<'b>(bao: &'b Bao, fields: &Value) -> Example<'b> {
    let example = Example::secrets(bao);
    example.mount.write("targets/crm", fields).ok();
    let lease = json!({ "leased": true, "default_ttl": "60s", "max_ttl": "10m" });
    example.mount.write("targets/crm", &lease).ok();
    example
}

fn is_active(example: &Example<'_>, issued: &Answer) -> bool {
    let token = issued.text_at("/data/credential");
    let answer = example
        .mount
        .write("creds/introspect", &json!({ "token": token }));
    answer.ok().data("active") == &json!(true)
}

fn lease_of(issued: &Answer) -> String {
    issued.text_at("/lease_id")
}

#[test]
fn a_lease_is_renewed_within_what_is_allowed() {
    let bao = Bao::dev();
    let example = leased(bao, &json!({ "credential_type": "opaque" }));
    let issued = example.issue().ok();
    // Whole seconds, and never beyond the credential.
    let ttl = issued.json["lease_duration"].as_u64().unwrap();
    assert!((58..=60).contains(&ttl), "{ttl}");
    assert_eq!(issued.json["renewable"], true);
    let renew = |increment: u64| {
        let body = json!({ "lease_id": lease_of(&issued), "increment": increment });
        bao.client().write("sys/leases/renew", &body)
    };
    let renewed = renew(300).ok();
    let ttl = renewed.json["lease_duration"].as_u64().unwrap();
    assert!((295..=300).contains(&ttl), "{ttl}");
    assert!(is_active(&example, &issued));
    // However much it asks for, the target's longest life is the end.
    let ttl = renew(100_000).ok().json["lease_duration"].as_u64().unwrap();
    assert!((590..=600).contains(&ttl), "{ttl}");
    let expires = example
        .mount
        .write(
            "creds/introspect",
            &json!({ "token": issued.text_at("/data/credential") }),
        )
        .ok();
    let lived = expires.data("exp").as_i64().unwrap() - expires.data("iat").as_i64().unwrap();
    assert!(lived <= 600, "{lived}");
    // It is decided anew.
    let suspend = example.mount.write("agents/bot/suspend", &json!({}));
    suspend.ok();
    assert!(renew(10).status >= 400);
    example.mount.write("agents/bot/resume", &json!({})).ok();
    let deny = "rule \"no\" {\n  effect = \"deny\"\n}\n";
    example
        .mount
        .write("policies/crm", &json!({ "policy": deny }))
        .ok();
    let refused = renew(10);
    assert!(refused.status >= 400, "{refused:?}");
    assert!(refused.errors().contains("ceiling.denied"), "{refused:?}");
}

#[test]
fn a_jwt_lease_cannot_be_renewed() {
    let bao = Bao::dev();
    let example = leased(bao, &json!({ "credential_type": "jwt" }));
    let issued = example.issue().ok();
    assert_eq!(issued.json["renewable"], false);
    let body = json!({ "lease_id": lease_of(&issued) });
    let refused = bao.client().write("sys/leases/renew", &body).refused(400);
    assert!(refused.errors().contains("not renewable"), "{refused:?}");
}

#[test]
fn a_lease_ends_by_id_by_prefix_and_with_its_token() {
    let bao = Bao::dev();
    for kind in ["opaque", "jwt"] {
        let mut example = leased(bao, &json!({ "credential_type": kind }));
        let (one, two, other) = (
            example.issue().ok(),
            example.issue().ok(),
            example.issue().ok(),
        );
        let root = bao.client();
        let by_id = json!({ "lease_id": lease_of(&one), "sync": true });
        root.write("sys/leases/revoke", &by_id).ok();
        assert!(!is_active(&example, &one), "{kind}");
        assert!(is_active(&example, &two));
        // Again: what is gone is gone.
        root.write("sys/leases/revoke", &by_id);

        let token = json!({ "token": example.agent.token });
        example.agent.again(bao);
        let later = example.issue().ok();
        root.write("auth/token/revoke", &token).ok();
        bao.wait("rid of the token's leases", |_| {
            !is_active(&example, &two) && !is_active(&example, &other)
        });
        assert!(is_active(&example, &later), "of another token");

        let prefix = format!("sys/leases/revoke-prefix/{}", example.mount.at("creds"));
        root.write(&prefix, &json!({ "sync": true })).ok();
        bao.wait("rid of the mount's leases", |_| {
            !is_active(&example, &later)
        });
        let left = root.list(&format!(
            "sys/leases/lookup/{}",
            example.mount.at("creds/issue")
        ));
        assert!(left.keys().is_empty(), "{left:?}");
    }
}

#[test]
fn an_unmount_takes_every_lease_along_and_is_never_held_up() {
    let bao = Bao::own();
    let example = leased(&bao, &json!({ "credential_type": "opaque" }));
    for _ in 0..20 {
        example.issue().ok();
    }
    // Some are gone before the server says so.
    let gone = example.issue().ok().text_at("/data/credential");
    example
        .mount
        .write("creds/revoke", &json!({ "token": gone }))
        .ok();
    example.mount.delete("agents/bot").ok();
    example.mount.delete("targets/crm").ok();
    let path = example.mount.path.clone();
    assert_eq!(example.mount.disable().status, 204);
    let left = bao
        .client()
        .list(&format!("sys/leases/lookup/{path}/creds/issue"));
    assert!(left.keys().is_empty(), "{left:?}");
    assert_eq!(bao.orphans(), []);
}

#[test]
fn an_unmount_survives_a_plugin_that_was_killed() {
    let bao = Bao::own();
    let example = leased(&bao, &json!({ "credential_type": "opaque" }));
    example.issue().ok();
    bao.kill9_plugins();
    // The server notices at the first call, and starts another at the next.
    let mount = format!("sys/mounts/{}", example.mount.path);
    bao.wait("rid of the mount", |bao| {
        bao.client().delete(&mount).status == 204
    });
    let left = bao.client().list(&format!(
        "sys/leases/lookup/{}",
        example.mount.at("creds/issue")
    ));
    assert!(left.keys().is_empty(), "{left:?}");
}
