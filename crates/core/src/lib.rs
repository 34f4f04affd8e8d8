//! The pure core of `vault-plugin-agentic`: the nouns, the decision, and the
//! tokens. It does no I/O and asks no clock; what it needs is handed in.
//!
//! - [`model`]: agents, targets, delegations, requests, decisions, patterns, times,
//!   ids. What is of such a type is well-formed.
//! - [`engine`]: the text of policies to rules; facts to a decision; a decision to an
//!   explanation and, where it is allowed, a permit. [`engine::decide`] is the
//!   decision.
//! - [`jose`]: JWS, JWK, claims of tokens, and proofs of possession (`DPoP`), over
//!   `ring`.

pub mod engine;
pub mod jose;
pub mod model;
