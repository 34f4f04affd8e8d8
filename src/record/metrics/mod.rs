//! What was counted, and how it is shown to Prometheus.
//!
//! The set of series is bounded by construction: labels are codes of this
//! release, and names of at most so many targets. Nothing else becomes a
//! label, so no secret and no caller's text can.

pub mod api;
pub mod exposition;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::model::decision::{Outcome, Reason};
use crate::record::decisions::entry::{Entry, Kind};

/// Every outcome, in the order of the counters.
pub const OUTCOMES: [Outcome; 3] = [Outcome::Allow, Outcome::ConsentRequired, Outcome::Deny];
/// How many targets have series of their own; the others share one.
const TARGETS: usize = 100;
/// The upper bounds of the histogram of how long deciding takes, in
/// microseconds.
pub const BOUNDS: [u64; 10] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000,
];

/// Counters of one mount on this node, since the process started.
#[derive(Debug)]
pub struct Metrics {
    decisions: Vec<[AtomicU64; 3]>,
    reasons: Vec<AtomicU64>,
    notes: Vec<AtomicU64>,
    durations: [AtomicU64; BOUNDS.len()],
    // Above the last bound.
    slow: AtomicU64,
    duration_sum: AtomicU64,
    targets: Mutex<HashMap<String, [u64; 3]>>,
    other_targets: [AtomicU64; 3],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            decisions: Kind::ALL.iter().map(|_| Default::default()).collect(),
            reasons: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            notes: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            durations: Default::default(),
            slow: AtomicU64::new(0),
            duration_sum: AtomicU64::new(0),
            targets: Mutex::default(),
            other_targets: Default::default(),
        }
    }
}

const fn place(outcome: Outcome) -> usize {
    match outcome {
        Outcome::Allow => 0,
        Outcome::ConsentRequired => 1,
        Outcome::Deny => 2,
    }
}

fn add(counters: &[AtomicU64], place: usize, more: u64) {
    if let Some(counter) = counters.get(place) {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts what was done.
    pub fn count(&self, entry: &Entry) {
        let outcome = place(entry.outcome);
        if let Some(counters) = self.decisions.get(entry.kind as usize) {
            add(counters, outcome, 1);
        }
        if let Some(reason) = entry.reasons.first() {
            add(&self.reasons, *reason as usize, 1);
        }
        for note in &entry.notes {
            add(&self.notes, *note as usize, 1);
        }
        if entry.micros > 0 {
            match BOUNDS.iter().position(|bound| entry.micros <= *bound) {
                Some(bucket) => add(&self.durations, bucket, 1),
                None => drop(self.slow.fetch_add(1, Ordering::Relaxed)),
            }
            self.duration_sum.fetch_add(entry.micros, Ordering::Relaxed);
        }
        if !entry.target.is_empty() {
            self.count_target(entry, outcome);
        }
    }

    /// Only targets that there are get a series: names are the caller's.
    fn count_target(&self, entry: &Entry, outcome: usize) {
        let unknown = entry.reasons.contains(&Reason::TargetUnknown);
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = targets.contains_key(&entry.target);
        if !known && (unknown || targets.len() >= TARGETS) {
            drop(targets);
            add(&self.other_targets, outcome, 1);
            return;
        }
        if !known {
            targets.insert(entry.target.clone(), [0; 3]);
        }
        let counter = targets
            .get_mut(&entry.target)
            .and_then(|counters| counters.get_mut(outcome));
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
    }
}
