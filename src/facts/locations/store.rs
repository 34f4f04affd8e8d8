//! Where locations are kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::Storage;
use crate::model::ids::LocationName;

/// The network ranges of a location, as they are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum LocationRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// The ranges.
        cidrs: Vec<IpNet>,
    },
}

impl Record for LocationRecord {
    const PREFIX: &'static str = "location/";
    type Noun = Vec<IpNet>;

    fn upgrade(self) -> std::result::Result<Vec<IpNet>, String> {
        let Self::V1 { cidrs } = self;
        Ok(cidrs)
    }

    fn newest(cidrs: &Vec<IpNet>) -> Self {
        Self::V1 {
            cidrs: cidrs.clone(),
        }
    }
}

/// Every location of a mount.
pub type Locations = BTreeMap<LocationName, Vec<IpNet>>;

/// The locations of a mount, in storage.
#[derive(Debug)]
pub struct LocationStore {
    records: Collection<LocationRecord>,
    all: Snapshot<Locations>,
    writing: tokio::sync::Mutex<()>,
}

impl LocationStore {
    /// The locations in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            all: Snapshot::new(Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// Every location.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn all(&self) -> Result<Arc<Locations>> {
        self.all.get(|| self.load()).await
    }

    /// A location by its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, name: &LocationName) -> Result<Option<Arc<Vec<IpNet>>>> {
        self.records.get(name.as_str()).await
    }

    /// The names of all locations.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// Writes a location. `check` is told whether there is one already.
    ///
    /// # Errors
    /// What `check` refuses, or if storage fails.
    pub async fn put(
        &self,
        name: &LocationName,
        cidrs: Vec<IpNet>,
        check: impl FnOnce(bool) -> Result<()> + Send,
    ) -> Result<Arc<Vec<IpNet>>> {
        let _one_at_a_time = self.writing.lock().await;
        check(self.get(name).await?.is_some())?;
        let stored = self.records.store(name.as_str(), cidrs).await;
        self.all.forget();
        stored
    }

    /// Removes a location. An allow rule that names it no longer applies, a
    /// deny rule that names it does.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self, name: &LocationName) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let removed = self.records.remove(name.as_str()).await;
        self.all.forget();
        removed
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = self.records.invalidate(key);
        if ours {
            self.all.forget();
        }
        ours
    }

    async fn load(&self) -> Result<Locations> {
        let mut all = Locations::new();
        for name in self.list("", 0).await? {
            let (Ok(parsed), Some(cidrs)) = (name.parse(), self.records.get(&name).await?) else {
                continue;
            };
            all.insert(parsed, cidrs.to_vec());
        }
        Ok(all)
    }
}
