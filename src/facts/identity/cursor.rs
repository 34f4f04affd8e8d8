//! Where the look at all agents goes on.

use std::sync::{Mutex, PoisonError};

/// Where the last look stopped.
#[derive(Debug, Default)]
pub struct Cursor {
    pub(super) agents: Mutex<String>,
    pub(super) former: Mutex<String>,
}

/// Where to go on.
pub(super) fn place(cursor: &Mutex<String>) -> String {
    cursor
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

/// Goes on after the last of these, or from the first again.
pub(super) fn move_on(cursor: &Mutex<String>, ids: &[String]) {
    let last = ids.last().cloned().unwrap_or_default();
    *cursor.lock().unwrap_or_else(PoisonError::into_inner) = last;
}
