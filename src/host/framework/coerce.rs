//! From what callers send to what the schema says.
//!
//! The command line sends every value as text, a query sends text or lists of
//! text, JSON sends what it likes. Values are coerced by the field's kind, as
//! the server's own framework does; after that, serde may be strict.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON will have no further kinds of value"
)]

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::field::{Field, Kind};
use crate::model::text::is_unsafe;
use crate::model::time::Timestamp;

/// The deepest nesting of a value. Deeper ones serve nobody, and recursion
/// over them is not for a caller to choose.
pub const MAX_DEPTH: usize = 32;

/// The most bytes of JSON inside a text: once parsed, it takes many times that.
pub const MAX_JSON_TEXT: usize = 64 * 1024;

/// An input in the shape its fields ask for, and the names it did not know.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coerced {
    /// The fields that were given.
    pub input: Map<String, Value>,
    /// Names that no field has.
    pub ignored: Vec<String>,
}

/// Coerces `raw` by `fields`. Null counts as not given.
///
/// # Errors
/// [`Error::Invalid`] names the field and says what it takes.
pub fn coerce(fields: &[Field], raw: Map<String, Value>) -> Result<Coerced> {
    let mut coerced = Coerced::default();
    for (name, value) in raw {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            coerced.ignored.push(name);
            continue;
        };
        if value.is_null() {
            continue;
        }
        let value = convert(field.kind, value).map_err(|problem| Error::field(&name, problem))?;
        coerced.input.insert(name, value);
    }
    coerced.ignored.sort();
    Ok(coerced)
}

/// Reads a coerced input into its type.
///
/// # Errors
/// [`Error::Invalid`] names the field and says what is wrong with it.
pub fn read<T: DeserializeOwned>(fields: &[Field], input: Map<String, Value>) -> Result<T> {
    if let Some(missing) = fields
        .iter()
        .find(|field| field.required && !input.contains_key(&field.name))
    {
        return Err(Error::Invalid(format!(
            "missing required field \"{}\"",
            missing.name
        )));
    }
    serde_path_to_error::deserialize(Value::Object(input)).map_err(|error| {
        let path = error.path().to_string();
        Error::field(&path, clipped(&error.into_inner().to_string()))
    })
}

/// Errors are shown, and may be logged: whatever they repeat of the input is
/// cut short, so that a token in the wrong field does not come back whole.
fn clipped(message: &str) -> String {
    const WORD: usize = 48;
    let clip = |word: &str| match word.char_indices().nth(WORD) {
        Some((end, _)) => format!("{}…", word.get(..end).unwrap_or_default()),
        None => word.to_owned(),
    };
    let words: Vec<String> = message.split(' ').take(120).map(clip).collect();
    words.join(" ").chars().filter(|c| !is_unsafe(*c)).collect()
}

type Converted = std::result::Result<Value, String>;

fn convert(kind: Kind, value: Value) -> Converted {
    match kind {
        Kind::Text => text(value).map(Value::String),
        Kind::Integer => integer(&value),
        Kind::Number => number(&value),
        Kind::Boolean => boolean(&value),
        Kind::Duration => duration(&value),
        Kind::Time => time(value),
        Kind::TextList => text_list(value),
        Kind::List => list(value),
        Kind::Pairs => pairs(value),
        Kind::Object => object(value),
    }
}

fn text(value: Value) -> std::result::Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(true) => Ok("1".to_owned()),
        Value::Bool(false) => Ok("0".to_owned()),
        other => Err(format!("expected text, got {}", kind_of(&other))),
    }
}

fn integer(value: &Value) -> Converted {
    let wrong = || Err(format!("expected a whole number, got {}", kind_of(value)));
    match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(value.clone()),
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "in range by the guard")]
            Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
                Ok((float as i64).into())
            }
            _ => wrong(),
        },
        Value::Bool(flag) => Ok(i64::from(*flag).into()),
        Value::String(digits) if digits.is_empty() => Ok(0.into()),
        Value::String(digits) => match parse_integer(digits) {
            Some(number) => Ok(number.into()),
            None => wrong(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => wrong(),
    }
}

fn parse_integer(digits: &str) -> Option<i64> {
    let (sign, magnitude) = match digits.strip_prefix('-') {
        Some(rest) => (-1_i64, rest),
        None => (1, digits.strip_prefix('+').unwrap_or(digits)),
    };
    if magnitude.starts_with(['-', '+']) {
        return None;
    }
    let number = match magnitude.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => magnitude.parse().ok()?,
    };
    number.checked_mul(sign)
}

fn number(value: &Value) -> Converted {
    let wrong = || format!("expected a number, got {}", kind_of(value));
    match value {
        Value::Number(_) => Ok(value.clone()),
        Value::String(digits) => digits
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or_else(wrong),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(wrong()),
    }
}

