//! What a rule sees of a request: one view over the facts, the same for
//! matching and for conditions.

use std::cell::Cell;

use super::facts::{Environment, Subject};
use crate::model::agent::{Agent, Mode};
use crate::model::decision::AccessRequest;
use crate::model::target::Target;

/// One request, seen by one agent's policies.
///
/// Every agent of a chain sees its own scene: a ceiling speaks of the agent it
/// is attached to, and of the chain up to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) request: &'a AccessRequest,
    pub(super) mode: Mode,
    pub(super) agent: &'a Agent,
    pub(super) target: Option<&'a Target>,
    pub(super) subject: Option<&'a Subject>,
    /// The number of delegations between the subject and the agent.
    pub(super) depth: usize,
    pub(super) purpose: Option<&'a str>,
    pub(super) environment: &'a Environment,
    pub(super) steps: &'a Steps,
}

/// How much evaluating the conditions of one decision may still cost, all of
/// them together: a policy has room for hundreds of conditions, and a ceiling
/// for dozens of policies.
#[derive(Debug)]
pub(super) struct Steps(Cell<u32>);

impl Default for Steps {
    fn default() -> Self {
        Self(Cell::new(1_000_000))
    }
}

impl Steps {
    /// What is left.
    pub(super) const fn left(&self) -> u32 {
        self.0.get()
    }

    /// Takes some of them.
    pub(super) fn take(&self, used: u32) {
        self.0.set(self.0.get().saturating_sub(used));
    }
}
