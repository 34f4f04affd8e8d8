//! A key as somebody registered it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use super::{JwkError, MAX_JWK, PublicJwk};
use crate::jose::json::Strict;

/// A public key in an agent's record: a JWK object, the text of one, or PEM.
///
/// It is given back exactly as it was written, so that an operator's tool sees
/// no difference; what counts is the key that was read from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredKey {
    written: Value,
    key: PublicJwk,
}

impl RegisteredKey {
    /// Reads a JWK object, or a string with a JWK or a PEM `PUBLIC KEY`.
    ///
    /// # Errors
    /// [`JwkError`]; a point off its curve is refused here too.
    pub fn from_value(written: Value) -> Result<Self, JwkError> {
        let key = match &written {
            Value::Object(_) => PublicJwk::from_value(&written)?,
            Value::String(text) => from_text(text)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                return Err(JwkError::NotAKey);
            }
        };
        key.check_on_curve()?;
        Ok(Self { written, key })
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PublicJwk {
        &self.key
    }
}

fn from_text(text: &str) -> Result<PublicJwk, JwkError> {
    if text.len() > MAX_JWK {
        return Err(JwkError::TooLong);
    }
    if text.trim_start().starts_with('{') {
        PublicJwk::from_json_text(text)
    } else {
        PublicJwk::from_pem(text)
    }
}

impl Serialize for RegisteredKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for RegisteredKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Strict(written) = Strict::deserialize(deserializer)?;
        Self::from_value(written).map_err(de::Error::custom)
    }
}

impl JsonSchema for RegisteredKey {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("PublicKey")
    }

    fn inline_schema() -> bool {
        true
    }

    /// One type, as the host's decoder wants; the text forms are read as well.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
