//! What became of a request, out of what the caller was told.

use super::entry::{Data, Entry, Text};
use super::event::{Kind, Outcome};

/// What became of a request.
pub(super) fn outcome(entry: &Entry, kind: Kind) -> Outcome {
    let data: &Data = &entry.response.0.data.0;
    let refused = |code: &str| Outcome::Refused(code.to_owned());
    let stated = match data.outcome.0.or(&data.context.0.outcome.0).clear() {
        Some(stated) => Some(stated),
        None if kind == Kind::DryRun => match data.decision.0 {
            Some(true) => Some("allow"),
            Some(false) => Some("deny"),
            None => None,
        },
        None => None,
    };
    if let Some(code) = data.error.0.clear().and_then(denied_code) {
        return match code {
            "consent.required" | "consent.pending" => Outcome::ConsentRequired,
            code => refused(code),
        };
    }
    // A refusal has its facts beside its text, and the text may be hashed.
    if let (Some("deny"), Some(code)) = (stated, data.reason.0.clear()) {
        return refused(code);
    }
    if entry.error.0 != Text::None || data.error.0 != Text::None {
        let denied = entry
            .error
            .0
            .clear()
            .is_some_and(|text| text.contains("permission denied"));
        return match (is_denied_path(entry), denied, &data.error.0) {
            (true, ..) | (false, true, Text::None) => refused("server.acl"),
            (false, true, Text::Hashed(_)) => refused("hashed"),
            (false, true, Text::Clear(_)) => refused("mount.not_permitted"),
            (false, false, _) => Outcome::Failed,
        };
    }
    match (stated, data.active.0) {
        (Some("deny"), _) => {
            let reason = data.context.0.reason.0.or(&data.reason.0);
            match reason {
                Text::None => refused("unstated"),
                Text::Hashed(_) => refused("hashed"),
                Text::Clear(code) => refused(code),
            }
        }
        (Some("consent_required"), _) => Outcome::ConsentRequired,
        (_, Some(false)) => refused("credential.inactive"),
        _ => Outcome::Allowed,
    }
}

/// The code in what a refused caller is told.
pub(super) fn denied_code(text: &str) -> Option<&str> {
    if text.starts_with("denied; decision ") {
        return Some("unstated");
    }
    let (code, rest) = text.strip_prefix("denied (")?.split_once(')')?;
    let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    (rest.starts_with(':') && code.contains('.') && code.chars().all(plain)).then_some(code)
}

/// The id of the decision in what a refused caller is told.
pub(super) fn decision_in(text: &str) -> Text {
    let after = text
        .rsplit_once("ecision ")
        .map_or("", |(_, rest)| rest.trim_end_matches('.'));
    let is_id = after.len() == 36 && after.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    if is_id { Text::of(after) } else { Text::None }
}

/// What a request or an answer hides that the report would show: the key, and
/// whether it is one of the answer.
pub(super) fn hidden(entry: &Entry) -> impl Iterator<Item = (&'static str, bool)> {
    let list = |data: &Data, answer: bool| {
        [
            ("agent", &data.agent),
            ("agent_id", &data.agent_id),
            ("entity_id", &data.entity_id),
            ("subject", &data.subject),
            ("subject_entity_id", &data.subject_entity_id),
            ("target", &data.target),
            ("action", &data.action),
            ("resource", &data.resource),
            ("outcome", &data.outcome),
            ("error", &data.error),
            ("decision_id", &data.decision_id),
            ("delegation_id", &data.delegation_id),
            ("consent_id", &data.consent_id),
            ("jti", &data.jti),
        ]
        .into_iter()
        .filter_map(|(key, text)| text.0.hashed().map(|_| (key, answer)))
        .collect::<Vec<_>>()
    };
    let (asked, said) = (&entry.request.0.data.0, &entry.response.0.data.0);
    list(asked, false).into_iter().chain(list(said, true))
}

/// Whether the server's own ACL refused.
fn is_denied_path(entry: &Entry) -> bool {
    entry.auth.0.policy_results.0.allowed.0 == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_out_of_a_refusal() {
        let id = "01a2067b-219c-7c5c-aa8d-767f9e643128";
        assert_eq!(
            decision_in(&format!("No. Decision {id}.")).clear(),
            Some(id)
        );
        assert_eq!(
            decision_in(&format!("denied; decision {id}")).clear(),
            Some(id)
        );
        assert_eq!(decision_in("Decision <b>."), Text::None);
    }
}
