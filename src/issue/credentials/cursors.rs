//! Where the removal of what has expired goes on.

use std::sync::Mutex;

/// Where the last call stopped, of each kind.
#[derive(Debug, Default)]
pub struct Cursors {
    pub(super) credentials: Mutex<String>,
    pub(super) revocations: Mutex<String>,
    pub(super) lists: Mutex<String>,
}
