//! Recent decisions, decided again under other policies.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine;
use crate::engine::facts::{Actor, Baseline, Facts, NoCounts};
use crate::facts::policies::store::Library;
use crate::model::decision::{Outcome, Reason};
use crate::model::ids::DecisionId;
use crate::model::time::Timestamp;
use crate::record::decisions::recent::Decided;

/// A decision that would come out differently.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangedDecision {
    /// Its id.
    decision_id: DecisionId,
    /// When it was made.
    at: Timestamp,
    /// The agent's name; empty if it was none.
    agent: String,
    target: String,
    action: String,
    resource: String,
    /// What the policies of now decide.
    before: Outcome,
    /// What they would decide.
    after: Outcome,
    /// Why, as a stable code; empty for `allow`.
    reason: &'static str,
}

/// Tries decisions under the policies before and after a change: how many were
/// tried, and which come out differently. Rates are left out of both: their
/// counters have moved on.
#[must_use]
pub fn compare(
    decided: &[Arc<Decided>],
    before: &Library,
    after: &Library,
) -> (usize, Vec<ChangedDecision>) {
    let changed = decided
        .iter()
        .filter_map(|one| {
            let (was, _) = again(one, before);
            let (is, reason) = again(one, after);
            (was != is).then(|| ChangedDecision {
                decision_id: one.id.clone(),
                at: one.facts.environment.now,
                agent: one
                    .facts
                    .agent
                    .as_ref()
                    .map(|actor| actor.agent.name.to_string())
                    .unwrap_or_default(),
                target: one.request.target.to_string(),
                action: one.request.action.to_string(),
                resource: one.request.resource.to_string(),
                before: was,
                after: is,
                reason: reason.map_or("", Reason::as_str),
            })
        })
        .collect();
    (decided.len(), changed)
}

fn again(decided: &Decided, library: &Library) -> (Outcome, Option<Reason>) {
    let facts = Facts {
        agent: decided.facts.agent.as_ref().map(|actor| Actor {
            ceiling: library.ceiling(&actor.agent),
            ..actor.clone()
        }),
        baseline: match &decided.baseline {
            Some(names) => Baseline::Policies(library.attach(names)),
            None => decided.facts.baseline.clone(),
        },
        counts: Arc::new(NoCounts),
        ..decided.facts.clone()
    };
    let decision = engine::decide(&decided.request, &facts);
    (decision.outcome, decision.reason())
}
