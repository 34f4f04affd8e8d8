//! What the process says about itself: log lines that the host takes into its
//! own log.

pub mod fields;
pub mod hclog;

use std::io::Write as _;
use std::panic::PanicHookInfo;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::host::telemetry::hclog::Hclog;

/// The most of a panic's message that is logged.
const LONGEST: usize = 500;

/// Sends all log lines, and panics, to the host by the standard error stream.
pub fn start() {
    // There is nobody left to tell that the log is gone.
    let layer = Hclog::new(|line: &[u8]| drop(std::io::stderr().write_all(line)));
    if tracing_subscriber::registry()
        .with(layer)
        .try_init()
        .is_ok()
    {
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// A panic in Rust's own form would be a debug line to the host, and the form
/// that Go prints would turn every later plain line into an error.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let payload = panic.payload();
    let message = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    let message: String = message.chars().take(LONGEST).collect();
    tracing::error!(
        location = location.unwrap_or_default(),
        { fields::ERROR } = message,
        "panic"
    );
}
