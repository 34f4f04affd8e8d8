//! Credentials: what an allowed request gets, and all that becomes of it.

pub mod api;
pub mod claims;
pub mod cursors;
pub mod events;
pub mod introspection;
pub mod leases;
pub mod mint;
pub mod opaque;
pub mod oversight;
pub mod present;
pub mod replay;
pub mod request;
pub mod revoke_api;
pub mod standing;
pub mod status;
pub mod status_api;
pub mod store;
pub mod tidy;
pub mod verify_api;
