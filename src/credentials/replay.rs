//! Which proofs of possession were used (RFC 9449 11.1).

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use ring::digest;

use crate::framework::error::{Error, Result};
use crate::jose::dpop::Proof;
use crate::model::time::{Timestamp, Ttl};

/// The most proofs that are remembered at once. Only a proof that is good in
/// every other way gets this far.
const MAX_PROOFS: usize = 65_536;

/// Proofs that were used, for as long as they would still be taken.
#[derive(Debug)]
pub struct Replays {
    seen: Mutex<HashMap<[u8; 32], i64>>,
    /// What was used up to this second nobody remembers.
    forgotten_until: AtomicI64,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            forgotten_until: AtomicI64::new(i64::MIN),
        }
    }
}

impl Replays {
    /// Says that what was used before `now` may have been used elsewhere: this
    /// process has just taken over. Proofs made until then are refused.
    pub fn begin(&self, now: Timestamp) {
        self.forgotten_until.store(now.unix(), Ordering::Relaxed);
    }

    /// Uses a proof up. `false`: it was used before, or may have been.
    ///
    /// # Errors
    /// [`Error::Limited`] if more are in use than can be remembered.
    pub fn take(&self, proof: &Proof, now: Timestamp, max_age: Ttl) -> Result<bool> {
        if proof.issued_at.unix() <= self.forgotten_until.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let until = proof.issued_at.plus(max_age).unix();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_PROOFS {
            seen.retain(|_, until| *until >= now.unix());
        }
        if seen.len() >= MAX_PROOFS {
            return Err(Error::Limited(
                "too many proofs of possession are in use; retry later".to_owned(),
            ));
        }
        Ok(seen.insert(name(proof), until).is_none())
    }

    /// Forgets proofs that are too old to be taken.
    pub fn tidy(&self, now: Timestamp) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, until| *until >= now.unix());
    }
}

/// What is kept of a proof, whatever the length of its id.
fn name(proof: &Proof) -> [u8; 32] {
    let (jkt, jti) = proof.replay_key();
    let mut context = digest::Context::new(&digest::SHA256);
    // A thumbprint has one length, so nothing can move from one to the other.
    context.update(jkt.as_bytes());
    context.update(jti.as_bytes());
    let mut name = [0; 32];
    for (to, from) in name.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Ttl = Ttl::from_secs(60);

    fn proof(jti: &str, at: i64) -> Proof {
        Proof {
            jkt: "x".repeat(43),
            jti: jti.into(),
            issued_at: Timestamp::from_unix(at),
        }
    }

    #[test]
    fn a_proof_is_taken_once() {
        let (replays, now) = (Replays::default(), Timestamp::from_unix(100));
        assert!(replays.take(&proof("a", 100), now, AGE).unwrap());
        assert!(!replays.take(&proof("a", 100), now, AGE).unwrap());
        assert!(replays.take(&proof("b", 100), now, AGE).unwrap());
        replays.tidy(Timestamp::from_unix(160));
        assert!(!replays.take(&proof("a", 100), now, AGE).unwrap());
        replays.tidy(Timestamp::from_unix(161));
        assert!(replays.take(&proof("a", 100), now, AGE).unwrap());
    }

    #[test]
    fn what_another_process_may_have_seen_is_refused() {
        let replays = Replays::default();
        replays.begin(Timestamp::from_unix(100));
        let now = Timestamp::from_unix(101);
        assert!(!replays.take(&proof("a", 100), now, AGE).unwrap());
        assert!(replays.take(&proof("a", 101), now, AGE).unwrap());
    }

    #[test]
    fn a_flood_is_refused_and_forgets_nothing() {
        let (replays, now) = (Replays::default(), Timestamp::from_unix(100));
        for number in 0..MAX_PROOFS {
            assert!(
                replays
                    .take(&proof(&number.to_string(), 100), now, AGE)
                    .unwrap()
            );
        }
        assert!(replays.take(&proof("more", 100), now, AGE).is_err());
        let later = Timestamp::from_unix(161);
        assert!(replays.take(&proof("more", 161), later, AGE).unwrap());
    }
}