fn boolean(value: &Value) -> Converted {
    let wrong = || Err(format!("expected true or false, got {}", kind_of(value)));
    let flag = match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(word) => match word.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return wrong(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => return wrong(),
    };
    Ok(flag.into())
}

fn duration(value: &Value) -> Converted {
    match value {
        Value::String(text) => parse_duration(text).map(Value::from),
        Value::Number(number) => match number.as_u64() {
            Some(seconds) => Ok(seconds.into()),
            None => parse_duration(&number.to_string()).map(Value::from),
        },
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(format!(
            "expected a duration such as `300` or `5m`, got {}",
            kind_of(value)
        )),
    }
}

/// Whole seconds of a duration as the server reads it: seconds, days (`2d`), or
/// a sum of `h`, `m`, `s` and smaller units, each with decimals (`1h30m`).
///
/// # Errors
/// A sentence that says what a duration looks like.
pub fn parse_duration(text: &str) -> std::result::Result<u64, String> {
    let wrong = || {
        format!(
            "`{}` is not a duration; write seconds, or units as in `90s`, `5m`, `1h30m`, `2d`",
            shown(text)
        )
    };
    if text.is_empty() {
        return Ok(0);
    }
    if text.starts_with('-') {
        return Err(format!("cannot provide negative value '{}'", shown(text)));
    }
    let plain: Option<f64> = text
        .parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite());
    let seconds = match plain {
        Some(seconds) => seconds,
        None => sum_of_units(text).ok_or_else(wrong)?,
    };
    if seconds > 4_000_000_000.0 {
        return Err("a duration may not exceed 100 years".to_owned());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "finite, not negative, and bounded above"
    )]
    Ok(seconds as u64)
}

fn sum_of_units(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let number: f64 = number.parse().ok()?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let factor = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * factor;
        rest = tail;
    }
    Some(total)
}

fn time(value: Value) -> Converted {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(Value::String(text));
    }
    let time = match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_unix(seconds),
        Err(_) => text.parse::<Timestamp>()?,
    };
    Ok(Value::String(time.to_string()))
}

fn text_list(value: Value) -> Converted {
    let trimmed = |text: &str| Value::String(text.trim().to_owned());
    let list = match value {
        Value::Array(items) => items
            .into_iter()
            .map(|item| text(item).map(|item| trimmed(&item)))
            .collect::<std::result::Result<_, _>>()?,
        other => {
            let text = text(other).map_err(|_| "expected a list of texts".to_owned())?;
            if text.is_empty() {
                Vec::new()
            } else {
                text.split(',').map(trimmed).collect()
            }
        }
    };
    Ok(Value::Array(list))
}

fn list(value: Value) -> Converted {
    match value {
        Value::Array(_) => bounded(value),
        Value::String(text) if text.is_empty() => Ok(Value::Array(Vec::new())),
        Value::String(text) => match json_text(&text)? {
            Some(Value::Array(items)) => Ok(Value::Array(items)),
            Some(one) => Ok(Value::Array(vec![one])),
            None => Ok(Value::Array(vec![Value::String(text)])),
        },
        other => bounded(Value::Array(vec![other])),
    }
}

fn object(value: Value) -> Converted {
    let wrong = |got: &Value| {
        Err(format!(
            "expected an object, or its JSON text, got {}",
            kind_of(got)
        ))
    };
    match value {
        Value::Object(_) => bounded(value),
        Value::String(ref text) if text.is_empty() => Ok(Value::Object(Map::new())),
        Value::String(ref text) => match json_text(text)? {
            Some(object @ Value::Object(_)) => Ok(object),
            _ => wrong(&value),
        },
        other => wrong(&other),
    }
}

fn pairs(value: Value) -> Converted {
    let map = match value {
        Value::Object(map) => map,
        Value::String(text) if text.is_empty() => Map::new(),
        Value::String(text) => match json_text(&text)? {
            Some(Value::Object(map)) => map,
            _ => Map::from_iter([pair(&text)?]),
        },
        Value::Array(items) => items
            .into_iter()
            .map(|item| pair(&text(item)?))
            .collect::<std::result::Result<_, String>>()?,
        other => {
            return Err(format!(
                "expected `key=value` pairs, got {}",
                kind_of(&other)
            ));
        }
    };
    let stringified = map
        .into_iter()
        .map(|(key, value)| Ok((key, Value::String(text(value)?))))
        .collect::<std::result::Result<_, String>>()?;
    Ok(Value::Object(stringified))
}

fn pair(text: &str) -> std::result::Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.into())),
        _ => Err(format!(
            "invalid key pair \"{}\"; write key=value",
            shown(text)
        )),
    }
}

