//! Layer 1: the agent is registered, may act at all, and may act in this mode.

use super::Case;
use crate::engine::facts::Actor;
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::agent::{Mode, Status};
use crate::model::decision::{Layer, Reason};
use crate::model::time::Timestamp;

pub(super) fn judge(case: &Case<'_>, _: &mut Terms) -> Verdict {
    let problem = match &case.facts.agent {
        None => Some(Reason::AgentUnknown),
        Some(actor) => inability(actor, case.mode, case.facts.environment.now),
    };
    Verdict::new(
        Layer::Agent,
        problem.map_or(Finding::Holds, Finding::Denies),
    )
}

/// Why this agent may not act now, in this mode.
pub(super) fn inability(actor: &Actor, mode: Mode, now: Timestamp) -> Option<Reason> {
    if actor.disabled {
        return Some(Reason::AgentDisabled);
    }
    match actor.agent.status(now) {
        Status::Suspended => Some(Reason::AgentSuspended),
        Status::Expired => Some(Reason::AgentExpired),
        Status::Active if !actor.agent.delegation_modes.contains(&mode) => Some(Reason::AgentMode),
        Status::Active => None,
    }
}
