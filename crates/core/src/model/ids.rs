//! Names and ids. Each kind is a type of its own, so that swapping two of them
//! does not compile.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use crate::model::text;
use crate::model::time::Timestamp;

/// The most bytes a name may have.
pub const MAX_NAME: usize = 128;

/// Why a name or id was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing was given.
    #[error("{what} may not be empty")]
    Empty {
        /// What the name is for.
        what: &'static str,
    },
    /// More than [`MAX_NAME`] bytes.
    #[error("{what} may have at most {MAX_NAME} characters")]
    TooLong {
        /// What the name is for.
        what: &'static str,
    },
    /// Breaks the server's pattern for names.
    #[error(
        "{what} may hold letters, digits, `_`, `-` and `.` only, and must begin and end with a letter, a digit or `_`"
    )]
    Characters {
        /// What the name is for.
        what: &'static str,
    },
    /// Holds `/` or a character that can deceive a reader.
    #[error("{what} may not hold `/`, control, invisible or text-direction characters")]
    Unsafe {
        /// What the name is for.
        what: &'static str,
    },
    /// A word with a meaning of its own.
    #[error("`{name}` is reserved and cannot be {what}")]
    Reserved {
        /// What the name is for.
        what: &'static str,
        /// The word.
        name: String,
    },
    /// Not a UUID.
    #[error("{what} must be a UUID")]
    NotUuid {
        /// What the id is for.
        what: &'static str,
    },
}

/// The server's generic name pattern: `\w(([\w-.]+)?\w)?`, ASCII only.
fn check_name(text: &str, what: &'static str, reserved: &[&str]) -> Result<(), NameError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return Err(NameError::Empty { what });
    };
    if bytes.len() > MAX_NAME {
        return Err(NameError::TooLong { what });
    }
    let inner = |b: &u8| word(*b) || *b == b'-' || *b == b'.';
    if !word(*first) || !word(*last) || !bytes.iter().all(inner) {
        return Err(NameError::Characters { what });
    }
    if reserved.iter().any(|r| r.eq_ignore_ascii_case(text)) {
        return Err(NameError::Reserved {
            what,
            name: text.to_owned(),
        });
    }
    Ok(())
}

fn check_uuid(text: &str, what: &'static str, _: &[&str]) -> Result<(), NameError> {
    match Uuid::try_parse(text) {
        Ok(id) if id.hyphenated().to_string() == text => Ok(()),
        _ => Err(NameError::NotUuid { what }),
    }
}

/// Ids that others make are only bounded: what they look like is their affair.
fn check_opaque(text: &str, what: &'static str, _: &[&str]) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong { what });
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
        return Err(NameError::Characters { what });
    }
    Ok(())
}

/// Names that the server lets people choose freely: bounded, safe to show, and
/// one path segment.
fn check_shown(text: &str, what: &'static str, _: &[&str]) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong { what });
    }
    if text.chars().any(|c| c == '/' || text::is_unsafe(c)) {
        return Err(NameError::Unsafe { what });
    }
    Ok(())
}

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:ident, [$($reserved:literal),*]) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $check(&text, $what, &[$($reserved),*])?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string" })
            }
        }
    };
}

string_id!(
    /// The name of an agent: a label for people. The id is what counts.
    AgentName, "an agent's name", check_name,
    ["register", "id", "entity-id", "self", "root", "default", "none", "all", "any"]
);
string_id!(
    /// The name of a target.
    TargetName, "a target's name", check_name,
    ["issue", "introspect", "redeem", "revoke", "root", "default", "none", "all", "any"]
);
string_id!(
    /// The name of a policy of this plugin (not of the server's ACL).
    PolicyName, "a policy's name", check_name, ["root"]
);
string_id!(
    /// The name of a signing key.
    KeyName, "a key's name", check_name, []
);
string_id!(
    /// The name of a set of network ranges.
    LocationName, "a location's name", check_name, []
);
string_id!(
    /// The name of an issuer whose tokens a mount believes.
    IssuerName, "an issuer's name", check_name, []
);
string_id!(
    /// The id of one definition of an issuer: a UUID, never used twice. What is
    /// known of an issuer hangs on it, and so ends with the definition.
    IssuerId, "an issuer's id", check_uuid, []
);
string_id!(
    /// An agent's id: a UUID, never used twice.
    AgentId, "an agent's id", check_uuid, []
);
string_id!(
    /// A decision's id: a UUID that sorts by time.
    DecisionId, "a decision's id", check_uuid, []
);
string_id!(
    /// The id of one credential: a UUID that sorts by time (`jti`, RFC 7519 4.1.7).
    CredentialId, "a credential's id", check_uuid, []
);
string_id!(
    /// A delegation's id: a UUID that sorts by time, never used twice.
    DelegationId, "a delegation's id", check_uuid, []
);
string_id!(
    /// The id of a recorded yes, for one request or for a delegation: a UUID
    /// that sorts by time.
    ConsentId, "a consent's id", check_uuid, []
);
string_id!(
    /// The id of a Vault identity entity.
    EntityId, "an entity id", check_opaque, []
);
string_id!(
    /// The name of a Vault identity group.
    GroupName, "a group's name", check_shown, []
);

