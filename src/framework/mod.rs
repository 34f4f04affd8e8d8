//! The server's path framework, typed. Knows no feature of ours.

pub mod backend;
pub mod error;
pub mod request;
pub mod response;
pub mod storage;
pub mod system;
