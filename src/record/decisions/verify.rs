//! Whether the stored decision log is what was written.

use schemars::JsonSchema;
use serde::Serialize;

use crate::host::framework::error::Result;
use crate::host::framework::record::decode;
use crate::record::decisions::segment::{self, Head, NOTHING, SegmentRecord};
use crate::record::decisions::store::Journal;

/// How many segments one call looks at.
const SEGMENTS: u64 = 256;
/// How many findings one call tells.
const FINDINGS: usize = 100;

/// What verifying a part of the log has found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// Whether nothing was found wrong.
    pub ok: bool,
    /// What is wrong, in sentences; at most 100.
    pub findings: Vec<String>,
    /// How many segments were looked at.
    pub segments: u64,
    /// How many entries they hold.
    pub entries: u64,
    /// How many entries were lost before they could be stored, as the segments
    /// say.
    pub lost: u64,
    /// Number of the first segment that is kept.
    pub first: u64,
    /// Number of the last.
    pub last: u64,
    /// The hash of the last, which stands for the whole log.
    pub hash: String,
    /// Where to go on, as `from`; 0 at the end.
    pub next: u64,
}

/// Verifies the segments from `from` on, a bounded number of them. `known` is a
/// segment whose hash was noted elsewhere.
///
/// # Errors
/// If storage fails.
pub async fn verify(
    journal: &Journal,
    from: u64,
    known: Option<&(u64, String)>,
) -> Result<Verification> {
    let head = journal.head().await?;
    let begin = from.max(head.first);
    let mut found = Verification {
        ok: true,
        findings: Vec::new(),
        segments: 0,
        entries: 0,
        lost: 0,
        first: head.first,
        last: head.last,
        hash: head.hash.clone(),
        next: 0,
    };
    // The hash that the next segment must name as that of the one before it.
    let mut expected = if begin == head.first {
        Some(head.anchor.clone())
    } else {
        journal
            .stored(begin.saturating_sub(1))
            .await?
            .map(|stored| segment::hash(&stored))
    };
    if begin == head.first {
        for number in journal.numbers(0, 1).await? {
            if head.last == 0 && head.hash == NOTHING {
                found.say(format!(
                    "there is no head, and segment {number} is there: the head was removed"
                ));
            }
        }
    }
    let mut number = begin;
    while number <= head.last {
        if found.segments >= SEGMENTS {
            found.next = number;
            return Ok(found);
        }
        found.segments = found.segments.saturating_add(1);
        expected = match journal.stored(number).await? {
            None => {
                found.say(format!("segment {number} was removed"));
                None
            }
            Some(stored) => {
                let hash = segment::hash(&stored);
                match decode::<SegmentRecord>(&segment::name(number), &stored) {
                    Err(_) => found.say(format!("segment {number} cannot be read")),
                    Ok(segment) => {
                        let entries = u64::try_from(segment.entries.len()).unwrap_or(u64::MAX);
                        found.entries = found.entries.saturating_add(entries);
                        found.lost = found.lost.saturating_add(segment.lost);
                        if segment.number != number {
                            found.say(format!(
                                "in the place of segment {number} is segment {}",
                                segment.number
                            ));
                        } else if expected
                            .as_ref()
                            .is_some_and(|expected| *expected != segment.previous)
                        {
                            found.say(format!(
                                "segment {number} does not follow from the one before it: one of the two was changed"
                            ));
                        }
                    }
                }
                Some(hash)
            }
        };
        number = number.saturating_add(1);
    }
    if head.last >= head.first && expected.as_ref().is_some_and(|hash| *hash != head.hash) {
        found.say(format!(
            "the last segment, {}, was changed, or segments after it were cut off",
            head.last
        ));
    }
    check_beyond(journal, &head, &mut found).await?;
    if let Some((noted, hash)) = known {
        check_noted(journal, &head, *noted, hash, &mut found).await?;
    }
    Ok(found)
}

/// A segment after the last one: the head was set back, or the next segment has
/// just been written.
async fn check_beyond(journal: &Journal, head: &Head, found: &mut Verification) -> Result<()> {
    if head.last == 0 {
        return Ok(());
    }
    for number in journal.numbers(head.last, 1).await? {
        let follows = journal.stored(number).await?.is_some_and(|stored| {
            decode::<SegmentRecord>("", &stored).is_ok_and(|next| next.previous == head.hash)
        });
        if !follows {
            found.say(format!(
                "segment {number} is there, after the last one, and does not follow from it"
            ));
        }
    }
    Ok(())
}

/// The segment whose hash was noted elsewhere, wherever it is in the log.
async fn check_noted(
    journal: &Journal,
    head: &Head,
    number: u64,
    noted: &str,
    found: &mut Verification,
) -> Result<()> {
    if number < head.first {
        found.say(format!(
            "segment {number}, whose hash was noted, is older than what is kept, and cannot be compared"
        ));
        return Ok(());
    }
    match journal.stored(number).await? {
        Some(stored) if segment::hash(&stored) != noted => found.say(format!(
            "segment {number} does not have the hash that was noted"
        )),
        None => found.say(format!(
            "segment {number}, whose hash was noted, was cut off"
        )),
        Some(_) => {}
    }
    Ok(())
}

impl Verification {
    fn say(&mut self, finding: String) {
        self.ok = false;
        if self.findings.len() < FINDINGS {
            self.findings.push(finding);
        }
    }
}
