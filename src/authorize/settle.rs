//! Effects out: what a decision rests on is used up, or asked of the human, before
//! anything is handed out.

use std::sync::Arc;

use crate::engine::facts::Facts;
use crate::engine::{Decision, Permit};
use crate::grants::Cx;
use crate::grants::consents::ask::{self, Asked};
use crate::grants::delegations::uses;
use crate::host::framework::error::Result;
use crate::model::consent::HumanConsent;
use crate::model::decision::{AccessRequest, Outcome, Reason};

/// What a decision comes to, once what it rests on is used up or asked for.
pub(super) enum Settled {
    Permitted(Box<Permit>),
    Waits(Arc<HumanConsent>),
    /// With why, if it is not for what the decision says.
    Denied(Option<Reason>),
}

/// Uses up what the decision rests on, or asks the human whom it wants asked.
pub(super) async fn settle(
    cx: &Cx,
    request: &AccessRequest,
    facts: &Facts,
    decision: &mut Decision,
) -> Result<Settled> {
    if let Some(permit) = decision.permit.take() {
        if cx
            .grants
            .rates
            .try_charge(&decision.charges, cx.now)
            .is_err()
        {
            return Ok(Settled::Denied(Some(Reason::RateExceeded)));
        }
        return Ok(match uses::spend(cx, &permit).await? {
            Some(raced) => Settled::Denied(Some(raced)),
            None => Settled::Permitted(Box::new(permit)),
        });
    }
    match decision.outcome {
        Outcome::ConsentRequired => match ask::ask(cx, request, facts, decision).await? {
            Asked::Waits(consent) => Ok(Settled::Waits(consent)),
            Asked::Refused(reason) => Ok(Settled::Denied(Some(reason))),
        },
        Outcome::Allow | Outcome::Deny => Ok(Settled::Denied(None)),
    }
}
