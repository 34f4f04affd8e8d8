//! What was collected, under the names that readers know.

use std::collections::BTreeMap;

use super::chain::{Chain, Counts};
use super::collect::Kept;
use super::entry::Text;
use super::event::{Kind, Outcome};
use super::model::{Agent, ChainView, Consent, Happening, PathUse, Reason, Switch, Target};
use super::parties::{Id, Parties};
use super::short;
use crate::model::time::Timestamp;

/// How many paths are named for an agent and a human.
const PATHS: usize = 20;

/// What to call an agent, or one who is none.
pub(super) fn name(parties: &Parties, id: Id) -> String {
    let Some(party) = parties.get(id) else {
        return "unknown".to_owned();
    };
    if parties.is_unknown(id) {
        return "unidentified callers".to_owned();
    }
    let known = party.name.clone().or_else(|| party.agent_id.clone());
    match (known, party.display.as_ref().or(party.entity.as_ref())) {
        (Some(name), _) => name,
        (None, Some(other)) if party.is_agent => other.clone(),
        (None, Some(other)) => format!("unregistered: {other}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// What to call a human, or whoever had the token.
fn person(parties: &Parties, id: Option<Id>) -> Option<String> {
    let party = parties.get(id?)?;
    let agent = party.name.as_ref().filter(|_| party.is_agent);
    agent
        .or(party.display.as_ref())
        .or(party.entity.as_ref())
        .cloned()
}

pub(super) fn agent(
    parties: &Parties,
    id: Id,
    name: String,
    shown: &[(Option<Id>, &Chain)],
    switches: Vec<Switch>,
) -> Agent {
    let party = parties.get(id).cloned().unwrap_or_default();
    let mut counts = Counts::default();
    let mut chains: Vec<ChainView> = Vec::new();
    for (subject, chain) in shown {
        counts.add(&chain.counts);
        if let Some(span) = chain.span {
            chains.push(view(parties, *subject, chain, span));
        }
    }
    chains.sort_by_key(|chain| (std::cmp::Reverse(chain.counts.requests()), chain.first));
    Agent {
        name,
        id: party.agent_id,
        entity_id: party.entity,
        display_name: party.display,
        registered: party.is_agent,
        status: match (party.is_agent, party.stopped) {
            (false, _) => "not registered",
            (true, Some((_, how))) => how,
            (true, None) => "active",
        },
        first: chains.iter().map(|chain| chain.first).min(),
        last: chains.iter().map(|chain| chain.last).max(),
        counts,
        chains,
        switches,
    }
}

fn view(
    parties: &Parties,
    subject: Option<Id>,
    chain: &Chain,
    (first, last): (Timestamp, Timestamp),
) -> ChainView {
    let mut targets: Vec<Target> = chain
        .targets
        .iter()
        .filter(|(_, known)| known.counts != Counts::default())
        .map(|(target, known)| Target {
            target: target.clone(),
            actions: known.actions.iter().cloned().collect(),
            last: known.last,
            counts: known.counts,
        })
        .collect();
    targets.sort_by_key(|target| std::cmp::Reverse(target.counts.requests()));
    let mut paths: Vec<PathUse> = chain
        .paths
        .iter()
        .map(|((operation, path), count)| PathUse {
            operation: operation.clone(),
            path: path.clone(),
            count: *count,
        })
        .collect();
    paths.sort_by_key(|used| std::cmp::Reverse(used.count));
    let paths_left_out = paths.len().saturating_sub(PATHS);
    paths.truncate(PATHS);
    let party = subject.and_then(|id| parties.get(id));
    ChainView {
        subject: party.and_then(|party| party.entity.clone()),
        subject_name: person(parties, subject),
        first,
        last,
        counts: chain.counts,
        targets,
        reasons: most_first(&chain.reasons),
        warnings: most_first(&chain.warnings),
        paths,
        paths_left_out,
    }
}

pub(super) fn most_first(reasons: &BTreeMap<String, u64>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = reasons
        .iter()
        .map(|(code, count)| Reason {
            code: code.clone(),
            count: *count,
        })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

pub(super) fn switch(parties: &Parties, kept: &Kept) -> Switch {
    let event = &kept.event;
    Switch {
        at: event.at,
        what: event.kind.as_str(),
        outcome: event.outcome.as_str(),
        by: person(parties, kept.by).or_else(|| shown(&event.caller.display)),
        reason: shown(&event.reason),
    }
}

pub(super) fn consent(parties: &Parties, kept: &Kept) -> Consent {
    let event = &kept.event;
    let subject = kept.subject.and_then(|id| parties.get(id));
    let mut scope: Vec<String> = event.scope.iter().map(|line| short(line)).collect();
    if let (true, Some(target)) = (scope.is_empty(), event.target.shown()) {
        let action = event.action.shown().unwrap_or_else(|| "*".to_owned());
        let resource = event.resource.shown().unwrap_or_else(|| "*".to_owned());
        scope.push(short(&format!("{action} on {target}: {resource}")));
    }
    Consent {
        at: event.at,
        what: event.kind.as_str(),
        outcome: event.outcome.as_str(),
        code: event.outcome.code().map(short),
        by: person(parties, kept.by).or_else(|| shown(&event.caller.display)),
        agent: kept.agent.map(|id| name(parties, parties.find(id))),
        subject: subject.and_then(|party| party.entity.clone()),
        subject_name: person(parties, kept.subject),
        scope,
        delegation_id: shown(&event.delegation),
        parent_id: shown(&event.parent),
        consent_id: shown(&event.consent),
        reason: shown(&event.reason),
    }
}

pub(super) fn happening(parties: &Parties, kept: &Kept) -> Happening {
    let event = &kept.event;
    let subject = kept.subject.and_then(|id| parties.get(id));
    let decided = match &event.outcome {
        Outcome::Refused(code) => Some(short(code)),
        Outcome::Allowed | Outcome::ConsentRequired | Outcome::Failed => None,
    };
    Happening {
        at: event.at,
        what: event.kind.as_str(),
        outcome: event.outcome.as_str(),
        code: decided,
        agent: kept.agent.map(|id| name(parties, parties.find(id))),
        subject: subject.and_then(|party| party.entity.clone()),
        subject_name: person(parties, kept.subject),
        by: person(parties, kept.by).or_else(|| shown(&event.caller.display)),
        by_agent: is_by_agent(parties, kept),
        target: shown(&event.target),
        action: shown(&event.action),
        resource: shown(&event.resource),
        operation: shown(&event.operation),
        path: shown(&event.path),
        reason: shown(&event.reason),
        decision_id: shown(&event.decision),
        delegation_id: shown(&event.delegation),
        consent_id: shown(&event.consent),
        jti: shown(&event.jti),
        mount: event.mount.clone(),
        remote_address: shown(&event.remote),
    }
}

/// Whether the agent did it itself, and not another with something of it.
fn is_by_agent(parties: &Parties, kept: &Kept) -> bool {
    let kind = kept.event.kind;
    let same = || kept.by.map(|id| parties.find(id)) == kept.agent.map(|id| parties.find(id));
    kind.is_activity()
        && !matches!(kind, Kind::Redeem | Kind::Introspect)
        && (kind != Kind::DryRun || same())
}

fn shown(text: &Text) -> Option<String> {
    text.shown().map(|text| short(&text))
}
