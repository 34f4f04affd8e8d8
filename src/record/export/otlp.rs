//! Decisions on their way to an OpenTelemetry collector: OTLP over HTTP, in the
//! published protobufs.
//!
//! There are no semantic conventions for decisions about agents. What the GenAI
//! conventions name has their names; the rest is below `agent.authz`.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use ureq::Agent;
use ureq::tls::Certificate;
use ureq::unversioned::transport::DefaultConnector;

use crate::model::decision::Outcome;
use crate::record::decisions::entry::Entry;
use crate::record::export::address::Careful;
use crate::record::export::ocsf;
use crate::record::export::store::{Settings, Signal};
use agentic_net::trust::{self, SYSTEM_CERTIFICATES};

/// The most bytes of an answer that are read.
const ANSWER: u64 = 64 * 1024;

/// What became of a request to a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken, but for so many.
    Taken {
        /// How many were not.
        rejected: u64,
    },
    /// It may be sent again.
    Later(String),
    /// It will never be taken.
    Refused(String),
}

/// A collector.
#[derive(Debug)]
pub struct Collector {
    agent: Agent,
    settings: Arc<Settings>,
}

/// The certificates in a PEM text.
///
/// # Errors
/// A sentence, if there is none, or one cannot be read.
pub fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>, String> {
    let certificates =
        trust::certificates(pem).map_err(|_| "holds something that is no PEM".to_owned())?;
    if certificates.is_empty() {
        return Err("holds no certificate in PEM".to_owned());
    }
    Ok(certificates)
}

