//! Where I/O meets judgement: gather the facts, decide, settle.
//!
//! Read this file and the core's `engine/decide.rs`, and you have read the product.
//! `gather.rs` reads, once, and writes nothing; the core decides, and does neither;
//! `settle.rs` uses up what the decision rests on, and asks the human where it must;
//! then the decision is recorded here, whatever came of it. A dry run gathers and
//! decides, and stops there.

pub mod gather;
mod settle;
mod told;

use std::sync::Arc;
use std::time::Instant;

use self::gather::gather;
pub use self::gather::{Applicant, Gathered};
use self::settle::{Settled, settle};
use self::told::{explained, told};
use crate::engine::{self, Permit};
use crate::facts::config::store::DenialDetail;
use crate::facts::events;
use crate::grants::Cx;
use crate::host::framework::error::{Error, Result};
use crate::model::consent::HumanConsent;
use crate::model::decision::{AccessRequest, Outcome, Reason};
use crate::model::ids::DecisionId;
use crate::record::decisions::entry::Entry;
use crate::record::decisions::log;
use crate::record::decisions::recent::Decided;

/// A request that was decided and allowed.
#[derive(Debug)]
pub struct Granted {
    /// The decision's id.
    pub decision: DecisionId,
    /// The permit. Issuing takes nothing else.
    pub permit: Permit,
    /// What did not stand in the way, and an operator is to mend.
    pub notes: Vec<Reason>,
}

/// A request that a human must agree to first.
#[derive(Debug)]
pub struct Waiting {
    /// The decision's id.
    pub decision: DecisionId,
    /// What the human is asked.
    pub consent: Arc<HumanConsent>,
}

/// What became of a request that was not denied.
#[derive(Debug)]
pub enum Authorized {
    /// It was allowed.
    Granted(Box<Granted>),
    /// A human must agree to it first.
    Waits(Waiting),
}

impl Authorized {
    /// The permit, for callers whose answer cannot say that a human must agree
    /// first.
    ///
    /// # Errors
    /// [`Error::Denied`] with a text that names the consent.
    pub fn granted(self) -> Result<Granted> {
        match self {
            Self::Granted(granted) => Ok(*granted),
            Self::Waits(Waiting { decision, consent }) => {
                let (id, reason) = (&consent.id, Reason::ConsentRequired);
                Err(Error::Denied(format!(
                    "denied ({}): {reason} The consent is {id}; once it is approved under `consents/{id}`, retry with `consent_id={id}`. Decision {decision}.",
                    reason.as_str()
                )))
            }
        }
    }
}

/// Decides a request by `applicant`, and records the decision. What may be used
/// once, or so many times, is used up by it.
///
/// # Errors
/// [`Error::Denied`] with as much as the mount tells a refused caller;
/// [`Error::Host`] if a fact cannot be established.
pub async fn authorize_as(
    cx: &Cx,
    applicant: Applicant,
    request: AccessRequest,
) -> Result<Authorized> {
    let began = Instant::now();
    let kind = applicant.kind;
    let applicant = Applicant {
        learns: true,
        ..applicant
    };
    // Before anything is decided: no decision may stay unrecorded.
    let config = cx.config().await?;
    let gathered = gather(cx, &request, applicant).await?;
    let mut decision = engine::decide(&request, &gathered.facts);
    let id = DecisionId::mint(cx.now, cx.random()?);
    let settled = settle(cx, &request, &gathered.facts, &mut decision).await;
    let entry_of = |outcome, raced, waits| {
        let made = log::Made {
            kind,
            id: &id,
            outcome,
            decision: &decision,
            raced,
            waits,
            began,
        };
        log::of_decision(cx, &made, &request, &gathered.facts)
    };
    let settled = match settled {
        Ok(settled) => settled,
        Err(error) => {
            let entry = entry_of(Outcome::Deny, None, None);
            unsettled(cx, entry, &error, config.denial_detail);
            return Err(error);
        }
    };
    let notes = &decision.notes;
    let (mut raced, mut waits) = (None, None);
    let (outcome, answer) = match settled {
        Settled::Permitted(permit) => {
            let decision = id.clone();
            let permit = *permit;
            let notes = notes.clone();
            let granted = Granted {
                decision,
                permit,
                notes,
            };
            (Outcome::Allow, Ok(Authorized::Granted(Box::new(granted))))
        }
        Settled::Waits(consent) => {
            waits = Some(consent.id.clone());
            let decision = id.clone();
            let waiting = Waiting { decision, consent };
            (Outcome::ConsentRequired, Ok(Authorized::Waits(waiting)))
        }
        Settled::Denied(why) => {
            raced = why;
            let refusal = match why {
                Some(reason) => told(config, &id, reason, ""),
                None => explained(config, &id, &decision, &request, &gathered.facts),
            };
            (Outcome::Deny, Err(Error::Denied(refusal)))
        }
    };
    let entry = entry_of(outcome, raced, waits);
    if outcome != Outcome::Allow {
        cx.noted.put(log::told(
            &entry,
            config.denial_detail != DenialDetail::None,
        ));
    }
    let decided = Decided {
        id,
        outcome,
        request,
        facts: gathered.facts,
        baseline: gathered.baseline,
    };
    log::record_decision(cx, entry, decided);
    answer
}

/// Records that nothing came of a decision. What another node is to decide, it
/// records.
fn unsettled(cx: &Cx, entry: Entry, error: &Error, detail: DenialDetail) {
    if *error == Error::forward() {
        return;
    }
    cx.noted
        .put(log::told(&entry, detail != DenialDetail::None));
    log::record(
        cx,
        Entry {
            problem: events::problem(error),
            ..entry
        },
    );
}
