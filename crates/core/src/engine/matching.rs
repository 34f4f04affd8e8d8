//! Whether a rule applies: every dimension of the language is one line of
//! [`CHECKS`].

use std::collections::BTreeMap;

use super::evaluate::network_contains;
use super::policy::{Effect, Rule};
use super::scene::Scene;
use crate::model::agent::Mode;
use crate::model::pattern::Pattern;
use crate::model::text::folded;

/// What a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dimension {
    Action,
    Target,
    Resource,
    AgentName,
    AgentOwner,
    AgentLabels,
    SubjectName,
    SubjectGroups,
    SubjectMetadata,
    TargetLabels,
    Mode,
    Depth,
    Window,
    Cidrs,
    Locations,
    NotBefore,
    NotAfter,
    Condition,
}

/// Whether a request is what a rule names in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// The fact could not be established.
    Unknown,
}

/// Looks at one dimension.
type Check = fn(&Rule, &Scene<'_>) -> Match;

/// From cheap to dear.
const CHECKS: [(Dimension, Check); 18] = [
    (Dimension::Action, |rule, scene| {
        any(&rule.actions, scene.request.action.as_str())
    }),
    (Dimension::Target, |rule, scene| {
        any(&rule.targets, scene.request.target.as_str())
    }),
    (Dimension::Mode, |rule, scene| {
        rule.mode.is_none_or(|mode| mode == scene.mode).into()
    }),
    (Dimension::AgentName, |rule, scene| {
        any(&rule.agent_names, scene.agent.name.as_str())
    }),
    (Dimension::Resource, |rule, scene| {
        any(&rule.resources, scene.request.resource.as_str())
    }),
    (Dimension::AgentOwner, |rule, scene| {
        any(&rule.agent_owners, scene.agent.owner.as_str())
    }),
    (Dimension::AgentLabels, |rule, scene| {
        labels(&rule.agent_labels, &scene.agent.labels)
    }),
    (Dimension::TargetLabels, target_labels),
    (Dimension::SubjectName, subject_name),
    (Dimension::SubjectGroups, subject_groups),
    (Dimension::SubjectMetadata, subject_metadata),
    (Dimension::Depth, |rule, scene| {
        rule.max_chain_depth
            .is_none_or(|most| scene.depth <= most)
            .into()
    }),
    (Dimension::NotBefore, |rule, scene| {
        rule.not_before
            .is_none_or(|from| from <= scene.environment.now)
            .into()
    }),
    (Dimension::NotAfter, |rule, scene| {
        rule.not_after
            .is_none_or(|end| scene.environment.now < end)
            .into()
    }),
    (Dimension::Cidrs, cidrs),
    (Dimension::Locations, locations),
    (Dimension::Window, |rule, scene| {
        rule.window
            .as_ref()
            .is_none_or(|window| window.contains(scene.environment.now))
            .into()
    }),
    (Dimension::Condition, condition),
];

/// Whether a request is what a rule names in every dimension.
pub(super) fn matches(rule: &Rule, scene: &Scene<'_>) -> Match {
    let mut all = Match::Yes;
    for (_, check) in &CHECKS {
        match check(rule, scene) {
            Match::Yes => {}
            Match::No => return Match::No,
            Match::Unknown => all = Match::Unknown,
        }
    }
    all
}

/// The dimensions in which the request is not what the rule names.
pub(super) fn lacking(rule: &Rule, scene: &Scene<'_>) -> Vec<Dimension> {
    let lacks = CHECKS
        .iter()
        .filter(|(_, check)| !satisfies(rule, check(rule, scene)));
    lacks.map(|(dimension, _)| *dimension).collect()
}

/// Whether this much of a match is enough for the rule to have its effect.
///
/// INVARIANT: what is unknown never widens: it does not satisfy an allow rule,
/// and it does not let a request escape a deny rule.
pub(super) fn satisfies(rule: &Rule, matched: Match) -> bool {
    match rule.effect {
        Effect::Allow => matched == Match::Yes,
        Effect::Deny => matched != Match::No,
    }
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

fn any(patterns: &[Pattern], value: &str) -> Match {
    (patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(value))).into()
}

fn labels(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> Match {
    wanted
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
        .into()
}

fn target_labels(rule: &Rule, scene: &Scene<'_>) -> Match {
    match scene.target {
        _ if rule.target_labels.is_empty() => Match::Yes,
        Some(target) => labels(&rule.target_labels, &target.labels),
        None => Match::Unknown,
    }
}

/// An autonomous request has no subject, so that no rule about one applies; on
/// behalf of somebody who could not be established, it is unknown.
fn without_subject(scene: &Scene<'_>) -> Match {
    match scene.mode {
        Mode::Autonomous => Match::No,
        Mode::OnBehalfOf => Match::Unknown,
    }
}

fn subject_name(rule: &Rule, scene: &Scene<'_>) -> Match {
    match scene.subject {
        _ if rule.subject_names.is_empty() => Match::Yes,
        Some(subject) => any(&rule.subject_names, &folded(&subject.name)),
        None => without_subject(scene),
    }
}

fn subject_groups(rule: &Rule, scene: &Scene<'_>) -> Match {
    match scene.subject {
        _ if rule.subject_groups.is_empty() => Match::Yes,
        Some(subject) => {
            let groups = &subject.groups;
            groups
                .iter()
                .any(|group| any(&rule.subject_groups, &folded(group)) == Match::Yes)
                .into()
        }
        None => without_subject(scene),
    }
}

fn subject_metadata(rule: &Rule, scene: &Scene<'_>) -> Match {
    match scene.subject {
        _ if rule.subject_metadata.is_empty() => Match::Yes,
        Some(subject) => labels(&rule.subject_metadata, &subject.metadata),
        None => without_subject(scene),
    }
}

fn cidrs(rule: &Rule, scene: &Scene<'_>) -> Match {
    match scene.environment.remote_addr {
        _ if rule.cidrs.is_empty() => Match::Yes,
        Some(address) => rule
            .cidrs
            .iter()
            .any(|network| network_contains(network, address))
            .into(),
        None => Match::Unknown,
    }
}

/// One location that contains the address is enough; one that does not exist
/// leaves it unknown.
fn locations(rule: &Rule, scene: &Scene<'_>) -> Match {
    if rule.locations.is_empty() {
        return Match::Yes;
    }
    let Some(address) = scene.environment.remote_addr else {
        return Match::Unknown;
    };
    let mut matched = Match::No;
    for name in &rule.locations {
        match scene.environment.locations.get(name) {
            Some(networks)
                if networks
                    .iter()
                    .any(|network| network_contains(network, address)) =>
            {
                return Match::Yes;
            }
            Some(_) => {}
            None => matched = Match::Unknown,
        }
    }
    matched
}

fn condition(rule: &Rule, scene: &Scene<'_>) -> Match {
    let Some(condition) = &rule.condition else {
        return Match::Yes;
    };
    condition.holds(scene).map_or(Match::Unknown, Match::from)
}
