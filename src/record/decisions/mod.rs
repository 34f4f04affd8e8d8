//! Decisions: asked for without acting on them, made, logged, looked up, and
//! replayed.

pub mod entry;
pub mod list;
pub mod log;
pub mod recent;
pub mod search;
pub mod segment;
pub mod store;
pub mod verify;
