//! Layer 1: the agent is registered, may act at all, and may act in this mode.

use super::Case;
use crate::engine::facts::{Actor, Facts};
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::agent::Status;
use crate::model::decision::{Layer, Reason};
use crate::model::identity::{Consequence, Presence};

pub(super) fn judge(case: &Case<'_>, _: &mut Terms) -> Verdict {
    let problem = match &case.facts.agent {
        None => Some(Reason::AgentUnknown),
        Some(actor) => inability(actor, case),
    };
    Verdict::new(
        Layer::Agent,
        problem.map_or(Finding::Holds, Finding::Denies),
    )
}

/// Why this agent may not act now, in this mode.
pub(super) fn inability(actor: &Actor, case: &Case<'_>) -> Option<Reason> {
    match actor.presence {
        Presence::Present => {}
        Presence::Disabled => return Some(Reason::AgentDisabled),
        Presence::Moved | Presence::Merged | Presence::Gone => return Some(Reason::AgentGone),
    }
    match actor.agent.status(case.facts.environment.now) {
        Status::Suspended => Some(Reason::AgentSuspended),
        Status::Expired => Some(Reason::AgentExpired),
        Status::Active if !actor.agent.delegation_modes.contains(&case.mode) => {
            Some(Reason::AgentMode)
        }
        Status::Active => upkeep(actor, case.facts)
            .find(|(_, follows)| *follows == Consequence::Deny)
            .map(|(reason, _)| reason),
    }
}

/// What an operator has to mend about an agent, and what follows from it.
fn upkeep(actor: &Actor, facts: &Facts) -> impl Iterator<Item = (Reason, Consequence)> {
    let now = facts.environment.now;
    let overdue = actor.agent.review_by.is_some_and(|end| end <= now);
    let mend = [
        (
            actor.owner_gone,
            Reason::AgentOwnerGone,
            facts.upkeep.owner_gone,
        ),
        (
            overdue,
            Reason::AgentReviewOverdue,
            facts.upkeep.review_overdue,
        ),
    ];
    mend.into_iter()
        .filter(|(is, _, _)| *is)
        .map(|(_, reason, follows)| (reason, follows))
}

/// What does not stand in the way, and is to be told.
pub(in crate::engine) fn notes(facts: &Facts) -> Vec<Reason> {
    let Some(actor) = &facts.agent else {
        return Vec::new();
    };
    upkeep(actor, facts)
        .filter(|(_, follows)| *follows == Consequence::Warn)
        .map(|(reason, _)| reason)
        .collect()
}
