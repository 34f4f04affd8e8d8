//! The parts of a request for authority that are free in form, and bounded.

use serde_json::{Map, Value};

use crate::framework::error::{Error, Result};
use crate::model::authorization::Scope;

/// The most bytes, as JSON, of the facts that an agent asserts.
pub const MAX_CONTEXT: usize = 8 * 1024;

/// Checks the facts that an agent asserts.
///
/// # Errors
/// If there are too many of them.
pub fn context(context: Map<String, Value>) -> Result<Map<String, Value>> {
    if context.is_empty() {
        return Ok(context);
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
