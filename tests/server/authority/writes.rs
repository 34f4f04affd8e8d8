//! Nothing changes authority on an empty body: a web page's button can send one,
//! by a link that somebody else made.

use serde_json::json;
use vault_plugin_agentic::host::framework::backend::MountType;
use vault_plugin_agentic::host::framework::endpoint::Verb;
use vault_plugin_agentic::mount::routes;

use super::example;
use crate::example::Example;
use crate::support::{Answer, Bao, Client, Login, Mount};

/// Sends what a button sends.
fn click(client: &Client, mount: &Mount<'_>, path: &str) -> Answer {
    client.send("POST", &mount.at(path), Some(&json!({})))
}

struct Scene<'b> {
    example: Example<'b>,
    ada: Login,
    delegation: String,
    consent: String,
    code: String,
}

/// An agent that has asked for authority, for a yes to one request, and by a code.
fn scene(bao: &Bao) -> Scene<'_> {
    let example = Example::secrets(bao);
    let mount = &example.mount;
    let ada = bao.login("ada", &example_acl(mount));
    let policy = json!({ "policies": "crm" });
    mount
        .write(&format!("baselines/entity/{}", ada.entity_id), &policy)
        .ok();
    let ask = json!({
        "scope": [{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }],
        "subject_entity_id": ada.entity_id,
    });
    let by_agent = |path: &str, body: &serde_json::Value| {
        example.agent.client.write(&mount.at(path), body).ok()
    };
    let granted = by_agent("delegations/request", &ask).text_at("/data/id");
    let path = format!("delegations/{granted}/approve");
    ada.client.write(&mount.at(&path), &json!({})).ok();
    mount
        .write("targets/crm", &json!({ "consent": "per_request" }))
        .ok();
    let mut request = example.ask();
    request["delegation_id"] = json!(granted);
    let consent = by_agent("creds/issue", &request).text_at("/data/consent_id");
    let mut other = ask.clone();
    other["ttl"] = json!("1h");
    let delegation = by_agent("delegations/request", &other).text_at("/data/id");
    other["subject_entity_id"] = serde_json::Value::Null;
    let code = by_agent("delegations/request", &other).text_at("/data/user_code");
    Scene {
        example,
        ada,
        delegation,
        consent,
        code,
    }
}

fn example_acl(mount: &Mount<'_>) -> String {
    example("human", mount)
}

#[test]
fn a_click_agrees_to_nothing() {
    let bao = Bao::dev();
    let scene = scene(bao);
    let mount = &scene.example.mount;
    for question in [
        format!("delegations/{}", scene.delegation),
        format!("delegations/code/{}", scene.code),
        format!("consents/{}", scene.consent),
    ] {
        let path = format!("{question}/approve");
        let said = click(&scene.ada.client, mount, &path).refused(400);
        assert!(said.errors().contains("seen"), "{said:?}");
        // Nor does a word that is not this question's, or one that a form fills in.
        for other in ["", "true", "0", "string", "yes", "maple-42", "Seen"] {
            let body = json!({ "seen": other });
            let said = scene.ada.client.send("POST", &mount.at(&path), Some(&body));
            let expected = if other.is_empty() { 400 } else { 409 };
            assert_eq!(said.status, expected, "{path} {other}: {said:?}");
        }
        let read = scene.ada.client.read(&mount.at(&question)).ok();
        let (seen, text) = (read.text_at("/data/seen"), read.text_at("/data/text"));
        assert!(
            text.ends_with(&format!("answer with seen={seen}.")),
            "{text}"
        );
        // The agent that asked never sees it.
        let theirs = scene.example.agent.client.read(&mount.at(&question));
        assert!(!theirs.text.contains(&seen), "{theirs:?}");
        let own = scene.example.agent.client.read(&mount.at("self")).ok();
        assert!(!own.text.contains(&seen), "{own:?}");
        let body = json!({ "seen": seen });
        scene
            .ada
            .client
            .send("POST", &mount.at(&path), Some(&body))
            .ok();
    }
}

/// Every write path of the mount, as root, whom no gate stops.
#[test]
fn every_write_path_is_refused_on_an_empty_body_or_changes_nothing() {
    let bao = Bao::dev();
    let scene = scene(bao);
    let mount = &scene.example.mount;
    mount.write("agents/bot/suspend", &json!({})).ok();
    mount
        .write("baselines/group/staff", &json!({ "policies": "crm" }))
        .ok();
    mount
        .write("locations/here", &json!({ "cidrs": "10.0.0.0/8" }))
        .ok();
    let id = mount.read("agents/bot").ok().text_at("/data/id");
    // What is there, without times and counts.
    let state = || {
        [
            "config",
            "config/identity",
            "agents/bot",
            "policies/crm",
            "targets/crm",
            "baselines/group/staff",
            "locations/here",
            "keys/default",
        ]
        .map(|path| {
            let mut read = mount.read(path).ok().json["data"].clone();
            for name in ["updated_at", "written"] {
                read.as_object_mut().unwrap().remove(name);
            }
            read
        })
    };
    let before = state();
    let (mut refused, mut served) = (Vec::new(), Vec::new());
    for route in routes(MountType::Secrets) {
        if route.place.verb != Verb::Write {
            continue;
        }
        let path = route
            .place
            .path
            .replace("agents/{name}", "agents/bot")
            .replace("keys/{name}", "keys/default")
            .replace("policies/{name}", "policies/crm")
            .replace("targets/{name}", "targets/crm")
            .replace("locations/{name}", "locations/here")
            .replace("{group_name}", "staff")
            .replace("{entity_id}", &scene.ada.entity_id)
            .replace("registration/id/{id}", &format!("registration/id/{id}"))
            .replace(
                "delegations/{id}",
                &format!("delegations/{}", scene.delegation),
            )
            .replace("consents/{id}", &format!("consents/{}", scene.consent))
            .replace("{user_code}", &scene.code)
            .replace("{name}", "none-such");
        let client = if path.starts_with("delegations") || path.starts_with("consents") {
            scene.ada.client.clone()
        } else {
            bao.client()
        };
        let answer = click(&client, mount, &path);
        let line = format!("{} {}", answer.status, route.place.path);
        if answer.status >= 400 {
            refused.push(line);
        } else {
            served.push(line);
        }
    }
    assert_eq!(state(), before);
    // Those that are served change no authority, or only take the caller's own back,
    // or stop an agent.
    served.sort();
    assert_eq!(
        served,
        [
            "200 agents/{name}",
            "200 agents/{name}/suspend",
            "200 config",
            "200 config/export",
            "200 config/identity",
            "200 consents/{id}/deny",
            "200 delegations/code/{user_code}/deny",
            "200 delegations/{id}/deny",
            "200 delegations/{id}/revoke",
            "200 info",
            "200 keys/{name}",
            "200 targets/{name}",
            "200 targets/{name}/doctor",
        ]
    );
    for must in [
        "400 agents/{name}/resume",
        "400 agents/{name}/revoke",
        "400 consents/{id}/approve",
        "400 delegations/{id}/approve",
        "400 delegations/code/{user_code}/approve",
        "400 keys/{name}/retire",
        "400 keys/{name}/rotate",
        "400 oversight/revoke",
        "400 oversight/delegations/{id}/revoke",
        "400 policies/{name}",
        "400 register",
        "400 registration/id/{id}",
    ] {
        assert!(refused.contains(&must.to_owned()), "{must}: {refused:?}");
    }
}
