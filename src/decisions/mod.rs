//! Decisions: asked for without acting on them, made, logged, looked up, and
//! replayed.

pub mod api;
pub mod authzen;
pub mod entry;
pub mod events;
pub mod list;
pub mod log;
pub mod mine;
pub mod recent;
pub mod replay;
pub mod search;
pub mod segment;
pub mod store;
pub mod verify;
