//! Where baselines are kept: by entity, and by group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::Storage;
use crate::host::framework::system::Group;
use crate::model::ids::{EntityId, PolicyName};
use crate::model::text::folded;
use crate::model::time::{Timestamp, Ttl};

/// How long after the first sight of a group its id is stored.
const SOON: Duration = Duration::from_millis(200);
/// How old a stored last sight may grow before it is stored anew.
const SIGHT_KEPT: Ttl = Ttl::from_secs(24 * 3600);

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

impl Record for EntityBaseline {
    const PREFIX: &'static str = "baseline-entity/";
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

/// The baseline of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfGroup {
    /// The policies.
    pub policies: Vec<PolicyName>,
    /// The id of the group that it is bound to: that group keeps it when it is
    /// renamed, and another of its name does not get it. None: the first group of
    /// the name that a decision meets.
    pub group_id: Option<String>,
    /// When somebody in that group was last decided about, to about a day.
    pub last_seen_at: Option<Timestamp>,
    /// When it was written last.
    pub written_at: Option<Timestamp>,
}

/// The policies of a group, as they are stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum GroupBaseline {
    /// The first version, of 0.1: bound to a name.
    #[serde(rename = "1")]
    V1 {
        /// The policies.
        policies: Vec<PolicyName>,
    },
    /// Bound to a group's id.
    #[serde(rename = "2")]
    V2(OfGroup),
}

impl Record for GroupBaseline {
    const PREFIX: &'static str = "baseline-group/";
    type Noun = OfGroup;

    fn upgrade(self) -> std::result::Result<OfGroup, String> {
        Ok(match self {
            Self::V1 { policies } => OfGroup {
                policies,
                ..OfGroup::default()
            },
            Self::V2(baseline) => baseline,
        })
    }

    fn newest(baseline: &OfGroup) -> Self {
        Self::V2(baseline.clone())
    }
}

/// What a group's baseline is stored under. The server takes names of groups
/// that differ by case for one.
#[must_use]
pub fn group_key(name: &str) -> String {
    folded(name)
}

/// All baselines of groups, by what finds them.
#[derive(Debug, Default)]
struct Groups {
    by_key: BTreeMap<String, Arc<OfGroup>>,
    // From a group's id to the names that baselines bound to it are stored under.
    by_id: BTreeMap<String, Vec<String>>,
}

impl Groups {
    /// The baselines of a group, with what each is stored under.
    fn of<'g>(&'g self, group: &Group) -> Vec<(&'g String, &'g Arc<OfGroup>)> {
        let bound = self.by_id.get(&group.id).into_iter().flatten();
        let bound = bound.filter_map(|key| self.by_key.get_key_value(key));
        let named = self.by_key.get_key_value(&group_key(&group.name));
        bound
            .chain(named.filter(|(_, baseline)| baseline.group_id.is_none()))
            .collect()
    }
}

/// What was seen of groups, and is to be stored.
#[derive(Debug, Default)]
struct Seen {
    /// When somebody in the group of a baseline was last decided about.
    at: BTreeMap<String, Timestamp>,
    /// The ids of groups whose baselines are bound to nothing yet.
    ids: BTreeMap<String, String>,
    /// Whether somebody is about to store them.
    scheduled: bool,
}

/// The baselines of a mount, in storage.
#[derive(Debug)]
pub struct BaselineStore {
    /// By entity id.
    pub entities: Collection<EntityBaseline>,
    /// By group name.
    groups: Collection<GroupBaseline>,
    index: Snapshot<Groups>,
    // Which entities have one: most have none, and absence is not cached record
    // by record.
    entity_ids: Snapshot<BTreeSet<String>>,
    seen: Mutex<Seen>,
    writing: tokio::sync::Mutex<()>,
    standby: Arc<AtomicBool>,
}

