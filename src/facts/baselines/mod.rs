//! What a subject may do: policies attached to entities and groups.

pub mod api;
pub mod store;
