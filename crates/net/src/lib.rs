//! Whom a client trusts, and which addresses it may reach: the same for the plugin
//! in the server and for the tools of people.

pub mod addresses;
pub mod trust;
