//! Who is or was an agent, by entity and by alias. A mark outlives the agent:
//! deleting one, merging its entity or moving its alias makes nobody a human or
//! an operator.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::storage::{Storage, Write};
use crate::model::agent::{Agent, FormerAgent};
use crate::model::identity::AliasKey;
use crate::model::ids::{AgentId, EntityId};
use crate::model::text::hex;

/// An agent that was deleted, as it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum FormerRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Box<FormerAgent>),
}

impl Record for FormerRecord {
    const PREFIX: &'static str = "agent-former/";
    type Noun = FormerAgent;

    fn upgrade(self) -> std::result::Result<FormerAgent, String> {
        let Self::V1(former) = self;
        Ok(*former)
    }

    fn newest(former: &FormerAgent) -> Self {
        Self::V1(Box::new(former.clone()))
    }
}

/// From an entity or an alias, by its digest, to the agents that it is or was.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum MarkRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// Which agents.
        agents: BTreeSet<AgentId>,
    },
}

impl Record for MarkRecord {
    const PREFIX: &'static str = "agent-mark/";
    type Noun = BTreeSet<AgentId>;

    fn upgrade(self) -> std::result::Result<BTreeSet<AgentId>, String> {
        let Self::V1 { agents } = self;
        Ok(agents)
    }

    fn newest(agents: &BTreeSet<AgentId>) -> Self {
        Self::V1 {
            agents: agents.clone(),
        }
    }
}

/// The marks of a mount, in storage. Who changes them holds the registry's lock.
#[derive(Debug)]
pub struct Marks {
    pub(super) former: Collection<FormerRecord>,
    marks: Collection<MarkRecord>,
}

impl Marks {
    pub(super) fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            former: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            marks: Collection::new(Arc::clone(storage), Arc::clone(standby)),
        }
    }

    /// Which agents a key is or was. Most callers are none.
    pub(super) async fn of(&self, key: &str) -> Result<Arc<BTreeSet<AgentId>>> {
        Ok(self.marks.find(key).await?.unwrap_or_default())
    }

    /// The changes that mark an agent's entity and aliases, with the keys that
    /// they touch.
    pub(super) async fn marking(&self, agent: &Agent) -> Result<(Vec<Write>, Vec<String>)> {
        let mut writes = Vec::new();
        let mut keys = Vec::new();
        for key in keys_of(&agent.entity_id, &agent.aliases) {
            let known = self.of(&key).await?;
            if known.contains(&agent.id) {
                continue;
            }
            let mut agents = (*known).clone();
            agents.insert(agent.id.clone());
            writes.push(self.marks.put(&key, &agents)?);
            keys.push(key);
        }
        Ok((writes, keys))
    }

    /// The changes that take the marks of these keys from a former agent, with
    /// the keys.
    pub(super) async fn clearing(
        &self,
        id: &AgentId,
        keys: BTreeSet<String>,
    ) -> Result<(Vec<Write>, Vec<String>)> {
        let mut writes = Vec::new();
        let mut touched = Vec::new();
        for key in keys {
            let mut agents = (*self.of(&key).await?).clone();
            if !agents.remove(id) {
                continue;
            }
            writes.push(if agents.is_empty() {
                self.marks.delete(&key)
            } else {
                self.marks.put(&key, &agents)?
            });
            touched.push(key);
        }
        Ok((writes, touched))
    }

    /// Drops what is cached of these keys, before a change and after it.
    pub(super) fn forget(&self, keys: &[String]) {
        for key in keys {
            self.marks.forget(key);
        }
    }

    /// Another node changed `key`. Whether it is ours.
    pub(super) fn invalidate(&self, key: &str) -> bool {
        self.marks.invalidate(key) || self.former.invalidate(key)
    }
}

/// The keys of an entity and of aliases.
pub(super) fn keys_of(entity: &EntityId, aliases: &BTreeSet<AliasKey>) -> BTreeSet<String> {
    aliases
        .iter()
        .map(key_of_alias)
        .chain([key_of_entity(entity)])
        .collect()
}

/// Digests in hexadecimal, over what the key is of and the length of each part:
/// names of any characters, none of which can be taken for another.
pub(super) fn key_of_entity(entity: &EntityId) -> String {
    hex(digest(&SHA256, format!("entity:{entity}").as_bytes()).as_ref())
}

pub(super) fn key_of_alias(alias: &AliasKey) -> String {
    let AliasKey { accessor, name } = alias;
    let text = format!("alias:{}:{accessor}{name}", accessor.len());
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}
