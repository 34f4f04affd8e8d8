//! What a set of policies says about a scene.

use super::matching::{Match, matches, satisfies};
use super::policy::{Candidate, Effect, PolicySet, RuleRef};
use super::rate::Charge;
use super::scene::Scene;
use crate::model::ids::ConsentId;
use crate::model::target::Consent;
use crate::model::time::Ttl;

/// What a set of policies says. A rule that decides is named; of several, the
/// first by name.
#[derive(Clone, Debug)]
pub(super) enum Ruling {
    Allowed(RuleRef),
    Denied(RuleRef),
    NoneApplies,
    /// Nothing is attached.
    Empty,
    /// What is attached does not exist.
    Missing,
}

/// The terms on which a request would be allowed, as they add up over the
/// layers: the strictest consent, the smallest of each limit.
#[derive(Debug, Default)]
pub(super) struct Terms {
    pub(super) consent: Consent,
    pub(super) ttl: Option<Ttl>,
    pub(super) max_uses: Option<u32>,
    pub(super) proof_of_possession: bool,
    pub(super) charges: Vec<Charge>,
    /// The per-request consent that the request uses up.
    pub(super) used_consent: Option<ConsentId>,
}

impl Terms {
    pub(super) fn cap_ttl(&mut self, ttl: Ttl) {
        self.ttl = Some(self.ttl.map_or(ttl, |so_far| so_far.min(ttl)));
    }

    pub(super) fn cap_uses(&mut self, uses: Option<u32>) {
        self.max_uses = match (self.max_uses, uses) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    /// Takes on what an allow rule asks for. Of the charges, `before` were
    /// there before its set was judged; a rule is charged once, also where
    /// it stands in several sets.
    fn take_on(&mut self, candidate: Candidate<'_>, scene: &Scene<'_>, before: usize) {
        let obligations = &candidate.rule.obligations;
        self.consent = self.consent.max(obligations.consent);
        if let Some(ttl) = obligations.max_ttl {
            self.cap_ttl(ttl);
        }
        self.cap_uses(obligations.max_uses);
        self.proof_of_possession |= obligations.proof_of_possession;
        if let Some(rate) = obligations.rate {
            let charge = Charge {
                agent: scene.agent.id.clone(),
                rule: candidate.to_ref(),
                rate,
            };
            if !self
                .charges
                .iter()
                .take(before)
                .any(|earlier| *earlier == charge)
            {
                self.charges.push(charge);
            }
        }
    }
}

/// Any applicable deny denies, else any applicable allow allows, else nothing
/// does. Obligations of every allow rule that applies are taken on.
///
/// INVARIANT: so are those of an allow rule that may apply, where a fact is
/// missing or its condition fails. It grants nothing; but an agent that holds
/// back a fact must not shed the terms of a narrow rule and keep what a broad
/// one grants.
pub(super) fn judge(set: &PolicySet, scene: &Scene<'_>, terms: &mut Terms) -> Ruling {
    if set.is_empty() {
        return Ruling::Empty;
    }
    let before = terms.charges.len();
    let (mut allowed, mut denied) = (None, None);
    let (agent, request) = (scene.agent, scene.request);
    for candidate in set.candidates(
        agent.name.as_str(),
        request.target.as_str(),
        request.action.as_str(),
    ) {
        let matched = matches(candidate.rule, scene);
        if matched == Match::No {
            continue;
        }
        match candidate.rule.effect {
            Effect::Allow => {
                terms.take_on(candidate, scene, before);
                if satisfies(candidate.rule, matched) {
                    keep_first(&mut allowed, candidate);
                }
            }
            Effect::Deny => keep_first(&mut denied, candidate),
        }
    }
    match (denied, allowed) {
        _ if !set.missing().is_empty() => Ruling::Missing,
        (Some(rule), _) => Ruling::Denied(rule.to_ref()),
        (None, Some(rule)) => Ruling::Allowed(rule.to_ref()),
        (None, None) => Ruling::NoneApplies,
    }
}

fn keep_first<'a>(first: &mut Option<Candidate<'a>>, candidate: Candidate<'a>) {
    if first.is_none_or(|first| candidate.key() < first.key()) {
        *first = Some(candidate);
    }
}
