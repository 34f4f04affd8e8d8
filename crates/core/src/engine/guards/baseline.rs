//! Layer 4: the subject is enabled, and may do it as well.

use super::Case;
use crate::engine::facts::Baseline;
use crate::engine::policy::PolicySet;
use crate::engine::ruling::{self, Ruling, Terms};
use crate::engine::verdict::{Finding, Verdict};
use crate::model::agent::Mode;
use crate::model::decision::{Layer, Reason};

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    if case.mode == Mode::Autonomous {
        return Verdict::new(Layer::Baseline, Finding::NotConcerned);
    }
    // Nothing was gathered of a subject that has not let this agent act for it;
    // the layer of delegations says so, and denies.
    if case.subject().is_none() && !case.is_consented() {
        return Verdict::new(Layer::Baseline, Finding::NotConcerned);
    }
    if let Some(reason) = inability(case) {
        return denies(reason);
    }
    match &case.facts.baseline {
        Baseline::Unrestricted => Verdict::new(Layer::Baseline, Finding::Holds),
        Baseline::NoneGiven => denies(Reason::BaselineNoneGiven),
        Baseline::Policies(set) => by_policies(set, case, terms),
    }
}

/// Why nobody may act for this subject.
fn inability(case: &Case<'_>) -> Option<Reason> {
    let Some(subject) = case.subject() else {
        return Some(Reason::SubjectUnknown);
    };
    if case
        .request
        .subject
        .as_ref()
        .is_some_and(|named| *named != subject.id)
    {
        return Some(Reason::SubjectMismatch);
    }
    if subject.disabled {
        return Some(Reason::SubjectDisabled);
    }
    (!subject.is_human).then_some(Reason::SubjectNotHuman)
}

fn by_policies(set: &PolicySet, case: &Case<'_>, terms: &mut Terms) -> Verdict {
    let Some(scene) = case.scene() else {
        return Verdict::new(Layer::Baseline, Finding::NotJudged);
    };
    match ruling::judge(set, &scene, terms) {
        Ruling::Allowed(rule) => Verdict::new(Layer::Baseline, Finding::Holds).by(rule),
        Ruling::Denied(rule) => denies(Reason::BaselineDenied).by(rule),
        Ruling::NoneApplies => denies(Reason::BaselineNoneApplies),
        Ruling::Empty => denies(Reason::BaselineEmpty),
        Ruling::Missing => denies(Reason::BaselinePolicyMissing),
    }
}

const fn denies(reason: Reason) -> Verdict {
    Verdict::new(Layer::Baseline, Finding::Denies(reason))
}
