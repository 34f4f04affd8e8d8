//! The settings of a mount.

pub mod api;
pub mod store;
