//! One line of an audit log, as far as the report reads it.
//!
//! Everything else in a line is skipped without being kept. What has another
//! type than expected counts as not there: a log is evidence, and one odd field
//! must not hide the rest of its line.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::time::Timestamp;

/// The longest text that is kept of a line, in characters.
const LONGEST: usize = 1024;
/// How many items of a list are kept.
const MOST: usize = 32;
/// What the server writes before the HMAC of a value.
const HMAC: &str = "hmac-sha256:";

/// A text of the log, which the server may have hashed.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Text {
    /// Not there, empty, or no text.
    #[default]
    None,
    /// Only the server's HMAC of it, whole.
    Hashed(String),
    /// In the clear, cut to [`LONGEST`].
    Clear(String),
}

impl Text {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "" => Self::None,
            hash if hash.starts_with(HMAC) => Self::Hashed(hash.chars().take(LONGEST).collect()),
            text => match text.char_indices().nth(LONGEST) {
                None => Self::Clear(text.to_owned()),
                Some(_) => Self::Clear(text.chars().take(LONGEST).chain(['…']).collect()),
            },
        }
    }

    /// The text itself.
    pub(super) fn clear(&self) -> Option<&str> {
        match self {
            Self::Clear(text) => Some(text),
            Self::None | Self::Hashed(_) => None,
        }
    }

    /// The HMAC.
    pub(super) fn hashed(&self) -> Option<&str> {
        match self {
            Self::Hashed(hash) => Some(hash),
            Self::None | Self::Clear(_) => None,
        }
    }

    /// The text or its HMAC, whole.
    pub(super) fn shown_whole(&self) -> Option<&str> {
        self.clear().or_else(|| self.hashed())
    }

    /// What tells it from others: the text, or the beginning of its HMAC.
    pub(super) fn shown(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Clear(text) => Some(text.clone()),
            Self::Hashed(hash) => Some(
                "hashed:"
                    .chars()
                    .chain(hash.chars().skip(HMAC.len()).take(8))
                    .collect(),
            ),
        }
    }

    /// This, or else `other`.
    pub(super) fn or<'a>(&'a self, other: &'a Self) -> &'a Self {
        match self {
            Self::Clear(_) => self,
            Self::Hashed(_) => match other {
                Self::Clear(_) => other,
                Self::None | Self::Hashed(_) => self,
            },
            Self::None => other,
        }
    }
}

/// A value that is read if it has the right type, and else is the default.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Maybe<T>(pub(super) T);

/// What can be made of a JSON value of some type, and of no other.
trait Shape: Default {
    fn text(_: &str) -> Self {
        Self::default()
    }
    fn bool(_: bool) -> Self {
        Self::default()
    }
    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        IgnoredAny::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Self::default())
    }
}

impl Shape for Text {
    fn text(text: &str) -> Self {
        Self::of(text)
    }
}

impl Shape for Option<bool> {
    fn bool(value: bool) -> Self {
        Some(value)
    }
}

impl Shape for Option<Timestamp> {
    fn text(text: &str) -> Self {
        text.parse().ok()
    }
}

impl<T: Shape> Shape for Vec<Maybe<T>> {
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut kept = Self::new();
        while kept.len() < MOST {
            match list.next_element()? {
                Some(item) => kept.push(item),
                None => return Ok(kept),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

macro_rules! objects {
    ($($name:ty),*) => {$(
        impl Shape for $name {
            fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
                object(map)
            }
        }
    )*};
}
objects!(
    Auth,
    PolicyResults,
    Metadata,
    Request,
    Response,
    Data,
    Inner,
    Detail
);

fn object<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: A) -> Result<T, A::Error> {
    T::deserialize(MapAccessDeserializer::new(map))
}

impl<'de, T: Shape> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Shape> Visitor<'de> for Any<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_bool<E>(self, value: bool) -> Result<T, E> {
                Ok(T::bool(value))
            }
            fn visit_str<E>(self, text: &str) -> Result<T, E> {
                Ok(T::text(text))
            }
            fn visit_i64<E>(self, _: i64) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_unit<E>(self) -> Result<T, E> {
                Ok(T::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
                T::list(list)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::map(map)
            }
        }
        deserializer.deserialize_any(Any(PhantomData)).map(Self)
    }
}

/// One entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) time: Maybe<Option<Timestamp>>,
    #[serde(rename = "type")]
    pub(super) kind: Maybe<Text>,
    pub(super) auth: Maybe<Auth>,
    pub(super) request: Maybe<Request>,
    pub(super) response: Maybe<Response>,
    pub(super) error: Maybe<Text>,
}

/// Who had the token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Auth {
    pub(super) display_name: Maybe<Text>,
    pub(super) entity_id: Maybe<Text>,
    pub(super) metadata: Maybe<Metadata>,
    pub(super) policy_results: Maybe<PolicyResults>,
}

/// What the server's own ACL said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PolicyResults {
    pub(super) allowed: Maybe<Option<bool>>,
}

