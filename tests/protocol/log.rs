//! Log lines, which the host's parser must survive.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;
use vault_plugin_agentic::host::telemetry::hclog::Hclog;

fn logged(log: impl FnOnce()) -> Vec<Vec<u8>> {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&writes);
    let layer = Hclog::new(move |line: &[u8]| sink.lock().unwrap().push(line.to_vec()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
    let writes = writes.lock().unwrap();
    writes.clone()
}

fn parsed(line: &[u8]) -> Value {
    let (last, json) = line.split_last().unwrap();
    assert_eq!(*last, b'\n');
    assert!(!json.contains(&b'\n'));
    serde_json::from_slice(json).unwrap()
}

#[test]
fn what_the_host_parses_are_strings() {
    let target = "vault_plugin_agentic::host::plugin::service";
    let lines = logged(|| {
        tracing::info!(target: "vault_plugin_agentic::host::plugin::service", count = 3, yes = true, "hello");
        tracing::error!(target: "vault_plugin_agentic", message = 7);
        tracing::warn!(target: "vault_plugin_agentic", other = "field");
        tracing::warn!(target: "h2", "a crate's warning");
        tracing::debug!(target: "h2", "a crate's secret");
        tracing::trace!(target: "vault_plugin_agentic", "too fine");
    });
    assert_eq!(lines.len(), 4);
    for line in &lines {
        let line = parsed(line);
        for key in ["@level", "@message", "@module", "@timestamp"] {
            assert!(line[key].is_string(), "{line}");
        }
        let time = line["@timestamp"].as_str().unwrap();
        assert_eq!(time.len(), "2006-01-02T15:04:05.000000Z".len(), "{time}");
    }
    let first = parsed(&lines[0]);
    assert_eq!(first["@level"], "info");
    assert_eq!(first["@module"], target.replace("::", "."));
    assert_eq!((&first["count"], &first["yes"]), (&3.into(), &true.into()));
    assert_eq!(parsed(&lines[1])["@message"], "7");
}

#[test]
fn lines_stay_short_whatever_is_in_them() {
    let long = "\u{1}é".repeat(100_000);
    let lines = logged(|| {
        tracing::error!(target: "vault_plugin_agentic", a = long, b = ?long, c = %long, d = long, "{long}");
    });
    assert_eq!(lines.len(), 1);
    assert!(lines[0].len() < 60 * 1024, "{}", lines[0].len());
    assert!(parsed(&lines[0])["a"].as_str().unwrap().ends_with('…'));
}
