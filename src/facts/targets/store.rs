//! Where targets are kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::storage::Storage;
use crate::model::ids::{KeyName, TargetName};
use crate::model::target::Target;
use crate::model::time::Timestamp;

/// A target as it is stored. Both versions have one shape: the first did not give
/// tokens an alias unless it was asked to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum TargetRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<Target>),
    /// The second version.
    #[serde(rename = "2")]
    V2(Box<Target>),
}

impl Record for TargetRecord {
    const PREFIX: &'static str = "target/";
    type Noun = Target;

    fn upgrade(self) -> std::result::Result<Target, String> {
        Ok(match self {
            Self::V1(target) => Target {
                vault_alias: true,
                ..*target
            },
            Self::V2(target) => *target,
        })
    }

    fn newest(target: &Target) -> Self {
        Self::V2(Box::new(target.clone()))
    }
}

/// The targets of a mount, in storage.
#[derive(Debug)]
pub struct TargetStore {
    records: Collection<TargetRecord>,
    writing: tokio::sync::Mutex<()>,
}

impl TargetStore {
    /// The targets in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// A target by its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, name: &TargetName) -> Result<Option<Arc<Target>>> {
        self.records.get(name.as_str()).await
    }

    /// The names of all targets.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// Defines or changes a target: `change` sees what is there now.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        name: &TargetName,
        change: impl FnOnce(Option<&Target>) -> Result<Target> + Send,
    ) -> Result<Arc<Target>> {
        let _one_at_a_time = self.writing.lock().await;
        let present = self.records.get(name.as_str()).await?;
        let target = change(present.as_deref())?;
        self.records.store(name.as_str(), target).await
    }

    /// Removes a target.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self, name: &TargetName) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        self.records.remove(name.as_str()).await
    }

    /// The names of the targets whose credentials a key signs.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn using_key(&self, key: &KeyName) -> Result<Vec<String>> {
        let mut users = Vec::new();
        for name in self.list("", 0).await? {
            let target = self.records.get(&name).await?;
            if target.is_some_and(|target| target.signing_key.as_ref() == Some(key)) {
                users.push(name);
            }
        }
        Ok(users)
    }

    /// Revokes what was issued for a target up to `now`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; if storage fails.
    pub async fn revoke(&self, name: &TargetName, now: Timestamp) -> Result<()> {
        let revoked = self.update(name, |present| {
            let mut target = present
                .cloned()
                .ok_or_else(|| Error::NotFound(format!("there is no target `{name}`")))?;
            target.credentials_revoked_at = target.credentials_revoked_at.max(Some(now));
            Ok(target)
        });
        revoked.await.map(drop)
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        self.records.invalidate(key)
    }
}
