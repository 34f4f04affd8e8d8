//! Delegation: authority that humans pass to agents, and agents to agents.

pub mod answer;
pub mod api;
pub mod chain;
pub mod code;
pub mod code_attempts;
pub mod codes;
pub mod input;
pub mod list;
pub mod oversight;
pub mod pass;
pub mod request;
pub mod store;
pub mod tidy;
pub mod uses;
pub mod view;
