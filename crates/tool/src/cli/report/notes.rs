//! What the reader should know of a report before believing it.

use std::collections::BTreeMap;

use super::collect::Collector;
use super::lines::Tally;
use super::model::Note;

/// Everything that keeps the report from being whole.
pub(super) fn notes(collected: &Collector<'_>, tallies: &[Tally]) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut note = |code, count: u64, text: String| {
        if count > 0 {
            notes.push(Note { code, count, text });
        }
    };
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).fold(0, u64::saturating_add);
    let nothing = u64::from(collected.concerned == 0);
    note(
        "nothing_found",
        nothing,
        "No entry is about the plugin. If it is mounted under another type, name the mount with \
         --mount."
            .to_owned(),
    );
    note(
        "broken_lines",
        sum(|tally| tally.broken),
        "Lines that are no entry of an audit log were passed over: cut, or written by something \
         else."
            .to_owned(),
    );
    note(
        "long_lines",
        sum(|tally| tally.long),
        "Lines that are too long were passed over.".to_owned(),
    );
    for tally in tallies {
        if let Some(error) = &tally.cut {
            note(
                "cut_short",
                1,
                format!("{} ends before its end: {error}.", tally.name),
            );
        }
    }
    for (text, count) in hashed(collected) {
        note("hashed", count, text);
    }
    note(
        "unanswered",
        u64::try_from(collected.unanswered()).unwrap_or(u64::MAX),
        "Requests have no response in these files: the server ended, or the files do not reach \
         far enough. What became of them is not known."
            .to_owned(),
    );
    note(
        "twice",
        collected.twice,
        "Responses came twice, as in the logs of two audit devices, and were counted once."
            .to_owned(),
    );
    note(
        "out_of_order",
        collected.disordered,
        "Entries are older than the one before them. What depends on the order may be wrong."
            .to_owned(),
    );
    note(
        "unattributed",
        collected.unattributed,
        "Credentials were redeemed or checked that these files do not show being issued."
            .to_owned(),
    );
    for (kind, count) in &collected.left.0 {
        note(
            "left_out",
            *count,
            format!("Left out, to keep the report in bounds: {kind}."),
        );
    }
    notes
}

/// By mount and side, which keys hide something, and what to do.
fn hashed(collected: &Collector<'_>) -> Vec<(String, u64)> {
    let mut sides: BTreeMap<(&str, bool), (Vec<String>, u64)> = BTreeMap::new();
    for ((mount, key, answer), count) in &collected.hidden {
        let (keys, most) = sides.entry((mount, *answer)).or_default();
        keys.push(format!("`{key}`"));
        *most = (*most).max(*count);
    }
    sides
        .into_iter()
        .map(|((mount, answer), (keys, count))| {
            let (side, tuning) = if answer {
                ("answers", "audit_non_hmac_response_keys")
            } else {
                ("requests", "audit_non_hmac_request_keys")
            };
            let text = format!(
                "On {mount}, {side} hold only hashes of {}. For entries to come: add what is \
                 missing to the mount's {tuning}, as `agentic register` does.",
                keys.join(", ")
            );
            (text, count)
        })
        .collect()
}
