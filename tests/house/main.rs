//! The house from the inside: a mount over fakes of the host, the shape of its
//! surface, and who may import whom.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::needless_pass_by_value,
    reason = "a test that cannot go on should panic, and may be brief"
)]

mod architecture;
mod authority;
mod budget;
mod chains;
mod consents;
mod credentials;
mod dashboards;
mod decisions_log;
mod delegation_costs;
mod delegation_faults;
mod delegation_races;
mod delegation_trees;
mod delegations;
mod export;
mod faults;
mod fetching;
mod findings;
mod golden;
mod idp;
mod issuing;
mod keys;
mod leases;
mod login;
mod observing;
mod people;
mod records;
mod redeeming;
mod registry;
mod report;
mod standing;
mod statuses;
mod surface;
mod view;
mod world;
