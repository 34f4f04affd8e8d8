//! JOSE over `ring`: what a key is, who signed a token, what it claims.
//!
//! Pure but for the random source that makes and uses signing keys: no clock
//! (`now` is given), no storage, no network. It never follows a key or a key's
//! address out of a token, never verifies with a secret shared between two
//! parties, and never decides what a subject may do. Replay stores, key
//! fetching and revocation belong to its callers.

pub mod alg;
mod base64url;
pub mod claims;
pub mod der;
pub mod dpop;
pub mod json;
pub mod jwk;
pub mod jws;
mod pem;
pub mod signer;
#[cfg(test)]
mod vectors;
