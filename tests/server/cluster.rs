//! Several servers that share their storage: one writes, the others only read,
//! and each runs the plugin.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::example::Example;
use crate::support::{Answer, Bao, STANDBY};

/// How long a standby may lag, and an election may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until the answer is as wanted.
#[track_caller]
fn until(what: &str, mut ask: impl FnMut() -> Option<Answer>, wanted: u16) -> Answer {
    let begin = Instant::now();
    loop {
        let answer = ask();
        match answer {
            Some(answer) if answer.status == wanted => return answer,
            other => assert!(begin.elapsed() < PATIENCE, "{what}: {other:?}"),
        }
        sleep(Duration::from_millis(50));
    }
}

/// The agent asks for a credential at one of the nodes.
fn issue_at(node: &Bao, example: &Example<'_>) -> Option<Answer> {
    let path = example.mount.at("creds/issue");
    node.client_with(&example.agent.token)
        .attempt("POST", &path, Some(&example.ask()))
        .ok()
}

#[test]
fn a_standby_serves_what_needs_no_write_and_obeys_what_the_active_node_says() {
    let [active, standby] = &Bao::cluster();
    let example = Example::secrets(active);
    let path = example.mount.at("creds/issue");

    // A credential that needs no write is made where it is asked for.
    until("served by a standby", || issue_at(standby, &example), 200);
    let seen = active.audit_of(&path).len();
    let issued = until("served again", || issue_at(standby, &example), 200);
    assert_eq!(issued.data("mode"), "autonomous");
    assert_eq!(active.audit_of(&path).len(), seen, "it was forwarded");
    assert!(standby.audit_of(&path).len() >= 2);

    // A write at a standby is a write.
    let admin = standby.client();
    let target = json!({ "actions": "read", "resources": "**" });
    admin.write(&example.mount.at("targets/erp"), &target).ok();
    assert_eq!(example.mount.read("targets/erp").ok().data("name"), "erp");

    // What the active node says reaches the standby, and stays said.
    let kill = json!({ "reason": "drill" });
    example.mount.write("agents/bot/suspend", &kill).ok();
    assert_eq!(issue_at(active, &example).unwrap().status, 403);
    until("suspended", || issue_at(standby, &example), 403);
    for _ in 0..20 {
        assert_eq!(issue_at(standby, &example).unwrap().status, 403);
    }
    let resume = admin.write(&example.mount.at("agents/bot/resume"), &json!({}));
    resume.ok();
    until("resumed", || issue_at(standby, &example), 200);

    // A key that was rotated away still verifies, and both nodes show the same.
    example.mount.write("keys/default/rotate", &json!({})).ok();
    let keys = example.mount.at(".well-known/jwks.json");
    let wanted = active.client_with("").read(&keys).ok().text;
    let same = |answer: &Answer| answer.text == wanted;
    let shown = || Some(standby.client_with("").read(&keys)).filter(same);
    until("showing the new key", shown, 200);
}

#[test]
fn the_next_node_takes_over_where_the_first_one_was_killed() {
    let [mut first, second, third] = Bao::cluster();
    let example = Example::secrets(&first);
    let (agent, ask) = (example.agent.token.clone(), example.ask());
    let path = example.mount.at("creds/issue");
    let suspend = example.mount.at("agents/bot/suspend");
    let issued = example.issue().ok();
    let id = issued.data("agent_id").clone();
    drop(example);
    first.crash();

    let heirs = [second, third];
    let begin = Instant::now();
    let heir = loop {
        if let Some(heir) = heirs.iter().find(|node| node.health() == 200) {
            break heir;
        }
        assert!(begin.elapsed() < PATIENCE, "nobody took over");
        sleep(Duration::from_millis(50));
    };
    assert!(heirs.iter().any(|node| node.health() == STANDBY));
    let issue = || {
        heir.client_with(&agent)
            .attempt("POST", &path, Some(&ask))
            .ok()
    };
    let issued = until("served by the heir", issue, 200);
    assert_eq!(*issued.data("agent_id"), id);
    heir.client()
        .write(&suspend, &json!({ "reason": "drill" }))
        .ok();
    assert_eq!(issue().unwrap().status, 403);
}
