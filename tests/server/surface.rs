//! Every path and operation over HTTP; the documents the server makes of them.

use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::endpoint::{Audience, Verb};
use vault_plugin_agentic::mount::routes;

use crate::example::Example;
use crate::support::{Bao, python};

fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "bot" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_operation_on_every_path_is_answered_over_http() {
    for mount in [Bao::dev().secrets(), Bao::dev().auth()] {
        let example = Example::on(mount);
        let mut paths: Vec<&str> = routes(MountType::Secrets)
            .iter()
            .map(|route| route.place.path)
            .collect();
        paths.extend([
            "nothing",
            "agents/bot/unknown",
            "creds",
            "agents//bot",
            "delegations/request",
            "login",
        ]);
        paths.dedup();
        for path in paths {
            for method in [
                "GET", "LIST", "SCAN", "POST", "PUT", "PATCH", "DELETE", "HEAD",
            ] {
                for client in [
                    example.mount.bao.client(),
                    example.agent.client.clone(),
                    example.mount.bao.client_with(""),
                ] {
                    let at = example.mount.at(&filled(path));
                    let answer = client.send(method, &at, Some(&json!({ "unknown": 1 })));
                    assert!(answer.status < 500, "{method} {at}: {answer:?}");
                }
            }
        }
    }
}

#[test]
fn undeclared_operations_are_refused_as_the_server_does() {
    let example = Example::secrets(Bao::dev());
    for route in routes(MountType::Secrets) {
        let others = routes(MountType::Secrets);
        let has = |verb: Verb| {
            others
                .iter()
                .any(|other| other.place.path == route.place.path && other.place.verb == verb)
        };
        let at = example.mount.at(&filled(route.place.path));
        let root = example.mount.bao.client();
        for (verb, method) in [
            (Verb::Read, "GET"),
            (Verb::Write, "POST"),
            (Verb::Delete, "DELETE"),
            (Verb::List, "LIST"),
        ] {
            if !has(verb) {
                let answer = root.send(method, &at, Some(&json!({})));
                assert_eq!(answer.status, 405, "{method} {at}: {answer:?}");
            }
        }
        assert_eq!(
            root.send("PATCH", &at, Some(&json!({}))).status,
            415,
            "{at}"
        );
    }
}

#[test]
fn only_public_paths_answer_without_a_token() {
    let example = Example::secrets(Bao::dev());
    for route in routes(MountType::Secrets) {
        let method = match route.place.verb {
            Verb::Read => "GET",
            Verb::Write => "POST",
            Verb::Delete => "DELETE",
            Verb::List => "LIST",
        };
        let at = example.mount.at(&filled(route.place.path));
        let status = example
            .mount
            .bao
            .client_with("")
            .send(method, &at, Some(&json!({})))
            .status;
        match route.audience {
            // Served, and there is no list of that name.
            Audience::Public if at.ends_with("/status/bot") => assert_eq!(status, 404, "{at}"),
            Audience::Public => assert_eq!(status, 200, "{method} {at}"),
            Audience::Governed | Audience::Caller | Audience::Judged | Audience::TakesBack => {
                assert_eq!(status, 403, "{method} {at}")
            }
        }
    }
}

