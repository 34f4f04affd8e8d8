//! Exporting: what a collector and a file get, and what becomes of decisions
//! when the collector is gone, hangs or is slow.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use prost::Message as _;
use serde_json::{Value, json};
use vault_plugin_agentic::host::framework::memory::MemoryStorage;
use vault_plugin_agentic::host::framework::request::Operation;

use crate::observing::{metrics, sample};
use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(60);

/// One request to the collector.
struct Got {
    path: String,
    head: String,
    body: Vec<u8>,
}

/// A collector, as small as can be. Each request is announced, and answered
/// with the status that is given back for it.
struct Collector {
    url: String,
    requests: Receiver<Got>,
    answers: Sender<u16>,
}

fn receiver() -> Collector {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, requests) = channel();
    let (answers, hear) = channel::<u16>();
    let hear = Arc::new(Mutex::new(hear));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (tell, hear) = (tell.clone(), Arc::clone(&hear));
            thread::spawn(move || serve(stream.unwrap(), &tell, &hear));
        }
    });
    Collector {
        url,
        requests,
        answers,
    }
}

fn serve(mut stream: TcpStream, tell: &Sender<Got>, hear: &Mutex<Receiver<u16>>) {
    while let Some(got) = read(&mut stream) {
        if tell.send(got).is_err() {
            return;
        }
        let Ok(status) = hear.lock().unwrap().recv() else {
            return;
        };
        let _ = write!(
            stream,
            "HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n"
        );
    }
}

fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length?.trim().parse().ok()?];
    stream.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    Some(Got { path, head, body })
}

impl Collector {
    fn next(&self) -> Got {
        self.requests.recv_timeout(PATIENCE).unwrap()
    }

    fn answer(&self, status: u16) {
        self.answers.send(status).unwrap();
    }
}

async fn exporting(settings: Value) -> World {
    let world = World::with_agent().await;
    world.ok("config/export", settings).await;
    world
}

fn ask(action: &str) -> Value {
    json!({ "target": "crm", "action": action, "resource": "customers/42", "reason": "ticket 7" })
}

