//! Judgement: policies, and the one function that decides.
//!
//! Everything here is pure: facts, `now` and counters come in, a [`Decision`]
//! comes out. No I/O, no clock, no randomness, no map with random order; the
//! same input gives the same output, so that a decision can be repeated,
//! tested offline and explained. What cannot be established never widens.

pub mod compile;
pub mod condition;
mod decide;
mod decision;
pub mod diagnostic;
pub mod duration;
mod evaluate;
mod explain;
pub mod facts;
mod guards;
mod index;
mod lint;
mod matching;
mod permit;
pub mod policy;
pub mod rate;
mod ruling;
mod scene;
mod syntax;
mod value;
mod verdict;
pub mod window;

pub use compile::compile;
pub use decide::decide;
pub use decision::{Decision, Limits};
pub use evaluate::try_condition;
pub use explain::{Explanation, LayerExplanation, Shortfall, applied_rules};
pub use facts::Facts;
pub use permit::Permit;
pub use verdict::{Finding, Verdict};
