//! What an agent did for one human, or on its own: counts, in bounded space.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::event::{Event, Kind, Outcome};
use super::limits::LeftOut;
use super::short;
use crate::model::time::Timestamp;

/// The spans, in seconds, that a timeline may be counted in.
pub(super) const STEPS: [i64; 9] = [
    60, 300, 900, 3_600, 21_600, 86_400, 604_800, 2_592_000, 31_536_000,
];
/// The longest span that the rules on anomalies can still be applied to.
pub(super) const HOUR: i64 = 3_600;
/// How many actions are named for a target.
const MOST_ACTIONS: usize = 32;

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Credentials that were issued.
    pub(super) issued: u64,
    /// Tokens of the server that were issued.
    pub(super) logins: u64,
    /// Requests with such tokens, and uses of credentials that were redeemed.
    pub(super) used: u64,
    /// Questions whether a credential holds, with a yes.
    pub(super) checked: u64,
    pub(super) refused: u64,
    pub(super) consent_required: u64,
    /// What was wrong, or failed.
    pub(super) failed: u64,
    pub(super) dry_runs: u64,
}

impl Counts {
    fn count(&mut self, kind: Kind, outcome: &Outcome) {
        let place = match (kind, outcome) {
            (Kind::DryRun, _) => &mut self.dry_runs,
            (_, Outcome::Refused(_)) => &mut self.refused,
            (_, Outcome::ConsentRequired) => &mut self.consent_required,
            (_, Outcome::Failed) => &mut self.failed,
            (Kind::Issue, Outcome::Allowed) => &mut self.issued,
            (Kind::Login, Outcome::Allowed) => &mut self.logins,
            (Kind::Use | Kind::Redeem, Outcome::Allowed) => &mut self.used,
            (Kind::Introspect, Outcome::Allowed) => &mut self.checked,
            // A consent is listed, not counted.
            (_, Outcome::Allowed) => return,
        };
        *place = place.saturating_add(1);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (place, more) in [
            (&mut self.issued, other.issued),
            (&mut self.logins, other.logins),
            (&mut self.used, other.used),
            (&mut self.checked, other.checked),
            (&mut self.refused, other.refused),
            (&mut self.consent_required, other.consent_required),
            (&mut self.failed, other.failed),
            (&mut self.dry_runs, other.dry_runs),
        ] {
            *place = place.saturating_add(more);
        }
    }

    /// Everything but dry runs.
    pub(super) fn requests(&self) -> u64 {
        [
            self.issued,
            self.logins,
            self.used,
            self.checked,
            self.refused,
            self.consent_required,
            self.failed,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What was done with one target.
#[derive(Clone, Debug)]
pub(super) struct TargetUse {
    /// The first request of all for it, also outside the time asked for.
    pub(super) first_ever: Timestamp,
    pub(super) last: Timestamp,
    pub(super) counts: Counts,
    pub(super) actions: BTreeSet<String>,
}

/// All that an agent did for one human, or on its own.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The first request of all, also outside the time asked for.
    pub(super) first_ever: Timestamp,
    /// Of what is counted.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    pub(super) counts: Counts,
    pub(super) targets: BTreeMap<String, TargetUse>,
    pub(super) reasons: BTreeMap<String, u64>,
    /// What was granted all the same, and is to be mended.
    pub(super) warnings: BTreeMap<String, u64>,
    /// What the tokens of logins were used for: operation and path.
    pub(super) paths: BTreeMap<(String, String), u64>,
    /// Counts by the second at which a span begins.
    pub(super) cells: BTreeMap<i64, Counts>,
}

/// What is left of the room for all chains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) details: usize,
    pub(super) cells: usize,
}

impl Chain {
    pub(super) fn new(at: Timestamp) -> Self {
        Self {
            first_ever: at,
            span: None,
            counts: Counts::default(),
            targets: BTreeMap::new(),
            reasons: BTreeMap::new(),
            warnings: BTreeMap::new(),
            paths: BTreeMap::new(),
            cells: BTreeMap::new(),
        }
    }

