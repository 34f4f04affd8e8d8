//! JSON from strangers, read without guessing.
//!
//! Two parsers that disagree on one text are a way around a check, so what
//! JSON leaves open is refused: a member given twice, numbers that would lose
//! digits, and depth without end (RFC 7493, RFC 8725 2.4).

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// The deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 16;
/// The largest whole number a float tells from its neighbours: 2^53.
const MAX_FLOAT: f64 = 9_007_199_254_740_992.0;

/// Why a text is not JSON that we read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON, or with a duplicate member, a number out of range, or too deep.
    #[error("is not strict JSON (members once, numbers in range, at most {MAX_DEPTH} deep)")]
    Refused,
    /// JSON, but not an object.
    #[error("is not a JSON object")]
    NotAnObject,
}

/// Reads one JSON value with nothing before or after it but whitespace.
///
/// # Errors
/// [`JsonError::Refused`], without saying where: the text may be secret.
pub fn strict_json(text: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let Strict(value) = Strict::deserialize(&mut deserializer).map_err(|_| JsonError::Refused)?;
    deserializer.end().map_err(|_| JsonError::Refused)?;
    Ok(value)
}

/// Reads one JSON object.
///
/// # Errors
/// As [`strict_json`], and [`JsonError::NotAnObject`].
pub fn strict_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    match strict_json(text)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::NotAnObject)
        }
    }
}

/// A JSON value that was read strictly, whatever it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node { depth: 0 }.deserialize(deserializer).map(Self)
    }
}

/// A value with `depth` arrays and objects around it.
#[derive(Clone, Copy)]
struct Node {
    depth: usize,
}

impl Node {
    fn inner<E: de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.saturating_add(1);
        if depth > MAX_DEPTH {
            return Err(E::custom("is too deep"));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // A whole number past 64 bits arrives here too, with digits lost.
        match Number::from_f64(value) {
            Some(number) if value.abs() <= MAX_FLOAT => Ok(Value::Number(number)),
            Some(_) | None => Err(E::custom("number out of range")),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ordinary_json_is_read_as_it_is() {
        let text = br#" {"a":[1,-2,1.5,true,null,"\u00e9"],"b":{"c":18446744073709551615}} "#;
        assert_eq!(
            strict_json(text),
            Ok(json!({"a": [1, -2, 1.5, true, null, "é"], "b": {"c": u64::MAX}}))
        );
    }

    #[test]
    fn a_member_given_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"x":[{"y":{"a":1,"b":2,"a":3}}]}"#,
        ] {
            assert_eq!(
                strict_json(text.as_bytes()),
                Err(JsonError::Refused),
                "{text}"
            );
        }
    }

    #[test]
    fn numbers_that_lose_digits_are_refused() {
        for text in [
            "1e400",
            "-1e400",
            "18446744073709551616",
            "1e17",
            "-9223372036854775809",
            "NaN",
            "01",
            "+1",
        ] {
            assert_eq!(
                strict_json(text.as_bytes()),
                Err(JsonError::Refused),
                "{text}"
            );
        }
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(strict_json(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(
            strict_json(nested(MAX_DEPTH + 1).as_bytes()),
            Err(JsonError::Refused)
        );
        assert_eq!(
            strict_json(nested(100_000).as_bytes()),
            Err(JsonError::Refused)
        );
    }

    #[test]
    fn nothing_may_stand_around_it() {
        for text in [
            &b"{}{}"[..],
            b"{} x",
            b"",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            br#""\ud800""#,
            b"{}\0",
            b"[1,]",
        ] {
            assert_eq!(strict_json(text), Err(JsonError::Refused), "{text:?}");
        }
    }

    #[test]
    fn an_object_is_asked_for() {
        for text in ["[]", "1", "null", "\"{}\"", "true"] {
            assert_eq!(
                strict_object(text.as_bytes()),
                Err(JsonError::NotAnObject),
                "{text}"
            );
        }
    }
}
