//! Consent: a human's yes, asked for in plain words, given by that human only,
//! receipted, and where it is to one request, used once.

pub mod api;
pub mod ask;
pub mod binding;
pub mod oversight;
pub mod presented;
pub mod receipt;
pub mod seen;
pub mod store;
pub mod words;
