//! One story on a real server, told again from what it left behind: once from
//! the audit log alone, once from the decision log alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Answer, Bao, Mount};

/// One line of the story.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    agent: String,
    subject: String,
    target: String,
    action: String,
    outcome: String,
    reason: String,
    decision: String,
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

/// What a caller was told: the answer, or the facts beside a refusal.
fn told(answer: &Answer) -> Line {
    line(answer.json.get("data").unwrap_or(&Value::Null))
}

fn line(data: &Value) -> Line {
    let agent_id = text(data, "agent_id");
    let subject = text(data, "subject");
    Line {
        agent: text(data, "agent"),
        // An agent that acts on its own is its own subject.
        subject: if subject == agent_id {
            String::new()
        } else {
            subject
        },
        target: text(data, "target"),
        action: text(data, "action"),
        outcome: text(data, "outcome"),
        reason: text(data, "reason"),
        decision: text(data, "decision_id"),
    }
}

/// Tunes a mount as `register` does: with the keys of the manifest.
fn tune(mount: &Mount<'_>) {
    let manifest = include_str!("../../plugin-manifest.hcl");
    let body: hcl::Body = hcl::from_str(manifest).unwrap();
    let plugin = body
        .blocks()
        .find(|block| block.identifier() == "plugin")
        .unwrap();
    let tune = plugin
        .body()
        .blocks()
        .find(|block| block.identifier() == "tune")
        .unwrap();
    let keys: BTreeMap<String, Value> = tune
        .body()
        .attributes()
        .map(|attribute| {
            let value = serde_json::to_value(attribute.expr()).unwrap();
            (attribute.key().to_owned(), value)
        })
        .collect();
    assert!(keys.contains_key("audit_non_hmac_response_keys"));
    let path = match mount.path.strip_prefix("auth/") {
        Some(name) => format!("sys/auth/{name}/tune"),
        None => format!("sys/mounts/{}/tune", mount.path),
    };
    let answer = mount.bao.client().write(&path, &json!(keys));
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// What the audit log says of a mount's requests for credentials. As the `jq`
/// line of docs/observability.md.
fn from_audit(mount: &Mount<'_>) -> Vec<Line> {
    mount
        .bao
        .audit()
        .iter()
        .filter(|entry| entry.get("type") == Some(&json!("response")))
        .filter(|entry| {
            let path = entry.pointer("/request/path").and_then(Value::as_str);
            path.is_some_and(|path| path.starts_with(&mount.at("creds/")))
        })
        .map(|entry| {
            let data = entry.pointer("/response/data").unwrap_or(&Value::Null);
            line(data.get("data").unwrap_or(data))
        })
        .collect()
}

/// What the decision log says, oldest first.
fn from_log(mount: &Mount<'_>) -> Vec<(String, Line)> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        // A page of three, so that paging is part of it.
        let page = mount.list(&format!("decisions?limit=3&after={after}")).ok();
        for id in page.keys() {
            let entry = mount.read(&format!("decisions/{id}")).ok();
            let data = entry.json.get("data").unwrap();
            let line = Line {
                decision: text(data, "id"),
                ..line(data)
            };
            lines.push((text(data, "kind"), line));
        }
        after = text(page.json.get("data").unwrap(), "next");
        if after.is_empty() {
            lines.reverse();
            return lines;
        }
    }
}

