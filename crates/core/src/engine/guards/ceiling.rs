//! Layer 3: the agent's ceiling allows it, in both modes alike.

use super::Case;
use crate::engine::ruling::{self, Ruling, Terms};
use crate::engine::verdict::{Finding, Verdict};
use crate::model::decision::{Layer, Reason};

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    let (Some(actor), Some(scene)) = (&case.facts.agent, case.scene()) else {
        return Verdict::new(Layer::Ceiling, Finding::NotJudged);
    };
    let denies = |reason| Verdict::new(Layer::Ceiling, Finding::Denies(reason));
    match ruling::judge(&actor.ceiling, &scene, terms) {
        Ruling::Allowed(rule) => Verdict::new(Layer::Ceiling, Finding::Holds).by(rule),
        Ruling::Denied(rule) => denies(Reason::CeilingDenied).by(rule),
        Ruling::NoneApplies => denies(Reason::CeilingNoneApplies),
        Ruling::Empty => denies(Reason::CeilingEmpty),
        Ruling::Missing => denies(Reason::CeilingPolicyMissing),
    }
}
