//! The host's storage, as the rest of the house sees it.

use std::fmt;

use async_trait::async_trait;

use crate::host::framework::error::Result;

/// One change to storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Stores a value under a key.
    Put {
        /// The key, relative to the mount.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// Whether the seal wraps it once more, where the host can.
        seal_wrap: bool,
    },
    /// Removes a key; one that is not there is no error.
    Delete {
        /// The key, relative to the mount.
        key: String,
    },
}

impl Write {
    /// The key it changes.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
        }
    }
}

/// A mount's storage. Keys are relative to the mount, without leading `/`.
#[async_trait]
pub trait Storage: Send + Sync + fmt::Debug {
    /// The value under `key`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>>;

    /// The children of `prefix`, in order, relative to it; folders end in `/`.
    /// Only those after `after`, and at most `limit` of them (0: all).
    async fn list(&self, prefix: &str, after: &str, limit: u32) -> Result<Vec<String>>;

    /// Makes all changes or none where the host has transactions; where it has
    /// none, makes them one by one in the order given, and stops at the first
    /// failure. So callers order them: what restricts first, what grants last.
    async fn commit(&self, writes: Vec<Write>) -> Result<()>;

    /// Stores `value` under `key`, provided that what is there still is `seen`.
    /// Where the host has transactions, one makes sure of that, also against
    /// another node that believes itself active. Where it has none, the caller
    /// does: it holds a lock since it read what it saw, and the host lets one
    /// node write.
    ///
    /// Fails with [`Error::Conflict`](crate::host::framework::error::Error::Conflict)
    /// where something else is there, and nothing was stored.
    async fn replace(&self, key: &str, seen: &[u8], value: Vec<u8>) -> Result<()>;
}
