//! What was decided and done: the log, who was seen, what was counted, and where it is
//! sent.

pub mod activity;
pub mod decisions;
pub mod export;
pub mod metrics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::framework::storage::Storage;
use crate::host::{self, wing};
use crate::record::activity::Activity;
use crate::record::decisions::recent::Recent;
use crate::record::decisions::store::Journal;
use crate::record::export::Export;
use crate::record::metrics::Metrics;

/// What this wing keeps of a mount.
#[derive(Debug)]
pub struct Stores {
    /// The latest decisions, in memory.
    pub recent: Recent,
    /// The decision log in storage.
    pub journal: Journal,
    /// What was counted.
    pub metrics: Metrics,
    /// Who was seen when.
    pub activity: Activity,
    /// Where decisions are sent.
    pub export: Export,
    says_decisions: AtomicBool,
}

impl Stores {
    /// The stores over a mount's storage. Reads nothing.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            recent: Recent::default(),
            journal: Journal::new(storage, standby),
            metrics: Metrics::default(),
            activity: Activity::default(),
            export: Export::new(storage, standby),
            says_decisions: AtomicBool::new(true),
        }
    }

    /// Whether the server's log gets a line for each decision.
    #[must_use]
    pub fn says_decisions(&self) -> bool {
        self.says_decisions.load(Ordering::Relaxed)
    }

    /// Says whether the server's log gets a line for each decision.
    pub fn say_decisions(&self, yes: bool) {
        self.says_decisions.store(yes, Ordering::Relaxed);
    }

    /// Another node changed `key`: drops what it may have made stale. Whether it is
    /// of this wing.
    pub fn invalidate(&self, key: &str) -> bool {
        self.journal.invalidate(key) || self.export.invalidate(key)
    }
}

wing!(record: Stores, host::Cx);
