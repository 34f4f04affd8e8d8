//! How much of each rate is used on this node.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::engine::facts::RateCounts;
use crate::engine::rate::{Charge, RateBook, Refusal};
use crate::model::time::Timestamp;

/// The counters of rates, one holder at a time.
#[derive(Default)]
pub struct Rates(Mutex<RateBook>);

impl Rates {
    /// Makes every charge, or none.
    ///
    /// # Errors
    /// If one of the rates is exhausted, or there are too many counters.
    pub fn try_charge(&self, charges: &[Charge], now: Timestamp) -> Result<(), Refusal> {
        if charges.is_empty() {
            return Ok(());
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_charge(charges, now)
    }

    /// Drops the counters whose window has passed.
    pub fn forget_idle(&self, now: Timestamp) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget_idle(now);
    }
}

impl RateCounts for Rates {
    fn count(&self, charge: &Charge, now: Timestamp) -> u32 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(charge, now)
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}
