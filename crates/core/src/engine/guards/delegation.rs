//! Layer 5: an unbroken chain of delegations leads from the subject to the
//! agent, and every link of it holds now.

use super::{Case, agent, details};
use crate::engine::facts::{Actor, Hop};
use crate::engine::ruling::{self, Ruling, Terms};
use crate::engine::verdict::{Finding, Verdict};
use crate::model::agent::{MAX_DELEGATION_DEPTH, Mode};
use crate::model::decision::{Layer, Reason};
use crate::model::delegation::{Delegation, DelegationStatus, Delegator};
use crate::model::time::Timestamp;

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    if case.mode == Mode::Autonomous {
        return Verdict::new(Layer::Delegation, Finding::NotConcerned);
    }
    let chain = case.chain();
    let Some(last) = chain.last() else {
        return denies(Reason::DelegationNone);
    };
    let named = case
        .request
        .delegation
        .as_ref()
        .is_none_or(|named| *named == last.delegation.id);
    if !named {
        return denies(Reason::DelegationBroken);
    }
    let mut verdict = Verdict::new(Layer::Delegation, Finding::Holds);
    for index in 0..chain.len() {
        let hop = judge_hop(case, index, terms);
        if verdict.reason().is_none() && hop.reason().is_some() {
            verdict = hop.at(index);
        }
    }
    verdict
}

fn judge_hop(case: &Case<'_>, index: usize, terms: &mut Terms) -> Verdict {
    let chain = case.chain();
    let (Some(hop), depth) = (chain.get(index), index.saturating_add(1)) else {
        return denies(Reason::DelegationBroken);
    };
    let is_last = depth == chain.len();
    let delegation = &hop.delegation;
    let now = case.facts.environment.now;

    terms.cap_ttl(now.until(delegation.expires_at));
    delegation
        .max_ttl
        .into_iter()
        .for_each(|most| terms.cap_ttl(most));
    cap_uses(case, delegation, terms);

    let previous = index
        .checked_sub(1)
        .and_then(|previous| chain.get(previous));
    if !fits(case, hop, previous) {
        return denies(Reason::DelegationBroken);
    }
    let actor = if is_last {
        &case.facts.agent
    } else {
        &hop.agent
    };
    let Some(actor) = actor else {
        return denies(Reason::DelegationAgent);
    };
    let problem = if actor.agent.id != delegation.agent {
        Some(Reason::DelegationBroken)
    } else if let Some(reason) = inactive(delegation, now) {
        Some(reason)
    } else if actor.agent.epoch != delegation.agent_epoch {
        Some(Reason::DelegationVoid)
    } else if depth > depth_limit(case, actor) {
        Some(Reason::DelegationTooDeep)
    } else if !details::covers(&delegation.scope, case) {
        Some(Reason::DelegationScope)
    } else if !is_last && agent::inability(actor, case).is_some() {
        Some(Reason::DelegationAgent)
    } else {
        None
    };
    let verdict = problem.map_or(Verdict::new(Layer::Delegation, Finding::Holds), denies);
    if is_last {
        verdict
    } else {
        under_ceiling(case, actor, depth, verdict, terms)
    }
}

/// Under a delegation whose uses are limited, a credential is one use: each that
/// is issued is counted, and where its own uses can be counted it is good for
/// one.
fn cap_uses(case: &Case<'_>, delegation: &Delegation, terms: &mut Terms) {
    if case.facts.bounds.counts_uses {
        terms.cap_uses(delegation.uses_left().map(|left| left.min(1)));
    }
}

/// Whether the link joins the one before it and the subject; and whether its
/// agent comes but once.
fn fits(case: &Case<'_>, hop: &Hop, previous: Option<&Hop>) -> bool {
    let delegation = &hop.delegation;
    let joined = match (&delegation.delegator, previous) {
        (Delegator::Subject, None) => true,
        (Delegator::Agent { id, parent }, Some(previous)) => {
            *parent == previous.delegation.id && *id == previous.delegation.agent
        }
        (Delegator::Subject, Some(_)) | (Delegator::Agent { .. }, None) => false,
    };
    let of_subject = match case.subject() {
        Some(subject) => delegation.subject.as_ref() == Some(&subject.id),
        // Nothing was gathered of the subject: then what the chain says of
        // itself is judged, and it denies for more than this.
        None if !case.is_consented() => {
            let root = case.chain().first();
            let named = case.request.subject.as_ref();
            root.is_some_and(|root| root.delegation.subject == delegation.subject)
                && named.is_none_or(|named| delegation.subject.as_ref() == Some(named))
        }
        None => false,
    };
    let same_agent = case
        .chain()
        .iter()
        .filter(|other| other.delegation.agent == delegation.agent);
    joined && of_subject && same_agent.count() == 1
}

/// Why this delegation carries no authority now.
fn inactive(delegation: &Delegation, now: Timestamp) -> Option<Reason> {
    match delegation.status {
        DelegationStatus::Pending => Some(Reason::DelegationPending),
        DelegationStatus::Denied => Some(Reason::DelegationDenied),
        DelegationStatus::Revoked => Some(Reason::DelegationRevoked),
        DelegationStatus::Active if delegation.is_expired(now) => Some(Reason::DelegationExpired),
        DelegationStatus::Active if delegation.uses_left() == Some(0) => {
            Some(Reason::DelegationUsedUp)
        }
        DelegationStatus::Active
            if delegation.parent().is_none() && delegation.consent.is_none() =>
        {
            Some(Reason::DelegationUnconsented)
        }
        DelegationStatus::Active => None,
    }
}

fn depth_limit(case: &Case<'_>, actor: &Actor) -> usize {
    let limit = actor
        .agent
        .max_delegation_depth
        .min(case.facts.bounds.max_delegation_depth);
    usize::from(limit.min(MAX_DELEGATION_DEPTH))
}

/// The ceiling of an agent that passed authority on holds as well, with the
/// obligations it brings.
fn under_ceiling<'a>(
    case: &Case<'a>,
    actor: &'a Actor,
    depth: usize,
    verdict: Verdict,
    terms: &mut Terms,
) -> Verdict {
    if let Some(end) = actor.agent.expires_at {
        terms.cap_ttl(case.facts.environment.now.until(end));
    }
    let scene = case.scene_of(actor, depth);
    match ruling::judge(&actor.ceiling, &scene, terms) {
        _ if verdict.reason().is_some() => verdict,
        Ruling::Allowed(_) => verdict,
        Ruling::Denied(rule) => denies(Reason::DelegationCeiling).by(rule),
        Ruling::NoneApplies | Ruling::Empty | Ruling::Missing => denies(Reason::DelegationCeiling),
    }
}

const fn denies(reason: Reason) -> Verdict {
    Verdict::new(Layer::Delegation, Finding::Denies(reason))
}
