//! The registry: which agents there are.

pub mod api;
pub mod enterprise;
pub mod forget;
pub mod input;
pub mod list;