/// Waits until a counter has a value: another thread counts.
async fn until(world: &World, name: &str, value: f64) {
    let begin = Instant::now();
    loop {
        let text = metrics(world).await;
        if sample(&text, name) == value {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{name} is not {value}:\n{text}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn attribute(attributes: &[KeyValue], name: &str) -> Value {
    let value = attributes
        .iter()
        .find(|pair| pair.key == name)
        .and_then(|pair| pair.value.clone()?.value);
    match value {
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::ArrayValue(list)) => json!(list.values.len()),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn a_collector_gets_names_and_attributes_of_the_conventions() {
    let collector = receiver();
    let world = exporting(json!({
        "otlp_endpoint": collector.url, "otlp_headers": "authorization=Bearer hush", "otlp_signals": "logs,traces,ocsf",
        "otlp_resource": "deployment.environment=test",
    }))
    .await;
    let issued = world.issue(ask("read")).await.unwrap().unwrap();
    world.issue(ask("delete")).await.unwrap_err();

    let logs = collector.next();
    assert_eq!(logs.path, "/v1/logs");
    assert!(logs.head.contains("content-type: application/x-protobuf"));
    assert!(logs.head.contains("authorization: bearer hush"));
    collector.answer(200);
    let mut logs = ExportLogsServiceRequest::decode(&*logs.body).unwrap();
    let logs = logs.resource_logs.remove(0);
    let resource = logs.resource.unwrap().attributes;
    assert_eq!(attribute(&resource, "service.name"), "vault-plugin-agentic");
    assert_eq!(attribute(&resource, "deployment.environment"), "test");
    let mut records = logs.scope_logs[0].log_records.clone();
    // Batches are by time; the rest of it may come with the next one.
    let traces = collector.next();
    assert_eq!(traces.path, "/v1/traces");
    collector.answer(200);
    let traces = ExportTraceServiceRequest::decode(&*traces.body).unwrap();
    let mut spans = traces.resource_spans[0].scope_spans[0].spans.clone();
    while records.len() < 4 {
        let logs = ExportLogsServiceRequest::decode(&*collector.next().body).unwrap();
        records.extend(logs.resource_logs[0].scope_logs[0].log_records.clone());
        collector.answer(200);
        let traces = ExportTraceServiceRequest::decode(&*collector.next().body).unwrap();
        spans.extend(traces.resource_spans[0].scope_spans[0].spans.clone());
        collector.answer(200);
    }

    let [allowed, ocsf, denied, _] = &records[..] else {
        panic!("{records:?}");
    };
    for (name, value) in [
        ("gen_ai.agent.id", &issued["agent_id"]),
        ("gen_ai.agent.name", &json!("bot")),
        ("agent.authz.decision.id", &issued["decision_id"]),
        ("agent.authz.kind", &json!("issue")),
        ("agent.authz.outcome", &json!("allow")),
        ("agent.authz.target", &json!("crm")),
        ("agent.authz.action", &json!("read")),
        ("agent.authz.resource", &json!("customers/42")),
        ("agent.authz.purpose", &json!("ticket 7")),
        ("agent.authz.mode", &json!("autonomous")),
        ("agent.authz.policy", &json!("crm")),
        ("agent.authz.rule", &json!("read")),
        ("agent.authz.ttl", &json!(60)),
        ("client.address", &json!("127.0.0.1")),
    ] {
        assert_eq!(&attribute(&allowed.attributes, name), value, "{name}");
        assert_eq!(&attribute(&spans[0].attributes, name), value, "{name}");
    }
    assert_eq!(allowed.event_name, "agent.authz.decision");
    assert_eq!((allowed.severity_number, denied.severity_number), (9, 13));
    assert_eq!(
        attribute(&denied.attributes, "agent.authz.reason"),
        "ceiling.none_applies"
    );
    assert_eq!(spans[0].name, "issue crm");
    assert_eq!(
        (&spans[0].trace_id, &spans[0].span_id),
        (&allowed.trace_id, &allowed.span_id)
    );
    assert_eq!((allowed.trace_id.len(), allowed.span_id.len()), (16, 8));
    assert!(spans[0].end_time_unix_nano >= spans[0].start_time_unix_nano);
    let Some(any_value::Value::StringValue(event)) = ocsf.body.clone().unwrap().value else {
        panic!("{ocsf:?}");
    };
    let event: Value = serde_json::from_str(&event).unwrap();
    assert_eq!(event["ai_agent"]["name"], "bot");
    assert_eq!(event["type_uid"], 600_399);
    until(&world, "agentic_export_sent_total{sink=\"otlp\"}", 2.0).await;
}

#[tokio::test]
async fn a_collector_that_hangs_delays_nothing_and_drops_are_counted() {
    let collector = receiver();
    let world = exporting(json!({ "otlp_endpoint": collector.url, "otlp_signals": "logs", "queue": 16, "timeout": "60s" })).await;
    world.issue(ask("read")).await.unwrap();
    // From now on the sender waits for an answer, and takes nothing more.
    let first = collector.next();
    for _ in 0..100 {
        world.issue(ask("read")).await.unwrap();
    }
    let text = metrics(&world).await;
    assert_eq!(
        sample(&text, "agentic_export_dropped_total"),
        84.0,
        "{text}"
    );
    assert_eq!(sample(&text, "agentic_export_queue"), 17.0);
    // It comes back; what waited is sent.
    collector.answer(200);
    let rest = collector.next();
    collector.answer(200);
    until(&world, "agentic_export_sent_total{sink=\"otlp\"}", 17.0).await;
    let count = |got: &Got| {
        let logs = ExportLogsServiceRequest::decode(&*got.body).unwrap();
        logs.resource_logs[0].scope_logs[0].log_records.len()
    };
    assert_eq!((count(&first), count(&rest)), (1, 16));
}

#[tokio::test]
async fn a_collector_that_is_gone_or_slow_loses_events_and_no_decision() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let world = exporting(json!({ "otlp_endpoint": url })).await;
    for _ in 0..5 {
        world.issue(ask("read")).await.unwrap();
    }
    until(&world, "agentic_export_failed_total{sink=\"otlp\"}", 5.0).await;

    // One that answers too late, three times.
    let slow = receiver();
    let world =
        exporting(json!({ "otlp_endpoint": slow.url, "otlp_signals": "logs", "timeout": "1s" }))
            .await;
    world.issue(ask("read")).await.unwrap();
    for _ in 0..3 {
        slow.next();
    }
    until(&world, "agentic_export_failed_total{sink=\"otlp\"}", 1.0).await;
}

#[tokio::test]
async fn a_busy_collector_is_asked_again_and_one_that_refuses_is_not() {
    let collector = receiver();
    let world = exporting(json!({ "otlp_endpoint": collector.url, "otlp_signals": "logs" })).await;
    world.issue(ask("read")).await.unwrap();
    for status in [503, 429, 200] {
        collector.next();
        collector.answer(status);
    }
    until(&world, "agentic_export_sent_total{sink=\"otlp\"}", 1.0).await;
    world.issue(ask("read")).await.unwrap();
    collector.next();
    collector.answer(401);
    until(&world, "agentic_export_failed_total{sink=\"otlp\"}", 1.0).await;
}

#[tokio::test]
async fn a_file_gets_events_and_the_end_of_a_mount_waits_for_them() {
    let directory = tempfile::tempdir().unwrap();
    let storage = World::with_agent().await.storage;
    let world = World::exporting(Arc::clone(&storage), directory.path().to_owned());
    world.backend.initialize().await.unwrap();
    world
        .ok("config/export", json!({ "file": "decisions.jsonl" }))
        .await;
    world.issue(ask("read")).await.unwrap();
    world.issue(ask("delete")).await.unwrap_err();
    world.backend.cleanup().await;
    let text = fs::read_to_string(directory.path().join("decisions.test.jsonl")).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["ai_agent"]["name"], "bot");
    assert_eq!(events[0]["status"], "Success");
    assert_eq!(events[1]["status_detail"], "ceiling.none_applies");
    // After a restart it goes on by itself.
    let again = World::exporting(storage, directory.path().to_owned());
    again.backend.initialize().await.unwrap();
    again.issue(ask("read")).await.unwrap();
    again.backend.cleanup().await;
    let text = fs::read_to_string(directory.path().join("decisions.test.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 3);
}

#[tokio::test]
async fn settings_are_checked_and_secrets_stay() {
    let world = World::over(Arc::new(MemoryStorage::default()));
    world.backend.initialize().await.unwrap();
    for (settings, named) in [
        (
            json!({ "otlp_endpoint": "http://collector.example.com:4318" }),
            "otlp_allow_plaintext",
        ),
        (
            json!({ "otlp_endpoint": "https://169.254.169.254" }),
            "link-local",
        ),
        (json!({ "otlp_endpoint": "https://c/path" }), "without path"),
        (json!({ "otlp_headers": "host=evil" }), "otlp_headers"),
        (
            json!({ "otlp_headers": { "a": "b\r\nc: d" } }),
            "otlp_headers",
        ),
        (json!({ "otlp_ca": "no pem" }), "otlp_ca"),
        (json!({ "otlp_signals": [] }), "otlp_signals"),
        (json!({ "file": "decisions.jsonl" }), "--export-dir"),
        (json!({ "file": "/etc/passwd" }), "file"),
        (json!({ "queue": 1 }), "queue"),
        (json!({ "timeout": "2m" }), "timeout"),
        (json!({ "file_max_bytes": 1 }), "file_max_bytes"),
    ] {
        let refused = world.refused("config/export", settings.clone()).await;
        assert!(refused.contains(named), "{settings}: {refused}");
    }
    world
        .ok(
            "config/export",
            json!({ "otlp_endpoint": "http://127.0.0.1:9", "otlp_headers": "authorization=hush" }),
        )
        .await;
    let read = world.read("config/export").await.unwrap();
    assert_eq!(read["otlp_header_names"], json!(["authorization"]));
    assert!(!read.to_string().contains("hush"));
    // Whoever does not know the headers cannot have them sent elsewhere.
    for moved in [
        json!({ "otlp_endpoint": "http://127.0.0.1:10" }),
        json!({ "otlp_endpoint": "" }),
        json!({ "otlp_allow_plaintext": true }),
    ] {
        let refused = world.refused("config/export", moved).await;
        assert!(refused.contains("must be given again"), "{refused}");
    }
    world.ok("config/export", json!({ "queue": 32 })).await;
    let headers = json!({ "otlp_endpoint": "http://127.0.0.1:10", "otlp_headers": {} });
    let moved = world.ok("config/export", headers).await;
    assert_eq!(moved["otlp_header_names"], json!([]));
    assert!(
        world
            .backend
            .special_paths()
            .seal_wrap_storage
            .contains(&"export/".to_owned())
    );
    world
        .call(Operation::Delete, "config/export", Value::Null, None)
        .await
        .unwrap();
    assert_eq!(
        world.read("config/export").await.unwrap()["otlp_endpoint"],
        ""
    );
}

#[tokio::test]
async fn nothing_more_is_sent_to_where_it_may_not_any_more() {
    let collector = receiver();
    let world = exporting(json!({ "otlp_endpoint": collector.url, "otlp_signals": "logs", "queue": 16, "timeout": "60s" })).await;
    world.issue(ask("read")).await.unwrap();
    collector.next();
    for _ in 0..10 {
        world.issue(ask("read")).await.unwrap();
    }
    world
        .call(Operation::Delete, "config/export", Value::Null, None)
        .await
        .unwrap();
    collector.answer(200);
    // What was under way is done; the rest is dropped.
    until(&world, "agentic_export_dropped_total", 10.0).await;
    until(&world, "agentic_export_sent_total{sink=\"otlp\"}", 1.0).await;
}

#[tokio::test]
async fn a_sink_that_is_not_there_fails_and_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let storage = World::with_agent().await.storage;
    let world = World::exporting(Arc::clone(&storage), directory.path().to_owned());
    world.backend.initialize().await.unwrap();
    let file = json!({ "file": "decisions.jsonl" });
    world.ok("config/export", file).await;
    // The server is configured without a directory meanwhile.
    let again = World::over(storage);
    again.backend.initialize().await.unwrap();
    again.issue(ask("read")).await.unwrap();
    until(&again, "agentic_export_failed_total{sink=\"file\"}", 1.0).await;
}
