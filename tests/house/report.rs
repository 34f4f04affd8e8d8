//! `report` on a small log, in each format, compared with what is kept.
//! `make golden` rewrites; then look at the difference.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::PathBuf;

use agentic_tool::cli::args::{Cli, Command};
use agentic_tool::cli::report::{Format, Limits, Options, Source, analyse, render};
use clap::Parser as _;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/report")
        .join(name)
}

fn log() -> String {
    fs::read_to_string(golden("audit.log")).unwrap()
}

fn options(more: &[&str]) -> Options {
    let given = ["plugin", "report", "audit.log"].iter().chain(more);
    match Cli::try_parse_from(given).unwrap().command {
        Command::Report(options) => *options,
        other => panic!("{other:?}"),
    }
}

fn stream(name: &str, text: impl Into<Vec<u8>>) -> Source {
    Source::Stream(name.to_owned(), Box::new(Cursor::new(text.into())))
}

fn write(sources: Vec<Source>, options: &Options, format: Format) -> String {
    render(&analyse(sources, options, &Limits::USUAL).unwrap(), format)
}

fn json(sources: Vec<Source>, more: &[&str]) -> Value {
    serde_json::from_str(&write(sources, &options(more), Format::Json)).unwrap()
}

/// The report of the small log.
fn of(more: &[&str]) -> Value {
    json(vec![stream("audit.log", log())], more)
}

fn agent<'r>(report: &'r Value, name: &str) -> &'r Value {
    let agents = report["agents"].as_array().unwrap();
    let found = agents.iter().find(|agent| agent["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {report}"))
}

fn rules(report: &Value) -> Vec<&str> {
    let found = report["anomalies"].as_array().unwrap().iter();
    found.map(|one| one["rule"].as_str().unwrap()).collect()
}

#[test]
fn what_is_written_is_what_is_kept() {
    for (name, format) in [
        ("table.txt", Format::Table),
        ("report.json", Format::Json),
        ("page.html", Format::Html),
    ] {
        let now = write(vec![stream("audit.log", log())], &options(&[]), format);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(golden(name), &now).unwrap();
        }
        assert!(
            fs::read_to_string(golden(name)).unwrap_or_default() == now,
            "report/{name} has changed; run `make golden` and look at the difference"
        );
    }
}

#[test]
fn each_is_counted_where_it_belongs() {
    let report = of(&[]);
    let ada = &agent(&report, "support-bot")["chains"][0];
    assert_eq!(ada["subject_name"], "userpass-ada");
    assert_eq!(ada["counts"]["issued"], 11);
    assert_eq!(ada["counts"]["used"], 3, "redeemed by another caller");
    assert_eq!(ada["counts"]["consent_required"], 1);
    let codes: Vec<&Value> = ada["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| &r["code"])
        .collect();
    assert_eq!(codes, ["ceiling.none_applies", "delegation.revoked"]);
    let brook = &agent(&report, "billing-bot")["chains"][1];
    assert_eq!(brook["counts"]["logins"], 1);
    assert_eq!(brook["paths"][0]["path"], "kv/data/reports/q1");
    assert_eq!(report["totals"]["consents_given"], 3);
    assert_eq!(report["totals"]["kill_switches"], 1, "and one was refused");
    assert_eq!(
        rules(&report),
        [
            "use_after_stop",
            "use_after_revocation",
            "refusals_spike",
            "off_hours_burst",
            "new_target",
            "dry_run_probing",
        ]
    );
}

#[test]
fn who_claims_to_be_an_agent_is_not_counted_as_one() {
    let report = of(&[]);
    let stranger = agent(&report, "unregistered: userpass-mallory");
    assert_eq!(stranger["registered"], false);
    assert_eq!(stranger["counts"]["refused"], 1);
    let nobody = agent(&report, "unidentified callers");
    assert_eq!(nobody["counts"]["refused"], 1);
    let events = report["events"].as_array().unwrap();
    let login = events
        .iter()
        .find(|event| event["what"] == "login" && event["outcome"] == "refused");
    assert_eq!(login.unwrap()["reason"], "claims to be support-bot");
}

#[test]
fn filters_leave_out_the_others() {
    let report = of(&["--agent", "billing-bot"]);
    assert_eq!(report["agents"].as_array().unwrap().len(), 1);
    assert_eq!(report["totals"]["counts"], Value::Null, "counts are flat");
    assert_eq!(report["totals"]["issued"], 3);
    assert_eq!(report["filters"], json!({ "agent": "billing-bot" }));
    let by_entity = of(&["--agent", "e-billing"]);
    assert_eq!(by_entity["totals"], report["totals"]);

    let report = of(&["--subject", "userpass-ada"]);
    assert_eq!(report["totals"]["issued"], 11);
    assert_eq!(rules(&report), ["use_after_revocation"]);

    let report = of(&["--target", "payroll"]);
    assert_eq!(report["totals"]["issued"], 3);
    let events = report["events"].as_array().unwrap();
    assert!(
        events
            .iter()
            .all(|e| e["target"] == "payroll" || e["target"].is_null())
    );

    let report = of(&["--since", "2026-03-04", "--until", "2026-03-04T02:30:00Z"]);
    assert_eq!(report["totals"]["issued"], 3);
    assert!(
        rules(&report).contains(&"new_target"),
        "by what came before"
    );
    let report = of(&["--since", "2026-03-05"]);
    assert_eq!(report["agents"], json!([]));
}

#[test]
fn the_rules_obey_the_numbers_that_are_given() {
    let quiet = [
        "--burst=1000",
        "--spike=1000",
        "--probing=1000",
        "--settled=1000",
    ];
    assert_eq!(
        rules(&of(&quiet)),
        ["use_after_stop", "use_after_revocation"]
    );
    // The same hours, for somebody who works them.
    let elsewhere = of(&["--time-zone=Asia/Tokyo"]);
    assert!(!rules(&elsewhere).contains(&"off_hours_burst"));
}

#[test]
fn the_order_and_the_packing_of_files_do_not_matter() {
    let log = log();
    let (early, late): (Vec<&str>, Vec<&str>) = log.split_inclusive('\n').enumerate().fold(
        (vec![], vec![]),
        |(mut a, mut b), (i, line)| {
            if i < 50 {
                a.push(line)
            } else {
                b.push(line)
            }
            (a, b)
        },
    );
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(early.concat().as_bytes()).unwrap();
    let sources = vec![
        stream("new", late.concat()),
        stream("old.gz", packed.finish().unwrap()),
        // The log of a second device: nothing counts twice.
        stream("copy", early.concat()),
    ];
    let (whole, mut parts) = (of(&[]), json(sources, &[]));
    let notes = parts["notes"].as_array().unwrap().clone();
    assert!(
        notes.iter().any(|note| note["code"] == "twice"),
        "{notes:?}"
    );
    parts["sources"] = whole["sources"].clone();
    parts["notes"] = whole["notes"].clone();
    assert_eq!(parts, whole);
}

#[test]
fn a_log_without_the_plugin_says_so() {
    let line = json!({ "type": "response", "time": "2026-03-02T09:00:00Z",
        "request": { "path": "kv/x", "mount_point": "kv/", "mount_type": "kv" } });
    let report = json(vec![stream("a", line.to_string())], &[]);
    assert_eq!(report["notes"][0]["code"], "nothing_found");
    assert_eq!(report["totals"]["anomalies"], 0);
}
