//! The house. ARCHITECTURE.md draws it; this is the list of its rooms.

pub use agentic_core::{engine, jose, model};

pub mod activity;
pub mod agents;
pub mod authorize;
pub mod baselines;
pub mod config;
pub mod consents;
pub mod credentials;
pub mod decisions;
pub mod delegations;
pub mod export;
pub mod framework;
pub mod identity;
pub mod issuers;
pub mod keys;
pub mod locations;
pub mod login;
pub mod metrics;
pub mod mount;
pub mod plugin;
pub mod policies;
pub mod state;
pub mod targets;
pub mod telemetry;
