//! Layer 6: authorization details, wherever some were given, cover the request.

use super::Case;
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::authorization::Scope;
use crate::model::decision::{Layer, Reason};
use crate::model::pattern::MAX_PATTERN;
use crate::model::target::CredentialType;

pub(super) fn judge(case: &Case<'_>, _: &mut Terms) -> Verdict {
    let (asked, presented) = (&case.request.details, &case.facts.token_details);
    let finding = if asked.is_none() && presented.is_none() && case.facts.details_required {
        Finding::Denies(Reason::DetailsRequired)
    } else if !asked
        .iter()
        .chain(presented)
        .all(|scope| covers(scope, case))
    {
        Finding::Denies(Reason::DetailsNotCovered)
    } else if case.request.resource.as_str().len() > MAX_PATTERN {
        Finding::Denies(Reason::DetailsTooLong)
    } else {
        Finding::Holds
    };
    Verdict::new(Layer::Details, finding)
}

fn covers(scope: &Scope, case: &Case<'_>) -> bool {
    let request = case.request;
    match case
        .facts
        .target
        .as_ref()
        .map(|target| target.credential_type)
    {
        Some(CredentialType::Jwt) | None => {
            scope.covers_request(&request.target, &request.action, &request.resource)
        }
    }
}