macro_rules! minted {
    ($($name:ident),*) => {$(
        impl $name {
            /// Makes a new id from the time and ten random bytes (RFC 9562 5.7).
            #[must_use]
            pub fn mint(now: Timestamp, random: [u8; 10]) -> Self {
                Self(uuid_v7(now, random))
            }
        }
    )*};
}
minted!(
    AgentId,
    IssuerId,
    DecisionId,
    CredentialId,
    DelegationId,
    ConsentId
);

fn uuid_v7(now: Timestamp, random: [u8; 10]) -> String {
    let millis = u64::try_from(now.unix_millis()).unwrap_or(0);
    let id = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
    id.hyphenated().to_string()
}

impl DecisionId {
    /// When it was made, to the millisecond; the epoch, if it was not made
    /// here.
    #[must_use]
    pub fn minted_at(&self) -> Timestamp {
        let made = Uuid::try_parse(&self.0)
            .ok()
            .and_then(|id| id.get_timestamp())
            .map(|time| time.to_unix());
        let instant = made.and_then(|(seconds, nanos)| {
            let seconds = i64::try_from(seconds).ok()?;
            let nanos = i32::try_from(nanos).ok()?;
            jiff::Timestamp::new(seconds, nanos).ok()
        });
        instant.map_or(Timestamp::EPOCH, Timestamp::from)
    }
}

impl AgentName {
    /// What the name looks like at a glance. Two agents may not share it, so
    /// that nobody takes one for the other: case, `0`/`o`, `1`/`i`/`l`,
    /// `m`/`rn` and the separators count as equal.
    #[must_use]
    pub fn likeness(&self) -> String {
        let folded: String = self
            .0
            .chars()
            .map(|c| match c.to_ascii_lowercase() {
                '0' => 'o',
                '1' | 'i' => 'l',
                '_' | '.' => '-',
                other => other,
            })
            .collect();
        folded.replace("rn", "m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_generic_pattern() {
        for good in ["a", "_", "support-bot", "a.b-c_d", "A1", "x--y"] {
            assert!(good.parse::<AgentName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            ".a",
            "a.",
            "a/b",
            "a b",
            "ä",
            "a@b",
            "a\u{202e}b",
            "a\n",
        ] {
            assert!(bad.parse::<AgentName>().is_err(), "{bad:?}");
        }
        assert!("x".repeat(MAX_NAME).parse::<AgentName>().is_ok());
        assert!("x".repeat(MAX_NAME + 1).parse::<AgentName>().is_err());
    }

    #[test]
    fn reserved_words_are_refused_in_any_case() {
        assert_eq!(
            "Register".parse::<AgentName>(),
            Err(NameError::Reserved {
                what: "an agent's name",
                name: "Register".into()
            })
        );
        assert!("issue".parse::<TargetName>().is_err());
        assert!("root".parse::<PolicyName>().is_err());
    }

    #[test]
    fn names_that_look_alike_share_a_likeness() {
        let likeness = |name: &str| name.parse::<AgentName>().unwrap().likeness();
        for (a, b) in [
            ("bot", "BOT"),
            ("bot", "b0t"),
            ("bill", "b1ll"),
            ("crm-bot", "crm_bot"),
            ("modern", "modem"),
        ] {
            assert_eq!(likeness(a), likeness(b));
        }
        assert_ne!(likeness("bot-a"), likeness("bot-b"));
    }

    #[test]
    fn a_decisions_id_tells_when_it_was_made() {
        let at = Timestamp::from_unix(1_799_053_200);
        assert_eq!(DecisionId::mint(at, [0xff; 10]).minted_at(), at);
        let other: DecisionId = "00000000-0000-0000-0000-000000000000".parse().unwrap();
        assert_eq!(other.minted_at(), Timestamp::EPOCH);
    }

    #[test]
    fn minted_ids_sort_by_time() {
        let a = AgentId::mint(Timestamp::from_unix(1), [0xff; 10]);
        let b = AgentId::mint(Timestamp::from_unix(2), [0; 10]);
        assert!(a < b);
        assert_eq!(a.as_str().parse(), Ok(a.clone()));
        assert!(
            "A0000000-0000-7000-8000-000000000000"
                .parse::<AgentId>()
                .is_err(),
            "one spelling only"
        );
    }
}
