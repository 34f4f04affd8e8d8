//! The plugin in a real server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should panic"
)]

mod harness;
mod install;
mod register;
mod support;
