//! Login on an auth mount: an agent proves who it is, one request is decided,
//! and the host makes a token that can do just that.

pub mod api;
pub mod gate;
pub mod proof;
pub mod proven;
mod refusals;
pub mod rests;
pub mod select;
pub mod session;
mod subject;
