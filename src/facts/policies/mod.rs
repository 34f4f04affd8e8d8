//! Policies: their texts, and the compiled library that decisions read.

pub mod api;
pub mod replay;
pub mod store;
