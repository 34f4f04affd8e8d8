//! The names of log fields, so that one thing has one name.

/// The host's id of a request, which its audit log shows.
pub const REQUEST_ID: &str = "request_id";
/// What went wrong.
pub const ERROR: &str = "error";
