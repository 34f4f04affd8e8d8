//! What a per-request consent is bound to: a hash of everything that was
//! asked, so that nothing else can be done with the answer.

use ring::digest::{Context, SHA256, digest};
use serde_json::Value;

use crate::model::agent::Agent;
use crate::model::decision::AccessRequest;
use crate::model::ids::{AgentId, DelegationId, EntityId};
use crate::model::target::Target;
use crate::model::text::hex;

/// Makes hashes of lists of fields. Each field is preceded by its length, and
/// the list by what it is for, so that no two lists have one encoding.
struct Encoder(Context);

impl Encoder {
    fn new(domain: &str) -> Self {
        let mut encoder = Self(Context::new(&SHA256));
        encoder.field(domain.as_bytes());
        encoder
    }

    fn field(&mut self, bytes: &[u8]) {
        // A usize has at most 64 bits on every machine there is.
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(&length.to_be_bytes());
        self.0.update(bytes);
    }

    /// A field that may be missing, which is not the same as empty.
    fn optional(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.0.update(&[1]);
                self.field(bytes);
            }
            None => self.0.update(&[0]),
        }
    }

    fn number(&mut self, number: Option<u64>) {
        let bytes = number.map(u64::to_be_bytes);
        self.optional(bytes.as_ref().map(<[u8; 8]>::as_slice));
    }

    /// A value in one encoding, whatever order its members come in.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.0.update(b"v");
                self.field(value.to_string().as_bytes());
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.field(text.as_bytes());
            }
            Value::Array(items) => {
                self.0.update(b"a");
                self.field(&items.len().to_be_bytes());
                items.iter().for_each(|item| self.value(item));
            }
            Value::Object(members) => {
                self.0.update(b"o");
                self.field(&members.len().to_be_bytes());
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| name.as_str());
                for (name, member) in members {
                    self.field(name.as_bytes());
                    self.value(member);
                }
            }
        }
    }

    fn finish(self) -> String {
        hex(self.0.finish().as_ref())
    }
}

/// The hash of a request by `agent`, on behalf of `subject`, under
/// `delegation`: of all that the subject is shown and that is then done. The
/// ids that the request presents are not in it. What the target gives for it
/// is: a yes to one kind of credential is none to another.
#[must_use]
pub fn of_request(
    agent: &Agent,
    target: &Target,
    subject: &EntityId,
    delegation: &DelegationId,
    request: &AccessRequest,
) -> String {
    let mut encoder = Encoder::new("agentic per-request consent v1");
    encoder.field(agent.id.as_str().as_bytes());
    encoder.number(Some(agent.epoch));
    encoder.field(subject.as_str().as_bytes());
    encoder.field(delegation.as_str().as_bytes());
    encoder.field(request.target.as_str().as_bytes());
    encoder.value(&serde_json::json!({
        "credential_type": target.credential_type,
        "audience": target.audience,
        "claims": target.claims,
        "vault_policies": target.vault_policies,
        "vault_paths": target.vault_paths,
        "vault_token_type": target.vault_token_type,
        "vault_alias": target.vault_alias,
    }));
    encoder.field(request.action.as_str().as_bytes());
    encoder.field(request.resource.as_str().as_bytes());
    encoder.field(request.reason.as_str().as_bytes());
    encoder.value(&Value::Object(request.context.clone()));
    match &request.details {
        Some(scope) => {
            encoder.0.update(&[1]);
            encoder.value(&serde_json::to_value(scope).unwrap_or_default());
        }
        None => encoder.0.update(&[0]),
    }
    encoder.number(request.ttl.map(crate::model::time::Ttl::as_secs));
    encoder.number(request.max_uses.map(u64::from));
    encoder.optional(request.key_thumbprint.as_deref().map(str::as_bytes));
    encoder.finish()
}

/// The hash of what a subject refuses when it refuses one request: the agent
/// may not ask for the same action at the same target for a while.
#[must_use]
pub fn of_refusal(agent: &AgentId, subject: &EntityId, target: &str, action: &str) -> String {
    let mut encoder = Encoder::new("agentic refused request v1");
    for field in [agent.as_str(), subject.as_str(), target, action] {
        encoder.field(field.as_bytes());
    }
    encoder.finish()
}

/// The hash of what a subject refuses when it refuses a delegation: the agent
/// may not ask it for any for a while.
#[must_use]
pub fn of_refused_delegation(agent: &AgentId, subject: &EntityId) -> String {
    let mut encoder = Encoder::new("agentic refused delegation v1");
    encoder.field(agent.as_str().as_bytes());
    encoder.field(subject.as_str().as_bytes());
    encoder.finish()
}

/// The hash of a text, as receipts show it.
#[must_use]
pub fn of_text(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}
