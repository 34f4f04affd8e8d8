//! One story on a real server, told again from what it left behind: once from
//! the audit log alone, once from the decision log alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::example::{Example, POLICY};
use crate::support::{Answer, Bao, Login, Mount, python};

/// One line of the story. What a kind of line does not have is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    kind: String,
    outcome: String,
    agent: String,
    subject: String,
    target: String,
    action: String,
    reason: String,
    delegation: String,
    consent: String,
    decision: String,
}

fn text(value: &Value, key: &str) -> String {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn either(one: String, other: String) -> String {
    if one.is_empty() { other } else { one }
}

/// A line from facts by the names that answers, refusals and the decision log
/// share.
fn line(kind: &str, data: &Value) -> Line {
    let subject = either(text(data, "subject"), text(data, "subject_entity_id"));
    Line {
        kind: kind.to_owned(),
        outcome: text(data, "outcome"),
        agent: text(data, "agent"),
        // An agent that acts on its own is its own subject.
        subject: if subject == text(data, "agent_id") {
            String::new()
        } else {
            subject
        },
        target: text(data, "target"),
        action: text(data, "action"),
        reason: text(data, "reason"),
        delegation: text(data, "delegation_id"),
        consent: text(data, "consent_id"),
        decision: text(data, "decision_id"),
    }
}

/// What is done to a path of a mount, as the decision log names it.
fn kind_of(path: &str) -> Option<&'static str> {
    let parts: Vec<&str> = path.split('/').collect();
    Some(match *parts.as_slice() {
        ["creds", "issue"] => "issue",
        ["creds", "redeem"] => "redeem",
        ["delegations", "request"] => "delegation.request",
        ["delegations", _, "approve"] => "delegation.approve",
        ["delegations", _, "revoke"] => "delegation.revoke",
        ["delegations", _, "delegate"] => "delegation.delegate",
        ["consents", _, "approve"] => "consent.approve",
        ["consents", _, "deny"] => "consent.deny",
        ["agents", _, "suspend"] => "agent.suspend",
        ["agents", _, "resume"] => "agent.resume",
        ["agents", _, "revoke"] => "agent.revoke",
        _ => return None,
    })
}

/// A line from the answer to a request: its data, its error if it is one, and
/// its path on the mount.
fn answered(path: &str, data: &Value, refused: bool) -> Option<Line> {
    let kind = kind_of(path)?;
    let parts: Vec<&str> = path.split('/').collect();
    let mut line = line(kind, data.get("data").filter(|_| refused).unwrap_or(data));
    match parts.first().copied() {
        Some("delegations") if !refused => line.delegation = text(data, "id"),
        Some("consents") if !refused => line.consent = text(data, "id"),
        Some("agents") => line.agent = parts.get(1).copied().unwrap_or_default().to_owned(),
        _ => {}
    }
    if kind != "issue" {
        let active = data.get("active") != Some(&json!(false));
        line.outcome = if refused || !active { "deny" } else { "allow" }.to_owned();
        // These are the words of people, where an issue has a code.
        line.reason.clear();
    }
    Some(known(line))
}

