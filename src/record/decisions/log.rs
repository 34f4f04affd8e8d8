//! The one way into the decision log: what was decided is remembered, counted,
//! said in the server's log, and handed on to storage and to exporters.
//!
//! Nothing here waits, writes to storage, or fails the request it is about.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::engine::Decision;
use crate::engine::facts::Facts;
use crate::host::framework::error::Result;
use crate::host::telemetry::fields;
use crate::model::agent::Agent;
use crate::model::decision::{AccessRequest, Layer, Outcome, Reason};
use crate::model::ids::{ConsentId, DecisionId};
use crate::model::time::Ttl;
use crate::record::decisions::entry::{Entry, Kind, Link};
use crate::record::decisions::recent::Decided;
use crate::record::{Cx, Stores};

/// An entry about something that this request does. Its caller fills in what
/// it is about, and gives it to [`record`].
#[must_use]
pub fn entry(cx: &Cx, kind: Kind, outcome: Outcome) -> Entry {
    // An id that is not unique is better than an action that leaves no trace.
    let id = DecisionId::mint(cx.now, cx.random().unwrap_or_default());
    entry_as(cx, id, kind, outcome)
}

fn entry_as(cx: &Cx, id: DecisionId, kind: Kind, outcome: Outcome) -> Entry {
    Entry {
        caller: cx.caller.label(),
        request_id: cx.request_id.clone(),
        remote_address: cx.caller.remote_addr,
        ..Entry::new(id, cx.now, kind, outcome)
    }
}

/// An entry about an agent.
#[must_use]
pub fn about(cx: &Cx, kind: Kind, agent: &Agent) -> Entry {
    Entry {
        agent: agent.name.to_string(),
        agent_id: Some(agent.id.clone()),
        owner: agent.owner.as_str().to_owned(),
        ..entry(cx, kind, Outcome::Allow)
    }
}

/// A decision as it is written into the log.
#[derive(Debug)]
pub struct Made<'d> {
    /// What was asked for.
    pub kind: Kind,
    /// Its id.
    pub id: &'d DecisionId,
    /// What was decided, in the end.
    pub outcome: Outcome,
    /// What the layers found.
    pub decision: &'d Decision,
    /// Why it is refused after all, if what it rests on was used up meanwhile.
    pub raced: Option<Reason>,
    /// The consent that a human was asked for.
    pub waits: Option<ConsentId>,
    /// When deciding began.
    pub began: Instant,
}

/// The layer that a reason belongs to, of those that can be used up.
fn layer_of(reason: Reason) -> Layer {
    match reason.as_str().split_once('.') {
        Some(("delegation", _)) => Layer::Delegation,
        Some(("consent", _)) => Layer::Consent,
        Some(_) | None => Layer::Limits,
    }
}

/// The consent that it waits for, that it was made with, or that the chain of
/// delegations rests on.
fn consent_of(made: &Made<'_>, request: &AccessRequest, facts: &Facts) -> Option<ConsentId> {
    let given = made.waits.as_ref().or(request.consent.as_ref());
    let standing = || {
        facts
            .chain
            .iter()
            .find_map(|hop| hop.delegation.consent.as_ref())
    };
    given.or_else(standing).cloned()
}