/// What a login of the plugin left on the token.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) agent: Maybe<Text>,
    pub(super) agent_id: Maybe<Text>,
    pub(super) subject: Maybe<Text>,
    pub(super) mode: Maybe<Text>,
    pub(super) target: Maybe<Text>,
    pub(super) action: Maybe<Text>,
    pub(super) resource: Maybe<Text>,
    pub(super) decision_id: Maybe<Text>,
    pub(super) delegation_id: Maybe<Text>,
    pub(super) consent_id: Maybe<Text>,
}

/// What was asked of the server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Request {
    pub(super) id: Maybe<Text>,
    pub(super) operation: Maybe<Text>,
    pub(super) mount_point: Maybe<Text>,
    pub(super) mount_type: Maybe<Text>,
    pub(super) path: Maybe<Text>,
    pub(super) data: Maybe<Data>,
    pub(super) remote_address: Maybe<Text>,
}

/// What the server answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    pub(super) auth: Maybe<Auth>,
    pub(super) data: Maybe<Data>,
}

/// The fields of the plugin's requests and answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Data {
    pub(super) id: Maybe<Text>,
    pub(super) name: Maybe<Text>,
    pub(super) agent: Maybe<Text>,
    pub(super) agent_id: Maybe<Text>,
    pub(super) entity_id: Maybe<Text>,
    pub(super) subject: Maybe<Text>,
    pub(super) subject_entity_id: Maybe<Text>,
    pub(super) mode: Maybe<Text>,
    pub(super) target: Maybe<Text>,
    pub(super) action: Maybe<Text>,
    pub(super) resource: Maybe<Text>,
    pub(super) outcome: Maybe<Text>,
    pub(super) status: Maybe<Text>,
    pub(super) reason: Maybe<Text>,
    pub(super) notes: Maybe<Vec<Maybe<Text>>>,
    pub(super) error: Maybe<Text>,
    pub(super) decision_id: Maybe<Text>,
    pub(super) delegation_id: Maybe<Text>,
    pub(super) parent_id: Maybe<Text>,
    pub(super) delegator_id: Maybe<Text>,
    pub(super) consent_id: Maybe<Text>,
    pub(super) jti: Maybe<Text>,
    pub(super) token: Maybe<Text>,
    pub(super) credential: Maybe<Text>,
    pub(super) decision: Maybe<Option<bool>>,
    pub(super) active: Maybe<Option<bool>>,
    /// Of a dry run.
    pub(super) context: Maybe<Inner>,
    /// The claims of a credential.
    pub(super) agentic: Maybe<Inner>,
    pub(super) scope: Maybe<Vec<Maybe<Detail>>>,
}

/// What is one level down.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Inner {
    pub(super) outcome: Maybe<Text>,
    pub(super) reason: Maybe<Text>,
    pub(super) decision_id: Maybe<Text>,
}

/// One of the authorization details of a delegation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Detail {
    pub(super) targets: Maybe<Vec<Maybe<Text>>>,
    pub(super) actions: Maybe<Vec<Maybe<Text>>>,
    pub(super) resources: Maybe<Vec<Maybe<Text>>>,
}

impl Entry {
    /// Reads a line. `None`: it is no entry of an audit log.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        // A struct may also be written as a list; an entry is not.
        if line.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let entry: Self = serde_json::from_slice(line).ok()?;
        let known = matches!(entry.kind.0.clear(), Some("request" | "response"));
        (known && entry.time.0.is_some()).then_some(entry)
    }

    /// Its time; only what was [read](Entry::read) has one surely.
    pub(super) fn time(&self) -> Timestamp {
        self.time.0.unwrap_or(Timestamp::EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_field_does_not_hide_the_others() {
        let line = br#"{"time":"2026-03-02T09:00:00Z","type":"response","auth":[1,{"a":2}],
            "request":{"path":7,"mount_point":{"x":[null]},"operation":"read","data":"text"},
            "response":{"data":{"agent":true,"target":"crm","scope":[1,{"targets":["a",2]}]}}}"#;
        let entry = Entry::read(line).unwrap();
        assert_eq!(entry.request.0.path.0, Text::None);
        assert_eq!(entry.request.0.operation.0.clear(), Some("read"));
        let data = &entry.response.0.data.0;
        assert_eq!(data.agent.0, Text::None);
        assert_eq!(data.target.0.clear(), Some("crm"));
        assert_eq!(data.scope.0[1].0.targets.0.len(), 2);
    }

    #[test]
    fn what_is_no_entry_is_nothing() {
        for line in [
            "",
            "[]",
            "{}",
            r#"{"type":"response"}"#,
            r#"{"type":"x","time":"2026-03-02T09:00:00Z"}"#,
            r#"{"type":"response","time":"2026-03-02T09:00:00Z""#,
        ] {
            assert!(Entry::read(line.as_bytes()).is_none(), "{line}");
        }
    }

    #[test]
    fn texts_are_cut_and_hashes_known() {
        let long = "ä".repeat(LONGEST + 5);
        assert_eq!(
            Text::of(&long).clear().unwrap().chars().count(),
            LONGEST + 1
        );
        let hash = Text::of("hmac-sha256:0123456789abcdef");
        assert_eq!(hash.clear(), None);
        assert_eq!(hash.shown().unwrap(), "hashed:01234567");
        assert_eq!(hash.or(&Text::of("crm")).clear(), Some("crm"));
    }
}
