//! What the binary does besides being a plugin. Functions here return text;
//! printing is for `main`.

pub mod policy;
mod suite;