/// What happens: what was done, and the reason that is expected.
fn story(example: &Example<'_>) -> Vec<(String, Line)> {
    let (mount, agent) = (&example.mount, &example.agent.client);
    let mut lines = Vec::new();
    let mut ask = |target: &str, action: &str, more: Value, reason: &str| {
        let mut request = json!({ "target": target, "action": action, "reason": "ticket 7" });
        for (key, value) in more.as_object().unwrap() {
            request
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), value.clone());
        }
        let answer = agent.write(&mount.at("creds/issue"), &request);
        assert_eq!(
            answer.status,
            if reason.is_empty() { 200 } else { 403 },
            "{answer:?}"
        );
        let told = told(&answer);
        assert_eq!(
            (told.target.as_str(), told.action.as_str()),
            (target, action),
            "{answer:?}"
        );
        assert_eq!(told.reason, reason, "{answer:?}");
        assert_eq!(told.agent, "bot");
        lines.push(("issue".to_owned(), told));
    };
    let resource = json!({ "resource": "customers/42" });
    let details = |action: &str| {
        json!({
            "resource": "customers/42",
            "authorization_details": [{ "type": "agentic:action", "targets": ["crm"], "actions": [action], "resources": ["customers/*"] }],
        })
    };
    let stranger = json!({ "resource": "customers/42", "delegation_id": "01a2062d-d731-7335-be88-0c6ee36d31a9" });
    ask("crm", "read", resource.clone(), "");
    ask("crm", "read", details("read"), "");
    ask("nothing", "read", resource.clone(), "target.unknown");
    ask("crm", "burn", resource.clone(), "target.action");
    ask("crm", "delete", resource.clone(), "ceiling.none_applies");
    ask(
        "crm",
        "read",
        json!({ "resource": "secrets/1" }),
        "ceiling.none_applies",
    );
    ask("crm", "read", details("delete"), "details.not_covered");
    ask("crm", "read", stranger, "subject.unknown");
    mount
        .write("targets/crm", &json!({ "consent": "per_request" }))
        .ok();
    ask("crm", "read", resource.clone(), "consent.no_subject");
    mount
        .write("targets/crm", &json!({ "consent": "none" }))
        .ok();
    let rate = example.policy_with("limits {\n    rate = \"1/1h\"\n  }");
    mount.write("policies/crm", &json!({ "policy": rate })).ok();
    ask("crm", "read", resource.clone(), "");
    ask("crm", "read", resource.clone(), "rate.exceeded");
    mount
        .write("policies/crm", &json!({ "policy": crate::example::POLICY }))
        .ok();

    let pull = |action: &str| {
        mount
            .write(&format!("agents/bot/{action}"), &json!({}))
            .ok();
    };
    pull("suspend");
    ask("crm", "read", resource.clone(), "agent.suspended");
    pull("resume");
    ask("crm", "read", resource.clone(), "");
    pull("revoke");
    ask("crm", "read", resource, "agent.suspended");
    lines
}

#[test]
fn one_story_is_told_alike_by_both_logs() {
    for mount in [Bao::dev().secrets(), Bao::dev().auth()] {
        let example = Example::on(mount);
        let mount = &example.mount;
        tune(mount);
        mount
            .write(
                "config",
                &json!({ "decision_retention": "1h", "decision_memory": 1000 }),
            )
            .ok();
        let happened = story(&example);

        let audited = from_audit(mount);
        let asked: Vec<Line> = happened.iter().map(|(_, line)| line.clone()).collect();
        assert_eq!(audited, asked);

        let logged = from_log(mount);
        let decided: Vec<_> = logged
            .iter()
            .filter(|(kind, _)| kind == "issue")
            .cloned()
            .collect();
        assert_eq!(decided, happened);
        let pulled: Vec<_> = logged
            .iter()
            .filter(|(kind, _)| kind != "issue")
            .map(|(kind, line)| (kind.as_str(), line.agent.as_str()))
            .collect();
        assert_eq!(
            pulled,
            [
                ("agent.suspend", "bot"),
                ("agent.resume", "bot"),
                ("agent.revoke", "bot")
            ]
        );

        // The server's own log has a line for each, with fields of their own.
        let lines = mount.bao.log();
        for (_, line) in &happened {
            let said = lines
                .lines()
                .find(|said| said.contains(&line.decision))
                .unwrap_or_default();
            assert!(
                said.contains("[INFO]") && said.contains(&format!("outcome={}", line.outcome)),
                "{said}"
            );
            assert!(
                said.contains("agent=bot") && said.contains("kind=issue"),
                "{said}"
            );
        }
    }
}

#[test]
fn metrics_are_scraped_as_they_are() {
    let example = Example::secrets(Bao::dev());
    example.issue().ok();
    let mount = &example.mount;
    let scraped = mount
        .bao
        .client()
        .attempt("GET", &mount.at("metrics"), None)
        .unwrap();
    assert_eq!(scraped.status, 200);
    let kind = scraped
        .headers
        .get("content-type")
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let line = "agentic_decisions_total{kind=\"issue\",outcome=\"allow\"} 1";
    assert!(
        scraped.text.lines().any(|said| said == line),
        "{}",
        scraped.text
    );
    example.agent.client.read(&mount.at("metrics")).refused(403);
}

#[test]
fn what_was_stored_outlives_a_restart() {
    let mut bao = Bao::persistent();
    let (path, id) = {
        let example = Example::secrets(&bao);
        example
            .mount
            .write("config", &json!({ "decision_retention": "1h" }))
            .ok();
        let id = example.issue().ok().text_at("/data/decision_id");
        (example.mount.path.clone(), id)
    };
    // The server ends the mount in order, and what waits is written then.
    bao.restart();
    let mount = Mount { bao: &bao, path };
    let read = mount.read(&format!("decisions/{id}")).ok();
    assert_eq!(read.data("outcome"), &json!("allow"));
    assert_eq!(mount.list("decisions").keys(), [id]);
    let verified = mount.read("decisions/verify").ok();
    assert_eq!(verified.data("ok"), &json!(true));
}
