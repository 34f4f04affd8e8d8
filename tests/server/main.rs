//! The plugin in a real server.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should panic"
)]

mod authority;
mod cluster;
mod delegations;
mod example;
mod failover;
mod harness;
mod install;
mod issuing;
mod leases;
mod lifecycle;
mod login;
mod observability;
mod policies;
mod possession;
mod redeeming;
mod register;
mod registry;
mod report;
mod report_chain;
mod secrecy;
mod support;
mod surface;
mod upgrade;
