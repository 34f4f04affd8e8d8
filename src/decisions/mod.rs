//! Decisions: asked for without acting on them, remembered, and replayed.

pub mod api;
pub mod authzen;
pub mod recent;
pub mod replay;
