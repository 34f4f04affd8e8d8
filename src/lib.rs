//! The house. ARCHITECTURE.md draws it; these are its wings, from the ground up. No
//! wing imports one above it.

pub use agentic_core::{engine, jose, model};

pub mod host;

pub mod record;

pub mod facts;

pub mod grants;

pub mod authorize;

pub mod issue;

pub mod faces;

pub mod mount;
