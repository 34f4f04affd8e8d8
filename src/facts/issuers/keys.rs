//! The keys of issuers, as they were last fetched.
//!
//! One fetch at a time for each issuer, and not often: nobody can make this
//! mount ask an issuer more than once in ten seconds, whatever they send.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::facts::issuers::fetch::{FetchError, KeySource};
use crate::jose::json::strict_object;
use crate::jose::jwk::PublicJwk;
use crate::jose::jws::Header;
use crate::model::ids::IssuerId;
use crate::model::issuer::Issuer;
use crate::model::time::{Clock, Timestamp, Ttl};

/// After how long a set is fetched anew. So long a key that its issuer has
/// withdrawn is still believed.
pub const REFRESH: Ttl = Ttl::from_secs(300);
/// For how long the last good set is believed while no newer one can be had.
pub const KEEP: Ttl = Ttl::from_secs(3600);
/// How much time there is at least between two attempts.
pub const RETRY: Ttl = Ttl::from_secs(10);
/// The most keys in a set.
pub const MAX_KEYS: usize = 100;
/// The most issuers whose keys are kept.
const MAX_ISSUERS: usize = 256;
/// How many requests may wait for one issuer's keys.
const MAX_WAITING: usize = 4;
/// How many fetches run at a time.
const MAX_FETCHES: usize = 4;
/// How long a fetch may take with the wait for its turn, so that slow issuers
/// hold up nobody for longer.
const PATIENCE: Duration = Duration::from_secs(6);

/// Why there is no key for a token.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeysError {
    /// The issuer has keys, and none that fits.
    #[error("the issuer has no key that fits the token")]
    NoneFits,
    /// The issuer's keys cannot be had.
    #[error("the issuer's keys cannot be had: {0}")]
    Unavailable(KeySetError),
    /// Too many are waiting for them already.
    #[error("too many requests wait for the issuer's keys")]
    Busy,
}

/// Why a set was not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeySetError {
    /// It did not come.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not a JWK set (RFC 7517 5).
    #[error("the document is not a JWK set of at most {MAX_KEYS} keys")]
    NotASet,
    /// Nothing in it is a key that we verify with.
    #[error("the set holds no key that can be used: none for signatures, or weak ones only")]
    NoKey,
    /// The last attempt failed, and it is too early for another.
    #[error("the last attempt failed")]
    TooEarly,
}

/// The key sets of a mount's issuers.
#[derive(Debug)]
pub struct KeySets {
    source: Arc<dyn KeySource>,
    entries: Mutex<HashMap<IssuerId, Arc<Entry>>>,
    fetches: Semaphore,
}

/// One issuer's keys.
#[derive(Debug)]
struct Entry {
    revision: u64,
    known: Mutex<Known>,
    waiting: Semaphore,
    // Held during a fetch.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    good: Option<(Arc<Vec<PublicJwk>>, Timestamp)>,
    tried: Option<Timestamp>,
    problem: Option<KeySetError>,
}

impl KeySets {
    /// No keys yet; they will come from `source`.
    #[must_use]
    pub fn new(source: Arc<dyn KeySource>) -> Self {
        Self {
            source,
            entries: Mutex::default(),
            fetches: Semaphore::new(MAX_FETCHES),
        }
    }

    /// The keys of `issuer` among which the one that `header` means should be.
    ///
    /// # Errors
    /// [`KeysError`].
    pub async fn of(
        &self,
        issuer: &Issuer,
        header: &Header,
        clock: &dyn Clock,
    ) -> Result<Arc<Vec<PublicJwk>>, KeysError> {
        let now = clock.now();
        let entry = self.entry(issuer);
        let before = entry.known().clone();
        let usable = before.usable(header, now);
        if before.is_fresh(now) && usable.is_ok() {
            return usable;
        }
        match (entry.flight.try_lock(), usable) {
            (Ok(_), usable) if !entry.known().may_try(now) => usable,
            (Ok(_flight), _) => {
                entry.known().tried = Some(now);
                let fetched = self.fetch(issuer).await;
                let now = clock.now();
                entry.known().take(fetched, issuer, now);
                let after = entry.known().clone();
                after.usable(header, now)
            }
            // Somebody fetches already, and what there is will do.
            (Err(_), Ok(keys)) => Ok(keys),
            (Err(_), Err(_)) => {
                let Ok(_place) = entry.waiting.try_acquire() else {
                    return Err(KeysError::Busy);
                };
                drop(entry.flight.lock().await);
                let after = entry.known().clone();
                after.usable(header, clock.now())
            }
        }
    }

