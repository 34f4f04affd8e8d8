//! An index of records by the time at which something is due for them, so that
//! the periodic call finds what is due without looking at the rest.

use std::sync::Arc;

use crate::host::framework::error::Result;
use crate::host::framework::storage::{Storage, Write};
use crate::model::time::Timestamp;

/// One entry: when, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it is due, in Unix seconds.
    pub at: i64,
    /// The name of the record.
    pub name: String,
}

/// An index under one prefix. An entry is a key and an empty record: what
/// counts is what the record itself says.
#[derive(Debug)]
pub struct Due {
    prefix: &'static str,
    storage: Arc<dyn Storage>,
}

impl Due {
    /// The index under `prefix`, which ends in `/`.
    #[must_use]
    pub fn new(prefix: &'static str, storage: Arc<dyn Storage>) -> Self {
        Self { prefix, storage }
    }

    /// The change that adds an entry.
    #[must_use]
    pub fn put(&self, at: Timestamp, name: &str) -> Write {
        mark(self.key(at.unix(), name))
    }

    /// The change that removes one.
    #[must_use]
    pub fn delete(&self, at: i64, name: &str) -> Write {
        Write::Delete {
            key: self.key(at, name),
        }
    }

    /// What is due at `now`: the earliest first, at most `limit`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ripe(&self, now: Timestamp, limit: u32) -> Result<Vec<Entry>> {
        let keys = self.storage.list(self.prefix, "", limit).await?;
        let entries = keys.iter().filter_map(|key| {
            let (at, name) = key.split_once('.')?;
            Some(Entry {
                at: i64::from_str_radix(at, 16).ok()?,
                name: name.to_owned(),
            })
        });
        Ok(entries.take_while(|entry| entry.at <= now.unix()).collect())
    }

    /// Times sort as text: sixteen digits, and nothing is due before 1970.
    fn key(&self, at: i64, name: &str) -> String {
        format!("{}{:016x}.{name}", self.prefix, at.max(0))
    }
}

/// The change that stores an empty record: a key that says all by its name.
#[must_use]
pub fn mark(key: String) -> Write {
    Write::Put {
        key,
        value: br#"{"v":"1"}"#.to_vec(),
        seal_wrap: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::framework::memory::MemoryStorage;

    #[tokio::test]
    async fn what_is_due_comes_first_and_in_order() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let due = Due::new("x-due/", Arc::clone(&storage));
        let at = Timestamp::from_unix;
        for (time, name) in [(300, "c"), (20, "b"), (1_000_000_000_000, "d"), (-5, "a")] {
            storage.commit(vec![due.put(at(time), name)]).await.unwrap();
        }
        let names = async |now, limit| {
            let ripe = due.ripe(at(now), limit).await.unwrap();
            ripe.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
        };
        assert_eq!(names(19, 9).await, ["a"]);
        assert_eq!(names(300, 9).await, ["a", "b", "c"]);
        assert_eq!(names(300, 2).await, ["a", "b"]);
        storage.commit(vec![due.delete(20, "b")]).await.unwrap();
        assert_eq!(names(300, 9).await, ["a", "c"]);
    }
}
