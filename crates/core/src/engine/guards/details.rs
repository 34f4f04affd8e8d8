//! Layer 6: authorization details, wherever some were given, cover the request.

use super::Case;
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::authorization::{Detail, Scope, VaultPathAccess};
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

/// Whether a scope stands for the request.
pub(super) fn covers(scope: &Scope, case: &Case<'_>) -> bool {
    let request = case.request;
    let as_asked = scope.covers_request(&request.target, &request.action, &request.resource);
    match &case.facts.target {
        Some(target) if target.credential_type == CredentialType::VaultToken => {
            as_asked || covers_token(scope, &target.vault_paths)
        }
        Some(_) | None => as_asked,
    }
}

/// Whether details of the host's own kind cover all that a token of the target
/// can do. A token cannot be made narrower than its policies are.
fn covers_token(scope: &Scope, paths: &[VaultPathAccess]) -> bool {
    let paths = paths.iter().cloned().map(Detail::Path).collect();
    Scope::new(paths).is_ok_and(|token| !token.is_empty() && scope.covers(&token))
}
