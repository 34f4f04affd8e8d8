//! Named network ranges that policies refer to.

pub mod api;
pub mod store;
