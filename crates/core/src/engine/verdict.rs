//! What one layer finds.

use super::policy::RuleRef;
use crate::model::decision::{Layer, Outcome, Reason};

/// What a layer finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Holds,
    /// It has no say in this mode.
    NotConcerned,
    /// An earlier layer did not establish what it needs; that one denies.
    NotJudged,
    /// A human's yes to this very request is missing.
    NeedsConsent(Reason),
    /// It does not hold.
    Denies(Reason),
}

/// A layer's finding, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The layer.
    pub layer: Layer,
    /// What it finds.
    pub finding: Finding,
    /// The rule that decided it, where one did.
    pub rule: Option<RuleRef>,
    /// The link of the chain of delegations that it is about, from 0.
    pub hop: Option<usize>,
}

impl Verdict {
    pub(super) const fn new(layer: Layer, finding: Finding) -> Self {
        Self {
            layer,
            finding,
            rule: None,
            hop: None,
        }
    }

    pub(super) fn by(mut self, rule: RuleRef) -> Self {
        self.rule = Some(rule);
        self
    }

    pub(super) const fn at(mut self, hop: usize) -> Self {
        self.hop = Some(hop);
        self
    }

    /// What the whole decision would be if every other layer held.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.finding {
            Finding::Holds | Finding::NotConcerned => Outcome::Allow,
            Finding::NeedsConsent(_) => Outcome::ConsentRequired,
            Finding::NotJudged | Finding::Denies(_) => Outcome::Deny,
        }
    }

    /// Why it does not hold.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        match self.finding {
            Finding::NeedsConsent(reason) | Finding::Denies(reason) => Some(reason),
            Finding::Holds | Finding::NotConcerned | Finding::NotJudged => None,
        }
    }
}
