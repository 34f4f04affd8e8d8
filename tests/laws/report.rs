//! The report keeps to its bounds, and says what it left out.

use std::io::Cursor;

use agentic_tool::cli::args::{Cli, Command};
use agentic_tool::cli::report::{Format, Limits, Options, Source, analyse, render};
use clap::Parser as _;
use proptest::prelude::*;
use serde_json::{Value, json};

fn options() -> Options {
    let given = ["plugin", "report", "-", "--events=7"];
    match Cli::try_parse_from(given).unwrap().command {
        Command::Report(options) => *options,
        other @ (Command::Register(_)
        | Command::Upgrade(_)
        | Command::Policy(_)
        | Command::Version { .. }) => panic!("{other:?}"),
    }
}

fn limits() -> Limits {
    Limits {
        line: 4096,
        parties: 6,
        chains: 5,
        details: 8,
        cells: 9,
        credentials: 3,
        consents: 4,
        switches: 3,
        anomalies: 2,
        requests: 10,
    }
}

/// What may happen: who, for whom, what, when, and how it ends.
fn happening() -> impl Strategy<Value = (u8, u8, u8, u32, u8)> {
    (0..20_u8, 0..6_u8, 0..12_u8, 0..400_000_u32, 0..5_u8)
}

fn line(number: usize, (agent, subject, what, at, end): (u8, u8, u8, u32, u8)) -> Value {
    let time = jiff_time(at);
    let name = format!("bot-{agent}");
    let (path, mut data) = match what {
        0 => (format!("agents/{name}/suspend"), json!({})),
        1 => (format!("agents/{name}/resume"), json!({})),
        2 => (
            format!("delegations/d-{agent}/approve"),
            json!({ "id": format!("d-{agent}") }),
        ),
        3 => (
            format!("delegations/d-{agent}/revoke"),
            json!({ "id": format!("d-{agent}") }),
        ),
        4 => (
            "decisions/evaluate".to_owned(),
            json!({ "decision": false }),
        ),
        5 => (
            "creds/redeem".to_owned(),
            json!({ "active": end == 0, "jti": format!("j-{subject}") }),
        ),
        6 => ("agents/register".to_owned(), json!({})),
        _ => (
            "creds/issue".to_owned(),
            json!({ "jti": format!("j-{subject}") }),
        ),
    };
    data["name"] = json!(name);
    data["agent"] = json!(name);
    data["agent_id"] = json!(format!("a-{agent}"));
    data["subject_entity_id"] = json!(format!("h-{subject}"));
    data["target"] = json!(format!("t-{}", agent ^ subject));
    data["delegation_id"] = json!(format!("d-{agent}"));
    if end > 1 {
        data = json!({ "error": format!("denied (ceiling.r{}): no", "abc".get(..usize::from(end % 3)).unwrap()) });
    }
    json!({
        "type": if end == 4 { "request" } else { "response" }, "time": time,
        "auth": { "entity_id": format!("e-{agent}"), "display_name": name },
        "request": { "id": format!("r-{number}"), "operation": "update", "mount_type": "agentic",
            "mount_point": "agentic/", "path": format!("agentic/{path}") },
        "response": { "data": data },
    })
}

fn jiff_time(seconds: u32) -> String {
    let day = 1 + seconds / 86_400;
    let (hour, minute) = (seconds / 3_600 % 24, seconds / 60 % 60);
    format!(
        "2026-03-{day:02}T{hour:02}:{minute:02}:{:02}Z",
        seconds % 60
    )
}

fn length(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_more_is_kept_than_allowed(
        all in prop::collection::vec(happening(), 0..120),
        junk in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut text = Vec::new();
        for (number, one) in all.iter().enumerate() {
            text.extend(line(number, *one).to_string().into_bytes());
            text.push(b'\n');
        }
        text.extend(junk);
        let source = Source::Stream("log".to_owned(), Box::new(Cursor::new(text)));
        let Ok(model) = analyse(vec![source], &options(), &limits()) else {
            prop_assert!(all.is_empty(), "a log with an entry is read");
            return Ok(());
        };
        let report: Value = serde_json::from_str(&render(&model, Format::Json)).unwrap();
        let limits = limits();
        prop_assert!(length(&report["agents"]) <= limits.parties + 1);
        prop_assert!(length(&report["events"]) <= 7);
        prop_assert!(length(&report["consents"]) <= limits.consents);
        prop_assert!(length(&report["anomalies"]) <= limits.anomalies);
        prop_assert!(length(&report["timeline"]["spans"]) <= limits.cells);
        let mut chains = 0;
        let mut details = 0;
        for agent in report["agents"].as_array().unwrap() {
            chains += length(&agent["chains"]);
            prop_assert!(length(&agent["switches"]) <= limits.switches);
            for chain in agent["chains"].as_array().unwrap() {
                details += length(&chain["targets"]) + length(&chain["reasons"]);
            }
        }
        prop_assert!(chains <= limits.chains + 1 && details <= limits.details);
        // What is counted and what is left out is all there is.
        let answers = all.iter().filter(|one| one.4 != 4).count();
        let entries = report["sources"][0]["entries"].as_u64().unwrap();
        prop_assert_eq!(usize::try_from(entries).unwrap(), all.len());
        let totals = &report["totals"];
        let counted: u64 = ["issued", "used", "refused", "consent_required", "failed", "dry_runs"]
            .iter()
            .map(|name| totals[*name].as_u64().unwrap())
            .sum();
        prop_assert!(usize::try_from(counted).unwrap() <= answers);
        // What was too much is counted elsewhere, but counted.
        let issued = all.iter().filter(|one| one.2 >= 7 && one.4 < 2).count();
        prop_assert_eq!(totals["issued"].as_u64().unwrap(), u64::try_from(issued).unwrap());
        for format in [Format::Table, Format::Html] {
            prop_assert!(!render(&model, format).is_empty());
        }
    }
}

#[test]
fn a_log_of_many_strangers_is_counted_and_not_kept() {
    let mut text = String::new();
    for number in 0..2_000_u32 {
        let entry = json!({
            "type": "response", "time": jiff_time(number), "error": "permission denied",
            "auth": { "entity_id": format!("e-{number}") },
            "request": { "id": format!("r-{number}"), "operation": "update", "mount_type": "agentic",
                "mount_point": "agentic/", "path": "agentic/creds/issue",
                "data": { "target": format!("t-{number}") } },
        });
        text += &format!("{entry}\n");
    }
    let source = Source::Stream("log".to_owned(), Box::new(Cursor::new(text)));
    let model = analyse(vec![source], &options(), &limits()).unwrap();
    let report: Value = serde_json::from_str(&render(&model, Format::Json)).unwrap();
    let notes = report["notes"].as_array().unwrap();
    let left = |what: &str| {
        let note = notes
            .iter()
            .find(|note| note["text"].as_str().unwrap().contains(what));
        note.unwrap_or_else(|| panic!("{what}: {notes:?}"))["count"]
            .as_u64()
            .unwrap()
    };
    let strangers = 2 * (2_000 - 6);
    assert_eq!(
        left("agents and humans"),
        strangers,
        "as callers and as agents"
    );
    assert_eq!(report["totals"]["refused"], 2_000, "and all are counted");
    assert_eq!(left("older events"), 2_000 - 7);
    assert!(left("targets") > 0);
}
