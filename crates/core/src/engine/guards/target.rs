//! Layer 2: the target exists and offers the action, and the resource.

use super::Case;
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::decision::{AccessRequest, Layer, Reason};
use crate::model::target::Target;

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    let problem = match case
        .facts
        .target
        .as_deref()
        .filter(|target| target.name == case.request.target)
    {
        None => Some(Reason::TargetUnknown),
        Some(target) => {
            terms.consent = terms.consent.max(target.consent);
            refusal(target, case.request)
        }
    };
    Verdict::new(
        Layer::Target,
        problem.map_or(Finding::Holds, Finding::Denies),
    )
}

fn refusal(target: &Target, request: &AccessRequest) -> Option<Reason> {
    if !target.actions.contains(&request.action) {
        return Some(Reason::TargetAction);
    }
    let resource = &request.resource;
    let offered = if target.resources.is_empty() {
        resource.is_empty()
    } else {
        // A request that names no resource is for the target as a whole, and
        // only `**` offers that.
        target
            .resources
            .iter()
            .any(|pattern| pattern.matches(resource.as_str()))
    };
    (!offered).then_some(Reason::TargetResource)
}
