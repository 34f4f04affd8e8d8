//! What people are shown before they agree: plain words, made here from parts
//! that are bounded and neutralised. What an agent says of itself stands in
//! quotation marks and is said to be its own.

use std::fmt::Write as _;

use serde_json::Value;

use crate::engine::Limits;
use crate::model::agent::Agent;
use crate::model::authorization::{Detail, Scope};
use crate::model::decision::AccessRequest;
use crate::model::pattern::Pattern;
use crate::model::target::Target;
use crate::model::text::is_unsafe;
use crate::model::time::{Timestamp, Ttl};

/// Makes text from elsewhere harmless to show: no markup, no links that a
/// program would open, nothing that ends the quotation it stands in.
#[must_use]
pub fn neutral(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        plain.push(match c {
            c if is_unsafe(c) => '?',
            '<' => '‹',
            '>' => '›',
            '`' | '"' | '“' | '”' | '„' | '«' | '»' => '\'',
            '[' | '{' => '(',
            ']' | '}' => ')',
            '&' => '+',
            '|' | '\\' => '/',
            '#' => '♯',
            '~' => '-',
            other => other,
        });
    }
    unlinked(&plain)
}

/// Breaks what programs take for the beginning of a link.
fn unlinked(text: &str) -> String {
    let broken = text.replace("://", ": //");
    let mut plain = String::with_capacity(broken.len());
    let mut rest = broken.as_str();
    while let Some((before, prefix, after)) = find_www(rest) {
        let _ = write!(plain, "{before}{prefix} .");
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// The first `www.`, in any case: what is before it, itself, what is after.
fn find_www(text: &str) -> Option<(&str, &str, &str)> {
    text.char_indices().find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let (prefix, rest) = rest.split_at_checked(3)?;
        let after = rest.strip_prefix('.')?;
        prefix
            .eq_ignore_ascii_case("www")
            .then_some((before, prefix, after))
    })
}

/// Text that stands in quotation marks, where a program may look for markup
/// and for names of hosts that it makes links of.
fn prose(text: &str) -> String {
    let plain: String = neutral(text)
        .chars()
        .map(|c| match c {
            '*' => '∗',
            '_' => 'ˍ',
            other => other,
        })
        .collect();
    undotted(&plain)
}

/// Sets a dot off from what is before it, where two letters follow: that may
/// be the name of a host.
fn undotted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let mut ahead = rest.clone();
        let is_name = ahead.next().is_some_and(char::is_alphabetic)
            && ahead.next().is_some_and(char::is_alphabetic);
        if matches!(c, '.' | '。' | '．' | '｡') && before.is_alphanumeric() && is_name {
            plain.push(' ');
        }
        plain.push(c);
        before = c;
    }
    plain
}

/// The most of what an agent gives, other than reason and purpose, that is
/// shown of one part, in characters.
const MOST_SPOKEN: usize = 300;

/// What an agent gives, in quotation marks; what is too long is cut, and said
/// to be.
fn spoken(text: &str) -> String {
    match text.char_indices().nth(MOST_SPOKEN) {
        Some((end, _)) => {
            let shown = prose(text.get(..end).unwrap_or_default());
            let length = text.chars().count();
            format!("“{shown}…” (cut; {length} characters in all)")
        }
        None => format!("“{}”", prose(text)),
    }
}

/// A part that is a name or a pattern, set off as such.
fn quoted(text: &str) -> String {
    format!("`{}`", neutral(text))
}

fn quoted_all(patterns: &[Pattern]) -> String {
    let names: Vec<String> = patterns
        .iter()
        .map(|pattern| quoted(pattern.as_str()))
        .collect();
    listed(&names)
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// An agent, with who answers for it.
fn who(agent: &Agent) -> String {
    let owner = if agent.owner.is_empty() {
        "no owner is registered".to_owned()
    } else {
        format!("owner: {}", quoted(agent.owner.as_str()))
    };
    format!("The agent {} ({owner})", quoted(agent.name.as_str()))
}

fn own_words(text: &str, what: &str) -> String {
    if text.is_empty() {
        format!("It states no {what}.")
    } else {
        format!("Its {what}, in its own words: “{}”.", prose(text))
    }
}

/// A length of time as people say it, exactly.
#[must_use]
pub fn span(ttl: Ttl) -> String {
    let seconds = ttl.as_secs();
    let units = [
        (seconds / 86_400, "day"),
        (seconds % 86_400 / 3_600, "hour"),
        (seconds % 3_600 / 60, "minute"),
        (seconds % 60, "second"),
    ];
    let parts: Vec<String> = units
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if parts.is_empty() {
        "no time".to_owned()
    } else {
        parts.join(" ")
    }
}

/// A time as people say it: nobody reads parts of a second.
fn moment(time: Timestamp) -> Timestamp {
    Timestamp::from_unix(time.unix())
}

/// A scope in words: every part of it, so that nothing is agreed to unseen.
#[must_use]
pub fn scope(scope: &Scope) -> String {
    let parts: Vec<String> = scope
        .details()
        .iter()
        .map(|detail| match detail {
            Detail::Action(action) => {
                let resources = if action.resources.is_empty() {
                    "without naming a resource".to_owned()
                } else {
                    format!("on {}", quoted_all(&action.resources))
                };
                format!(
                    "do {} at {}, {resources}",
                    quoted_all(&action.actions),
                    quoted_all(&action.targets)
                )
            }
            Detail::Path(path) => {
                let value = serde_json::to_value(path).unwrap_or_default();
                let mut members = value.as_object().cloned().unwrap_or_default();
                let shown = |value: Option<Value>| {
                    value
                        .map(|value| spoken(&value.to_string()))
                        .unwrap_or_default()
                };
                let place = members.remove("path");
                let place = place.as_ref().and_then(Value::as_str).unwrap_or_default();
                let mut text = format!(
                    "use {} on the server's path {}",
                    shown(members.remove("capabilities")),
                    quoted(place)
                );
                for (name, value) in members {
                    let _ = write!(text, ", with {name} {}", shown(Some(value)));
                }
                text
            }
        })
        .collect();
    let numbered: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(index, part)| format!("({}) {part}", index.saturating_add(1)))
        .collect();
    match parts.as_slice() {
        [one] => one.clone(),
        _ => numbered.join("; "),
    }
}

