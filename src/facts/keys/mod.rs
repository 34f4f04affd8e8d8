//! Signing keys, their rotation, and how verifiers learn of them.

pub mod api;
pub mod hasher;
pub mod ring;
pub mod set;
pub mod store;
pub mod tidy;
pub mod versions;
pub mod view;
