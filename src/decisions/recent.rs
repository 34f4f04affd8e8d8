//! The latest decisions of this node, in memory, with all that they were made
//! from: what a changed policy is tried against.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::facts::Facts;
use crate::model::decision::{AccessRequest, Outcome};
use crate::model::ids::{DecisionId, PolicyName};

/// How many are kept.
const KEPT: usize = 1_000;

/// A decision, with all that it was made from.
#[derive(Debug)]
pub struct Decided {
    /// Its id.
    pub id: DecisionId,
    /// What was decided.
    pub outcome: Outcome,
    /// What was asked.
    pub request: AccessRequest,
    /// What was known.
    pub facts: Facts,
    /// The names of the policies of the subject's baseline.
    pub baseline: Option<Vec<PolicyName>>,
}

/// The latest decisions.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Arc<Decided>>>);

impl Recent {
    /// Adds one; the oldest goes.
    pub fn push(&self, decided: Decided) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if kept.len() >= KEPT {
            kept.pop_front()
        } else {
            None
        };
        kept.push_back(Arc::new(decided));
        drop(kept);
        drop(oldest);
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Decided>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }
}
