//! The names of log fields, so that one thing has one name.

/// The host's id of a request, which its audit log shows.
pub const REQUEST_ID: &str = "request_id";
/// What went wrong.
pub const ERROR: &str = "error";
/// The id of a decision.
pub const DECISION: &str = "decision_id";
/// What was asked for or done.
pub const KIND: &str = "kind";
/// What came of it.
pub const OUTCOME: &str = "outcome";
/// Why, as a stable code; empty where it was allowed.
pub const REASON: &str = "reason";
/// The agent's name.
pub const AGENT: &str = "agent";
/// The human on whose behalf.
pub const SUBJECT: &str = "subject";
/// The target's name.
pub const TARGET: &str = "target";
/// What was to be done there.
pub const ACTION: &str = "action";