#[test]
fn the_servers_openapi_document_has_all_of_it_and_is_valid() {
    let bao = Bao::dev();
    let (secrets, auth) = (bao.secrets(), bao.auth());
    let document = bao.client().read("sys/internal/specs/openapi");
    assert_eq!(document.status, 200, "{document:?}");
    for mount in [&secrets, &auth] {
        for route in routes(MountType::Secrets) {
            let key = format!("/{}/{}", mount.path, route.place.path);
            let item = &document.json["paths"][&key];
            assert!(item.is_object(), "{key}");
            let method = match route.place.verb {
                Verb::Read | Verb::List => "get",
                Verb::Write => "post",
                Verb::Delete => "delete",
            };
            let operation = &item[method];
            assert_eq!(operation["summary"], route.synopsis.as_str(), "{key}");
            let properties =
                &operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
            for field in &route.fields {
                let in_path = item["parameters"].as_array().is_some_and(|all| {
                    all.iter().any(|one| {
                        one["name"] == field.name.as_str()
                            && one["description"]
                                .as_str()
                                .is_some_and(|text| !text.is_empty())
                    })
                });
                let in_query = operation["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|one| one["name"] == field.name.as_str()));
                let in_body = properties[&field.name]["type"].is_string()
                    && properties[&field.name]["description"].is_string();
                assert!(in_path || in_query || in_body, "{key} {}", field.name);
            }
        }
    }
    // The server's own paths are not ours to answer for.
    let mut ours = document.json.clone();
    let prefixes = [format!("/{}/", secrets.path), format!("/{}/", auth.path)];
    ours["components"]["schemas"] = json!({});
    if let Some(Value::Object(paths)) = ours.get_mut("paths") {
        paths.retain(|path, _| prefixes.iter().any(|prefix| path.starts_with(prefix)));
    }
    let output = python("openapi_check.py", &[], &ours.to_string());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn path_help_reads_well() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let help = |path: &str| {
        let output = bao.cli(&["path-help", path]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let root = help(&mount.path);
    assert!(
        root.contains("## PATHS") && root.contains("^agents/register$"),
        "{root}"
    );
    for route in routes(MountType::Secrets) {
        let text = help(&mount.at(&filled(route.place.path)));
        assert!(text.contains(&route.synopsis), "{text}");
    }
}

#[test]
fn the_acl_tells_create_from_update() {
    let bao = Bao::dev();
    let mount = bao.secrets();
    let updater = bao.login(
        "updater",
        &mount.acl(&[
            ("targets/*", "update, sudo"),
            ("policies/*", "update, sudo"),
        ]),
    );
    let creator = bao.login("creator", &mount.acl(&[("targets/*", "create, sudo")]));
    let target = json!({ "actions": "read" });
    updater
        .client
        .write(&mount.at("targets/a"), &target)
        .refused(403);
    creator.client.write(&mount.at("targets/a"), &target).ok();
    updater.client.write(&mount.at("targets/a"), &target).ok();
    creator
        .client
        .write(&mount.at("targets/a"), &target)
        .refused(403);
}

#[test]
fn bad_input_gets_a_sentence() {
    let example = Example::secrets(Bao::dev());
    for (path, body, says) in [
        ("config", json!({ "issuer": "nonsense" }), "must be a URL"),
        ("config", json!({ "max_ttl": "2h" }), "between 1s and 1h"),
        ("config", json!({ "max_ttl": "-5" }), "negative"),
        ("targets/x", json!({}), "at least one action"),
        ("targets/x", json!({ "actions": "a b" }), "may hold letters"),
        (
            "targets/x",
            json!({ "actions": "a", "claims": { "sub": 1 } }),
            "choose another name",
        ),
        (
            "targets/x",
            json!({ "actions": "a", "resources": "../x" }),
            "segment",
        ),
        (
            "targets/x",
            json!({ "actions": "a", "consent": "maybe" }),
            "consent",
        ),
        (
            "locations/x",
            json!({ "cidrs": "10.0.0.1/8" }),
            "did you mean `10.0.0.0/8`",
        ),
        ("policies/x", json!({}), "missing required field \"policy\""),
        (
            "policies/x",
            json!({ "policy": "rule \"a\" {\n  efect = \"allow\"\n}" }),
            "2:3",
        ),
        ("agents/register", json!({ "name": "x" }), "entity_id"),
        (
            "agents/register",
            json!({ "name": "x", "entity_id": "nobody" }),
            "no such identity entity",
        ),
        (
            "agents/bot/suspend",
            json!({ "reason": "a\u{202e}b" }),
            "U+202E",
        ),
        ("keys/x", json!({ "algorithm": "none" }), "algorithm"),
        (
            "creds/issue",
            json!({ "target": "crm" }),
            "missing required field \"action\"",
        ),
        (
            "creds/issue",
            json!({ "target": "crm", "action": "read", "authorization_details": [{ "type": "x" }] }),
            "invalid_authorization_details",
        ),
    ] {
        let refused = example.mount.write(path, &body).refused(400);
        assert!(
            refused.errors().contains(says),
            "{path} {body}: {refused:?}"
        );
    }
    let nobody = example
        .mount
        .write("agents/nobody/suspend", &json!({}))
        .refused(404);
    assert!(
        nobody.errors().contains("there is no agent `nobody`"),
        "{nobody:?}"
    );
}

#[test]
fn crud_by_the_command_line() {
    let bao = Bao::dev();
    let example = Example::secrets(bao);
    let run = |args: &[&str]| {
        let output = bao.cli(args);
        assert!(output.status.success(), "{args:?} {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let at = |path: &str| example.mount.at(path);
    run(&[
        "write",
        &at("locations/office"),
        "cidrs=10.0.0.0/8,192.168.0.0/16",
    ]);
    assert!(run(&["read", "-format=json", &at("locations/office")]).contains("192.168.0.0/16"));
    run(&["write", &at("baselines/group/support"), "policies=crm"]);
    run(&[
        "write",
        &at(&format!("baselines/entity/{}", example.agent.entity_id)),
        "policies=crm",
    ]);
    for list in [
        "agents",
        "targets",
        "policies",
        "locations",
        "keys",
        "baselines/entity",
        "baselines/group",
        "registration/id",
        "registration/display-name",
    ] {
        assert!(run(&["list", &at(list)]).contains("Keys"), "{list}");
    }
    run(&[
        "write",
        &at("agents/bot"),
        "labels=tier=prod",
        "labels=team=a",
        "delegation_modes=autonomous",
        "expires_at=2030-01-01T00:00:00Z",
    ]);
    let agent = run(&["read", "-format=json", &at("agents/bot")]);
    let agent: Value = serde_json::from_str(&agent).unwrap();
    assert_eq!(
        agent["data"]["labels"],
        json!({ "tier": "prod", "team": "a" })
    );
    assert_eq!(agent["data"]["expires_at"], "2030-01-01T00:00:00Z");
    for path in [
        "locations/office",
        "baselines/group/support",
        "targets/crm",
        "agents/bot",
    ] {
        run(&["delete", &at(path)]);
        run(&["delete", &at(path)]);
        assert_eq!(example.mount.read(path).status, 404, "{path}");
    }
}
