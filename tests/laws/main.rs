//! Laws of the pure core, over thousands of random cases each.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on should panic"
)]

mod delegations;
mod engine;
mod fuzz;
mod hostile;
mod matrix;
mod pattern;
mod reference;
mod refusals;
mod report;
mod scope;
mod standing;
mod world;
