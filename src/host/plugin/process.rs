//! What the operating system tells the process.

use std::os::unix::process::parent_id;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::host::plugin::ServeError;

/// How often to see whether the host still lives.
const WATCH: Duration = Duration::from_secs(1);

/// The signals we heed, and who our parent was.
#[derive(Debug)]
pub(super) struct Orders {
    terminate: Signal,
    interrupt: Signal,
    parent: u32,
}

impl Orders {
    /// Begins to heed orders.
    pub(super) fn heed() -> Result<Self, ServeError> {
        let listen = |kind| {
            signal(kind).map_err(|source| ServeError::Io {
                what: "listen for signals",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            parent: parent_id(),
        })
    }

    /// Returns when the process is told to end or has lost its host. Ctrl-C
    /// at a terminal reaches the whole process group and is the host's to act
    /// on: it may need us for a while longer.
    pub(super) async fn end(self) {
        let Self {
            mut terminate,
            mut interrupt,
            parent,
        } = self;
        tokio::select! {
            _ = terminate.recv() => tracing::debug!("told to terminate"),
            () = orphaned(parent) => tracing::warn!("the host is gone"),
            () = async { while interrupt.recv().await.is_some() {} } => {}
        }
    }
}

/// Returns when `parent` is no longer our parent. A host that dies before it
/// connects leaves no other sign.
async fn orphaned(parent: u32) {
    let mut ticks = tokio::time::interval(WATCH);
    while parent_id() == parent {
        ticks.tick().await;
    }
}
