//! Where agents are kept: a record by id, and one pointer each from the name's
//! likeness and from the entity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::facts::registry::marks::{self, Marks};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::storage::{Storage, Write};
use crate::model::agent::{Agent, DEFAULT_CEILING, FormerAgent};
use crate::model::identity::AliasKey;
use crate::model::ids::{AgentId, AgentName, EntityId, IssuerId, PolicyName};
use crate::model::text::hex;
use crate::model::time::Timestamp;

/// An agent as it is stored. What the second version has more, the first reads
/// as not known.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum AgentRecord {
    /// The first version, of 0.1.
    #[serde(rename = "1")]
    V1(Box<Agent>),
    /// With its aliases, its owner's entity, and the issuer that vouches for it.
    #[serde(rename = "2")]
    V2(Box<Agent>),
}

impl Record for AgentRecord {
    const PREFIX: &'static str = "agent/";
    type Noun = Agent;

    fn upgrade(self) -> std::result::Result<Agent, String> {
        let (Self::V1(agent) | Self::V2(agent)) = self;
        Ok(*agent)
    }

    fn newest(agent: &Agent) -> Self {
        Self::V2(Box::new(agent.clone()))
    }
}

/// From the likeness of a name to the agent that has it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum NamePointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Whose name it is.
        id: AgentId,
    },
}

/// From an entity to the agent that it is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum EntityPointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Which agent it is.
        id: AgentId,
    },
}

/// From who an agent is at an external issuer to the agent. Stored under the
/// digest of both names.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum ExternalPointer {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Which agent it is.
        id: AgentId,
    },
}

macro_rules! pointer {
    ($name:ident, $prefix:literal) => {
        impl Record for $name {
            const PREFIX: &'static str = $prefix;
            type Noun = AgentId;

            fn upgrade(self) -> std::result::Result<AgentId, String> {
                let Self::V1 { id } = self;
                Ok(id)
            }

            fn newest(id: &AgentId) -> Self {
                Self::V1 { id: id.clone() }
            }
        }
    };
}
pointer!(NamePointer, "agent-name/");
pointer!(EntityPointer, "agent-entity/");
pointer!(ExternalPointer, "agent-external/");

/// The agents of a mount, in storage.
#[derive(Debug)]
pub struct AgentStore {
    storage: Arc<dyn Storage>,
    records: Collection<AgentRecord>,
    names: Collection<NamePointer>,
    entities: Collection<EntityPointer>,
    external: Collection<ExternalPointer>,
    marks: Marks,
    seen: Mutex<Seen>,
    writing: tokio::sync::Mutex<()>,
}

/// What was seen of agents, and is to be remembered. By alias, as every decision for
/// a human asks whose an alias is.
#[derive(Debug, Default)]
struct Seen {
    aliases: BTreeMap<AliasKey, BTreeSet<AgentId>>,
    issuers: BTreeMap<AgentId, IssuerId>,
}

impl Seen {
    fn of(&self, id: &AgentId) -> BTreeSet<AliasKey> {
        let all = self.aliases.iter();
        all.filter(|(_, agents)| agents.contains(id))
            .map(|(alias, _)| alias.clone())
            .collect()
    }

    /// Forgets that an agent was seen with an alias. Whether it was.
    fn forget(&mut self, alias: &AliasKey, id: &AgentId) -> bool {
        let Some(agents) = self.aliases.get_mut(alias) else {
            return false;
        };
        let was = agents.remove(id);
        if agents.is_empty() {
            self.aliases.remove(alias);
        }
        was
    }
}

/// The most aliases, and agents, of which something waits to be remembered.
const MOST_SEEN: usize = 4_096;

/// Who an entity or one of its aliases is or was.
#[derive(Clone, Debug)]
pub enum Trace {
    /// A registered agent.
    Agent(Arc<Agent>),
    /// An agent that was deleted.
    Former(Arc<FormerAgent>),
}

