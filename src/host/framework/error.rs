//! What can go wrong, in terms that the host's protocol can carry.

use thiserror::Error;

use crate::model::text::Description;

/// The result of anything that may fail towards a caller.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a request was not served. The one table from here to the host's kinds
/// and HTTP statuses is in `plugin::convert`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Error {
    /// The caller sent something that cannot be accepted. HTTP 400.
    #[error("{0}")]
    Invalid(String),
    /// The caller may not do this. HTTP 403.
    #[error("{0}")]
    Denied(String),
    /// The named thing does not exist, and saying so is the answer. HTTP 404.
    #[error("{0}")]
    NotFound(String),
    /// It exists already, or somebody else changed it meanwhile. HTTP 409.
    #[error("{0}")]
    Conflict(String),
    /// Too many requests. HTTP 429.
    #[error("{0}")]
    Limited(String),
    /// No such path. HTTP 404.
    #[error("unsupported path")]
    NoRoute,
    /// The path has no such operation. HTTP 405.
    #[error("unsupported operation")]
    Unsupported,
    /// The host refused or failed a call. The text is the host's own: it
    /// forwards a request to the active node by recognising it.
    #[error("{0}")]
    Host(String),
    /// Our own fault. The text is for the server's log and never leaves it.
    #[error("{0}")]
    Internal(String),
}

/// A reason that somebody has to give: what changes others' authority never
/// happens on an empty body.
///
/// # Errors
/// [`Error::Invalid`] if there is none.
pub fn needed(reason: &Description) -> Result<&str> {
    if !reason.as_str().chars().any(char::is_alphanumeric) {
        return Err(Error::field("reason", "may not be empty: say why"));
    }
    Ok(reason.as_str())
}

impl Error {
    /// The text the host recognises as "this needs the active node".
    pub const READ_ONLY: &'static str = "cannot write to readonly storage";

    /// A field whose value cannot be accepted, in the host's own words.
    #[must_use]
    pub fn field(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::Invalid(format!(
            "error converting input for field \"{name}\": {problem}"
        ))
    }

    /// Asks the host to have the active node serve this request.
    #[must_use]
    pub fn forward() -> Self {
        Self::Host(Self::READ_ONLY.to_owned())
    }

    /// Whether a caller may see the text.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        !matches!(self, Self::Internal(_))
    }
}
