//! The host's storage, as the rest of the house sees it.

use std::fmt;

use async_trait::async_trait;

use crate::framework::error::Result;

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
}
