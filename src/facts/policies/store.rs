//! Where policies are kept: texts in storage, and in memory the library of all
//! of them, compiled, swapped whole when one changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use crate::engine;
use crate::engine::policy::{CompiledPolicy, PolicySet};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::snapshot::Snapshot;
use crate::host::framework::storage::Storage;
use crate::model::agent::{Agent, DEFAULT_CEILING};
use crate::model::ids::{LocationName, PolicyName};
use crate::model::time::Timestamp;

/// The most combinations of policies whose index is kept.
const MAX_SETS: usize = 4096;

/// A policy: its text, and when it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name.
    pub name: PolicyName,
    /// Its text, as written.
    pub text: String,
    /// When it was written first.
    pub created_at: Timestamp,
    /// When it was written last.
    pub updated_at: Timestamp,
}

/// A policy as it is stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum PolicyRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Policy),
}

impl Record for PolicyRecord {
    const PREFIX: &'static str = "policy/";
    type Noun = Policy;

    fn upgrade(self) -> std::result::Result<Policy, String> {
        let Self::V1(policy) = self;
        Ok(policy)
    }

    fn newest(policy: &Policy) -> Self {
        Self::V1(policy.clone())
    }
}

/// Every policy of a mount, compiled, and the sets made of them so far.
#[derive(Debug, Default)]
pub struct Library {
    policies: BTreeMap<PolicyName, Arc<CompiledPolicy>>,
    // Stored, and not understood by this release. Still named by ceilings, so
    // that they deny.
    broken: BTreeSet<PolicyName>,
    sets: RwLock<HashMap<Vec<PolicyName>, Arc<PolicySet>>>,
}

impl Library {
    /// The set of these policies. Made once for each list of names; what is
    /// named and does not exist denies.
    #[must_use]
    pub fn attach(&self, names: &[PolicyName]) -> Arc<PolicySet> {
        if let Some(set) = self
            .sets
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(names)
        {
            return Arc::clone(set);
        }
        let set = Arc::new(PolicySet::attach(names, &self.policies));
        let mut sets = self.sets.write().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MAX_SETS {
            sets.clear();
        }
        sets.insert(names.to_vec(), Arc::clone(&set));
        set
    }

    /// The names of the policies that bound an agent.
    #[must_use]
    pub fn ceiling_names(&self, agent: &Agent) -> Vec<PolicyName> {
        let mut names = agent.ceiling_policies.clone();
        if !agent.no_default_ceiling_policy {
            let default = self
                .policies
                .keys()
                .chain(&self.broken)
                .find(|name| name.as_str() == DEFAULT_CEILING);
            names.extend(
                default
                    .filter(|name| !agent.ceiling_policies.contains(name))
                    .cloned(),
            );
        }
        names
    }

    /// The set that bounds an agent.
    #[must_use]
    pub fn ceiling(&self, agent: &Agent) -> Arc<PolicySet> {
        self.attach(&self.ceiling_names(agent))
    }

    /// The names of the policies with a rule that names this location.
    #[must_use]
    pub fn using_location(&self, location: &LocationName) -> Vec<String> {
        self.policies
            .values()
            .filter(|policy| {
                policy
                    .rules
                    .iter()
                    .any(|rule| rule.locations.contains(location))
            })
            .map(|policy| policy.name.to_string())
            .collect()
    }

    /// The same library with one policy replaced, or added.
    #[must_use]
    pub fn with(&self, policy: CompiledPolicy) -> Self {
        let (mut policies, mut broken) = (self.policies.clone(), self.broken.clone());
        broken.remove(&policy.name);
        policies.insert(policy.name.clone(), Arc::new(policy));
        Self {
            policies,
            broken,
            sets: RwLock::default(),
        }
    }
}

/// The policies of a mount, in storage.
#[derive(Debug)]
pub struct PolicyStore {
    records: Collection<PolicyRecord>,
    library: Snapshot<Library>,
    writing: tokio::sync::Mutex<()>,
}

impl PolicyStore {
    /// The policies in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            library: Snapshot::new(Arc::clone(standby)),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// A policy by its name.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self, name: &PolicyName) -> Result<Option<Arc<Policy>>> {
        self.records.get(name.as_str()).await
    }

    /// The names of all policies.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn list(&self, after: &str, limit: u32) -> Result<Vec<String>> {
        self.records.list(after, limit).await
    }

    /// Writes a policy whose text has been compiled. `check` is told whether there
    /// is one already.
    ///
    /// # Errors
    /// What `check` refuses, or if storage fails.
    pub async fn put(
        &self,
        name: &PolicyName,
        text: String,
        now: Timestamp,
        check: impl FnOnce(bool) -> Result<()> + Send,
    ) -> Result<Arc<Policy>> {
        let _one_at_a_time = self.writing.lock().await;
        let present = self.get(name).await?;
        check(present.is_some())?;
        let created_at = present.map_or(now, |present| present.created_at);
        let policy = Policy {
            name: name.clone(),
            text,
            created_at,
            updated_at: now,
        };
        let stored = self.records.store(name.as_str(), policy).await;
        self.library.forget();
        stored
    }

    /// Removes a policy. Whoever still names it is denied.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self, name: &PolicyName) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let removed = self.records.remove(name.as_str()).await;
        self.library.forget();
        removed
    }

    /// Every policy, compiled.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn library(&self) -> Result<Arc<Library>> {
        self.library.get(|| self.load()).await
    }

    /// The names of the policies that bound an agent.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn ceiling_names(&self, agent: &Agent) -> Result<Vec<PolicyName>> {
        Ok(self.library().await?.ceiling_names(agent))
    }

    /// Checks that policies named in a field exist.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the first that does not.
    pub async fn require(&self, field: &str, names: &[PolicyName]) -> Result<()> {
        for name in names {
            if self.get(name).await?.is_none() {
                return Err(Error::field(
                    field,
                    format_args!(
                        "there is no policy `{name}`; write it under `policies/{name}` first"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        let ours = self.records.invalidate(key);
        if ours {
            self.library.forget();
        }
        ours
    }

    /// A stored text that this release cannot compile is left out: whoever
    /// names it is denied, as if it did not exist.
    async fn load(&self) -> Result<Library> {
        let mut library = Library::default();
        for name in self.list("", 0).await? {
            let Some(policy) = self.records.get(&name).await? else {
                continue;
            };
            match engine::compile(&policy.name, &policy.text) {
                Ok((compiled, _)) => {
                    library
                        .policies
                        .insert(policy.name.clone(), Arc::new(compiled));
                }
                Err(problems) => {
                    library.broken.insert(policy.name.clone());
                    tracing::error!(policy = %policy.name, problems = problems.len(), "a stored policy does not compile; whoever names it is denied");
                }
            }
        }
        Ok(library)
    }
}
