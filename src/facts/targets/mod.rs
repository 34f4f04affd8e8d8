//! The systems that credentials are for.

pub mod acl;
pub mod api;
pub mod store;
