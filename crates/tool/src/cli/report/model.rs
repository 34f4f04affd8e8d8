//! The report itself, before it is written. Its JSON is stable: fields are
//! added, and never renamed or given another meaning, as long as `version` is
//! the same.

use std::collections::BTreeMap;

use serde::Serialize;

use super::chain::Counts;
use crate::model::time::Timestamp;

/// The version of the JSON.
pub(super) const VERSION: u32 = 1;

/// Everything that the report says.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    pub(super) version: u32,
    /// Of the first and the last entry that counts.
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// What was asked for, if not all.
    pub(super) filters: BTreeMap<&'static str, String>,
    pub(super) sources: Vec<Source>,
    pub(super) totals: Totals,
    pub(super) anomalies: Vec<Anomaly>,
    /// The rules that found them, in words.
    pub(super) rules: Vec<Rule>,
    pub(super) agents: Vec<Agent>,
    pub(super) consents: Vec<Consent>,
    /// Why requests were refused, most often first.
    pub(super) reasons: Vec<Reason>,
    pub(super) timeline: Timeline,
    /// The newest events.
    pub(super) events: Vec<Happening>,
    /// What the report cannot show, and what to do about it.
    pub(super) notes: Vec<Note>,
}

/// A file that was read.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) entries: u64,
    pub(super) broken_lines: u64,
    pub(super) long_lines: u64,
    /// Why it ended before its end, if it did.
    pub(super) cut_short: Option<String>,
}

/// How much of everything.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Totals {
    pub(super) agents: usize,
    pub(super) subjects: usize,
    pub(super) consents_given: usize,
    pub(super) kill_switches: usize,
    pub(super) anomalies: usize,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// Something odd, by one of the rules.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Anomaly {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) rule: &'static str,
    pub(super) agent: String,
    pub(super) count: u64,
    pub(super) text: String,
}

/// What is called odd.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rule {
    pub(super) rule: &'static str,
    /// For people.
    pub(super) title: &'static str,
    pub(super) words: String,
}

/// An agent, or those that nobody registered.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Agent {
    /// What to call it.
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) entity_id: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) registered: bool,
    /// At the end of the log, as far as the log tells.
    pub(super) status: &'static str,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) counts: Counts,
    pub(super) chains: Vec<ChainView>,
    pub(super) switches: Vec<Switch>,
}

/// What an agent did for one human, or on its own.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChainView {
    /// Entity of the human. `None`: the agent acted on its own.
    pub(super) subject: Option<String>,
    /// What to call the human.
    pub(super) subject_name: Option<String>,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) counts: Counts,
    pub(super) targets: Vec<Target>,
    pub(super) reasons: Vec<Reason>,
    /// What was granted all the same, and is to be mended: the agent's owner is
    /// gone, or nobody has reviewed it in time.
    pub(super) warnings: Vec<Reason>,
    /// What tokens of logins were used for, most often first.
    pub(super) paths: Vec<PathUse>,
    /// How many paths more there are.
    pub(super) paths_left_out: usize,
}

/// What was done with one target.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Target {
    pub(super) target: String,
    pub(super) actions: Vec<String>,
    pub(super) last: Timestamp,
    pub(super) counts: Counts,
}

/// How often requests were refused for a reason.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) count: u64,
}

/// What a token was used for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct PathUse {
    pub(super) operation: String,
    pub(super) path: String,
    pub(super) count: u64,
}

/// A suspension, resumption or revocation of an agent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Switch {
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    pub(super) outcome: &'static str,
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
}

/// An answer of a human, or the asking for one.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Consent {
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    pub(super) outcome: &'static str,
    pub(super) code: Option<String>,
    pub(super) by: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) subject_name: Option<String>,
    /// What it is for, in one line for each detail.
    pub(super) scope: Vec<String>,
    pub(super) delegation_id: Option<String>,
    /// The delegation it was passed on from.
    pub(super) parent_id: Option<String>,
    pub(super) consent_id: Option<String>,
    pub(super) reason: Option<String>,
}

/// Counts over time.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Timeline {
    pub(super) step_seconds: i64,
    /// Those in which anything was done.
    pub(super) spans: Vec<Span>,
}

/// The counts of one span of time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    #[serde(flatten)]
    pub(super) counts: Counts,
}

/// One event of the list.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Happening {
    pub(super) at: Timestamp,
    pub(super) what: &'static str,
    pub(super) outcome: &'static str,
    pub(super) code: Option<String>,
    pub(super) agent: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) subject_name: Option<String>,
    /// Who had the token.
    pub(super) by: Option<String>,
    /// Whether the agent did it itself.
    #[serde(skip)]
    pub(super) by_agent: bool,
    pub(super) target: Option<String>,
    pub(super) action: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) path: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) decision_id: Option<String>,
    pub(super) delegation_id: Option<String>,
    pub(super) consent_id: Option<String>,
    pub(super) jti: Option<String>,
    pub(super) mount: String,
    pub(super) remote_address: Option<String>,
}

/// Something that the reader should know of the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Note {
    pub(super) code: &'static str,
    pub(super) count: u64,
    pub(super) text: String,
}
