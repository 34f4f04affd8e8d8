//! One value made from many records, loaded once and swapped whole.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::host::framework::error::Result;

/// How long a read-only standby trusts what it has read. The host tells it of
/// every change, but may be late when it drops a notice.
const STANDBY_TRUST: Duration = Duration::from_secs(5);

/// Whether what was read at `since` must be read again. On the node that
/// writes, nothing ages: every change passes through its caches.
pub(super) fn is_stale(standby: &AtomicBool, since: Instant) -> bool {
    standby.load(Ordering::Relaxed) && since.elapsed() > STANDBY_TRUST
}

/// A value that is loaded when first wanted, read without a lock, and dropped
/// when something it was made from has changed.
pub struct Snapshot<T> {
    current: ArcSwapOption<Loaded<T>>,
    changes: AtomicU64,
    // Held while loading, so that many waiters cause one load.
    loading: tokio::sync::Mutex<()>,
    standby: Arc<AtomicBool>,
}

struct Loaded<T> {
    value: Arc<T>,
    since: Instant,
}

impl<T> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("loaded", &self.current.load().is_some())
            .finish_non_exhaustive()
    }
}

impl<T> Snapshot<T> {
    /// Nothing yet. `standby` says whether this node only reads.
    #[must_use]
    pub fn new(standby: Arc<AtomicBool>) -> Self {
        Self {
            current: ArcSwapOption::empty(),
            changes: AtomicU64::new(0),
            loading: tokio::sync::Mutex::new(()),
            standby,
        }
    }

    /// The value, loaded with `load` if need be.
    ///
    /// # Errors
    /// Whatever `load` fails with; nothing is kept then.
    pub async fn get<F: Future<Output = Result<T>>>(
        &self,
        load: impl FnOnce() -> F + Send,
    ) -> Result<Arc<T>> {
        if let Some(value) = self.fresh() {
            return Ok(value);
        }
        let _one_at_a_time = self.loading.lock().await;
        if let Some(value) = self.fresh() {
            return Ok(value);
        }
        let before = self.changes.load(Ordering::Acquire);
        let value = Arc::new(load().await?);
        if before != self.changes.load(Ordering::Acquire) {
            return Ok(value);
        }
        self.current.store(Some(Arc::new(Loaded {
            value: Arc::clone(&value),
            since: Instant::now(),
        })));
        // A change during the load: the value answers this request, which
        // began before, and nobody after it.
        if before != self.changes.load(Ordering::Acquire) {
            self.current.store(None);
        }
        Ok(value)
    }

    /// Drops the value: something it was made from has changed.
    pub fn forget(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.current.store(None);
    }

    fn fresh(&self) -> Option<Arc<T>> {
        let loaded = self.current.load();
        let loaded = loaded.as_ref()?;
        (!is_stale(&self.standby, loaded.since)).then(|| Arc::clone(&loaded.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::framework::error::Error;

    #[tokio::test]
    async fn is_loaded_once_and_again_after_a_change() {
        let snapshot = Snapshot::new(Arc::default());
        assert_eq!(*snapshot.get(|| async { Ok(1) }).await.unwrap(), 1);
        assert_eq!(*snapshot.get(|| async { Ok(2) }).await.unwrap(), 1);
        snapshot.forget();
        assert_eq!(*snapshot.get(|| async { Ok(3) }).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_change_during_the_load_is_not_missed() {
        let snapshot = Snapshot::new(Arc::default());
        let racing = snapshot.get(|| async {
            snapshot.forget();
            Ok(1)
        });
        assert_eq!(*racing.await.unwrap(), 1);
        assert_eq!(*snapshot.get(|| async { Ok(2) }).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_failed_load_keeps_nothing() {
        let snapshot = Snapshot::new(Arc::default());
        let failed: Result<Arc<u8>> = snapshot.get(|| async { Err(Error::forward()) }).await;
        assert_eq!(failed, Err(Error::forward()));
        assert_eq!(*snapshot.get(|| async { Ok(1) }).await.unwrap(), 1);
    }
}
