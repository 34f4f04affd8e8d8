//! A real server to test against, and those who speak to it. Nothing here
//! skips: what is missing fails the test that needs it.

mod bao;
mod http;
mod identity;
#[expect(dead_code, reason = "the house's tests use more of it than these do")]
mod idp;
mod mount;
mod processes;
mod tools;

pub(crate) use self::bao::{Bao, STANDBY};
pub(crate) use self::http::{Answer, Client};
pub(crate) use self::identity::Login;
pub(crate) use self::idp::{Idp, Signer};
pub(crate) use self::mount::Mount;
pub(crate) use self::tools::python;

use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test of this run uses.
pub(crate) fn unique(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}
