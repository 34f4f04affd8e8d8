//! The wire, against a host of our own, in milliseconds: what a real server
//! does, and what it, or somebody in its place, could do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(unreachable_pub, reason = "a test binary has no public interface")]

mod handshake;
mod host;
mod lifecycle;
mod log;
mod mounts;
mod requests;
mod storage;
mod store;
mod trial;
mod wire;
