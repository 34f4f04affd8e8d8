//! Values of conditions: views over facts wherever that is possible, so that
//! looking at a fact copies nothing.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::model::agent::Software;

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    /// The name of an entity or a group of the host, which does not tell names
    /// apart by case: whatever it is compared with, neither does this.
    Name(&'a str),
    List(List<'a>),
    Map(Map<'a>),
}

/// A list.
#[derive(Clone, Debug)]
pub(super) enum List<'a> {
    Json(&'a [Json]),
    Groups(&'a BTreeSet<String>),
    Made(Vec<Value<'a>>),
}

/// A map from names to values.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>),
    Labels(&'a BTreeMap<String, String>),
    Software(&'a Software),
}

/// A number. Integers are exact; only what cannot be one is a float.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl<'a> Value<'a> {
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) | Self::Name(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// The text of a string.
    pub(super) fn into_text(self) -> Result<Cow<'a, str>, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Name(name) => Ok(Cow::Borrowed(name)),
            other @ (Self::Null
            | Self::Bool(_)
            | Self::Number(_)
            | Self::List(_)
            | Self::Map(_)) => Err(other),
        }
    }

    /// Whether it is a string that is compared without case.
    pub(super) const fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }

    pub(super) fn int(value: usize) -> Self {
        Self::Number(Number::Int(i128::try_from(value).unwrap_or(i128::MAX)))
    }
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Number::Int(i128::from(int)),
                (None, Some(int)) => Number::Int(i128::from(int)),
                (None, None) => Number::Float(number.as_f64().unwrap_or(f64::NAN)),
            }),
            Json::String(text) => Self::text(text),
            Json::Array(items) => Self::List(List::Json(items)),
            Json::Object(fields) => Self::Map(Map::Json(fields)),
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Groups(groups) => groups.len(),
            Self::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(items) => items.get(index).map(Value::from),
            Self::Groups(groups) => groups
                .iter()
                .nth(index)
                .map(|group| Value::Name(group.as_str())),
            Self::Made(items) => items.get(index).cloned(),
        }
    }

    /// Calls `visit` for each item until it breaks with an answer.
    pub(super) fn visit<T>(&self, mut visit: impl FnMut(&Value<'a>) -> Option<T>) -> Option<T> {
        match self {
            Self::Json(items) => items.iter().find_map(|item| visit(&item.into())),
            Self::Groups(groups) => groups
                .iter()
                .find_map(|group| visit(&Value::Name(group.as_str()))),
            Self::Made(items) => items.iter().find_map(visit),
        }
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Json(fields) => fields.len(),
            Self::Labels(labels) => labels.len(),
            Self::Software(_) => SOFTWARE.len(),
        }
    }

    pub(super) fn get(self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(fields) => fields.get(name).map(Value::from),
            Self::Labels(labels) => labels.get(name).map(|label| Value::text(label)),
            Self::Software(software) => match name {
                "vendor" => Some(Value::text(software.vendor.as_str())),
                "model" => Some(Value::text(software.model.as_str())),
                "version" => Some(Value::text(software.version.as_str())),
                _ => None,
            },
        }
    }

    pub(super) fn keys(self) -> Vec<Value<'a>> {
        match self {
            Self::Json(fields) => fields.keys().map(|key| Value::text(key)).collect(),
            Self::Labels(labels) => labels.keys().map(|key| Value::text(key)).collect(),
            Self::Software(_) => SOFTWARE.map(Value::text).to_vec(),
        }
    }
}

const SOFTWARE: [&str; 3] = ["vendor", "model", "version"];

impl Number {
    /// Exact, also between integers and floats. `None` if one is not a number.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Int(a), Self::Float(b)) => compare_mixed(a, b),
            (Self::Float(a), Self::Int(b)) => compare_mixed(b, a).map(Ordering::reverse),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "an operand of a float operation is a float"
    )]
    pub(super) const fn as_float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range was checked before"
)]
fn compare_mixed(int: i128, float: f64) -> Option<Ordering> {
    const LIMIT: f64 = 1e38;
    if float.is_nan() {
        None
    } else if float > LIMIT {
        Some(Ordering::Less)
    } else if float < -LIMIT {
        Some(Ordering::Greater)
    } else {
        let whole = int.cmp(&(float.trunc() as i128));
        if whole.is_eq() {
            0.0.partial_cmp(&float.fract())
        } else {
            Some(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_floats_compare_exactly() {
        use Ordering::{Equal, Greater, Less};
        let big = 9_007_199_254_740_993; // 2^53 + 1, which no f64 is
        for (int, float, expected) in [
            (500, 500.0, Equal),
            (500, 500.5, Less),
            (-500, -500.5, Greater),
            (big, 9_007_199_254_740_992.0, Greater),
            (0, f64::MAX, Less),
            (0, f64::MIN, Greater),
        ] {
            assert_eq!(
                Number::Int(int).compare(Number::Float(float)),
                Some(expected),
                "{int} {float}"
            );
            assert_eq!(
                Number::Float(float).compare(Number::Int(int)),
                Some(expected.reverse())
            );
        }
        assert_eq!(Number::Int(0).compare(Number::Float(f64::NAN)), None);
    }
}