/// On which terms authority is to be passed on.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What for.
    pub scope: &'a Scope,
    /// Why.
    pub purpose: &'a str,
    /// For how long.
    pub ttl: Ttl,
    /// The longest lifetime of one credential.
    pub max_ttl: Option<Ttl>,
    /// How many credentials.
    pub max_uses: Option<u32>,
}

fn terms(wanted: &Wanted<'_>) -> String {
    let uses = match wanted.max_uses {
        Some(1) => "once".to_owned(),
        Some(most) => format!("at most {most} times"),
        None => "as often as it likes".to_owned(),
    };
    let life = match wanted.max_ttl {
        Some(most) => format!(", each time for at most {}", span(most)),
        None => String::new(),
    };
    format!("{uses}{life}")
}

/// What the subject of a requested delegation is shown.
#[must_use]
pub fn requested(agent: &Agent, wanted: &Wanted<'_>) -> String {
    format!(
        "{} asks to act for you. For {} from your approval it could {}; {}. {} Approve it only if you expected this. You can approve less, and you can revoke it at any time. Without your approval nothing happens.",
        who(agent),
        span(wanted.ttl),
        scope(wanted.scope),
        terms(wanted),
        own_words(wanted.purpose, "purpose"),
    )
}

/// What a subject has agreed to.
#[must_use]
pub fn granted(agent: &Agent, wanted: &Wanted<'_>, until: Timestamp) -> String {
    let purpose = if wanted.purpose.is_empty() {
        "No purpose is stated.".to_owned()
    } else {
        format!("The stated purpose: “{}”.", prose(wanted.purpose))
    };
    format!(
        "{} may act for you until {}. It can {}; {}. {purpose} You can revoke it at any time.",
        who(agent),
        moment(until),
        scope(wanted.scope),
        terms(wanted),
    )
}

/// What the subject of a single request is shown.
#[must_use]
pub fn single(
    agent: &Agent,
    target: &Target,
    request: &AccessRequest,
    limits: &Limits,
    lapses: Timestamp,
) -> String {
    let mut text = format!(
        "{} asks to do this for you: {} at {}",
        who(agent),
        quoted(request.action.as_str()),
        quoted(target.name.as_str()),
    );
    if !target.description.is_empty() {
        let _ = write!(text, " ({})", spoken(target.description.as_str()));
    }
    if request.resource.is_empty() {
        text.push_str(", without naming a resource.");
    } else {
        let _ = write!(text, ", on {}.", quoted(request.resource.as_str()));
    }
    if !request.context.is_empty() {
        let context = Value::Object(request.context.clone()).to_string();
        let _ = write!(
            text,
            " It asserts, and nobody has checked: {}.",
            spoken(&context)
        );
    }
    if let Some(details) = &request.details {
        let _ = write!(text, " It narrows this to: {}.", scope(details));
    }
    if let Some(most) = request.max_uses {
        let _ = write!(text, " It asks for {most} uses.");
    }
    let _ = write!(
        text,
        " {} If you approve, it gets one credential for exactly this, good for at most {}, {}. If you do not answer by {}, it is denied.",
        own_words(request.reason.as_str(), "reason"),
        span(limits.ttl),
        match limits.max_uses {
            Some(1) => "once".to_owned(),
            Some(most) => format!("{most} times at most"),
            None => "as often as it likes in that time".to_owned(),
        },
        moment(lapses),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_deceive_is_made_harmless() {
        for (text, plain) in [
            (
                "plain words, 漢字 and ünïcode",
                "plain words, 漢字 and ünïcode",
            ),
            ("<b>x</b>", "‹b›x‹/b›"),
            (
                "[click](https://evil.example)",
                "(click)(https: //evil.example)",
            ),
            ("WWW.evil.example and www.b", "WWW .evil.example and www .b"),
            ("a\u{202e}b\n\u{200b}c", "a?b??c"),
            ("end” of `quote\"", "end' of 'quote'"),
            ("wwwww.x", "wwwww .x"),
        ] {
            assert_eq!(neutral(text), plain);
        }
    }

    #[test]
    fn a_length_of_time_is_said_exactly() {
        for (seconds, said) in [
            (0, "no time"),
            (1, "1 second"),
            (90, "1 minute 30 seconds"),
            (86_400, "1 day"),
            (183_845, "2 days 3 hours 4 minutes 5 seconds"),
        ] {
            assert_eq!(span(Ttl::from_secs(seconds)), said);
        }
    }

    #[test]
    fn every_part_of_a_scope_is_said() {
        let details = serde_json::json!([
            { "type": "agentic:action", "targets": ["crm"], "actions": ["read", "delete"], "resources": ["customers/*", "<i>"] },
            { "type": "agentic:action", "targets": ["erp"], "actions": ["list"] },
            { "type": "vault:path_access", "path": "kv/data/*", "capabilities": ["read"], "required_parameters": ["version"] },
        ]);
        let said = scope(&Scope::from_json(&details).unwrap());
        assert_eq!(
            said,
            "(1) do `read` or `delete` at `crm`, on `customers/*` or `‹i›`; (2) do `list` at `erp`, without naming a resource; (3) use “('read')” on the server's path `kv/data/*`, with required_parameters “('version')”"
        );
    }
}
