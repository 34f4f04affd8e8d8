//! When the process ends, and what it still finishes.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long the last reply may take to leave. The host waits for our exit
/// whenever it reloads or fails over, so every millisecond counts.
const FLUSH: Duration = Duration::from_millis(2);

/// How long handlers may go on. The host kills after two seconds.
const GRACE: Duration = Duration::from_millis(1500);

/// What the process is busy with, and whether it should end.
#[derive(Debug, Default)]
pub(super) struct Lifecycle {
    ended: watch::Sender<bool>,
    mounts: watch::Sender<usize>,
    handlers: watch::Sender<usize>,
}

impl Lifecycle {
    /// The process is to end.
    pub(super) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// There are this many mounts now.
    pub(super) fn mounts(&self, count: usize) {
        self.mounts.send_replace(count);
    }

    /// Runs `work` to its end, whether or not anybody awaits it: a host whose
    /// client hangs up drops the call, and a write must not stop half-way.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let busy = Busy::new(self.handlers.clone());
        tokio::spawn(async move {
            let _busy = busy;
            work.await
        })
    }

    /// Returns when the process has nothing more to do here: when the host or
    /// `orders` ended it and its handlers are done, or when it has had no
    /// mount for `idle`.
    pub(super) async fn over(&self, idle: Duration, orders: impl Future<Output = ()>) {
        let mut ended = self.ended.subscribe();
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {}
            () = orders => {}
            () = self.idle(idle) => {
                tracing::warn!(seconds = idle.as_secs(), "no mount for too long; leaving");
                return;
            }
        }
        sleep(FLUSH).await;
        let mut handlers = self.handlers.subscribe();
        let _ = timeout(GRACE, handlers.wait_for(|count| *count == 0)).await;
    }

    async fn idle(&self, limit: Duration) {
        let mut mounts = self.mounts.subscribe();
        loop {
            let _ = mounts.wait_for(|count| *count == 0).await;
            if timeout(limit, mounts.wait_for(|count| *count > 0))
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// One running handler, even one that panics.
struct Busy(watch::Sender<usize>);

impl Busy {
    fn new(count: watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count = count.saturating_add(1));
        Self(count)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
