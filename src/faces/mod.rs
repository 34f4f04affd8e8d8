//! What only shows: who the caller is, what would be decided, metadata, diagnoses.

pub mod activity;
pub mod authzen;
pub mod discovery;
pub mod doctor;
pub mod evaluate;
pub mod own;
pub mod own_decisions;
