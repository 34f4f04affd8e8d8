//! The nouns: what an agent, a target, a policy name or a lifetime *is*.
//!
//! Everything here is valid once it exists: types check their input when they
//! are parsed or deserialized, so no other module validates again. Of our own
//! modules it knows only what a public key looks like (`jose`). No I/O here.

pub mod agent;
pub mod authorization;
pub mod consent;
pub mod credential;
pub mod decision;
pub mod delegation;
pub mod governed;
pub mod identity;
pub mod ids;
pub mod issuer;
pub mod pattern;
pub mod secret;
pub mod target;
pub mod text;
pub mod time;
pub mod vault_path;
