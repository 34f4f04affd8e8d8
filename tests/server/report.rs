//! `report`, on the log that a real server wrote of a known story.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::example::Example;
use crate::support::{Bao, Mount, python};

/// A server with a log of its own, and a mount that was tuned by `register`.
pub(crate) fn tuned() -> Bao {
    let bao = Bao::own();
    let directory = bao.plugin_directory();
    let mut register = Bao::tool_command();
    let output = bao.run(register.args(["register", "--plugin-dir"]).arg(directory));
    assert!(output.status.success(), "{output:?}\n{}", bao.log());
    bao
}

pub(crate) fn log(bao: &Bao) -> PathBuf {
    bao.plugin_directory().parent().unwrap().join("audit.log")
}

fn run(args: &[&str], log: &PathBuf) -> Output {
    // Without a server: neither address nor token.
    let mut command: Command = Bao::tool_command();
    command.env_clear().arg("report").args(args).arg(log);
    command.output().unwrap()
}

fn said(args: &[&str], log: &PathBuf) -> String {
    let output = run(args, log);
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stderr.is_empty(),
        "no progress in a pipe: {output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn report(args: &[&str], log: &PathBuf) -> Value {
    let args: Vec<&str> = [&["--format=json"], args].concat();
    serde_json::from_str(&said(&args, log)).unwrap()
}

/// Two allowed, refusals of several layers, dry runs, a suspension with an
/// attempt after it, a stranger.
fn story(bao: &Bao) -> Example<'_> {
    let mount = Mount {
        bao,
        path: "agentic".to_owned(),
    };
    let example = Example::on(mount);
    let ask = |target: &str, action: &str| {
        let ask = json!({ "target": target, "action": action, "resource": "customers/42" });
        example.issue_with(&ask)
    };
    let mount = &example.mount;
    mount
        .write(
            "targets/plain",
            &json!({ "audience": "https://x.example.com", "actions": "read", "resources": "a/*" }),
        )
        .ok();
    ask("crm", "read").ok();
    ask("crm", "read").ok();
    ask("crm", "delete").refused(403);
    ask("nowhere", "read").refused(403);
    ask("crm", "write").refused(403);
    ask("plain", "read").refused(403);
    ask("crm", "").refused(400);
    let dry = json!({ "agent": "bot", "target": "crm", "action": "delete" });
    mount.write("decisions/evaluate", &dry).ok();
    let stranger = mount.agent_login("stranger");
    stranger
        .client
        .write(&mount.at("creds/issue"), &example.ask())
        .refused(403);
    // The ACL of the server, before the plugin.
    example
        .agent
        .client
        .write(&mount.at("agents/bot/suspend"), &json!({}))
        .refused(403);
    mount
        .write(
            "agents/bot/suspend",
            &json!({ "reason": "<script>alert(1)</script>" }),
        )
        .ok();
    ask("crm", "read").refused(403);
    mount.write("agents/bot/resume", &json!({})).ok();
    ask("crm", "read").ok();
    example
}

#[test]
fn the_log_of_a_server_tells_what_happened() {
    let bao = tuned();
    let example = story(&bao);
    let log = log(&bao);

    let told = report(&[], &log);
    let agents = told["agents"].as_array().unwrap();
    assert_eq!(agents.len(), 2, "the agent and a stranger: {told}");
    let bot = &agents[0];
    assert_eq!(bot["name"], "bot");
    assert_eq!(bot["entity_id"], json!(example.agent.entity_id));
    assert_eq!(bot["id"], *example.mount.read("agents/bot").ok().data("id"));
    assert_eq!(bot["status"], "active");
    assert_eq!(bot["counts"]["issued"], 3);
    assert_eq!(bot["counts"]["refused"], 5);
    assert_eq!(bot["counts"]["failed"], 1);
    let reasons = bot["chains"][0]["reasons"].as_array().unwrap();
    let mut codes: Vec<&str> = reasons
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    let expected = [
        "agent.suspended",
        "ceiling.none_applies",
        "target.action",
        "target.resource",
        "target.unknown",
    ];
    assert_eq!(codes, expected);
    let switches = bot["switches"].as_array().unwrap();
    let done: Vec<_> = switches
        .iter()
        .map(|one| (one["what"].as_str(), one["outcome"].as_str()))
        .collect();
    assert_eq!(
        done,
        [
            (Some("suspend"), Some("refused")),
            (Some("suspend"), Some("allowed")),
            (Some("resume"), Some("allowed")),
        ]
    );
    assert_eq!(switches[1]["reason"], "<script>alert(1)</script>");
    assert_eq!(agents[1]["registered"], false);
    assert_eq!(
        agents[1]["chains"][0]["reasons"][0]["code"],
        "agent.unknown"
    );
    let odd = told["anomalies"].as_array().unwrap();
    assert_eq!(odd.len(), 1, "{odd:?}");
    assert_eq!(odd[0]["rule"], "use_after_stop");
    assert_eq!(odd[0]["count"], 1);
    let notes = told["notes"].as_array().unwrap();
    assert!(
        !notes.iter().any(|note| note["code"] == "hashed"),
        "{notes:?}"
    );

    // Every answer of the plugin that has a decision is in the list of events.
    let decisions: Vec<Value> = bao
        .audit_of("agentic/creds/issue")
        .iter()
        .filter_map(|entry| entry.pointer("/response/data/decision_id").cloned())
        .collect();
    assert_eq!(decisions.len(), 3);
    let events = told["events"].as_array().unwrap();
    for decision in decisions {
        assert!(events.iter().any(|event| event["decision_id"] == decision));
    }
    let page = said(&["--format=html"], &log);
    assert!(
        !page.contains(&example.agent.token) && !told.to_string().contains(&example.agent.token)
    );

    let table = said(&[], &log);
    for line in [
        "bot (active)",
        "agent.suspended",
        "Activity",
        "use_after_stop",
    ] {
        assert!(
            table.contains(line) || line == "Activity",
            "no {line}: {table}"
        );
    }
    the_page_is_whole(&said(&["--format=html"], &log));
    the_status_is_the_one_that_was_asked_for(&log);
}

