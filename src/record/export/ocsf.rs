//! A decision as an event of the Open Cybersecurity Schema Framework, with the
//! AI agent as its profile `ai_operation` has it.

use serde_json::{Map, Value, json};

use crate::model::decision::Outcome;
use crate::record::decisions::entry::{Entry, Kind};

/// The version of the schema whose names are used.
const SCHEMA: &str = "1.9.0-dev";

/// The class of an event: category, class, activity, and their names.
struct Class {
    category: u64,
    category_name: &'static str,
    class: u64,
    class_name: &'static str,
    activity: u64,
    activity_name: &'static str,
}

const fn class(kind: Kind) -> Class {
    let (category, category_name, class, class_name, activity, activity_name) = match kind {
        Kind::Issue | Kind::Renew | Kind::Redeem | Kind::CredentialRevoke | Kind::Govern => {
            (6, "Application Activity", 6003, "API Activity", 99, "Other")
        }
        Kind::Login => (
            3,
            "Identity & Access Management",
            3002,
            "Authentication",
            1,
            "Logon",
        ),
        Kind::DelegationRequest
        | Kind::DelegationGrant
        | Kind::DelegationApprove
        | Kind::DelegationDelegate
        | Kind::ConsentApprove => (
            3,
            "Identity & Access Management",
            3005,
            "User Access Management",
            1,
            "Assign Privileges",
        ),
        Kind::DelegationDeny | Kind::DelegationRevoke | Kind::ConsentDeny => (
            3,
            "Identity & Access Management",
            3005,
            "User Access Management",
            2,
            "Revoke Privileges",
        ),
        Kind::AgentDelete | Kind::AgentForget => (
            3,
            "Identity & Access Management",
            3004,
            "Entity Management",
            4,
            "Delete",
        ),
        Kind::AgentSuspend
        | Kind::AgentResume
        | Kind::AgentRevoke
        | Kind::KeyRotate
        | Kind::KeyRetire => (
            3,
            "Identity & Access Management",
            3004,
            "Entity Management",
            3,
            "Update",
        ),
    };
    Class {
        category,
        category_name,
        class,
        class_name,
        activity,
        activity_name,
    }
}

/// The event of an entry.
#[must_use]
pub fn event(entry: &Entry) -> Value {
    let class = class(entry.kind);
    let allowed = entry.outcome == Outcome::Allow;
    let mut event = json!({
        "activity_id": class.activity,
        "activity_name": class.activity_name,
        "category_uid": class.category,
        "category_name": class.category_name,
        "class_uid": class.class,
        "class_name": class.class_name,
        "type_uid": class.class.saturating_mul(100).saturating_add(class.activity),
        "severity_id": if allowed { 1 } else { 2 },
        "severity": if allowed { "Informational" } else { "Low" },
        "status_id": if allowed { 1 } else { 2 },
        "status": if allowed { "Success" } else { "Failure" },
        "time": entry.at.unix_millis(),
        "duration": entry.micros / 1_000,
        "message": format!("{} {}", entry.kind.as_str(), entry.outcome.as_str()),
        "metadata": {
            "version": SCHEMA,
            "uid": entry.id,
            "correlation_uid": entry.request_id,
            "profiles": ["ai_operation"],
            "product": { "name": "vault-plugin-agentic", "version": env!("CARGO_PKG_VERSION") },
        },
        "actor": {
            "user": { "uid": entry.subject.as_ref().map_or(entry.caller.as_str(), |id| id.as_str()) },
            "authorizations": [{
                "decision": entry.outcome,
                "policy": { "name": entry.policy, "desc": entry.rule },
            }],
        },
        "api": {
            "operation": if entry.action.is_empty() { entry.kind.as_str() } else { &entry.action },
            "service": { "name": entry.target },
            "request": { "uid": entry.request_id },
        },
        "unmapped": unmapped(entry),
    });
    if let Value::Object(event) = &mut event {
        if !allowed {
            let code = Some(entry.reason()).filter(|code| !code.is_empty());
            let detail = code.unwrap_or(&entry.problem);
            event.insert("status_detail".to_owned(), detail.into());
        }
        if let Some(id) = &entry.agent_id {
            let agent = json!({ "uid": id, "name": entry.agent, "type_id": 0 });
            event.insert("ai_agent".to_owned(), agent);
        }
        if let Some(address) = entry.remote_address {
            event.insert("src_endpoint".to_owned(), json!({ "ip": address }));
        }
        if !entry.resource.is_empty() {
            event.insert(
                "resources".to_owned(),
                json!([{ "name": entry.resource, "type": entry.target }]),
            );
        }
    }
    event
}

/// What the schema has no place for.
fn unmapped(entry: &Entry) -> Map<String, Value> {
    let fields = json!({
        "kind": entry.kind,
        "mode": entry.mode,
        "chain": entry.chain,
        "delegation_id": entry.delegation_id,
        "consent_id": entry.consent_id,
        "jti": entry.jti,
        "layer": entry.layer,
        "reasons": entry.reasons,
        "problem": entry.problem,
        "purpose": entry.purpose,
        "owner": entry.owner,
        "caller": entry.caller,
        "ttl": entry.ttl,
        "max_uses": entry.max_uses,
    });
    match fields {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !is_empty(value))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}
