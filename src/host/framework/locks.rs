//! Locks by name: what two requests do to one thing happens one after the
//! other, and what they do to two things at once.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tokio::sync::{Mutex, MutexGuard};

/// How many there are. Two names may share one, which only costs time.
const SHARDS: u64 = 64;

/// A fixed number of locks, shared by all names.
#[derive(Debug)]
pub struct Locks(Vec<Mutex<()>>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::new(())).collect())
    }
}

/// What is held, until it is dropped.
#[derive(Debug)]
#[must_use = "what is not kept is not held"]
pub struct Held<'a> {
    _guards: Vec<MutexGuard<'a, ()>>,
}

impl Locks {
    /// Holds the locks of these names, all at once. They are taken in one
    /// order, so that two holders cannot wait for each other; to hold some of
    /// a set already is the one way to wait for ever.
    pub async fn hold(&self, names: &[&str]) -> Held<'_> {
        let shards: BTreeSet<u64> = names.iter().map(|name| shard(name)).collect();
        let wanted = shards
            .into_iter()
            .filter_map(|shard| self.0.get(usize::try_from(shard).unwrap_or_default()));
        let mut guards = Vec::new();
        for lock in wanted {
            guards.push(lock.lock().await);
        }
        Held { _guards: guards }
    }
}

fn shard(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish() % SHARDS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn names_are_held_together_and_in_any_order() {
        let locks = Arc::new(Locks::default());
        let tasks: Vec<_> = (0..64_u32)
            .map(|n| {
                let locks = Arc::clone(&locks);
                tokio::spawn(async move {
                    let (a, b) = (n.to_string(), (n / 2).to_string());
                    let names = if n % 2 == 0 { [&*a, &*b] } else { [&*b, &*a] };
                    let held = locks.hold(&names).await;
                    tokio::task::yield_now().await;
                    drop(held);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_name_is_held_by_one() {
        let locks = Locks::default();
        let held = locks.hold(&["a", "a"]).await;
        // Dropped with the timeout: who waits is served before who comes later.
        let soon = std::time::Duration::from_millis(20);
        let waited = tokio::time::timeout(soon, locks.hold(&["a"])).await;
        assert!(waited.is_err());
        drop(held);
        let _ = locks.hold(&["a"]).await;
    }
}