    /// Fetches the keys of `issuer` now, unless that was just done, and says
    /// how many there are or why there are none. For operators.
    ///
    /// # Errors
    /// [`KeySetError`].
    pub async fn check(&self, issuer: &Issuer, clock: &dyn Clock) -> Result<usize, KeySetError> {
        let entry = self.entry(issuer);
        let _flight = entry.flight.lock().await;
        let now = clock.now();
        let before = entry.known().clone();
        if before.may_try(now) {
            entry.known().tried = Some(now);
            let fetched = self.fetch(issuer).await;
            entry.known().take(fetched, issuer, clock.now());
        }
        let after = entry.known().clone();
        match (after.problem, after.good) {
            (Some(problem), _) => Err(problem),
            (None, Some((keys, _))) => Ok(keys.len()),
            (None, None) => Err(KeySetError::TooEarly),
        }
    }

    async fn fetch(&self, issuer: &Issuer) -> Result<Vec<PublicJwk>, KeySetError> {
        let fetched = tokio::time::timeout(PATIENCE, async {
            // Never closed, so this cannot fail.
            let _slot = self.fetches.acquire().await;
            self.source.fetch(issuer).await
        })
        .await
        .map_err(|_| KeySetError::Fetch(FetchError::Slow))?;
        parse(&fetched?)
    }

    /// What is known of an issuer as it is defined now. Another revision's
    /// keys may be another place's, and are dropped.
    fn entry(&self, issuer: &Issuer) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries
            .get(&issuer.id)
            .filter(|entry| entry.revision == issuer.revision)
        {
            return Arc::clone(entry);
        }
        if entries.len() >= MAX_ISSUERS {
            entries.clear();
        }
        let entry = Arc::new(Entry {
            revision: issuer.revision,
            known: Mutex::default(),
            waiting: Semaphore::new(MAX_WAITING),
            flight: tokio::sync::Mutex::new(()),
        });
        entries.insert(issuer.id.clone(), Arc::clone(&entry));
        entry
    }
}

impl Entry {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(
        &mut self,
        fetched: Result<Vec<PublicJwk>, KeySetError>,
        issuer: &Issuer,
        now: Timestamp,
    ) {
        match fetched {
            Ok(keys) => {
                self.good = Some((Arc::new(keys), now));
                self.problem = None;
            }
            Err(problem) => {
                tracing::warn!(issuer = %issuer.name, %problem, "an issuer's keys could not be fetched");
                self.problem = Some(problem);
            }
        }
    }

    /// A clock that was set back makes nothing fresh.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.good
            .as_ref()
            .is_some_and(|(_, at)| *at <= now && now < at.plus(REFRESH))
    }

    fn may_try(&self, now: Timestamp) -> bool {
        self.tried
            .is_none_or(|tried| tried > now || tried.plus(RETRY) <= now)
    }

    fn usable(&self, header: &Header, now: Timestamp) -> Result<Arc<Vec<PublicJwk>>, KeysError> {
        match &self.good {
            Some((keys, at)) if *at <= now && now < at.plus(KEEP) => {
                if keys.iter().any(|key| fits(key, header)) {
                    Ok(Arc::clone(keys))
                } else {
                    Err(KeysError::NoneFits)
                }
            }
            Some(_) | None => Err(KeysError::Unavailable(
                self.problem.clone().unwrap_or(KeySetError::TooEarly),
            )),
        }
    }
}

/// Whether the token may mean this key: which one it is, `jws::verify` decides.
fn fits(key: &PublicJwk, header: &Header) -> bool {
    key.algorithms().contains(&header.alg())
        && (header.kid().is_none() || key.kid().is_none() || key.kid() == header.kid())
}

/// The keys of a set that can be used. Others are left out, as RFC 7517 5 has
/// it: keys for encryption, of kinds we do not know, and weak ones.
fn parse(document: &[u8]) -> Result<Vec<PublicJwk>, KeySetError> {
    let set = strict_object(document).map_err(|_| KeySetError::NotASet)?;
    let members = set
        .get("keys")
        .and_then(Value::as_array)
        .filter(|members| members.len() <= MAX_KEYS)
        .ok_or(KeySetError::NotASet)?;
    let keys: Vec<PublicJwk> = members
        .iter()
        .filter_map(|member| PublicJwk::from_value(member).ok())
        .filter(|key| key.check_on_curve().is_ok())
        .collect();
    if keys.is_empty() {
        return Err(KeySetError::NoKey);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests;
