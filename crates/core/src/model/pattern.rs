//! Names, actions and resources, and the globs that match them.
//!
//! `*` stands for any run of characters within one segment; `**`, as a whole
//! segment, for one or more segments. There are no other wildcards, no escapes
//! and no regular expressions, so that matching costs at most the product of
//! the two lengths and a reader can tell what a pattern means.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::text;

/// The most bytes a pattern may have.
pub const MAX_PATTERN: usize = 256;
/// The most bytes an action may have.
pub const MAX_ACTION: usize = 128;
/// The most bytes a resource may have.
pub const MAX_RESOURCE: usize = 1024;

/// Why a pattern, an action or a resource was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PatternError {
    /// Nothing was given where something must be.
    #[error("may not be empty")]
    Empty,
    /// Too long, or a character that can deceive.
    #[error(transparent)]
    Text(#[from] text::TextError),
    /// `//`, or `/` at an end.
    #[error("`{0}` has an empty segment: write it without leading, trailing or doubled `/`")]
    EmptySegment(String),
    /// `.` or `..` as a segment.
    #[error("`{0}` has a `.` or `..` segment: write the path it stands for")]
    RelativeSegment(String),
    /// `%` or `\`: two spellings of one resource.
    #[error("`{0}` holds `%` or a backslash: write characters as they are, unencoded")]
    Encoded(String),
    /// A wildcard where a plain value is needed.
    #[error("`{0}` holds `*`: name one value here, not a pattern")]
    Wildcard(String),
    /// `**` beside other characters in one segment.
    #[error("`{0}`: `**` must be a whole segment, as in `customers/**`")]
    DoubleStar(String),
    /// A character that an action may not have.
    #[error("`{0}`: an action may hold letters, digits, `_`, `-`, `.` and `:` only")]
    Action(String),
}

fn check_segments(value: &str) -> Result<(), PatternError> {
    if value.contains(['%', '\\']) {
        return Err(PatternError::Encoded(value.to_owned()));
    }
    for segment in value.split('/') {
        match segment {
            "" => return Err(PatternError::EmptySegment(value.to_owned())),
            "." | ".." => return Err(PatternError::RelativeSegment(value.to_owned())),
            _ => {}
        }
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $max:expr) => {
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

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl FromStr for $name {
            type Err = PatternError;

            fn from_str(text: &str) -> Result<Self, PatternError> {
                text.to_owned().try_into()
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
                json_schema!({ "type": "string", "maxLength": $max })
            }
        }
    };
}

text_type!(
    /// What an agent wants to do: `read`, `tools/call` is written `tools.call`.
    Action, MAX_ACTION
);
text_type!(
    /// What it wants to do it to: a path below the target, in one spelling
    /// only. Empty where the target is the resource.
    Resource, MAX_RESOURCE
);
text_type!(
    /// A glob over names, actions or resources.
    Pattern, MAX_PATTERN
);

impl TryFrom<String> for Action {
    type Error = PatternError;

    fn try_from(value: String) -> Result<Self, PatternError> {
        if value.is_empty() {
            return Err(PatternError::Empty);
        }
        text::check(&value, MAX_ACTION)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
        if !value.bytes().all(allowed) {
            return Err(PatternError::Action(value));
        }
        Ok(Self(value))
    }
}

impl TryFrom<String> for Resource {
    type Error = PatternError;

    fn try_from(value: String) -> Result<Self, PatternError> {
        text::check(&value, MAX_RESOURCE)?;
        if value.contains('*') {
            return Err(PatternError::Wildcard(value));
        }
        if !value.is_empty() {
            check_segments(&value)?;
        }
        Ok(Self(value))
    }
}

impl Default for Resource {
    /// No resource named.
    fn default() -> Self {
        Self(String::new())
    }
}

impl Resource {
    /// Whether no resource was named.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(value: String) -> Result<Self, PatternError> {
        if value.is_empty() {
            return Err(PatternError::Empty);
        }
        text::check(&value, MAX_PATTERN)?;
        check_segments(&value)?;
        if value.split('/').any(|s| s != "**" && s.contains("**")) {
            return Err(PatternError::DoubleStar(value));
        }
        Ok(Self(value))
    }
}

impl Pattern {
    /// The pattern that matches everything, a request without a resource too.
    #[must_use]
    pub fn everything() -> Self {
        Self(String::from("**"))
    }

    /// Whether the pattern is one plain value.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether `value` is one of those the pattern stands for.
    ///
    /// `**` alone matches the empty value too; no other pattern does.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        if self.0 == "**" {
            return true;
        }
        if value.is_empty() {
            return false;
        }
        if self.is_literal() {
            return self.0 == value;
        }
        segments_match(&self.0, value)
    }

    /// The same in lower case, for names that the host does not tell apart by
    /// case.
    #[must_use]
    pub fn folded(&self) -> Self {
        Self(text::folded(&self.0))
    }

    /// Whether every value that `other` matches is matched by `self` too.
    ///
    /// Sound and, over patterns of this language, exact up to `*` runs: it
    /// treats `other`'s wildcards as values that only a wildcard covers.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.0 == "**" {
            return true;
        }
        if other.0 == "**" {
            return false;
        }
        segments_cover(&self.0, &other.0)
    }
}

