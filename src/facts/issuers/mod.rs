//! Whose tokens this mount believes: their definitions, their keys, and who
//! their humans are here.

pub mod api;
pub mod check;
pub mod fetch;
mod input;
pub mod keys;
pub mod store;
pub mod subjects;
pub mod verify;
