//! The parts of a request for authority that are free in form, and bounded.

use serde_json::{Map, Value};

use crate::host::framework::error::{Error, Result};
use crate::jose::jwk::{JwkError, PublicJwk};
use crate::model::agent::Agent;
use crate::model::authorization::Scope;

/// The most bytes, as JSON, of the facts that an agent asserts.
pub const MAX_CONTEXT: usize = 8 * 1024;

/// The most values in them, at any depth: a value takes more memory than text.
pub const MAX_NODES: usize = 256;

/// How many values there are in one. Its depth is bounded by the framework.
fn nodes(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(map) => map.values().map(nodes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    };
    inner.saturating_add(1)
}

/// Checks the facts that an agent asserts.
///
/// # Errors
/// If there are too many of them.
pub fn context(context: Map<String, Value>) -> Result<Map<String, Value>> {
    if context.is_empty() {
        return Ok(context);
    }
    if context
        .values()
        .map(nodes)
        .fold(0_usize, usize::saturating_add)
        > MAX_NODES
    {
        return Err(Error::field(
            "context",
            format_args!("may hold at most {MAX_NODES} values"),
        ));
    }
    let size = serde_json::to_string(&context).map_or(usize::MAX, |text| text.len());
    if size > MAX_CONTEXT {
        return Err(Error::field(
            "context",
            format_args!("may take at most {MAX_CONTEXT} bytes as JSON"),
        ));
    }
    Ok(context)
}

/// Reads authorization details (RFC 9396).
///
/// # Errors
/// `invalid_authorization_details`, with what is wrong (RFC 9396 5).
pub fn details(details: Option<Vec<Map<String, Value>>>) -> Result<Option<Scope>> {
    let Some(details) = details else {
        return Ok(None);
    };
    let details = Value::Array(details.into_iter().map(Value::Object).collect());
    match Scope::from_json(&details) {
        Ok(scope) => Ok(Some(scope)),
        Err(problem) => Err(Error::field(
            "authorization_details",
            format_args!("invalid_authorization_details: {problem}"),
        )),
    }
}

/// The thumbprint (RFC 7638) of the public key that a credential is to be bound
/// to.
///
/// # Errors
/// If it is not a public key.
pub fn thumbprint(jwk: Option<Map<String, Value>>) -> Result<Option<String>> {
    let Some(jwk) = jwk else {
        return Ok(None);
    };
    let wrong = |error: JwkError| Error::field("cnf_jwk", error);
    let key = PublicJwk::from_value(&Value::Object(jwk)).map_err(wrong)?;
    key.check_on_curve().map_err(wrong)?;
    Ok(Some(key.thumbprint()))
}

/// The thumbprint of a key that is registered for the agent that asks.
///
/// # Errors
/// If none of its keys has it.
pub fn registered(agent: Option<&Agent>, jkt: String) -> Result<String> {
    let keys = agent.map(|agent| agent.public_keys.as_slice());
    if keys
        .unwrap_or_default()
        .iter()
        .any(|key| key.key().thumbprint() == jkt)
    {
        return Ok(jkt);
    }
    Err(Error::field(
        "cnf_jkt",
        "is not the thumbprint of a key that is registered for you; send a key as `cnf_jwk`",
    ))
}
