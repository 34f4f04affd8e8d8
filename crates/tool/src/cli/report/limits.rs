//! How much is kept, whatever the log holds.

use std::collections::BTreeMap;

/// The most that is kept of each kind. What goes beyond is counted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a line.
    pub line: usize,
    /// Agents and humans.
    pub parties: usize,
    /// Pairs of an agent and a human.
    pub chains: usize,
    /// Targets, actions, reasons and paths, each counted for each chain.
    pub details: usize,
    /// Spans of time with a count for a chain.
    pub cells: usize,
    /// Credentials whose use can be told apart.
    pub credentials: usize,
    /// Delegations, and consents.
    pub consents: usize,
    /// Suspensions, resumptions and revocations.
    pub switches: usize,
    /// Anomalies.
    pub anomalies: usize,
    /// Request ids, to know an entry that comes twice, or is not answered.
    pub requests: usize,
}

impl Limits {
    /// What an ordinary machine holds easily: some hundred MiB at the very
    /// most.
    pub const USUAL: Self = Self {
        line: 4 << 20,
        parties: 20_000,
        chains: 50_000,
        details: 200_000,
        cells: 500_000,
        credentials: 100_000,
        consents: 20_000,
        switches: 20_000,
        anomalies: 1_000,
        requests: 50_000,
    };
}

/// What was left out, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut(pub(super) BTreeMap<&'static str, u64>);

impl LeftOut {
    pub(super) fn add(&mut self, kind: &'static str) {
        let count = self.0.entry(kind).or_default();
        *count = count.saturating_add(1);
    }
}
