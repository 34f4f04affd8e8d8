//! The server's path framework, typed. Knows no feature of ours.
//!
//! An [`endpoint::Endpoint`] is declared once; routing, coercion, errors that
//! name the field, help, the OpenAPI document and warnings come from it.

pub mod backend;
pub mod coerce;
pub mod due;
pub mod endpoint;
pub mod error;
pub mod field;
pub mod help;
pub mod locks;
pub mod memory;
pub mod openapi;
pub mod record;
pub mod request;
pub mod response;
pub mod router;
pub mod snapshot;
pub mod storage;
pub mod system;