impl Collector {
    /// The collector of these settings. Opens no connection.
    ///
    /// # Errors
    /// A sentence, if TLS cannot be set up.
    pub fn new(settings: Arc<Settings>) -> Result<Self, String> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(Duration::from(settings.timeout)));
        if settings.otlp_endpoint.starts_with("https://") {
            let trusted = if settings.otlp_ca.is_empty() {
                let system = SYSTEM_CERTIFICATES
                    .iter()
                    .find_map(|file| std::fs::read(file).ok())
                    .ok_or("the system has no certificates; set `otlp_ca`")?;
                certificates(&system)?
            } else {
                certificates(settings.otlp_ca.as_bytes())?
            };
            config = config.tls_config(trust::tls(trusted));
        }
        let agent = Agent::with_parts(config.build(), DefaultConnector::new(), Careful::default());
        Ok(Self { agent, settings })
    }

    /// Sends log records, if the settings ask for them.
    #[must_use]
    pub fn send_logs(&self, entries: &[Arc<Entry>]) -> Sent {
        let signals = &self.settings.otlp_signals;
        let mut records = Vec::new();
        for entry in entries {
            if signals.contains(&Signal::Logs) {
                records.push(log_record(entry));
            }
            if signals.contains(&Signal::Ocsf) {
                records.push(ocsf_record(entry));
            }
        }
        if records.is_empty() {
            return Sent::Taken { rejected: 0 };
        }
        let request = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: records,
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        self.post("v1/logs", &request.encode_to_vec(), |answer| {
            let answer = ExportLogsServiceResponse::decode(answer).ok()?;
            Some(answer.partial_success?.rejected_log_records)
        })
    }

    /// Sends spans, if the settings ask for them.
    #[must_use]
    pub fn send_traces(&self, entries: &[Arc<Entry>]) -> Sent {
        if !self.settings.otlp_signals.contains(&Signal::Traces) {
            return Sent::Taken { rejected: 0 };
        }
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans: entries.iter().map(|entry| span(entry)).collect(),
                    schema_url: String::new(),
                }],
                schema_url: String::new(),
            }],
        };
        self.post("v1/traces", &request.encode_to_vec(), |answer| {
            let answer = ExportTraceServiceResponse::decode(answer).ok()?;
            Some(answer.partial_success?.rejected_spans)
        })
    }

    fn post(&self, path: &str, body: &[u8], rejected: impl Fn(&[u8]) -> Option<i64>) -> Sent {
        let url = format!("{}/{path}", self.settings.otlp_endpoint);
        let mut request = self
            .agent
            .post(url)
            .header("Content-Type", "application/x-protobuf");
        for (name, value) in &self.settings.otlp_headers {
            request = request.header(name, value.expose());
        }
        let mut answer = match request.send(body) {
            Ok(answer) => answer,
            Err(error) => return Sent::Later(error.to_string()),
        };
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(ANSWER).read_to_vec();
        // The answers that OTLP says may be tried again.
        match status.as_u16() {
            200..=299 => {
                let rejected = body.ok().and_then(|body| rejected(&body)).unwrap_or(0);
                Sent::Taken {
                    rejected: u64::try_from(rejected).unwrap_or(0),
                }
            }
            429 | 502 | 503 | 504 => Sent::Later(format!("the collector answered {status}")),
            _ => Sent::Refused(format!("the collector answered {status}")),
        }
    }

    fn resource(&self) -> Resource {
        let mut attributes = vec![
            text("service.name", "vault-plugin-agentic"),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ];
        let more = self.settings.otlp_resource.iter();
        attributes.extend(more.map(|(name, value)| text(name, value)));
        Resource {
            attributes,
            ..Resource::default()
        }
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "agentic.decisions".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn any(value: Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: any(value),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn texts(key: &str, values: impl Iterator<Item = String>) -> KeyValue {
    let values = values
        .map(|value| AnyValue {
            value: Some(Value::StringValue(value)),
        })
        .collect();
    pair(key, Value::ArrayValue(ArrayValue { values }))
}

/// What is known of a decision, by the names of the conventions.
fn attributes(entry: &Entry) -> Vec<KeyValue> {
    let id = |id: &Option<crate::model::ids::DelegationId>| {
        id.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let agent_id = entry.agent_id.as_ref().map(ToString::to_string);
    let subject = entry.subject.as_ref().map(ToString::to_string);
    let consent = entry.consent_id.as_ref().map(ToString::to_string);
    let jti = entry.jti.as_ref().map(ToString::to_string);
    let address = entry.remote_address.map(|address| address.to_string());
    let named = [
        ("gen_ai.agent.id", agent_id.unwrap_or_default()),
        ("gen_ai.agent.name", entry.agent.clone()),
        ("enduser.id", subject.unwrap_or_default()),
        ("client.address", address.unwrap_or_default()),
        ("agent.authz.decision.id", entry.id.to_string()),
        ("agent.authz.kind", entry.kind.as_str().to_owned()),
        ("agent.authz.outcome", entry.outcome.as_str().to_owned()),
        ("agent.authz.reason", entry.reason().to_owned()),
        ("agent.authz.problem", entry.problem.clone()),
        (
            "agent.authz.layer",
            entry
                .layer
                .map(|layer| layer.as_str())
                .unwrap_or_default()
                .to_owned(),
        ),
        ("agent.authz.target", entry.target.clone()),
        ("agent.authz.action", entry.action.clone()),
        ("agent.authz.resource", entry.resource.clone()),
        ("agent.authz.purpose", entry.purpose.clone()),
        (
            "agent.authz.mode",
            entry
                .mode
                .map(|mode| mode.as_str())
                .unwrap_or_default()
                .to_owned(),
        ),
        ("agent.authz.policy", entry.policy.clone()),
        ("agent.authz.rule", entry.rule.clone()),
        ("agent.authz.delegation.id", id(&entry.delegation_id)),
        ("agent.authz.consent.id", consent.unwrap_or_default()),
        ("agent.authz.credential.id", jti.unwrap_or_default()),
        ("agent.authz.request.id", entry.request_id.clone()),
        ("agent.authz.owner", entry.owner.clone()),
    ];
    let mut attributes: Vec<KeyValue> = named
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(name, value))
        .collect();
    if let Some(ttl) = entry.ttl {
        attributes.push(pair("agent.authz.ttl", Value::IntValue(ttl.as_i64())));
    }
    if let Some(uses) = entry.max_uses {
        attributes.push(pair("agent.authz.max_uses", Value::IntValue(uses.into())));
    }
    if !entry.chain.is_empty() {
        let links = entry.chain.iter();
        attributes.push(texts(
            "agent.authz.chain.agents",
            links.clone().map(|link| link.agent.to_string()),
        ));
        attributes.push(texts(
            "agent.authz.chain.delegations",
            links.map(|link| link.delegation.to_string()),
        ));
    }
    attributes
}

/// Nanoseconds since the epoch.
fn nanos(entry: &Entry) -> u64 {
    u64::try_from(entry.at.instant().as_nanosecond()).unwrap_or(0)
}

/// The ids of a decision's trace and span, both from its id: so that its log
/// record and its span find each other.
fn trace(entry: &Entry) -> (Vec<u8>, Vec<u8>) {
    let id = uuid::Uuid::try_parse(entry.id.as_str()).unwrap_or_default();
    let (_, low) = id.as_u64_pair();
    (id.as_bytes().to_vec(), low.to_be_bytes().to_vec())
}

fn log_record(entry: &Entry) -> LogRecord {
    let (trace_id, span_id) = trace(entry);
    let severity = if entry.outcome == Outcome::Allow {
        SeverityNumber::Info
    } else {
        SeverityNumber::Warn
    };
    let said = [entry.kind.as_str(), entry.outcome.as_str(), entry.reason()];
    LogRecord {
        time_unix_nano: nanos(entry),
        observed_time_unix_nano: nanos(entry).saturating_add(entry.micros.saturating_mul(1_000)),
        severity_number: severity.into(),
        severity_text: if severity == SeverityNumber::Info {
            "INFO"
        } else {
            "WARN"
        }
        .to_owned(),
        body: any(Value::StringValue(said.join(" ").trim_end().to_owned())),
        attributes: attributes(entry),
        trace_id,
        span_id,
        event_name: "agent.authz.decision".to_owned(),
        ..LogRecord::default()
    }
}

fn ocsf_record(entry: &Entry) -> LogRecord {
    LogRecord {
        body: any(Value::StringValue(ocsf::event(entry).to_string())),
        event_name: "ocsf.event".to_owned(),
        attributes: Vec::new(),
        ..log_record(entry)
    }
}

fn span(entry: &Entry) -> Span {
    let (trace_id, span_id) = trace(entry);
    let begin = nanos(entry);
    Span {
        trace_id,
        span_id,
        name: if entry.target.is_empty() {
            entry.kind.as_str().to_owned()
        } else {
            [entry.kind.as_str(), " ", &entry.target].concat()
        },
        kind: SpanKind::Server.into(),
        start_time_unix_nano: begin,
        end_time_unix_nano: begin.saturating_add(entry.micros.saturating_mul(1_000)),
        attributes: attributes(entry),
        // A refusal is an answer, not an error.
        status: Some(Status {
            code: StatusCode::Unset.into(),
            ..Status::default()
        }),
        ..Span::default()
    }
}
