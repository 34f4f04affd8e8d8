//! Where baselines are kept: by entity, and by group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::framework::error::Result;
use crate::framework::record::{Collection, Record};
use crate::framework::snapshot::Snapshot;
use crate::framework::storage::Storage;
use crate::model::ids::{EntityId, PolicyName};

/// The policies of an entity, as they are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum EntityBaseline {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// The policies.
        policies: Vec<PolicyName>,
    },
}

/// The policies of a group, as they are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum GroupBaseline {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// The policies.
        policies: Vec<PolicyName>,
    },
}

macro_rules! policies {
    ($name:ident, $prefix:literal) => {
        impl Record for $name {
            const PREFIX: &'static str = $prefix;
            type Noun = Vec<PolicyName>;

            fn upgrade(self) -> std::result::Result<Vec<PolicyName>, String> {
                let Self::V1 { policies } = self;
                Ok(policies)
            }

            fn newest(policies: &Vec<PolicyName>) -> Self {
                Self::V1 {
                    policies: policies.clone(),
                }
            }
        }
    };
}
policies!(EntityBaseline, "baseline-entity/");
policies!(GroupBaseline, "baseline-group/");

/// What a group's baseline is stored under. The server takes names of groups
/// that differ by case for one.
#[must_use]
pub fn group_key(name: &str) -> String {
    name.to_lowercase()
}

/// What an entity's baseline is stored under.
#[must_use]
pub fn entity_key(id: &str) -> String {
    id.to_owned()
}

/// The baselines of a mount, in storage.
#[derive(Debug)]
pub struct BaselineStore {
    /// By entity id.
    pub entities: Collection<EntityBaseline>,
    /// By group name.
    pub groups: Collection<GroupBaseline>,
    // Which groups have one: most groups have none, and absence is not cached
    // record by record.
    group_names: Snapshot<Vec<String>>,
    entity_ids: Snapshot<Vec<String>>,
}

impl BaselineStore {
    /// The baselines in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            entities: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            groups: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            group_names: Snapshot::new(Arc::clone(standby)),
            entity_ids: Snapshot::new(Arc::clone(standby)),
        }
    }

    /// The policies that apply to a subject: its own and those of its groups.
    /// `None` if nobody gave it any.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn of_subject(
        &self,
        entity: &EntityId,
        groups: &BTreeSet<String>,
    ) -> Result<Option<Vec<PolicyName>>> {
        let mut found = false;
        let mut policies: Vec<PolicyName> = Vec::new();
        let entities = self.entity_ids.get(|| self.entities.list("", 0)).await?;
        if entities
            .binary_search_by(|id| id.as_str().cmp(entity.as_str()))
            .is_ok()
        {
            let own = self.entities.get(entity.as_str()).await?;
            found |= own.is_some();
            policies.extend(own.iter().flat_map(|own| own.iter().cloned()));
        }
        let known = self.group_names.get(|| self.groups.list("", 0)).await?;
        for group in groups {
            let group = group_key(group);
            if known.binary_search(&group).is_err() {
                continue;
            }
            let theirs = self.groups.get(&group).await?;
            found |= theirs.is_some();
            policies.extend(theirs.iter().flat_map(|theirs| theirs.iter().cloned()));
        }
        policies.sort();
        policies.dedup();
        Ok(found.then_some(policies))
    }

    /// Drops the lists of who has a baseline: one was written or removed.
    pub fn changed(&self) {
        self.group_names.forget();
        self.entity_ids.forget();
    }

    /// Who names a policy, for people: `entity …`, `group …`.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn using_policy(&self, policy: &PolicyName) -> Result<Vec<String>> {
        let mut users = Vec::new();
        for id in self.entities.list("", 0).await? {
            if self
                .entities
                .get(&id)
                .await?
                .is_some_and(|policies| policies.contains(policy))
            {
                users.push(format!("entity {id}"));
            }
        }
        for name in self.groups.list("", 0).await? {
            if self
                .groups
                .get(&name)
                .await?
                .is_some_and(|policies| policies.contains(policy))
            {
                users.push(format!("group {name}"));
            }
        }
        Ok(users)
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = self.entities.invalidate(key) || self.groups.invalidate(key);
        if ours {
            self.changed();
        }
        ours
    }
}
