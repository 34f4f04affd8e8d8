//! The answer.

use schemars::JsonSchema;
use serde::Serialize;

use super::permit::Permit;
use super::rate::Charge;
use super::verdict::Verdict;
use crate::model::decision::{Layer, Outcome, Reason};
use crate::model::target::Consent;
use crate::model::time::Ttl;

/// A decision. It holds codes and references; [`explain`](Self::explain)
/// makes sentences of them where somebody reads them.
#[derive(Debug, PartialEq)]
pub struct Decision {
    /// What was decided.
    pub outcome: Outcome,
    /// One verdict per layer, in their order.
    pub verdicts: Vec<Verdict>,
    /// The terms on which it is, or would be, allowed.
    pub limits: Limits,
    /// What does not stand in the way, and an operator is to mend.
    pub notes: Vec<Reason>,
    /// The uses of rates that must be charged before the permit is used; all
    /// of them, or the request is denied after all.
    pub charges: Vec<Charge>,
    /// The permit: there is one if, and only if, the outcome is `allow`.
    pub permit: Option<Permit>,
}

/// The terms of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Limits {
    /// The lifetime of the credential, in seconds.
    pub ttl: Ttl,
    /// How often it may be used; null if that is not limited.
    pub max_uses: Option<u32>,
    /// Whether it must be bound to a key.
    pub proof_of_possession: bool,
    /// How much of a human's yes it needs.
    pub consent: Consent,
}

impl Decision {
    /// The first verdict that stands in the way of the outcome `allow`: one
    /// that denies before one that asks for consent.
    #[must_use]
    pub fn deciding(&self) -> Option<&Verdict> {
        let worst = |verdict: &&Verdict| {
            self.outcome != Outcome::Allow && verdict.outcome() == self.outcome
        };
        self.verdicts
            .iter()
            .find(|verdict| worst(verdict) && verdict.reason().is_some())
    }

    /// The first layer that does not hold.
    #[must_use]
    pub fn layer(&self) -> Option<Layer> {
        self.deciding().map(|verdict| verdict.layer)
    }

    /// Why it does not hold.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        self.deciding().and_then(Verdict::reason)
    }
}
