//! The decision log as it is stored: segments of entries, each naming the hash
//! of the one before, and a head that names the last.
//!
//! The hash of a segment is SHA-256 over its stored bytes. They begin with the
//! hash of the segment before, so that a segment's hash stands for all that
//! came before it too.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::host::framework::record::Record;
use crate::model::text::hex;
use crate::record::decisions::entry::Entry;

/// The hash before the first segment of all.
pub const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A run of entries, in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The hash of the segment before.
    pub previous: String,
    /// Its number, from 1.
    pub number: u64,
    /// How many entries could not be kept between the segment before and this
    /// one.
    pub lost: u64,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Which segments there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of the last; 0 if there was none.
    pub last: u64,
    /// The hash of the last.
    pub hash: String,
    /// The number of the first that is kept.
    pub first: u64,
    /// The hash of the one before the first.
    pub anchor: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            last: 0,
            hash: NOTHING.to_owned(),
            first: 1,
            anchor: NOTHING.to_owned(),
        }
    }
}

/// A segment as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum SegmentRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Segment),
}

impl Record for SegmentRecord {
    const PREFIX: &'static str = "decision-log/";
    type Noun = Segment;

    fn upgrade(self) -> Result<Segment, String> {
        let Self::V1(segment) = self;
        Ok(segment)
    }

    fn newest(segment: &Segment) -> Self {
        Self::V1(segment.clone())
    }
}

/// The head as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum HeadRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Head),
}

impl Record for HeadRecord {
    const PREFIX: &'static str = "decision-head/";
    type Noun = Head;

    fn upgrade(self) -> Result<Head, String> {
        let Self::V1(head) = self;
        Ok(head)
    }

    fn newest(head: &Head) -> Self {
        Self::V1(head.clone())
    }
}

/// The name of a segment: its number, in a form that sorts.
#[must_use]
pub fn name(number: u64) -> String {
    format!("{number:012}")
}

/// The number in a segment's name.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    (name.len() == 12).then(|| name.parse().ok()).flatten()
}

/// The hash of what is stored.
#[must_use]
pub fn hash(stored: &[u8]) -> String {
    hex(digest(&SHA256, stored).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_numbers_do() {
        assert!(name(9) < name(10));
        assert_eq!(number(&name(123)), Some(123));
        assert_eq!(number("1"), None);
        assert_eq!(number("head"), None);
    }

    #[test]
    fn a_hash_is_that_of_fips_180() {
        assert_eq!(
            hash(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