    /// Counts an event; one outside the time asked for only shows what is not
    /// new.
    pub(super) fn count(
        &mut self,
        event: &Event,
        target: Option<&str>,
        counted: bool,
        step: i64,
        room: &mut Room,
        left: &mut LeftOut,
    ) {
        let at = event.at;
        self.first_ever = self.first_ever.min(at);
        // A dry run gets nothing, so it does not make a target known.
        if let Some(target) = target.filter(|_| event.kind != Kind::DryRun) {
            self.count_target(event, target, counted, room, left);
        }
        if !counted {
            return;
        }
        self.span = Some(match self.span {
            Some((first, last)) => (first.min(at), last.max(at)),
            None => (at, at),
        });
        self.counts.count(event.kind, &event.outcome);
        if event.kind != Kind::DryRun
            && let Some(code) = event.outcome.code()
        {
            bump(&mut self.reasons, short(code), room, left, "reasons");
        }
        for code in &event.notes {
            bump(&mut self.warnings, short(code), room, left, "warnings");
        }
        if let (Kind::Use, Some(path)) = (event.kind, event.path.shown()) {
            let operation = event.operation.shown().unwrap_or_default();
            let key = (short(&operation), short(&path));
            bump(&mut self.paths, key, room, left, "paths");
        }
        let start = at.unix().div_euclid(step).saturating_mul(step);
        if !self.cells.contains_key(&start) {
            if room.cells == 0 {
                return left.add("spans of the timeline");
            }
            room.cells = room.cells.saturating_sub(1);
        }
        let cell = self.cells.entry(start).or_default();
        cell.count(event.kind, &event.outcome);
    }

    fn count_target(
        &mut self,
        event: &Event,
        target: &str,
        counted: bool,
        room: &mut Room,
        left: &mut LeftOut,
    ) {
        let target = short(target);
        if !self.targets.contains_key(&target) {
            if room.details == 0 {
                return left.add("targets");
            }
            room.details = room.details.saturating_sub(1);
        }
        let entry = self.targets.entry(target).or_insert_with(|| TargetUse {
            first_ever: event.at,
            last: event.at,
            counts: Counts::default(),
            actions: BTreeSet::new(),
        });
        entry.first_ever = entry.first_ever.min(event.at);
        if !counted {
            return;
        }
        entry.last = entry.last.max(event.at);
        entry.counts.count(event.kind, &event.outcome);
        if let Some(action) = event.action.shown().map(|action| short(&action)) {
            if entry.actions.contains(&action) {
                return;
            }
            if room.details == 0 || entry.actions.len() >= MOST_ACTIONS {
                return left.add("actions");
            }
            room.details = room.details.saturating_sub(1);
            entry.actions.insert(action);
        }
    }

    /// Counts in longer spans from now on.
    pub(super) fn coarsen(&mut self, step: i64) {
        self.cells = coarser(&self.cells, step);
    }

    /// Another chain that is found to be this one.
    pub(super) fn join(&mut self, other: Self) {
        self.first_ever = self.first_ever.min(other.first_ever);
        self.span = match (self.span, other.span) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
        self.counts.add(&other.counts);
        for (target, more) in other.targets {
            match self.targets.get_mut(&target) {
                Some(known) => {
                    known.first_ever = known.first_ever.min(more.first_ever);
                    known.last = known.last.max(more.last);
                    known.counts.add(&more.counts);
                    known.actions.extend(more.actions);
                }
                None => {
                    self.targets.insert(target, more);
                }
            }
        }
        for (code, more) in other.reasons {
            let count = self.reasons.entry(code).or_default();
            *count = count.saturating_add(more);
        }
        for (code, more) in other.warnings {
            let count = self.warnings.entry(code).or_default();
            *count = count.saturating_add(more);
        }
        for (path, more) in other.paths {
            let count = self.paths.entry(path).or_default();
            *count = count.saturating_add(more);
        }
        for (start, more) in other.cells {
            self.cells.entry(start).or_default().add(&more);
        }
    }
}

/// The same counts in longer spans.
pub(super) fn coarser(cells: &BTreeMap<i64, Counts>, step: i64) -> BTreeMap<i64, Counts> {
    let mut sum: BTreeMap<i64, Counts> = BTreeMap::new();
    for (start, counts) in cells {
        let start = start.div_euclid(step.max(1)).saturating_mul(step);
        sum.entry(start).or_default().add(counts);
    }
    sum
}

fn bump<K: Ord>(
    counts: &mut BTreeMap<K, u64>,
    key: K,
    room: &mut Room,
    left: &mut LeftOut,
    what: &'static str,
) {
    if let Some(count) = counts.get_mut(&key) {
        *count = count.saturating_add(1);
    } else if room.details == 0 {
        left.add(what);
    } else {
        room.details = room.details.saturating_sub(1);
        counts.insert(key, 1);
    }
}