/// Leaves what all three of answer, audit log and decision log can know: a
/// refusal without a decision names a caller only, and a credential that was
/// redeemed is told by its claims.
fn known(line: Line) -> Line {
    let bare = line.kind == "redeem" || (line.kind != "issue" && line.outcome == "deny");
    if bare {
        return Line {
            kind: line.kind,
            outcome: line.outcome,
            ..Line::default()
        };
    }
    if line.kind.starts_with("agent.") {
        return Line {
            kind: line.kind,
            outcome: line.outcome,
            agent: line.agent,
            ..Line::default()
        };
    }
    // The record of a yes is made with it, and a request has none yet.
    let consent = if line.kind.starts_with("delegation.") {
        String::new()
    } else {
        line.consent
    };
    Line { consent, ..line }
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

/// What the audit log says of a mount. For credentials, as the `jq` line of
/// docs/observability.md.
fn from_audit(mount: &Mount<'_>) -> Vec<Line> {
    let audit = mount.bao.audit();
    let answers = audit
        .iter()
        .filter(|entry| entry.get("type") == Some(&json!("response")));
    answers
        .filter_map(|entry| {
            let path = entry.pointer("/request/path").and_then(Value::as_str)?;
            let path = path.strip_prefix(&mount.at(""))?;
            let data = entry.pointer("/response/data").unwrap_or(&Value::Null);
            let refused = data.get("error").is_some() || entry.get("error").is_some();
            answered(path, data, refused)
        })
        .collect()
}

/// What the decision log says, oldest first.
fn from_log(mount: &Mount<'_>) -> Vec<Line> {
    let (mut lines, mut after) = (Vec::new(), String::new());
    loop {
        // Pages of three, so that paging is part of it.
        let page = mount.list(&format!("decisions?limit=3&after={after}")).ok();
        for id in page.keys() {
            let entry = mount.read(&format!("decisions/{id}")).ok();
            let data = entry.json.get("data").unwrap();
            let kind = text(data, "kind");
            let decision = if kind == "issue" { id } else { String::new() };
            lines.push(known(Line {
                decision,
                ..line(&kind, data)
            }));
        }
        after = text(page.json.get("data").unwrap(), "next");
        if after.is_empty() {
            lines.reverse();
            return lines;
        }
    }
}

/// Those who take part, and what has happened so far.
struct Teller<'e, 'b> {
    example: &'e Example<'b>,
    ada: Login,
    second: Login,
    lines: Vec<Line>,
}

impl<'e, 'b> Teller<'e, 'b> {
    fn new(example: &'e Example<'b>) -> Self {
        let mount = &example.mount;
        let ada = mount.human("ada");
        let baseline = format!("baselines/entity/{}", ada.entity_id);
        mount.write(&baseline, &json!({ "policies": "crm" })).ok();
        let second = mount.agent_login("second");
        let register = json!({ "name": "second", "entity_id": second.entity_id, "ceiling_policies": "crm", "max_delegation_depth": 2 });
        mount.write("agents/register", &register).ok();
        Self {
            example,
            ada,
            second,
            lines: Vec::new(),
        }
    }

    /// Somebody does something; `None`: an operator does.
    fn does(&mut self, who: Option<&Login>, path: &str, data: &Value) -> Answer {
        let mount = &self.example.mount;
        let answer = match who {
            Some(who) => who.client.write(&mount.at(path), data),
            None => mount.write(path, data),
        };
        let refused = answer.status >= 400;
        let said = if refused {
            &answer.json
        } else {
            answer.json.get("data").unwrap_or(&Value::Null)
        };
        self.lines.extend(answered(path, said, refused));
        answer
    }

    /// An agent asks for a credential, and gets it, or this reason.
    fn ask(
        &mut self,
        who: &Login,
        target: &str,
        action: &str,
        more: &Value,
        reason: &str,
    ) -> Answer {
        let mut request = json!({ "target": target, "action": action, "reason": "ticket 7" });
        for (key, value) in more.as_object().unwrap() {
            request
                .as_object_mut()
                .unwrap()
                .insert(key.clone(), value.clone());
        }
        let answer = self.does(Some(who), "creds/issue", &request);
        let told = self.lines.last().unwrap();
        assert_eq!(told.reason, reason, "{answer:?}");
        let named = (told.target.as_str(), told.action.as_str());
        assert_eq!(named, (target, action), "{answer:?}");
        assert!(
            ["bot", "second"].contains(&told.agent.as_str()),
            "{answer:?}"
        );
        answer
    }

    /// On its own, and refused by one layer after the other.
    fn autonomous(&mut self) {
        let bot = self.example.agent.clone();
        let resource = json!({ "resource": "customers/42" });
        let details = |action: &str| {
            json!({
                "resource": "customers/42",
                "authorization_details": [{ "type": "agentic:action", "targets": ["crm"], "actions": [action], "resources": ["customers/*"] }],
            })
        };
        let nowhere = json!({ "resource": "customers/42", "delegation_id": "01a2062d-d731-7335-be88-0c6ee36d31a9" });
        self.ask(&bot, "crm", "read", &resource, "");
        self.ask(&bot, "crm", "read", &details("read"), "");
        self.ask(&bot, "nothing", "read", &resource, "target.unknown");
        self.ask(&bot, "crm", "burn", &resource, "target.action");
        self.ask(&bot, "crm", "delete", &resource, "ceiling.none_applies");
        self.ask(
            &bot,
            "crm",
            "read",
            &json!({ "resource": "secrets/1" }),
            "ceiling.none_applies",
        );
        self.ask(
            &bot,
            "crm",
            "read",
            &details("delete"),
            "details.not_covered",
        );
        self.ask(&bot, "crm", "read", &nowhere, "delegation.none");
        let mount = &self.example.mount;
        let rate = self
            .example
            .policy_with("limits {\n    rate = \"1/1h\"\n  }");
        mount.write("policies/crm", &json!({ "policy": rate })).ok();
        self.ask(&bot, "crm", "read", &resource, "");
        self.ask(&bot, "crm", "read", &resource, "rate.exceeded");
        let mount = &self.example.mount;
        mount
            .write("policies/crm", &json!({ "policy": POLICY }))
            .ok();
    }

    /// For a human, through a chain, with consent, until it is taken back.
    fn on_behalf(&mut self) {
        let (bot, second, ada) = (
            self.example.agent.clone(),
            self.second.clone(),
            self.ada.clone(),
        );
        let scope = json!([{ "type": "agentic:action", "targets": ["crm"], "actions": ["read"], "resources": ["customers/*"] }]);
        let wanted = json!({ "scope": scope, "purpose": "answer customers", "subject_entity_id": ada.entity_id });
        let id = self
            .does(Some(&bot), "delegations/request", &wanted)
            .ok()
            .text_at("/data/id");
        let under = |id: &str| json!({ "resource": "customers/42", "delegation_id": id });
        self.ask(&bot, "crm", "read", &under(&id), "delegation.pending");
        // No agent can consent.
        self.does(Some(&bot), &format!("delegations/{id}/approve"), &json!({}))
            .refused(403);
        self.does(Some(&ada), &format!("delegations/{id}/approve"), &json!({}))
            .ok();
        self.ask(&bot, "crm", "read", &under(&id), "");
        let passed = json!({ "agent": "second" });
        let part = self
            .does(Some(&bot), &format!("delegations/{id}/delegate"), &passed)
            .ok()
            .text_at("/data/id");
        self.ask(&second, "crm", "read", &under(&part), "");

        let mount = &self.example.mount;
        mount
            .write("targets/crm", &json!({ "consent": "per_request" }))
            .ok();
        self.ask(
            &bot,
            "crm",
            "read",
            &json!({ "resource": "customers/42" }),
            "consent.no_subject",
        );
        let waits = self.ask(&bot, "crm", "read", &under(&id), "consent.required");
        let consent = waits.text_at("/data/consent_id");
        self.does(
            Some(&ada),
            &format!("consents/{consent}/approve"),
            &json!({}),
        )
        .ok();
        let mut agreed = under(&id);
        agreed
            .as_object_mut()
            .unwrap()
            .insert("consent_id".to_owned(), json!(consent));
        self.ask(&bot, "crm", "read", &agreed, "");
        self.ask(&bot, "crm", "read", &agreed, "consent.used");
        let other = json!({ "resource": "customers/43", "delegation_id": id });
        let waits = self.ask(&bot, "crm", "read", &other, "consent.required");
        let consent = waits.text_at("/data/consent_id");
        self.does(Some(&ada), &format!("consents/{consent}/deny"), &json!({}))
            .ok();
        let mount = &self.example.mount;
        mount
            .write(
                "targets/crm",
                &json!({ "consent": "none", "credential_type": "opaque", "max_uses": 1 }),
            )
            .ok();

        let issued = self.ask(&bot, "crm", "read", &under(&id), "");
        let token = json!({ "token": issued.text_at("/data/credential") });
        for active in [true, false] {
            let redeemed = self.does(None, "creds/redeem", &token).ok();
            assert_eq!(*redeemed.data("active"), active);
        }
        self.does(Some(&ada), &format!("delegations/{id}/revoke"), &json!({}))
            .ok();
        self.ask(&bot, "crm", "read", &under(&id), "delegation.revoked");
        self.ask(&second, "crm", "read", &under(&part), "delegation.revoked");
    }

    fn kill_switch(&mut self) {
        let bot = self.example.agent.clone();
        let resource = json!({ "resource": "customers/42" });
        self.does(None, "agents/bot/suspend", &json!({})).ok();
        self.ask(&bot, "crm", "read", &resource, "agent.suspended");
        self.does(None, "agents/bot/resume", &json!({})).ok();
        self.ask(&bot, "crm", "read", &resource, "");
        self.does(None, "agents/bot/revoke", &json!({})).ok();
        self.ask(&bot, "crm", "read", &resource, "agent.suspended");
    }
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
        let mut teller = Teller::new(&example);
        teller.autonomous();
        teller.on_behalf();
        teller.kill_switch();
        let happened = teller.lines;
        assert!(happened.len() > 35);

        alike(&from_audit(mount), &happened);
        alike(&from_log(mount), &happened);
        let verified = mount.read("decisions/verify").ok();
        assert_eq!(verified.data("ok"), &json!(true));

        // Whose uses they were, only the decision log says of an over-use.
        let redeemed = mount.list("decisions?kind=redeem").ok();
        for id in redeemed.keys() {
            let used = mount.read(&format!("decisions/{id}")).ok();
            assert_eq!(used.data("agent"), &json!("bot"));
            assert_eq!(used.data("subject"), &json!(teller.ada.entity_id));
        }
        let own = teller
            .ada
            .client
            .list(&mount.at("self/decisions?limit=1000"))
            .ok();
        let hers = happened
            .iter()
            .filter(|line| line.subject == teller.ada.entity_id);
        assert_eq!(own.keys().len(), hers.count() + redeemed.keys().len());

        // The server's own log has a line for each, with fields of their own.
        let said = mount.bao.log();
        for line in happened.iter().filter(|line| line.kind == "issue") {
            let said = said.lines().find(|said| said.contains(&line.decision));
            let said = said.unwrap_or_default();
            assert!(
                said.contains("[INFO]") && said.contains("kind=issue"),
                "{said}"
            );
            assert!(
                said.contains(&format!("outcome={}", line.outcome)),
                "{said}"
            );
            assert!(said.contains(&format!("agent={}", line.agent)), "{said}");
        }
    }
}

/// The same lines, and in the same order.
#[track_caller]
fn alike(told: &[Line], happened: &[Line]) {
    for (told, happened) in told.iter().zip(happened) {
        assert_eq!(told, happened);
    }
    assert_eq!(told.len(), happened.len());
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

/// What the house ring cannot: parse YAML. Its names are checked there.
#[test]
fn alerts_and_scraping_are_what_prometheus_reads() {
    let file = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/observability/");
        format!("{folder}{name}")
    };
    let files = [file("alerts.yml"), file("prometheus.yml")];
    let checked = python("rules_check.py", &[&files[0], &files[1]], "");
    assert!(checked.status.success(), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).lines().count() > 8);
}