impl BaselineStore {
    /// The baselines in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            entities: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            groups: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            index: Snapshot::new(Arc::clone(standby)),
            entity_ids: Snapshot::new(Arc::clone(standby)),
            seen: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
            standby: Arc::clone(standby),
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
        groups: &[Group],
    ) -> Result<Option<Vec<PolicyName>>> {
        let mut found = false;
        let mut policies: Vec<PolicyName> = Vec::new();
        let load = || async { Ok(self.entities.list("", 0).await?.into_iter().collect()) };
        if self.entity_ids.get(load).await?.contains(entity.as_str()) {
            let own = self.entities.get(entity.as_str()).await?;
            found |= own.is_some();
            policies.extend(own.iter().flat_map(|own| own.iter().cloned()));
        }
        let index = self.index.get(|| self.load()).await?;
        for (_, baseline) in groups.iter().flat_map(|group| index.of(group)) {
            found = true;
            policies.extend(baseline.policies.iter().cloned());
        }
        policies.sort();
        policies.dedup();
        Ok(found.then_some(policies))
    }

    /// Takes note of the groups of a subject that is decided about: a baseline
    /// that is bound to nothing learns the id of its group, in a task of its own
    /// and soon. Writes nothing itself.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn saw(self: &Arc<Self>, groups: &[Group], now: Timestamp) -> Result<()> {
        if self.standby.load(Ordering::Relaxed) {
            return Ok(());
        }
        let index = self.index.get(|| self.load()).await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for group in groups {
            for (key, baseline) in index.of(group) {
                seen.at.insert(key.clone(), now);
                if baseline.group_id.is_none() && !group.id.is_empty() {
                    seen.ids.insert(key.clone(), group.id.clone());
                }
            }
        }
        if !seen.ids.is_empty() && !seen.scheduled {
            seen.scheduled = true;
            let store = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(SOON).await;
                if let Err(problem) = store.remember().await {
                    tracing::warn!(%problem, "the ids of groups could not be stored; the next decision tries again");
                }
            });
        }
        Ok(())
    }

    /// Stores what was seen of groups: ids that are not known yet, and last
    /// sights that have grown old.
    ///
    /// # Errors
    /// If storage fails; then it is seen again.
    pub async fn remember(&self) -> Result<()> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        let _one_at_a_time = self.writing.lock().await;
        for (key, at) in seen.at {
            let Some(present) = self.groups.get(&key).await? else {
                continue;
            };
            let id = seen.ids.get(&key).filter(|_| present.group_id.is_none());
            let old = present
                .last_seen_at
                .is_none_or(|last| last.plus(SIGHT_KEPT) <= at);
            if id.is_none() && !old {
                continue;
            }
            let next = OfGroup {
                group_id: id.cloned().or_else(|| present.group_id.clone()),
                last_seen_at: Some(at),
                ..(*present).clone()
            };
            self.put(&key, next).await?;
        }
        Ok(())
    }

    /// The baseline of a group, by the name that it is stored under.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn of_group(&self, name: &str) -> Result<Option<Arc<OfGroup>>> {
        self.groups.get(&group_key(name)).await
    }

    /// The names under which there is a baseline of a group.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list_groups(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.groups.list(after, limit).await
    }

    /// Writes the baseline of a group: `change` sees what is there.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update_group(
        &self,
        name: &str,
        change: impl FnOnce(Option<&OfGroup>) -> Result<OfGroup> + Send,
    ) -> Result<Arc<OfGroup>> {
        let _one_at_a_time = self.writing.lock().await;
        let key = group_key(name);
        let present = self.groups.get(&key).await?;
        let next = change(present.as_deref())?;
        self.put(&key, next).await
    }

    /// Takes the baseline of a group away.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove_group(&self, name: &str) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let removed = self.groups.remove(&group_key(name)).await;
        self.index.forget();
        removed
    }

    async fn put(&self, key: &str, baseline: OfGroup) -> Result<Arc<OfGroup>> {
        let stored = self.groups.store(key, baseline).await;
        self.index.forget();
        stored
    }

    /// Writes the baseline of an entity. `check` is told whether there is one
    /// already.
    ///
    /// # Errors
    /// What `check` refuses, or if storage fails.
    pub async fn put_entity(
        &self,
        entity: &EntityId,
        policies: Vec<PolicyName>,
        check: impl FnOnce(bool) -> Result<()> + Send,
    ) -> Result<Arc<Vec<PolicyName>>> {
        let _one_at_a_time = self.writing.lock().await;
        check(self.entities.get(entity.as_str()).await?.is_some())?;
        let stored = self.entities.store(entity.as_str(), policies).await;
        self.changed();
        stored
    }

    /// Drops the list of entities that have a baseline: one was written or
    /// removed.
    pub fn changed(&self) {
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
        let index = self.index.get(|| self.load()).await?;
        users.extend(
            index
                .by_key
                .iter()
                .filter(|(_, baseline)| baseline.policies.contains(policy))
                .map(|(name, _)| format!("group {name}")),
        );
        Ok(users)
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        if self.groups.invalidate(key) {
            self.index.forget();
            return true;
        }
        let ours = self.entities.invalidate(key);
        if ours {
            self.changed();
        }
        ours
    }

    async fn load(&self) -> Result<Groups> {
        let mut groups = Groups::default();
        for key in self.groups.list("", 0).await? {
            let Some(baseline) = self.groups.get(&key).await? else {
                continue;
            };
            if let Some(id) = &baseline.group_id {
                groups
                    .by_id
                    .entry(id.clone())
                    .or_default()
                    .push(key.clone());
            }
            groups.by_key.insert(key, baseline);
        }
        Ok(groups)
    }
}