/// The value of a text that is meant as JSON: one that opens with a bracket.
fn json_text(text: &str) -> std::result::Result<Option<Value>, String> {
    if !text.trim_start().starts_with(['{', '[']) {
        return Ok(None);
    }
    if text.len() > MAX_JSON_TEXT {
        return Err(format!(
            "may take at most {MAX_JSON_TEXT} bytes as JSON text"
        ));
    }
    let value = serde_json::from_str(text).map_err(|error| {
        format!(
            "looks like JSON and is not, at line {} column {}",
            error.line(),
            error.column()
        )
    })?;
    bounded(value).map(Some)
}

fn bounded(value: Value) -> Converted {
    if is_deeper(&value, MAX_DEPTH) {
        return Err(format!("is nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(value)
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return true;
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(map) => map.values().any(|item| is_deeper(item, below)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn shown(text: &str) -> String {
    text.chars()
        .take(40)
        .map(|c| if is_unsafe(c) { '?' } else { c })
        .collect()
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_command_lines_texts_become_what_is_meant() {
        for (kind, given, expected) in [
            (Kind::Text, json!("a"), json!("a")),
            (Kind::Text, json!(5), json!("5")),
            (Kind::Text, json!(true), json!("1")),
            (Kind::Integer, json!("5"), json!(5)),
            (Kind::Integer, json!("0x10"), json!(16)),
            (Kind::Integer, json!(5.0), json!(5)),
            (Kind::Integer, json!(""), json!(0)),
            (Kind::Integer, json!("-3"), json!(-3)),
            (Kind::Boolean, json!("true"), json!(true)),
            (Kind::Boolean, json!(""), json!(false)),
            (Kind::Boolean, json!(1), json!(true)),
            (Kind::Duration, json!("5m"), json!(300)),
            (Kind::Duration, json!("1h30m"), json!(5400)),
            (Kind::Duration, json!("1.5h"), json!(5400)),
            (Kind::Duration, json!("2d"), json!(172_800)),
            (Kind::Duration, json!("900"), json!(900)),
            (Kind::Duration, json!("100ms"), json!(0)),
            (Kind::Duration, json!(60), json!(60)),
            (Kind::Duration, json!(""), json!(0)),
            (Kind::Time, json!(0), json!("1970-01-01T00:00:00Z")),
            (
                Kind::Time,
                json!("2027-01-01T01:00:00+01:00"),
                json!("2027-01-01T00:00:00Z"),
            ),
            (Kind::TextList, json!("a, b"), json!(["a", "b"])),
            (Kind::TextList, json!(""), json!([])),
            (Kind::TextList, json!(["a", 1]), json!(["a", "1"])),
            (Kind::List, json!("{\"a\":1}"), json!([{"a": 1}])),
            (Kind::List, json!("[1]"), json!([1])),
            (Kind::List, json!("pem"), json!(["pem"])),
            (Kind::Pairs, json!("a=b=c"), json!({"a": "b=c"})),
            (
                Kind::Pairs,
                json!(["a=b", "c=d"]),
                json!({"a": "b", "c": "d"}),
            ),
            (Kind::Pairs, json!({"a": 1}), json!({"a": "1"})),
            (Kind::Object, json!("{\"a\":[1]}"), json!({"a": [1]})),
        ] {
            assert_eq!(
                convert(kind, given.clone()),
                Ok(expected),
                "{kind:?} {given}"
            );
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (kind, given) in [
            (Kind::Text, json!([])),
            (Kind::Text, json!({})),
            (Kind::Integer, json!("five")),
            (Kind::Integer, json!("--5")),
            (Kind::Integer, json!(1.5)),
            (Kind::Integer, json!([])),
            (Kind::Boolean, json!("yes")),
            (Kind::Duration, json!("-5m")),
            (Kind::Duration, json!(-5)),
            (Kind::Duration, json!("5 minutes")),
            (Kind::Duration, json!("inf")),
            (Kind::Duration, json!("1e300")),
            (Kind::Duration, json!(true)),
            (Kind::Time, json!("tomorrow")),
            (Kind::TextList, json!({"a": 1})),
            (Kind::TextList, json!([["a"]])),
            (Kind::Pairs, json!("a")),
            (Kind::Pairs, json!(["=b"])),
            (Kind::Object, json!("text")),
            (Kind::Object, json!("{")),
            (Kind::Object, json!([1])),
        ] {
            assert!(convert(kind, given.clone()).is_err(), "{kind:?} {given}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert!(convert(Kind::List, deep(MAX_DEPTH - 1).into()).is_ok());
        assert!(convert(Kind::List, deep(MAX_DEPTH + 1).into()).is_err());
        assert!(convert(Kind::List, deep(100_000).into()).is_err());
    }

    #[test]
    fn coercion_changes_nothing_twice() {
        for (kind, given) in [
            (Kind::Duration, json!("5m")),
            (Kind::TextList, json!("a,b")),
            (Kind::Pairs, json!("a=b")),
        ] {
            let once = convert(kind, given).unwrap();
            assert_eq!(convert(kind, once.clone()), Ok(once));
        }
    }
}
