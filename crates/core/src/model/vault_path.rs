//! Paths of the host's own ACL language, as the authorization detail
//! `vault:path_access` names them: `+` stands for one segment, a `*` at the end
//! for any rest.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::text;

/// The most bytes a path may have.
pub const MAX_PATH: usize = 512;

/// Why a path was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// Nothing was given.
    #[error("a path may not be empty")]
    Empty,
    /// Too long, or a character that can deceive.
    #[error("a path {0}")]
    Text(#[from] text::TextError),
    /// A second spelling of some other path.
    #[error(
        "`{0}` is not in its one spelling: write it without a leading or doubled `/`, `.`, `..`, `%` or a backslash"
    )]
    Spelling(String),
    /// A wildcard that the host would read as a plain character.
    #[error("`{0}`: `*` may only end a path, and `+` must be a whole segment")]
    Wildcard(String),
}

/// A path of the host, or a set of them.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline)]
pub struct VaultPath(String);

impl VaultPath {
    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `path`, a plain one, is among those it stands for.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        !path.contains(['*', '+']) && covers(&self.0, path)
    }

    /// Whether every path that `other` stands for is among its own.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        covers(&self.0, &other.0)
    }
}

/// Segment by segment. A wildcard of `inner` is an unknown that only an equal
/// or wider wildcard of `outer` covers.
fn covers(outer: &str, inner: &str) -> bool {
    let (outer, open) = split_star(outer);
    let (inner, inner_open) = split_star(inner);
    if inner_open && !open {
        return false;
    }
    let mut ours = outer.split('/').peekable();
    let mut theirs = inner.split('/').peekable();
    while let Some(our) = ours.next() {
        let Some(their) = theirs.next() else {
            return false;
        };
        let open_here = open && ours.peek().is_none();
        let unknown_rest = inner_open && theirs.peek().is_none();
        let holds = if open_here {
            their.starts_with(our)
        } else if unknown_rest {
            false
        } else {
            (our == "+" && !their.is_empty()) || our == their
        };
        if !holds {
            return false;
        }
    }
    open || theirs.peek().is_none()
}

fn split_star(path: &str) -> (&str, bool) {
    path.strip_suffix('*')
        .map_or((path, false), |rest| (rest, true))
}

impl TryFrom<String> for VaultPath {
    type Error = PathError;

    fn try_from(path: String) -> Result<Self, PathError> {
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        text::check(&path, MAX_PATH)?;
        let relative = path.split('/').any(|s| matches!(s, "." | ".."));
        if relative || path.starts_with('/') || path.contains("//") || path.contains(['%', '\\']) {
            return Err(PathError::Spelling(path));
        }
        let (fixed, _) = split_star(&path);
        let plus_inside = fixed.split('/').any(|s| s != "+" && s.contains('+'));
        if fixed.contains('*') || plus_inside || path.ends_with("+*") {
            return Err(PathError::Wildcard(path));
        }
        Ok(Self(path))
    }
}

impl FromStr for VaultPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        text.to_owned().try_into()
    }
}

impl From<VaultPath> for String {
    fn from(path: VaultPath) -> Self {
        path.0
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> VaultPath {
        text.parse().unwrap()
    }

    #[test]
    fn wildcards_are_the_hosts_own() {
        for (pattern, value, expected) in [
            ("secret/data/*", "secret/data/a/b", true),
            ("secret/data/*", "secret/data/", true),
            ("secret/data/*", "secret/data", false),
            ("secret/da*", "secret/data/x", true),
            ("secret/+/x", "secret/data/x", true),
            ("secret/+/x", "secret/a/b/x", false),
            ("secret/+/x", "secret//x", false),
            ("*", "anything/at/all", true),
            ("secret/x", "secret/x", true),
            ("secret/x", "secret/x/", false),
        ] {
            assert_eq!(
                path(pattern).matches(value),
                expected,
                "{pattern} against {value}"
            );
        }
    }

    #[test]
    fn covering_needs_an_equal_or_wider_wildcard() {
        for (outer, inner, expected) in [
            ("a/*", "a/b/*", true),
            ("a/b/*", "a/*", false),
            ("a/+/c", "a/b/c", true),
            ("a/b/c", "a/+/c", false),
            ("a/*", "a/+/c", true),
            ("a/+/*", "a/b*", false),
            ("a/+", "a/b*", false),
            ("a/b*", "a/bc*", true),
            ("a/bc*", "a/b*", false),
            ("a/x*", "a/+", false),
            ("*", "+", true),
        ] {
            assert_eq!(
                path(outer).covers(&path(inner)),
                expected,
                "{outer} over {inner}"
            );
        }
    }

    #[test]
    fn second_spellings_and_misread_wildcards_are_refused() {
        for bad in [
            "", "/a", "a//b", "a/../b", "a/%2e", "a\\b", "a/*/b", "a/b+", "a/+*", "a**", "a\nb",
        ] {
            assert!(bad.parse::<VaultPath>().is_err(), "{bad:?}");
        }
    }
}
