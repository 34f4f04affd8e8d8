//! A signing key with its versions.

use crate::facts::config::store::{LONGEST_DELEGATION, LONGEST_TTL};
use crate::host::framework::error::{Error, Result};
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::ids::KeyName;
use crate::model::secret::Secret;
use crate::model::time::{Timestamp, Ttl};

/// The name of the key that signs receipts, and nothing else.
pub const RECEIPTS_KEY: &str = "receipts";
/// The most versions a key may have at once.
pub const MAX_VERSIONS: usize = 32;

/// A named signing key, with the versions that rotation has left.
#[derive(Clone, Debug)]
pub struct KeyRing {
    /// Its name.
    pub name: KeyName,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its versions, oldest first; the last signs. Never empty.
    pub versions: Vec<KeyVersion>,
    /// After what time it rotates by itself; zero: never.
    pub rotation_period: Ttl,
    /// When a target or the settings last stopped using it.
    pub released_at: Option<Timestamp>,
}

/// One version of a key.
#[derive(Clone, Debug)]
pub struct KeyVersion {
    /// Counts from 1.
    pub version: u32,
    /// When it was made or imported.
    pub created_at: Timestamp,
    /// When the last token it signed has expired; `None` while it signs.
    pub verify_until: Option<Timestamp>,
    /// When it was taken out of use as compromised: it neither signs nor
    /// verifies.
    pub retired_at: Option<Timestamp>,
    /// The private key, PKCS#8 DER.
    pub pkcs8: Secret<Vec<u8>>,
}

impl KeyRing {
    /// A key that is used by nobody yet.
    #[must_use]
    pub fn new(name: KeyName, key: &SigningKey, now: Timestamp) -> Self {
        let mut ring = Self {
            name,
            algorithm: key.alg(),
            versions: Vec::new(),
            rotation_period: Ttl::ZERO,
            released_at: None,
        };
        ring.rotate(key, now);
        ring
    }

    /// Whether its time to rotate has come.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        let last = self.versions.last();
        !self.rotation_period.is_zero()
            && last.is_some_and(|last| last.created_at.plus(self.rotation_period) <= now)
    }

    /// Whether nothing needs one of its versions any more.
    #[must_use]
    pub fn has_spent(&self, now: Timestamp) -> bool {
        self.versions.iter().any(|version| version.is_spent(now))
    }

    /// Drops the versions that nothing needs any more.
    pub fn prune(&mut self, now: Timestamp) {
        self.versions.retain(|version| !version.is_spent(now));
    }

    /// Drops the oldest of the retired versions where there are more than
    /// `most`: they neither sign nor verify.
    pub fn drop_retired(&mut self, most: usize) {
        while self.versions.len() > most {
            let oldest = self
                .versions
                .iter()
                .position(|version| version.retired_at.is_some());
            match oldest {
                Some(oldest) => drop(self.versions.remove(oldest)),
                None => return,
            }
        }
    }

    /// Takes a version out of use at once; whether there is one by this number.
    /// If it is the one that signs, rotate first.
    pub fn retire(&mut self, number: u32, now: Timestamp) -> bool {
        let found = self
            .versions
            .iter_mut()
            .find(|version| version.version == number && version.verify_until.is_some());
        match found {
            Some(version) => {
                version.retired_at.get_or_insert(now);
                true
            }
            None => false,
        }
    }

    /// How long what it signs may have to be verified.
    #[must_use]
    pub fn longest_life(&self) -> Ttl {
        if self.name.as_str() == RECEIPTS_KEY {
            // A receipt is as good as the delegation it is about.
            LONGEST_DELEGATION
        } else {
            LONGEST_TTL
        }
    }

    /// Until when tokens that it signed may live, if nothing uses it any more.
    #[must_use]
    pub fn needed_until(&self) -> Option<Timestamp> {
        // Requests that were under way when it was released have ended by then.
        const MARGIN: Ttl = Ttl::from_secs(60);
        self.released_at
            .map(|released| released.plus(self.longest_life()).plus(MARGIN))
    }

    /// Adds a version that signs from now on. The one before it verifies until
    /// everything it may have signed has expired.
    pub fn rotate(&mut self, key: &SigningKey, now: Timestamp) {
        self.prune(now);
        let version = self
            .versions
            .iter()
            .map(|version| version.version)
            .max()
            .unwrap_or(0)
            .saturating_add(1);
        let until = now.plus(self.longest_life());
        if let Some(last) = self.versions.last_mut() {
            last.verify_until = Some(until);
        }
        self.versions.push(KeyVersion {
            version,
            created_at: now,
            verify_until: None,
            retired_at: None,
            pkcs8: key.to_pkcs8(),
        });
    }
}

impl KeyVersion {
    pub(super) fn is_spent(&self, now: Timestamp) -> bool {
        self.verify_until.is_some_and(|end| end <= now)
    }
}

pub(super) fn thumbprint(ring: &KeyRing, version: &KeyVersion) -> Result<String> {
    SigningKey::from_pkcs8(ring.algorithm, version.pkcs8.expose())
        .map(|key| key.public().thumbprint())
        .map_err(|error| Error::Internal(format!("key {}: {error}", ring.name)))
}
