//! The systems that credentials are for.

pub mod api;
pub mod store;
