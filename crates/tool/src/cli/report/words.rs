//! How things are called, in the table and on the page.

use super::model::{ChainView, Consent, Happening, Switch};
use crate::model::time::Timestamp;

/// How many agents, humans of one agent, and consents a page or a table shows.
/// JSON has all.
pub(super) const AGENTS: usize = 200;
pub(super) const HUMANS: usize = 50;
pub(super) const CONSENTS: usize = 500;

/// That there is more. Empty: there is not.
pub(super) fn more(all: usize, shown: usize, what: &str) -> String {
    let count = u64::try_from(all.saturating_sub(shown)).unwrap_or(u64::MAX);
    match count {
        0 => String::new(),
        count => format!(
            "And {} more. JSON has all; --agent, --subject and --since choose.",
            plural(count, what)
        ),
    }
}

/// As in `2026-03-02 09:15:00`, in UTC.
pub(super) fn when(at: Timestamp) -> String {
    let text = Timestamp::from_unix(at.unix()).to_string();
    text.trim_end_matches('Z').replacen('T', " ", 1)
}

/// From when to when, without what is said already.
pub(super) fn span(first: Timestamp, last: Timestamp) -> String {
    let (first, last) = (when(first), when(last));
    if first == last {
        return first;
    }
    match (first.split_once(' '), last.split_once(' ')) {
        (Some((day, _)), Some((same, clock))) if day == same => format!("{first} to {clock}"),
        _ => format!("{first} to {last}"),
    }
}

/// As in "1 request", "2 requests".
pub(super) fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A length of time, as in `5 minutes`.
pub(super) fn length(seconds: i64) -> String {
    let (count, unit) = match seconds {
        ..=3_599 => (seconds.div_euclid(60), "minute"),
        3_600..=86_399 => (seconds.div_euclid(3_600), "hour"),
        _ => (seconds.div_euclid(86_400), "day"),
    };
    plural(count.unsigned_abs(), unit)
}

/// What an event is called.
pub(super) fn what(name: &str) -> &'static str {
    match name {
        "issue" => "asked for a credential",
        "login" => "asked to log in",
        "use" => "used the token of a login",
        "redeem" => "redeemed a credential",
        "introspect" => "checked a credential",
        "revoke_credentials" => "revoked credentials",
        "dry_run" => "tried a dry run",
        "suspend" => "suspended",
        "resume" => "resumed",
        "revoke_agent" => "revoked",
        "request_delegation" => "asked for a delegation",
        "grant_delegation" => "granted a delegation",
        "approve_delegation" => "approved a delegation",
        "deny_delegation" => "refused a delegation",
        "revoke_delegation" => "ended a delegation",
        "pass_delegation" => "passed a delegation on",
        "approve_consent" => "approved one request",
        "deny_consent" => "refused one request",
        "register" => "registered or changed",
        "remove" => "removed",
        _ => "other",
    }
}

/// What became of it.
pub(super) fn outcome(name: &str) -> &'static str {
    match name {
        "allowed" => "allowed",
        "consent_required" => "consent required",
        "refused" => "refused",
        _ => "failed",
    }
}

/// For whom an agent acted.
pub(super) fn subject(chain: &ChainView) -> String {
    match (&chain.subject_name, &chain.subject) {
        (Some(name), Some(entity)) if name != entity => format!("for {name}"),
        (Some(one), _) | (None, Some(one)) => format!("for {one}"),
        (None, None) => "on its own".to_owned(),
    }
}

/// Action, target and resource of an event, or the path it went to.
pub(super) fn object(event: &Happening) -> String {
    if let Some(path) = &event.path {
        let operation = event.operation.as_deref().unwrap_or_default();
        return format!("{operation} {path}");
    }
    let parts = [
        event.action.as_deref(),
        event.target.as_deref().map(|_| "on"),
        event.target.as_deref(),
        event.resource.as_deref(),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    parts.join(" ")
}

/// Who did it: the agent, or who had the token.
pub(super) fn doer(event: &Happening) -> &str {
    let doer = if event.by_agent {
        event.agent.as_ref().or(event.by.as_ref())
    } else {
        event.by.as_ref()
    };
    doer.map_or("unknown", String::as_str)
}

/// The agent that it was done to.
pub(super) fn concerned(event: &Happening) -> &str {
    let agent = event.agent.as_deref().unwrap_or_default();
    if agent == doer(event) { "" } else { agent }
}

/// What became of it: a class, and words.
pub(super) fn result(event: &Happening) -> (&'static str, String) {
    let dry = event.what == "dry_run";
    let said = |words: &str| {
        if dry {
            format!("would be {words}")
        } else {
            words.to_owned()
        }
    };
    match (event.outcome, &event.code) {
        ("allowed", _) => ("use", said("allowed")),
        ("consent_required", _) => ("ask", "consent required".to_owned()),
        ("refused", Some(code)) if !dry => ("no", code.clone()),
        ("refused", _) => ("no", said("refused")),
        (other, _) => ("no", outcome(other).to_owned()),
    }
}

/// How a switch ended, if it did not work.
pub(super) fn switched(switch: &Switch) -> String {
    let what = what(switch.what);
    if switch.outcome == "allowed" {
        what.to_owned()
    } else {
        format!("{what}: {}", outcome(switch.outcome))
    }
}

/// What a human said, or was asked.
pub(super) fn consented(consent: &Consent) -> String {
    let what = what(consent.what);
    match (consent.outcome, &consent.code) {
        ("allowed", _) => what.to_owned(),
        (_, Some(code)) => format!("{what}: refused, {code}"),
        (other, None) => format!("{what}: {}", outcome(other)),
    }
}

/// A code of ours in words, where the plugin gave none.
pub(super) fn code(code: &str) -> &str {
    match code {
        "server.acl" => "server.acl (the server's ACL policies)",
        "mount.not_permitted" => "mount.not_permitted (not for this caller)",
        "unstated" => "unstated (denial_detail is none)",
        "hashed" => "hashed (the log has no reason in clear)",
        "credential.inactive" => "credential.inactive (revoked, used up, or expired)",
        "agent.owner_gone" => "agent.owner_gone (its owner is disabled or gone)",
        "agent.review_overdue" => "agent.review_overdue (nobody reviewed it in time)",
        "agent.gone" => "agent.gone (its entity was merged, moved or deleted)",
        other => other,
    }
}
