//! Entries in, what is known of them out: one pass, in bounded space.

use std::collections::{BTreeMap, VecDeque};

use super::chain::{Chain, HOUR, Room, STEPS};
use super::entry::Entry;
use super::event::{Event, Kind, Outcome};
use super::grants::Grants;
use super::limits::{LeftOut, Limits};
use super::once::Once;
use super::options::Options;
use super::outcome;
use super::parties::{self, After, Id, Parties};
use super::recognise::{self, Mounts};
use super::short;
use crate::model::time::Timestamp;

/// How far an entry may be older than the one before it and nobody wonders: a
/// server writes what it does at once in any order.
const DISORDER: i64 = 5;

/// A delegation, as far as it is needed for others.
#[derive(Debug, Default)]
pub(super) struct Delegation {
    pub(super) agent: Option<Id>,
    pub(super) subject: Option<Id>,
    ended: Option<Timestamp>,
    pub(super) after: Vec<After>,
}

/// An event that is kept, and whom it concerns.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) event: Event,
    pub(super) agent: Option<Id>,
    pub(super) subject: Option<Id>,
    pub(super) by: Option<Id>,
}

/// All that was read so far.
#[derive(Debug)]
pub(super) struct Collector<'o> {
    options: &'o Options,
    limits: Limits,
    mounts: Mounts,
    pub(super) grants: Grants,
    once: Once,
    newest: Option<Timestamp>,
    room: Room,
    pub(super) step: i64,
    pub(super) parties: Parties,
    pub(super) chains: BTreeMap<(Id, Option<Id>), Chain>,
    pub(super) delegations: BTreeMap<String, Delegation>,
    pub(super) switches: Vec<Kept>,
    pub(super) consents: Vec<Kept>,
    pub(super) events: VecDeque<Kept>,
    /// By mount, key, and whether it is one of the answers.
    pub(super) hidden: BTreeMap<(String, &'static str, bool), u64>,
    pub(super) left: LeftOut,
    pub(super) concerned: u64,
    pub(super) twice: u64,
    pub(super) disordered: u64,
    /// Uses of credentials that were issued before the log begins.
    pub(super) unattributed: u64,
}

impl<'o> Collector<'o> {
    pub(super) fn new(options: &'o Options, limits: Limits) -> Self {
        Self {
            options,
            limits,
            mounts: Mounts::new(&options.mounts),
            grants: Grants::new(limits.credentials),
            once: Once::new(limits.requests),
            newest: None,
            room: Room {
                details: limits.details,
                cells: limits.cells,
            },
            step: STEPS[0],
            parties: Parties::new(limits.parties),
            chains: BTreeMap::new(),
            delegations: BTreeMap::new(),
            switches: Vec::new(),
            consents: Vec::new(),
            events: VecDeque::new(),
            hidden: BTreeMap::new(),
            left: LeftOut::default(),
            concerned: 0,
            twice: 0,
            disordered: 0,
            unattributed: 0,
        }
    }

    /// Takes the next entry.
    pub(super) fn push(&mut self, entry: &Entry) {
        let at = entry.time();
        if self
            .newest
            .is_some_and(|newest| at.unix() < newest.unix().saturating_sub(DISORDER))
        {
            self.disordered = self.disordered.saturating_add(1);
        }
        self.newest = self.newest.max(Some(at));
        let Some(event) = recognise::understand(entry, &mut self.mounts) else {
            return;
        };
        let id = entry.request.0.id.0.clear().map(short).unwrap_or_default();
        if entry.kind.0.clear() == Some("request") {
            return self.once.asked(id);
        }
        if !self.once.is_first_answer(id) {
            self.twice = self.twice.saturating_add(1);
            return;
        }
        self.concerned = self.concerned.saturating_add(1);
        if event.kind != Kind::Use {
            for (key, answer) in outcome::hidden(entry) {
                let place = (event.mount.clone(), key, answer);
                if self.hidden.len() < 256 || self.hidden.contains_key(&place) {
                    let count = self.hidden.entry(place).or_default();
                    *count = count.saturating_add(1);
                }
            }
        }
        self.take(event);
    }

    /// How many requests have no answer in the log.
    pub(super) fn unanswered(&self) -> usize {
        self.once.unanswered()
    }

    fn take(&mut self, mut event: Event) {
        let delegation = event.delegation.shown().map(|id| short(&id));
        let known = delegation.as_ref().and_then(|id| self.delegations.get(id));
        let (known_agent, known_subject) =
            known.map_or((None, None), |known| (known.agent, known.subject));
        let by = self.parties.of(&event.caller, false, &mut self.left);
        let (agent, grant) = self.agent_of(&event, known_agent);
        let mut subject = self.subject_of(&event, by).or(known_subject);
        if let Some(grant) = grant {
            subject = subject.or(grant.subject);
            grant.complete(&mut event);
        }
        if let (Some(one), Some(other)) = (agent, subject)
            && self.parties.find(one) == self.parties.find(other)
        {
            subject = None;
        }
        self.keep_delegation(&event, agent, subject);
        let in_time = self.options.is_in_time(event.at);
        self.stop(&event, agent);
        if in_time {
            self.look_for_end(&event, agent);
        }
        if event.kind == Kind::Issue && event.outcome == Outcome::Allowed {
            self.grants.remember(&event, agent, subject);
        }
        let counted = in_time && self.options.is_of_target(&event);
        self.count(&event, agent, subject, counted);
        // What an operator tries concerns the agent that is named, and is not
        // counted as its own doing.
        let named = event
            .agent
            .name
            .clear()
            .filter(|_| event.kind == Kind::DryRun);
        let agent = named.and_then(|name| self.parties.by_name(name)).or(agent);
        if counted {
            self.keep(Kept {
                event,
                agent,
                subject,
                by,
            });
        }
    }

