//! Layer 8: lifetime, uses and rate are the minimum over every layer, and
//! something is left of each.

use super::Case;
use crate::engine::rate::Charge;
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::decision::{Layer, Reason};

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    cap(case, terms);
    let exhausted = terms
        .charges
        .iter()
        .find(|charge| is_exhausted(case, charge));
    let problem = if terms.ttl.is_none_or(|ttl| ttl.is_zero()) {
        Some(Reason::LimitsNoTime)
    } else if terms.max_uses == Some(0) {
        Some(Reason::LimitsNoUses)
    } else if terms.max_uses.is_some() && !case.facts.bounds.counts_uses {
        Some(Reason::LimitsUsesUncounted)
    } else if terms.proof_of_possession && case.request.key_thumbprint.is_none() {
        Some(Reason::ProofRequired)
    } else {
        exhausted.map(|_| Reason::RateExceeded)
    };
    let verdict = Verdict::new(
        Layer::Limits,
        problem.map_or(Finding::Holds, Finding::Denies),
    );
    match (problem, exhausted) {
        (Some(Reason::RateExceeded), Some(charge)) => verdict.by(charge.rule.clone()),
        _ => verdict,
    }
}

/// Adds the limits of request, target, agent and mount to those that policies
/// and delegations have set.
fn cap(case: &Case<'_>, terms: &mut Terms) {
    let (request, facts) = (case.request, case.facts);
    terms.cap_ttl(facts.bounds.max_ttl);
    terms.cap_ttl(facts.bounds.mount_max_ttl);
    if let Some(target) = &facts.target {
        terms.cap_ttl(target.max_ttl);
        terms.cap_uses(target.max_uses);
        terms.proof_of_possession |= target.proof_of_possession;
    }
    if let Some(end) = facts
        .agent
        .as_ref()
        .and_then(|actor| actor.agent.expires_at)
    {
        terms.cap_ttl(facts.environment.now.until(end));
    }
    let usual = facts
        .target
        .as_ref()
        .map(|target| target.default_ttl)
        .filter(|ttl| !ttl.is_zero());
    terms.cap_ttl(request.ttl.or(usual).unwrap_or(facts.bounds.default_ttl));
    terms.cap_uses(request.max_uses);
}

fn is_exhausted(case: &Case<'_>, charge: &Charge) -> bool {
    case.facts.counts.count(charge, case.facts.environment.now) >= charge.rate.count
}
