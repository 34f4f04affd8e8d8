//! The settings that say whose entities are humans, and what follows from the
//! owner of an agent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::Storage;
use crate::host::framework::system::Group;
use crate::model::identity::{AGENTS_GROUP, Consequence, INTERACTIVE};
use crate::model::text::folded;

/// Whose entities are humans, and who does not govern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySettings {
    /// Types or accessors of the auth mounts that humans log in by.
    pub human_auth_methods: BTreeSet<String>,
    /// Groups, by name or id, of which a human is in at least one. None: any.
    pub humans: BTreeSet<String>,
    /// Groups, by name or id, whose members are no humans.
    pub not_humans: BTreeSet<String>,
    /// Groups, by name or id, whose members are neither humans nor operators.
    pub agent_groups: BTreeSet<String>,
    /// Whether a token without an identity entity may govern, other than a root
    /// token.
    pub operators_without_entity: bool,
    /// What follows where the owner of an agent is disabled or gone.
    pub owner_gone: Consequence,
    /// What follows where an agent was to be looked at by now.
    pub review_overdue: Consequence,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            human_auth_methods: INTERACTIVE.map(str::to_owned).into(),
            humans: BTreeSet::new(),
            not_humans: BTreeSet::new(),
            agent_groups: BTreeSet::from([AGENTS_GROUP.to_owned()]),
            operators_without_entity: true,
            owner_gone: Consequence::default(),
            review_overdue: Consequence::default(),
        }
    }
}

/// The group among these that is `wanted`: by its id, or by its name, which the
/// host does not tell apart by case.
#[must_use]
pub fn has_group<'g>(groups: &'g [Group], wanted: &str) -> Option<&'g Group> {
    let named = folded(wanted);
    groups
        .iter()
        .find(|group| group.id == wanted || folded(&group.name) == named)
}

/// The settings as they are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum IdentityRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(IdentitySettings),
}

impl Record for IdentityRecord {
    const PREFIX: &'static str = "identity/";
    type Noun = IdentitySettings;

    fn upgrade(self) -> std::result::Result<IdentitySettings, String> {
        let Self::V1(settings) = self;
        Ok(settings)
    }

    fn newest(settings: &IdentitySettings) -> Self {
        Self::V1(settings.clone())
    }
}

const NAME: &str = "mount";

/// The settings of a mount, in storage.
#[derive(Debug)]
pub struct IdentityStore {
    records: Collection<IdentityRecord>,
    current: Snapshot<IdentitySettings>,
    writing: tokio::sync::Mutex<()>,
}

impl IdentityStore {
    /// The settings in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            current: Snapshot::new(Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The settings; the defaults where nobody has written any.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self) -> Result<Arc<IdentitySettings>> {
        let load = || async {
            let written = self.written().await?;
            Ok(written
                .map(|written| (*written).clone())
                .unwrap_or_default())
        };
        self.current.get(load).await
    }

    /// The settings, if somebody has written them.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn written(&self) -> Result<Option<Arc<IdentitySettings>>> {
        self.records.get(NAME).await
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut IdentitySettings) -> Result<()> + Send,
    ) -> Result<Arc<IdentitySettings>> {
        let _one_at_a_time = self.writing.lock().await;
        let written = self.written().await?;
        let mut settings = written
            .map(|written| (*written).clone())
            .unwrap_or_default();
        change(&mut settings)?;
        let stored = self.records.store(NAME, settings).await;
        self.current.forget();
        stored
    }

    /// Back to the defaults.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn reset(&self) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let removed = self.records.remove(NAME).await;
        self.current.forget();
        removed
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = self.records.invalidate(key);
        if ours {
            self.current.forget();
        }
        ours
    }
}
