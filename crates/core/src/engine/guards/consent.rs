//! Layer 7: as much of a human's yes as target and policies want.

use super::Case;
use crate::engine::facts::{ConsentFacts, ConsentState};
use crate::engine::ruling::Terms;
use crate::engine::verdict::{Finding, Verdict};
use crate::model::agent::Mode;
use crate::model::decision::{Layer, Reason};
use crate::model::target::Consent;

pub(super) fn judge(case: &Case<'_>, terms: &mut Terms) -> Verdict {
    let finding = match (terms.consent, case.mode) {
        // Standing consent is an active delegation, which the layer of
        // delegations demands anyway.
        (Consent::None, _) | (Consent::Standing, Mode::OnBehalfOf) => Finding::Holds,
        (Consent::Standing | Consent::PerRequest, Mode::Autonomous) => {
            Finding::Denies(Reason::ConsentNoSubject)
        }
        (Consent::PerRequest, Mode::OnBehalfOf) => per_request(case, terms),
    };
    Verdict::new(Layer::Consent, finding)
}

fn per_request(case: &Case<'_>, terms: &mut Terms) -> Finding {
    let Some(named) = &case.request.consent else {
        return Finding::NeedsConsent(Reason::ConsentRequired);
    };
    let Some(consent) = case
        .facts
        .consent
        .as_ref()
        .filter(|consent| consent.id == *named)
    else {
        return Finding::Denies(Reason::ConsentUnknown);
    };
    let finding = standing_of(consent, case);
    if finding == Finding::Holds {
        terms.used_consent = Some(consent.id.clone());
        // Never more than the subject was shown, whatever has changed since.
        consent.ttl.into_iter().for_each(|ttl| terms.cap_ttl(ttl));
        terms.cap_uses(consent.max_uses);
    }
    finding
}

fn standing_of(consent: &ConsentFacts, case: &Case<'_>) -> Finding {
    let of_subject = case
        .subject()
        .is_some_and(|subject| subject.id == consent.subject);
    if !of_subject || !consent.matches_request {
        return Finding::Denies(Reason::ConsentMismatch);
    }
    match consent.state {
        ConsentState::Denied => Finding::Denies(Reason::ConsentDenied),
        ConsentState::Used => Finding::Denies(Reason::ConsentUsed),
        _ if consent.expires_at <= case.facts.environment.now => {
            Finding::Denies(Reason::ConsentExpired)
        }
        ConsentState::Pending => Finding::NeedsConsent(Reason::ConsentPending),
        ConsentState::Approved => Finding::Holds,
    }
}
