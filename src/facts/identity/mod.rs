//! Who somebody is: the one room that asks whether an entity is there, whose
//! agent it is or was, whose human, and whether a token came from a login here.
//!
//! The host's identity store is asked anew each time. What it does not say
//! counts as not given: an entity that is not found, was merged, is disabled, or
//! has no alias that this mount can see is neither a human nor an agent.

pub mod admit;
pub mod api;
pub mod caller;
pub mod cursor;
pub mod human;
pub mod presence;
pub mod settings;
pub mod sweep;
pub mod upkeep;