/// The entry of a decision.
#[must_use]
pub fn of_decision(cx: &Cx, made: &Made<'_>, request: &AccessRequest, facts: &Facts) -> Entry {
    let Made {
        decision, outcome, ..
    } = *made;
    let agent = facts.agent.as_ref().map(|actor| &actor.agent);
    let allowed = outcome == Outcome::Allow;
    let (layer, reasons) = if let Some(reason) = made.raced {
        (Some(layer_of(reason)), vec![reason])
    } else {
        let first = decision.deciding();
        let others = decision
            .verdicts
            .iter()
            .filter(|verdict| !allowed && first.is_none_or(|first| !std::ptr::eq(*verdict, first)));
        let reasons = first
            .into_iter()
            .chain(others)
            .filter_map(|verdict| verdict.reason())
            .collect();
        (decision.layer(), reasons)
    };
    // Of an allowed request: the rule that allows it.
    let rule = if allowed {
        let of = |layer| decision.verdicts.iter().find(|one| one.layer == layer);
        of(Layer::Ceiling).and_then(|verdict| verdict.rule.as_ref())
    } else {
        decision
            .deciding()
            .and_then(|verdict| verdict.rule.as_ref())
    };
    let chain: Vec<Link> = facts
        .chain
        .iter()
        .map(|hop| Link {
            delegation: hop.delegation.id.clone(),
            agent: hop.delegation.agent.clone(),
        })
        .collect();
    let subject = facts.subject.as_ref().map(|subject| subject.id.clone());
    Entry {
        agent: agent
            .map(|agent| agent.name.to_string())
            .unwrap_or_default(),
        agent_id: agent.map(|agent| agent.id.clone()),
        owner: agent
            .map(|agent| agent.owner.as_str().to_owned())
            .unwrap_or_default(),
        subject: subject.or_else(|| request.subject.clone()),
        mode: Some(request.mode()),
        notes: decision.notes.clone(),
        delegation_id: chain
            .last()
            .map(|link| link.delegation.clone())
            .or_else(|| request.delegation.clone()),
        chain,
        target: request.target.to_string(),
        action: request.action.to_string(),
        resource: request.resource.to_string(),
        purpose: request.reason.as_str().to_owned(),
        layer,
        reasons,
        policy: rule
            .map(|rule| rule.policy().to_string())
            .unwrap_or_default(),
        rule: rule.map(|rule| rule.name().to_owned()).unwrap_or_default(),
        ttl: allowed.then_some(decision.limits.ttl),
        max_uses: decision.limits.max_uses.filter(|_| allowed),
        consent_id: consent_of(made, request, facts),
        micros: u64::try_from(made.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        ..entry_as(cx, made.id.clone(), made.kind, outcome)
    }
}

/// What the audit log shows of a refusal, and the refused caller may see: the
/// same names as in the answer to an allowed request.
#[must_use]
pub fn told(entry: &Entry, with_reason: bool) -> Map<String, Value> {
    let text = |id: Option<String>| id.unwrap_or_default();
    let named = [
        ("agent", entry.agent.clone()),
        (
            "agent_id",
            text(entry.agent_id.as_ref().map(ToString::to_string)),
        ),
        (
            "subject",
            text(entry.subject.as_ref().map(ToString::to_string)),
        ),
        (
            "mode",
            text(entry.mode.map(|mode| mode.as_str().to_owned())),
        ),
        ("target", entry.target.clone()),
        ("action", entry.action.clone()),
        ("resource", entry.resource.clone()),
        ("outcome", entry.outcome.as_str().to_owned()),
        (
            "reason",
            if with_reason { entry.reason() } else { "" }.to_owned(),
        ),
        ("decision_id", entry.id.to_string()),
        (
            "delegation_id",
            text(entry.delegation_id.as_ref().map(ToString::to_string)),
        ),
        (
            "consent_id",
            text(entry.consent_id.as_ref().map(ToString::to_string)),
        ),
    ];
    named
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}

/// Records what was done.
pub fn record(cx: &Cx, entry: Entry) {
    let entry = Arc::new(entry.bounded());
    if cx.record.says_decisions() {
        say(&entry);
    }
    cx.record.metrics.count(&entry);
    cx.record.activity.see(&entry);
    cx.record.export.offer(&entry);
    let placed = cx.record.recent.push(entry);
    if cx.record.journal.offer(&placed) {
        // Rather than lose what comes until the next periodic call.
        let stores = Arc::clone(&cx.record);
        tokio::spawn(async move {
            flush(&stores).await;
            stores.journal.flushed();
        });
    }
}

/// Records a decision, with what it was made from.
pub fn record_decision(cx: &Cx, entry: Entry, decided: Decided) {
    // Strangers must not push out of memory what is remembered of agents.
    if entry.is_of_agent() {
        cx.record.recent.push_decided(decided);
    }
    record(cx, entry);
}

/// One line in the server's log.
fn say(entry: &Entry) {
    tracing::info!(
        { fields::DECISION } = entry.id.as_str(),
        { fields::KIND } = entry.kind.as_str(),
        { fields::OUTCOME } = entry.outcome.as_str(),
        { fields::REASON } = entry.reason(),
        { fields::AGENT } = entry.agent,
        { fields::SUBJECT } = entry
            .subject
            .as_ref()
            .map(|id| id.as_str())
            .unwrap_or_default(),
        { fields::TARGET } = entry.target,
        { fields::ACTION } = entry.action,
        { fields::REQUEST_ID } = entry.request_id,
        "decision"
    );
}

/// The settings that concern the log.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How many decisions are kept in memory.
    pub memory: u32,
    /// For how long they are kept in storage; 0: not.
    pub retention: Ttl,
    /// Whether the server's log gets a line for each.
    pub lines: bool,
}

/// Takes on the settings that concern the log.
pub fn tune(record: &Stores, tuning: Tuning) {
    record.recent.keep(tuning.memory);
    record.journal.retain(tuning.retention);
    record.say_decisions(tuning.lines);
}

/// Writes what waits to be stored. What fails is tried again at the next call.
pub async fn flush(record: &Stores) {
    if let Err(error) = record.journal.flush().await {
        tracing::warn!(
            { fields::ERROR } = error.to_string(),
            pending = record.journal.pending(),
            "decisions could not be stored yet"
        );
    }
}

/// What is due about every minute.
///
/// # Errors
/// If storage fails.
pub async fn tidy(cx: &Cx, tuning: Tuning) -> Result<()> {
    tune(&cx.record, tuning);
    flush(&cx.record).await;
    cx.record.journal.expire(cx.now).await
}
