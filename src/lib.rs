//! The house.
pub mod cli;
pub mod engine;
pub mod framework;
pub mod jose;
pub mod model;
