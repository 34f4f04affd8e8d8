//! Decisions, sent to where operators watch: an OpenTelemetry collector, or a
//! file. A thread of its own does it, behind a bounded queue: whatever becomes
//! of a sink, a decision does not wait for it, and what finds no room is
//! counted.

pub mod address;
pub mod api;
pub mod file;
pub mod ocsf;
pub mod otlp;
pub mod store;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;

use crate::host::framework::error::Result;
use crate::host::framework::storage::Storage;
use crate::record::decisions::entry::Entry;
use crate::record::export::store::{Settings, SettingsStore};
use crate::record::export::worker::Worker;

/// How long the end of a mount may wait for what is queued. The host grants
/// all handlers of the process 1.5 seconds.
const FAREWELL: Duration = Duration::from_secs(1);

/// What became of events at one sink.
#[derive(Debug, Default)]
pub struct Sink {
    /// Taken.
    pub sent: AtomicU64,
    /// Given up.
    pub failed: AtomicU64,
}

/// What became of events, since the process started.
#[derive(Debug, Default)]
pub struct Stats {
    /// Taken for export.
    pub queued: AtomicU64,
    /// Dropped: the queue was full.
    pub dropped: AtomicU64,
    /// At the collector.
    pub otlp: Sink,
    /// At the file.
    pub file: Sink,
}

/// Where decisions are sent.
#[derive(Debug)]
pub struct Export {
    /// The settings.
    pub settings: SettingsStore,
    // With the id of the mount.
    directory: OnceLock<(PathBuf, String)>,
    running: ArcSwapOption<Running>,
    // Held while a worker is replaced.
    changing: tokio::sync::Mutex<()>,
    stats: Arc<Stats>,
}

#[derive(Debug)]
struct Running {
    settings: Arc<Settings>,
    worker: Worker,
}

impl Export {
    /// The export of a mount, off until [`Self::apply`].
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            settings: SettingsStore::new(storage, standby),
            directory: OnceLock::new(),
            running: ArcSwapOption::empty(),
            changing: tokio::sync::Mutex::new(()),
            stats: Arc::default(),
        }
    }

    /// Allows files, in this directory, to the mount of this id.
    pub fn allow_files_in(&self, directory: PathBuf, mount: &str) {
        let _ = self.directory.set((directory, mount.to_owned()));
    }

    /// Where files are allowed.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory
            .get()
            .map(|(directory, _)| directory.as_path())
    }

    /// Has an event sent, if anything is. Never waits.
    pub fn offer(&self, entry: &Arc<Entry>) {
        if let Some(running) = &*self.running.load() {
            if running.worker.offer(entry) {
                self.stats.queued.fetch_add(1, Ordering::Relaxed);
            } else {
                self.stats.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// What became of events, and how many wait.
    #[must_use]
    pub fn numbers(&self) -> (&Stats, u64) {
        let waiting = self
            .running
            .load()
            .as_ref()
            .map_or(0, |running| running.worker.waiting());
        (&self.stats, waiting)
    }

    /// Makes what runs be what the settings say.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn apply(&self) -> Result<()> {
        let _one_at_a_time = self.changing.lock().await;
        let settings = self.settings.get().await?;
        let running = self.running.load_full();
        if !settings.is_on() {
            self.running.store(None);
            return Ok(());
        }
        // The store gives the same value as long as nothing was written, and
        // another after a read of its own: then what it says is compared.
        if running.is_some_and(|running| {
            Arc::ptr_eq(&running.settings, &settings) || running.settings.same(&settings)
        }) {
            return Ok(());
        }
        let directory = self.directory.get().cloned();
        let worker = Worker::start(&settings, directory, Arc::clone(&self.stats));
        // The one before sends nothing more to where it may not any more.
        self.running
            .store(Some(Arc::new(Running { settings, worker })));
        Ok(())
    }

    /// Sends what waits, as far as that is quickly done, and ends.
    pub async fn finish(&self) {
        if let Some(running) = self.running.swap(None) {
            let _ = tokio::time::timeout(FAREWELL, running.worker.flushed()).await;
        }
    }

    /// Sends what waits.
    pub async fn flush(&self) {
        if let Some(running) = self.running.load_full() {
            let _ = tokio::time::timeout(FAREWELL, running.worker.flushed()).await;
        }
    }

    /// Another node changed `key`. Whether it is ours. The next periodic call
    /// takes it on.
    pub fn invalidate(&self, key: &str) -> bool {
        self.settings.invalidate(key)
    }
}
