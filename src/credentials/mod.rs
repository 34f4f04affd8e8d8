//! Credentials: what an allowed request gets.

pub mod api;
pub mod claims;
pub mod mint;
pub mod request;