impl Trace {
    /// The agent's name.
    #[must_use]
    pub fn name(&self) -> &AgentName {
        match self {
            Self::Agent(agent) => &agent.name,
            Self::Former(former) => &former.name,
        }
    }

    /// The agent's id.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        match self {
            Self::Agent(agent) => &agent.id,
            Self::Former(former) => &former.id,
        }
    }
}

impl AgentStore {
    /// The agents in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            storage: Arc::clone(storage),
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            names: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            entities: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            external: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            marks: Marks::new(storage, standby),
            seen: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// An agent by its id.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, id: &AgentId) -> Result<Option<Arc<Agent>>> {
        self.records.get(id.as_str()).await
    }

    /// An agent by its exact name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn by_name(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        let alike = self.alike(name).await?;
        Ok(alike.filter(|agent| agent.name == *name))
    }

    /// The agent that an entity is.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn by_entity(&self, entity: &EntityId) -> Result<Option<Arc<Agent>>> {
        let Some(id) = self.entities.find(entity.as_str()).await? else {
            return Ok(None);
        };
        let agent = self.get(&id).await?;
        Ok(agent.filter(|agent| agent.entity_id == *entity))
    }

    /// The agent that `issuer` calls `subject`, both compared byte for byte. Which
    /// definition of the issuer vouches for it, the caller looks at.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn by_external(&self, issuer: &str, subject: &str) -> Result<Option<Arc<Agent>>> {
        let Some(key) = external_key(issuer, subject) else {
            return Ok(None);
        };
        let Some(id) = self.external.get(&key).await? else {
            return Ok(None);
        };
        let agent = self.get(&id).await?;
        Ok(agent.filter(|agent| agent.issuer == issuer && agent.subject == subject))
    }

    /// The ids of all agents, oldest first.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ids(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// A page of agents in the order of their names' likenesses, the ones
    /// after the name `after`, at most `limit` (0: all).
    ///
    /// # Errors
    /// If storage fails.
    pub async fn page(&self, after: &str, limit: u32) -> Result<Vec<Arc<Agent>>> {
        let after = match after.parse::<AgentName>() {
            Ok(name) => name.likeness(),
            Err(_) => after.to_owned(),
        };
        let mut agents = Vec::new();
        for likeness in self.names.list(&after, limit).await? {
            let Some(id) = self.names.get(&likeness).await? else {
                continue;
            };
            agents.extend(self.get(&id).await?);
        }
        Ok(agents)
    }

    /// The names of the agents whose ceiling names a policy.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn using_policy(&self, policy: &PolicyName) -> Result<Vec<String>> {
        let agents = self.page("", 0).await?;
        Ok(agents
            .iter()
            .filter(|agent| {
                let by_default =
                    policy.as_str() == DEFAULT_CEILING && !agent.no_default_ceiling_policy;
                by_default || agent.ceiling_policies.contains(policy)
            })
            .map(|agent| agent.name.to_string())
            .collect())
    }

    /// Registers an agent: `make` is given what is registered under the name.
    ///
    /// # Errors
    /// What `make` refuses; a name that looks like another's; an entity that
    /// is another agent; storage that fails.
    pub async fn register(
        &self,
        name: &AgentName,
        make: impl FnOnce(Option<&Agent>) -> Result<Agent> + Send,
    ) -> Result<Arc<Agent>> {
        let _one_at_a_time = self.writing.lock().await;
        let alike = self.alike(name).await?;
        if let Some(other) = alike.as_ref().filter(|other| other.name != *name) {
            return Err(Error::field(
                "name",
                format_args!(
                    "`{name}` looks like the registered agent `{}`; choose a name that nobody can mistake for it",
                    other.name
                ),
            ));
        }
        let agent = make(alike.as_deref())?;
        if let Some(other) = self
            .by_entity(&agent.entity_id)
            .await?
            .filter(|other| other.id != agent.id)
        {
            return Err(Error::field(
                "entity_id",
                format_args!(
                    "this entity is already the agent `{}`; an entity can be one agent only",
                    other.name
                ),
            ));
        }
        self.check_external(&agent).await?;
        self.write(agent, alike.as_deref()).await
    }

    /// Who an entity with these aliases is or was: what is registered goes before
    /// what was deleted. Not only by its entity: an alias that was moved to
    /// another entity, or joined it by a merge, is still an agent's.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn trace(
        &self,
        entity: &EntityId,
        aliases: &BTreeSet<AliasKey>,
    ) -> Result<Option<Trace>> {
        if let Some(agent) = self.by_entity(entity).await? {
            return Ok(Some(Trace::Agent(agent)));
        }
        for id in self.seen_with(aliases) {
            if let Some(agent) = self.get(&id).await? {
                return Ok(Some(Trace::Agent(agent)));
            }
        }
        let mut former = None;
        for key in marks::keys_of(entity, aliases) {
            for id in self.marks.of(&key).await?.iter() {
                if let Some(agent) = self.get(id).await? {
                    return Ok(Some(Trace::Agent(agent)));
                }
                if former.is_none() {
                    former = self.marks.former.get(id.as_str()).await?;
                }
            }
        }
        Ok(former.map(Trace::Former))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The agents that were seen with one of these aliases, of what waits to be
    /// remembered.
    fn seen_with(&self, aliases: &BTreeSet<AliasKey>) -> BTreeSet<AgentId> {
        let seen = self.seen();
        let agents = aliases.iter().filter_map(|alias| seen.aliases.get(alias));
        agents.flatten().cloned().collect()
    }

    /// Takes note of the aliases that an agent's entity was seen with, and of the
    /// issuer that vouched for it. Writes nothing; [`Self::remember`] does.
    pub fn saw(&self, agent: &Agent, aliases: &BTreeSet<AliasKey>, issuer: Option<&IssuerId>) {
        let binds = issuer.filter(|_| agent.issuer_record.is_none());
        if binds.is_none() && aliases.is_subset(&agent.aliases) {
            return;
        }
        let mut seen = self.seen();
        for alias in aliases.difference(&agent.aliases) {
            if seen.aliases.len() < MOST_SEEN || seen.aliases.contains_key(alias) {
                let agents = seen.aliases.entry(alias.clone()).or_default();
                agents.insert(agent.id.clone());
            }
        }
        if let Some(issuer) = binds.filter(|_| seen.issuers.len() < MOST_SEEN) {
            seen.issuers.insert(agent.id.clone(), issuer.clone());
        }
    }

    /// Stores what was seen of agents since the last time.
    ///
    /// # Errors
    /// If storage fails; then it is seen again.
    pub async fn remember(&self) -> Result<()> {
        let mut all: BTreeMap<AgentId, BTreeSet<AliasKey>> = BTreeMap::new();
        let issuers = {
            let seen = self.seen();
            for (alias, agents) in &seen.aliases {
                for id in agents {
                    all.entry(id.clone()).or_default().insert(alias.clone());
                }
            }
            seen.issuers.clone()
        };
        for id in issuers.keys() {
            all.entry(id.clone()).or_default();
        }
        // Each is dropped once it is stored, so that at no moment it is known nowhere.
        for (id, aliases) in all {
            let stored = self.update(&id, |agent| {
                agent.aliases.extend(aliases.iter().cloned());
                if agent.issuer_record.is_none() && !agent.issuer.is_empty() {
                    agent.issuer_record = issuers.get(&id).cloned();
                }
                Ok(())
            });
            match stored.await {
                Ok(_) | Err(Error::NotFound(_)) => {}
                Err(problem) => return Err(problem),
            }
            let mut seen = self.seen();
            for alias in &aliases {
                seen.forget(alias, &id);
            }
            seen.issuers.remove(&id);
        }
        Ok(())
    }

    /// The ids of deleted agents, oldest registration first.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn former_ids(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.marks.former.list(after, limit).await
    }

    /// A deleted agent.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn former(&self, id: &AgentId) -> Result<Option<Arc<FormerAgent>>> {
        self.marks.former.get(id.as_str()).await
    }

    /// Forgets that somebody was an agent. Says of whom, if there was one.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn clear_former(&self, id: &AgentId) -> Result<Option<Arc<FormerAgent>>> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(former) = self.former(id).await? else {
            return Ok(None);
        };
        // A removal that was cut short leaves both.
        if self.get(id).await?.is_some() {
            return Err(Error::Conflict(format!(
                "the agent `{}` is still registered: delete it first",
                former.name
            )));
        }
        let keys = marks::keys_of(&former.entity_id, &former.aliases);
        let (mut writes, keys) = self.marks.clearing(id, keys).await?;
        writes.push(self.marks.former.delete(id.as_str()));
        self.commit_marks(id, writes, &keys).await?;
        Ok(Some(former))
    }

    /// Drops the marks of aliases whose auth mount is gone: nobody can log in by
    /// them any more.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn drop_aliases(&self, id: &AgentId, gone: &BTreeSet<AliasKey>) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(former) = self.former(id).await? else {
            return Ok(());
        };
        let mut kept = (*former).clone();
        kept.aliases.retain(|alias| !gone.contains(alias));
        let keys = gone.iter().map(marks::key_of_alias).collect();
        let (mut writes, keys) = self.marks.clearing(id, keys).await?;
        writes.push(self.marks.former.put(id.as_str(), &kept)?);
        self.commit_marks(id, writes, &keys).await
    }

    /// Drops an alias that a registered agent was seen with.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was not, or if storage fails.
    pub async fn forget_alias(
        &self,
        id: &AgentId,
        alias: &AliasKey,
        now: Timestamp,
    ) -> Result<Arc<Agent>> {
        let _one_at_a_time = self.writing.lock().await;
        let seen = self.seen().forget(alias, id);
        let agent = self.get(id).await?;
        let known = agent.filter(|agent| seen || agent.aliases.contains(alias));
        let Some(before) = known else {
            return Err(Error::NotFound(
                "the agent was not seen with this account".to_owned(),
            ));
        };
        let mut agent = (*before).clone();
        agent.aliases.remove(alias);
        agent.updated_at = now;
        // The mark goes last: until then it is still the agent's.
        let agent = self.write(agent, Some(&before)).await?;
        let keys = BTreeSet::from([marks::key_of_alias(alias)]);
        let (writes, keys) = self.marks.clearing(id, keys).await?;
        if !writes.is_empty() {
            self.commit_marks(id, writes, &keys).await?;
        }
        Ok(agent)
    }

    async fn commit_marks(&self, id: &AgentId, writes: Vec<Write>, keys: &[String]) -> Result<()> {
        self.marks.forget(keys);
        self.marks.former.forget(id.as_str());
        let done = self.storage.commit(writes).await;
        self.marks.forget(keys);
        self.marks.former.forget(id.as_str());
        done
    }

    /// Changes an agent that is there.
    ///
    /// # Errors
    /// [`Error::NotFound`], what `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        id: &AgentId,
        change: impl FnOnce(&mut Agent) -> Result<()> + Send,
    ) -> Result<Arc<Agent>> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(agent) = self.get(id).await? else {
            return Err(Error::NotFound(format!(
                "there is no agent with the id {id}"
            )));
        };
        let before = agent;
        let mut agent = (*before).clone();
        change(&mut agent)?;
        self.check_external(&agent).await?;
        self.write(agent, Some(&before)).await
    }

    /// Removes an agent; `former` makes what is kept of it. Its id is never used
    /// again, and its marks stay.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(
        &self,
        id: &AgentId,
        former: impl FnOnce(&Agent) -> FormerAgent + Send,
    ) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let Some(agent) = self.get(id).await? else {
            return Ok(());
        };
        let (likeness, entity) = (agent.name.likeness(), agent.entity_id.as_str());
        let mut former = former(&agent);
        former.aliases.extend(self.seen().of(id));
        let mut known = (*agent).clone();
        known.aliases.clone_from(&former.aliases);
        // What is kept goes before the record, so that at no moment it is nobody;
        // the record before its pointers: a pointer to nothing is nobody.
        let (mut writes, keys) = self.marks.marking(&known).await?;
        writes.push(self.marks.former.put(id.as_str(), &former)?);
        writes.extend([
            self.records.delete(id.as_str()),
            self.entities.delete(entity),
            self.names.delete(&likeness),
        ]);
        writes.extend(external_of(&agent).map(|key| self.external.delete(&key)));
        self.forget(&agent);
        let removed = self.commit_marks(id, writes, &keys).await;
        self.forget(&agent);
        removed
    }

    /// A number that grows with every change to an agent, before it and after.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.records.generation()
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        self.records.invalidate(key)
            || self.names.invalidate(key)
            || self.entities.invalidate(key)
            || self.external.invalidate(key)
            || self.marks.invalidate(key)
    }

    async fn alike(&self, name: &AgentName) -> Result<Option<Arc<Agent>>> {
        match self.names.get(&name.likeness()).await? {
            Some(id) => self.get(&id).await,
            None => Ok(None),
        }
    }

    /// Two agents may not be one at an issuer: whoever presents its token is
    /// one of them.
    async fn check_external(&self, agent: &Agent) -> Result<()> {
        let other = self.by_external(&agent.issuer, &agent.subject).await?;
        match other.filter(|other| other.id != agent.id) {
            Some(other) => Err(Error::field(
                "subject",
                format_args!(
                    "the agent `{}` has this subject at this issuer already",
                    other.name
                ),
            )),
            None => Ok(()),
        }
    }

    /// Stores an agent. The record is what counts: a new agent's pointers go
    /// before it, since a pointer to nothing is nobody; an agent that is there
    /// keeps its pointers, so changing it is one write on any host, unless it
    /// becomes another at its issuer.
    async fn write(&self, agent: Agent, before: Option<&Agent>) -> Result<Arc<Agent>> {
        let id = agent.id.clone();
        let mut writes = Vec::new();
        if before.is_none() {
            writes.push(self.names.put(&agent.name.likeness(), &id)?);
            writes.push(self.entities.put(agent.entity_id.as_str(), &id)?);
        }
        let (old, new) = (before.and_then(external_of), external_of(&agent));
        if old != new {
            writes.extend(old.as_deref().map(|key| self.external.delete(key)));
            if let Some(key) = &new {
                writes.push(self.external.put(key, &id)?);
            }
        }
        let (marking, marked) = self.marks.marking(&agent).await?;
        writes.extend(marking);
        writes.push(self.records.put(id.as_str(), &agent)?);
        let agent = Arc::new(agent);
        self.marks.forget(&marked);
        self.forget(&agent);
        if let Some(before) = before {
            self.forget(before);
        }
        let ticket = self.records.begin(id.as_str());
        let done = self.storage.commit(writes).await;
        self.records
            .settle(id.as_str(), done.is_ok().then_some(&agent), ticket);
        self.names.forget(&agent.name.likeness());
        self.entities.forget(agent.entity_id.as_str());
        for key in [old, new].iter().flatten() {
            self.external.forget(key);
        }
        self.marks.forget(&marked);
        done.map(|()| agent)
    }

    fn forget(&self, agent: &Agent) {
        self.records.forget(agent.id.as_str());
        self.names.forget(&agent.name.likeness());
        self.entities.forget(agent.entity_id.as_str());
        if let Some(key) = external_of(agent) {
            self.external.forget(&key);
        }
    }
}

fn external_of(agent: &Agent) -> Option<String> {
    external_key(&agent.issuer, &agent.subject)
}

/// Two names of any characters as one storage key: a digest in hexadecimal,
/// over the length of the first, so that they cannot be cut elsewhere.
fn external_key(issuer: &str, subject: &str) -> Option<String> {
    if issuer.is_empty() || subject.is_empty() {
        return None;
    }
    let text = format!("{}:{issuer}{subject}", issuer.len());
    Some(hex(digest(&SHA256, text.as_bytes()).as_ref()))
}