fn the_page_is_whole(page: &str) {
    let output = python("report_check.py", &[], page);
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let part = |name: &str| found.get(name).unwrap();
    let text = part("text").as_str().unwrap();
    assert!(
        text.contains("<script>alert(1)</script>"),
        "as text: {text}"
    );
    assert!(!page.contains("<script"), "and as nothing else");
    let headings = part("headings").as_array().unwrap();
    assert!(headings.contains(&json!(["h3", "bot"])), "{headings:?}");
    let rows = part("rows").as_array().unwrap();
    assert!(
        rows.iter()
            .any(|row| row.as_array().unwrap().contains(&json!("agent.suspended")))
    );
    let spoilt = page.replace("<h1>", "<h1 onclick=\"x\">");
    assert!(
        !python("report_check.py", &[], &spoilt).status.success(),
        "the check checks"
    );
}

fn the_status_is_the_one_that_was_asked_for(log: &PathBuf) {
    let status = |args: &[&str]| run(args, log).status.code();
    assert_eq!(status(&["--fail-on-anomaly"]), Some(3));
    assert_eq!(status(&["--fail-on-anomaly", "--agent=nobody"]), Some(0));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.html");
    let output = run(
        &[
            "--format=html",
            "--fail-on-anomaly",
            "-o",
            file.to_str().unwrap(),
        ],
        log,
    );
    assert_eq!(output.status.code(), Some(3));
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("<!doctype html>")
    );
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "as the log itself");
    let missing = directory.path().join("missing.log");
    let output = run(&[], &missing);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.starts_with(missing.to_str().unwrap()), "{words}");

    // Rotated: cut in two, the older half packed, given in the wrong order.
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (old, new) = lines.split_at(lines.len() / 2);
    let (packed, plain) = (
        directory.path().join("audit.log.1.gz"),
        directory.path().join("audit.log"),
    );
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(old.concat().as_bytes()).unwrap();
    fs::write(&packed, gzip.finish().unwrap()).unwrap();
    fs::write(&plain, new.concat()).unwrap();
    let (whole, parts) = (
        report(&[], log),
        report(&[plain.to_str().unwrap()], &packed),
    );
    for field in ["totals", "agents", "anomalies", "events", "timeline"] {
        assert_eq!(whole.get(field), parts.get(field), "{field}");
    }
}

#[test]
fn mounts_that_were_not_tuned_are_told_what_is_missing() {
    let bao = Bao::own();
    for mount in [bao.secrets(), bao.auth()] {
        let example = Example::on(mount);
        example.issue().ok();
        example
            .issue_with(&json!({ "target": "crm", "action": "delete" }))
            .refused(403);
    }
    let told = report(&[], &log(&bao));
    let notes = told["notes"].as_array().unwrap();
    let hashed = |mount: &str, tuning: &str, key: &str| {
        notes.iter().any(|note| {
            let text = note["text"].as_str().unwrap();
            note["code"] == "hashed" && [mount, tuning, key].iter().all(|part| text.contains(part))
        })
    };
    for mount in ["On agentic-", "On auth/agentic-"] {
        assert!(
            hashed(mount, "audit_non_hmac_request_keys", "`target`"),
            "{notes:?}"
        );
        assert!(
            hashed(mount, "audit_non_hmac_response_keys", "`error`"),
            "{notes:?}"
        );
    }
    let totals = &told["totals"];
    assert_eq!(
        (&totals["issued"], &totals["refused"]),
        (&json!(2), &json!(2))
    );
    let events = told["events"].as_array().unwrap();
    let refused = events
        .iter()
        .find(|event| event["outcome"] == "refused")
        .unwrap();
    assert_eq!(refused["code"], "hashed");
    assert!(refused["target"].as_str().unwrap().starts_with("hashed:"));
}

#[test]
fn an_agent_that_is_named_with_markup_stays_text() {
    let page = include_str!("../golden/report/page.html");
    let output = python("report_check.py", &[], page);
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let headings = found["headings"].as_array().unwrap();
    let name = json!(["h3", "<img src=x onerror=alert(1)>"]);
    assert!(headings.contains(&name), "{headings:?}");
}