    fn keep_delegation(&mut self, event: &Event, agent: Option<Id>, subject: Option<Id>) {
        let of_delegation = event.kind.is_consent()
            && !matches!(event.kind, Kind::ApproveConsent | Kind::DenyConsent);
        let Some(id) = event.delegation.shown().filter(|_| of_delegation) else {
            return;
        };
        if event.outcome != Outcome::Allowed {
            return;
        }
        let id = short(&id);
        if !self.delegations.contains_key(&id) && self.delegations.len() >= self.limits.consents {
            return self.left.add("delegations");
        }
        let kept = self.delegations.entry(id).or_default();
        kept.agent = kept.agent.or(agent);
        kept.subject = kept.subject.or(subject);
        if event.kind == Kind::RevokeDelegation {
            kept.ended = kept.ended.or(Some(event.at));
        }
    }

    /// Switches an agent off or on.
    fn stop(&mut self, event: &Event, agent: Option<Id>) {
        let Some(party) = agent.and_then(|id| self.parties.get_mut(id)) else {
            return;
        };
        if event.outcome != Outcome::Allowed {
            return;
        }
        match event.kind {
            Kind::Suspend => {
                party.stopped.get_or_insert((event.at, "suspended"));
            }
            Kind::RevokeAgent => party.stopped = Some((event.at, "revoked")),
            Kind::Resume => party.stopped = None,
            Kind::Remove => {
                party.stopped = Some((event.at, "removed"));
                party.removed = true;
            }
            Kind::Register if party.removed => {
                party.stopped = None;
                party.removed = false;
            }
            Kind::Register
            | Kind::Read
            | Kind::Issue
            | Kind::Login
            | Kind::Use
            | Kind::Redeem
            | Kind::Introspect
            | Kind::RevokeCredentials
            | Kind::DryRun
            | Kind::RequestDelegation
            | Kind::GrantDelegation
            | Kind::ApproveDelegation
            | Kind::DenyDelegation
            | Kind::RevokeDelegation
            | Kind::PassDelegation
            | Kind::ApproveConsent
            | Kind::DenyConsent => {}
        }
    }

    /// Counts what is tried after an end.
    fn look_for_end(&mut self, event: &Event, agent: Option<Id>) {
        let tries = event.kind.is_activity() && event.kind != Kind::DryRun;
        if !tries || event.outcome == Outcome::Failed {
            return;
        }
        let passed = event.outcome == Outcome::Allowed;
        if let Some(party) = agent.and_then(|id| self.parties.get_mut(id)) {
            party.tried(event.at, passed, &mut self.left);
        }
        let delegation = event.delegation.shown().map(|id| short(&id));
        let kept = delegation.and_then(|id| self.delegations.get_mut(&id));
        if let Some(kept) = kept
            && let Some(ended) = kept.ended
        {
            let (after, left) = (&mut kept.after, &mut self.left);
            parties::note(after, ended, "revoked", event.at, passed, left);
        }
    }

    fn count(&mut self, event: &Event, agent: Option<Id>, subject: Option<Id>, counted: bool) {
        if !event.kind.is_activity() {
            return;
        }
        let Some(agent) = agent else {
            if counted && matches!(event.kind, Kind::Redeem | Kind::Introspect) {
                self.unattributed = self.unattributed.saturating_add(1);
            }
            return;
        };
        let mut key = (
            self.parties.find(agent),
            subject.map(|id| self.parties.find(id)),
        );
        if !self.chains.contains_key(&key) && self.chains.len() >= self.limits.chains {
            // The sums stay right, and it says whose part they are not.
            self.left.add(
                "requests of more agents for more humans; they are among unidentified callers",
            );
            let Some(unknown) = self.parties.unknown() else {
                return;
            };
            key = (unknown, None);
        }
        let chain = self
            .chains
            .entry(key)
            .or_insert_with(|| Chain::new(event.at));
        let target = event.target.shown();
        let (step, room, left) = (self.step, &mut self.room, &mut self.left);
        chain.count(event, target.as_deref(), counted, step, room, left);
        if self.room.cells == 0 && self.step < HOUR {
            self.coarsen();
        }
    }

    /// Makes room by counting in longer spans.
    fn coarsen(&mut self) {
        let longer = STEPS.into_iter().find(|step| *step > self.step);
        self.step = longer.unwrap_or(HOUR).min(HOUR);
        let mut used: usize = 0;
        for chain in self.chains.values_mut() {
            chain.coarsen(self.step);
            used = used.saturating_add(chain.cells.len());
        }
        self.room.cells = self.limits.cells.saturating_sub(used);
    }

    fn keep(&mut self, kept: Kept) {
        let kind = kept.event.kind;
        if matches!(kind, Kind::Read) {
            return;
        }
        let copy = || Kept {
            event: kept.event.clone(),
            agent: kept.agent,
            subject: kept.subject,
            by: kept.by,
        };
        if kind.is_switch() {
            if self.switches.len() < self.limits.switches {
                self.switches.push(copy());
            } else {
                self.left.add("suspensions, resumptions and revocations");
            }
        }
        if kind.is_consent() {
            if self.consents.len() < self.limits.consents {
                self.consents.push(copy());
            } else {
                self.left.add("consents");
            }
        }
        if self
            .options
            .may_concern(&self.parties, kept.agent, kept.subject)
        {
            self.events.push_back(kept);
            if self.events.len() > self.options.events {
                self.events.pop_front();
                self.left.add("older events");
            }
        }
    }
}
