//! One claim each, with its type.

use serde_json::{Map, Value};

use super::ClaimError;
use crate::jose::base64url;
use crate::model::text as shown;
use crate::model::time::Timestamp;

/// The longest name of anything: a SPIFFE ID, the longest in use, has 2048 bytes.
const MAX_NAME: usize = 2048;
/// The longest `scope`.
const MAX_SCOPE: usize = 4096;
/// The most audiences.
const MAX_AUDIENCES: usize = 64;
/// 2^53: past it a JSON number means different things to different readers.
const MAX_DATE: f64 = 9_007_199_254_740_992.0;

/// Which second a fraction of one belongs to: the one that refuses sooner.
#[derive(Clone, Copy)]
pub(super) enum Round {
    Down,
    Up,
}

/// A non-empty string that is safe to show, if the claim is there.
pub(super) fn text(
    claims: &Map<String, Value>,
    claim: &'static str,
) -> Result<Option<String>, ClaimError> {
    claims
        .get(claim)
        .map(|value| name(value).ok_or(ClaimError::Malformed { claim }))
        .transpose()
}

fn name(value: &Value) -> Option<String> {
    value
        .as_str()
        .filter(|text| is_name(text))
        .map(str::to_owned)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && shown::check(text, MAX_NAME).is_ok()
}

/// The claim, if it is a non-empty string that is safe to show.
pub(super) fn named<'c>(claims: &'c Map<String, Value>, claim: &str) -> Option<&'c str> {
    claims.get(claim)?.as_str().filter(|text| is_name(text))
}

/// A string of printable ASCII, which may be empty (RFC 6749 3.3).
pub(super) fn scope(claims: &Map<String, Value>) -> Result<Option<String>, ClaimError> {
    let Some(value) = claims.get("scope") else {
        return Ok(None);
    };
    value
        .as_str()
        .filter(|scope| scope.len() <= MAX_SCOPE && scope.bytes().all(|b| matches!(b, b' '..=b'~')))
        .map(|scope| Some(scope.to_owned()))
        .ok_or(ClaimError::Malformed { claim: "scope" })
}

/// A string or a non-empty array of strings (RFC 7519 4.1.3).
pub(super) fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, ClaimError> {
    let Some(value) = claims.get("aud") else {
        return Ok(Vec::new());
    };
    let audiences = match value {
        Value::String(_) => name(value).map(|one| vec![one]),
        Value::Array(many) if (1..=MAX_AUDIENCES).contains(&many.len()) => {
            many.iter().map(name).collect()
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            None
        }
    };
    audiences.ok_or(ClaimError::Malformed { claim: "aud" })
}

/// A NumericDate (RFC 7519 2): a JSON number from 0 up to 2^53.
pub(super) fn date(
    claims: &Map<String, Value>,
    claim: &'static str,
    round: Round,
) -> Result<Option<Timestamp>, ClaimError> {
    claims
        .get(claim)
        .map(|value| seconds(value, round).ok_or(ClaimError::Malformed { claim }))
        .transpose()
}

fn seconds(value: &Value, round: Round) -> Option<Timestamp> {
    let float = value
        .as_f64()
        .filter(|float| (0.0..MAX_DATE).contains(float))?;
    let whole = match (value.as_i64(), round) {
        (Some(whole), _) => whole,
        (None, Round::Down) => truncated(float.floor()),
        (None, Round::Up) => truncated(float.ceil()),
    };
    Some(Timestamp::from_unix(whole))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number from 0 to 2^53"
)]
const fn truncated(float: f64) -> i64 {
    float as i64
}

/// `cnf.jkt` (RFC 9449 6.1).
pub(super) fn jkt(claims: &Map<String, Value>) -> Result<Option<String>, ClaimError> {
    let Some(cnf) = claims.get("cnf") else {
        return Ok(None);
    };
    let cnf = cnf
        .as_object()
        .ok_or(ClaimError::Malformed { claim: "cnf" })?;
    let jkt = cnf.get("jkt").ok_or(ClaimError::UnsupportedConfirmation)?;
    jkt.as_str()
        .filter(|jkt| base64url::is_sha256(jkt))
        .map(|jkt| Some(jkt.to_owned()))
        .ok_or(ClaimError::Malformed { claim: "cnf" })
}

/// `authorization_details`: an array (RFC 9396 2). Its entries are read by
/// whoever knows their types.
pub(super) fn details(claims: &Map<String, Value>) -> Result<Option<Vec<Value>>, ClaimError> {
    match claims.get("authorization_details") {
        None => Ok(None),
        Some(Value::Array(details)) => Ok(Some(details.clone())),
        Some(_) => Err(ClaimError::Malformed {
            claim: "authorization_details",
        }),
    }
}