/// Greedy matching with one point of return per level: linear in the pattern
/// times the value.
fn wild<T: Copy>(
    pattern: &[T],
    value: &[T],
    star: impl Fn(T) -> bool,
    one: impl Fn(T, T) -> bool,
    least: usize,
) -> bool {
    // `least` is how many items a star must take: 0 for `*`, 1 for `**`.
    let (mut p, mut v) = (0_usize, 0_usize);
    let mut resume: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), value.get(v)) {
            (Some(&item), _) if star(item) => {
                let from = v.saturating_add(least);
                resume = Some((p, from));
                p = p.saturating_add(1);
                v = from;
                v <= value.len()
            }
            (Some(&item), Some(&other)) if one(item, other) => {
                p = p.saturating_add(1);
                v = v.saturating_add(1);
                true
            }
            (None, None) => return true,
            _ => false,
        };
        if !step {
            let Some((star_at, from)) = resume else {
                return false;
            };
            let from = from.saturating_add(1);
            if from > value.len() {
                return false;
            }
            resume = Some((star_at, from));
            p = star_at.saturating_add(1);
            v = from;
        }
    }
}

fn segments_match(pattern: &str, value: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let value: Vec<&str> = value.split('/').collect();
    wild(&pattern, &value, |s| s == "**", segment_matches, 1)
}

fn segment_matches(pattern: &str, value: &str) -> bool {
    wild(
        pattern.as_bytes(),
        value.as_bytes(),
        |b| b == b'*',
        |a, b| a == b,
        0,
    )
}

/// `outer` covers `inner` when `outer` matches `inner` read as a value in which
/// a wildcard is an unknown that only an equal or wider wildcard covers.
fn segments_cover(outer: &str, inner: &str) -> bool {
    let outer: Vec<&str> = outer.split('/').collect();
    let inner: Vec<&str> = inner.split('/').collect();
    // `**` in the inner pattern is one or more unknown segments: only `**`
    // covers it, and a `**` takes any run of inner segments.
    wild(
        &outer,
        &inner,
        |s| s == "**",
        |a, b| b != "**" && segment_covers(a, b),
        1,
    )
}

fn segment_covers(outer: &str, inner: &str) -> bool {
    wild(
        outer.as_bytes(),
        inner.as_bytes(),
        |b| b == b'*',
        |a, b| a == b && b != b'*',
        0,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn stars_stay_within_a_segment() {
        for (glob, value, expected) in [
            ("customers/*", "customers/42", true),
            ("customers/*", "customers/42/orders", false),
            ("customers/*", "customers", false),
            ("customers/**", "customers/42/orders", true),
            ("customers/**", "customers", false),
            ("**/orders", "customers/42/orders", true),
            ("**/orders", "orders", false),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/z", false),
            ("crm-*", "crm-eu", true),
            ("crm-*", "crm-", true),
            ("*-eu-*", "crm-eu-1", true),
            ("*", "anything", true),
            ("*", "two/segments", false),
            ("*", "", false),
            ("**", "", true),
            ("**", "a/b", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXcXb", false),
        ] {
            assert_eq!(
                pattern(glob).matches(value),
                expected,
                "{glob} against {value}"
            );
        }
    }

    #[test]
    fn covering_is_matching_everything_the_other_matches() {
        for (outer, inner, expected) in [
            ("**", "**", true),
            ("**", "a/*", true),
            ("a/**", "a/*", true),
            ("a/**", "a/b/**", true),
            ("a/*", "a/**", false),
            ("a/*", "a/b*", true),
            ("a/b*", "a/*", false),
            ("*", "*", true),
            ("*", "**", false),
            ("a*", "ab*c", true),
            ("a*c", "ab*", false),
        ] {
            assert_eq!(
                pattern(outer).covers(&pattern(inner)),
                expected,
                "{outer} over {inner}"
            );
        }
    }

    #[test]
    fn a_resource_has_one_spelling() {
        for good in ["", "customers/42", "a.b/c_d", "büro/1", "a b", "..."] {
            assert!(good.parse::<Resource>().is_ok(), "{good}");
        }
        for bad in [
            "/a",
            "a/",
            "a//b",
            "a/../b",
            "./a",
            "a/%2e%2e",
            "a\\b",
            "a/*",
            "a\u{202e}b",
            "a\nb",
        ] {
            assert!(bad.parse::<Resource>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn actions_are_words() {
        assert!("tools.call".parse::<Action>().is_ok());
        for bad in ["", "a b", "a/b", "*", "ä"] {
            assert!(bad.parse::<Action>().is_err(), "{bad}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for bad in ["", "a**", "a/b**/c", "/a", "a//b", "a/..", "***"] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hostile_patterns_cost_little() {
        let glob = pattern(&"*a".repeat(128));
        assert!(!glob.matches(&"a".repeat(127).replace('a', "ab")));
        let deep = pattern(&vec!["**"; 80].join("/"));
        assert!(!deep.matches(&vec!["x"; 79].join("/")));
        assert!(deep.matches(&vec!["x"; 80].join("/")));
    }
}
