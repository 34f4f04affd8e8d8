//! The thread that sends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::decisions::entry::Entry;
use crate::export::file::EventFile;
use crate::export::otlp::{Collector, Sent};
use crate::export::store::Settings;
use crate::export::{Sink, Stats};
use crate::telemetry::fields;

/// The most events that are sent at once.
const BATCH: usize = 256;
/// How long events are gathered before they are sent.
const GATHER: Duration = Duration::from_millis(500);
/// How often a batch is tried, and how long is waited between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

enum Job {
    Send(Arc<Entry>),
    Flush(oneshot::Sender<()>),
}

/// A thread that sends what it is offered. It ends when this is dropped and
/// what was offered is sent.
#[derive(Debug)]
pub(super) struct Worker {
    queue: SyncSender<Job>,
    waiting: Arc<AtomicU64>,
}

impl Worker {
    pub(super) fn start(
        settings: &Arc<Settings>,
        directory: Option<PathBuf>,
        stats: Arc<Stats>,
    ) -> Self {
        let length = usize::try_from(settings.queue).unwrap_or(BATCH);
        let (queue, jobs) = sync_channel(length);
        let waiting = Arc::new(AtomicU64::new(0));
        let sender = Sender {
            sinks: Sinks::of(settings, directory),
            stats,
            waiting: Arc::clone(&waiting),
        };
        let started = thread::Builder::new()
            .name("export".to_owned())
            .spawn(move || sender.run(&jobs));
        if let Err(error) = started {
            // The queue has no reader now, so everything offered is counted
            // as dropped.
            tracing::error!(
                { fields::ERROR } = error.to_string(),
                "nothing can be exported"
            );
        }
        Self { queue, waiting }
    }

    /// Whether there was room.
    pub(super) fn offer(&self, entry: &Arc<Entry>) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let taken = self.queue.try_send(Job::Send(Arc::clone(entry))).is_ok();
        if !taken {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns when everything offered so far was sent or given up.
    pub(super) async fn flushed(&self) {
        let (done, all_done) = oneshot::channel();
        // A full queue is no place for one more job, and will not be empty soon.
        if self.queue.try_send(Job::Flush(done)).is_ok() {
            let _ = all_done.await;
        }
    }
}

struct Sinks {
    collector: Option<Collector>,
    file: Option<EventFile>,
}

impl Sinks {
    fn of(settings: &Arc<Settings>, directory: Option<PathBuf>) -> Self {
        let collector = (!settings.otlp_endpoint.is_empty())
            .then(|| Collector::new(Arc::clone(settings)))
            .and_then(|collector| {
                collector
                    .map_err(|error| {
                        tracing::error!({ fields::ERROR } = error, "no export to the collector");
                    })
                    .ok()
            });
        let file = directory
            .filter(|_| !settings.file.is_empty())
            .map(|directory| EventFile::new(&directory, &settings.file, settings.file_max_bytes));
        Self { collector, file }
    }
}

struct Sender {
    sinks: Sinks,
    stats: Arc<Stats>,
    waiting: Arc<AtomicU64>,
}

impl Sender {
    fn run(self, jobs: &Receiver<Job>) {
        let mut batch = Vec::new();
        loop {
            let job = if batch.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                jobs.recv_timeout(GATHER)
            };
            match job {
                Ok(Job::Send(entry)) => {
                    batch.push(entry);
                    if batch.len() < BATCH {
                        continue;
                    }
                    self.send(&mut batch);
                }
                Ok(Job::Flush(done)) => {
                    self.send(&mut batch);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => self.send(&mut batch),
                Err(RecvTimeoutError::Disconnected) => {
                    self.send(&mut batch);
                    return;
                }
            }
        }
    }

    fn send(&self, batch: &mut Vec<Arc<Entry>>) {
        if batch.is_empty() {
            return;
        }
        if let Some(file) = &self.sinks.file {
            let written = file.append(batch);
            settle(&self.stats.file, batch.len(), written.map(|()| 0), "file");
        }
        if let Some(collector) = &self.sinks.collector {
            let logs = persist(|| collector.send_logs(batch));
            // A collector that does not answer is not asked twice.
            let sent = match logs {
                Ok(rejected) => {
                    persist(|| collector.send_traces(batch)).map(|spans| rejected.max(spans))
                }
                failed => failed,
            };
            settle(&self.stats.otlp, batch.len(), sent, "otlp");
        }
        let done = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.waiting.fetch_sub(done, Ordering::Relaxed);
        batch.clear();
    }
}

/// Tries to send until that is done, or hopeless: how many were rejected.
fn persist(mut attempt: impl FnMut() -> Sent) -> Result<u64, String> {
    let mut problem = String::new();
    for again in 0..TRIES {
        if again > 0 {
            thread::sleep(PAUSE.saturating_mul(again));
        }
        match attempt() {
            Sent::Taken { rejected } => return Ok(rejected),
            Sent::Refused(why) => return Err(why),
            Sent::Later(why) => problem = why,
        }
    }
    Err(problem)
}

fn settle(sink: &Sink, events: usize, sent: Result<u64, String>, name: &'static str) {
    let events = u64::try_from(events).unwrap_or(u64::MAX);
    let failed = match sent {
        Ok(rejected) => rejected.min(events),
        Err(error) => {
            tracing::warn!(
                sink = name,
                events,
                { fields::ERROR } = error,
                "events could not be exported"
            );
            events
        }
    };
    sink.failed.fetch_add(failed, Ordering::Relaxed);
    sink.sent
        .fetch_add(events.saturating_sub(failed), Ordering::Relaxed);
}
