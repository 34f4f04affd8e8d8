//! The thread that sends.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::host::telemetry::fields;
use crate::record::decisions::entry::Entry;
use crate::record::export::file::EventFile;
use crate::record::export::otlp::{Collector, Sent};
use crate::record::export::store::Settings;
use crate::record::export::{Sink, Stats};

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

/// The most events about no agent that wait: they have room of their own, and
/// take none from those about agents.
const STRANGERS: u64 = 256;

/// A thread that sends what it is offered. It ends when this is dropped; what
/// waits then is dropped too.
#[derive(Debug)]
pub(super) struct Worker {
    queue: SyncSender<Job>,
    length: u64,
    waiting: Arc<Waiting>,
    ended: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Waiting {
    // In the queue.
    agents: AtomicU64,
    strangers: AtomicU64,
    // Taken from it, and not sent yet.
    taken: AtomicU64,
}

impl Waiting {
    const fn of(&self, entry: &Entry) -> &AtomicU64 {
        if entry.is_of_agent() {
            &self.agents
        } else {
            &self.strangers
        }
    }

    fn take(&self, entry: &Entry) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.of(entry).fetch_sub(1, Ordering::Relaxed);
    }

    fn done(&self, batch: &[Arc<Entry>]) {
        let done = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.taken.fetch_sub(done, Ordering::Relaxed);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Worker {
    pub(super) fn start(
        settings: &Arc<Settings>,
        directory: Option<(PathBuf, String)>,
        stats: Arc<Stats>,
    ) -> Self {
        let length = usize::try_from(settings.queue).unwrap_or(BATCH);
        let strangers = usize::try_from(STRANGERS).unwrap_or(BATCH);
        let (queue, jobs) = sync_channel(length.saturating_add(strangers));
        let waiting = Arc::new(Waiting::default());
        let ended = Arc::new(AtomicBool::new(false));
        let sender = Sender {
            sinks: Sinks::of(settings, directory),
            stats,
            waiting: Arc::clone(&waiting),
            ended: Arc::clone(&ended),
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
        Self {
            queue,
            length: settings.queue.into(),
            waiting,
            ended,
        }
    }

    /// Whether there was room.
    pub(super) fn offer(&self, entry: &Arc<Entry>) -> bool {
        let waiting = self.waiting.of(entry);
        let most = if entry.is_of_agent() {
            self.length
        } else {
            STRANGERS
        };
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        let taken = before < most && self.queue.try_send(Job::Send(Arc::clone(entry))).is_ok();
        if !taken {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        taken
    }

    pub(super) fn waiting(&self) -> u64 {
        let agents = self.waiting.agents.load(Ordering::Relaxed);
        agents
            .saturating_add(self.waiting.strangers.load(Ordering::Relaxed))
            .saturating_add(self.waiting.taken.load(Ordering::Relaxed))
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

/// Where to send; an error where that is set and cannot be.
struct Sinks {
    collector: Option<Result<Collector, String>>,
    file: Option<Result<EventFile, String>>,
}

impl Sinks {
    fn of(settings: &Arc<Settings>, directory: Option<(PathBuf, String)>) -> Self {
        let collector =
            (!settings.otlp_endpoint.is_empty()).then(|| Collector::new(Arc::clone(settings)));
        let (name, most) = (&settings.file, settings.file_max_bytes);
        let file = (!name.is_empty()).then(|| match directory {
            Some((directory, mount)) => Ok(EventFile::new(&directory, name, &mount, most)),
            None => Err("files are not allowed: `--export-dir` is not set any more".to_owned()),
        });
        Self { collector, file }
    }
}

struct Sender {
    sinks: Sinks,
    stats: Arc<Stats>,
    waiting: Arc<Waiting>,
    ended: Arc<AtomicBool>,
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
            if let Ok(Job::Send(entry)) = &job {
                self.waiting.take(entry);
            }
            if self.ended.load(Ordering::Relaxed) {
                if let Ok(Job::Send(entry)) = job {
                    batch.push(entry);
                }
                self.drop_all(batch, jobs);
                return;
            }
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

    /// Counts what is not sent any more.
    fn drop_all(&self, mut batch: Vec<Arc<Entry>>, jobs: &Receiver<Job>) {
        // Ends when nobody can send any more.
        batch.extend(jobs.iter().filter_map(|job| match job {
            Job::Send(entry) => {
                self.waiting.take(&entry);
                Some(entry)
            }
            Job::Flush(_) => None,
        }));
        let dropped = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.stats.dropped.fetch_add(dropped, Ordering::Relaxed);
        self.waiting.done(&batch);
    }

    fn send(&self, batch: &mut Vec<Arc<Entry>>) {
        if batch.is_empty() {
            return;
        }
        if let Some(file) = &self.sinks.file {
            let file = file.as_ref().map_err(Clone::clone);
            let written = file.and_then(|file| file.append(batch).map(|()| 0));
            settle(&self.stats.file, batch.len(), written, "file");
        }
        if let Some(collector) = &self.sinks.collector {
            let sent = collector.as_ref().map_err(Clone::clone);
            let sent = sent.and_then(|collector| {
                let rejected = self.persist(|| collector.send_logs(batch))?;
                // A collector that does not answer is not asked twice.
                let spans = self.persist(|| collector.send_traces(batch))?;
                Ok(rejected.max(spans))
            });
            settle(&self.stats.otlp, batch.len(), sent, "otlp");
        }
        self.waiting.done(batch);
        batch.clear();
    }

    /// Tries to send until that is done, or hopeless: how many were rejected.
    fn persist(&self, mut attempt: impl FnMut() -> Sent) -> Result<u64, String> {
        let mut problem = String::new();
        for again in 0..TRIES {
            if again > 0 {
                thread::sleep(PAUSE.saturating_mul(again));
                if self.ended.load(Ordering::Relaxed) {
                    return Err("where events are sent was changed".to_owned());
                }
            }
            match attempt() {
                Sent::Taken { rejected } => return Ok(rejected),
                Sent::Refused(why) => return Err(why),
                Sent::Later(why) => problem = why,
            }
        }
        Err(problem)
    }
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
