//! Which agents there are and were, in storage.

pub mod marks;
pub mod store;
