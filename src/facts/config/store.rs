//! Where the settings are kept.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::storage::Storage;
use crate::model::agent::MAX_DELEGATION_DEPTH;
use crate::model::credential::LONGEST_LIFE;
use crate::model::ids::KeyName;
use crate::model::time::Ttl;
use crate::record::decisions::log::Tuning;
use crate::record::decisions::recent::DEFAULT_MEMORY;

/// The longest lifetime that any mount may allow: one hour.
pub const LONGEST_TTL: Ttl = LONGEST_LIFE;
/// The longest that any mount may let a delegation last: ten years.
pub const LONGEST_DELEGATION: Ttl = Ttl::from_secs(3650 * 24 * 3600);
/// The key that signs where nothing else is said.
pub const DEFAULT_KEY: &str = "default";

/// The longest that decisions may be kept in storage: 400 days.
pub const LONGEST_RETENTION: Ttl = Ttl::from_secs(400 * 24 * 3600);

/// How much a refused caller is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DenialDetail {
    /// Only that it was refused, and the decision's id.
    None,
    /// The reason, as a code and a sentence.
    #[default]
    Reason,
    /// The reason, the rule that came nearest, and what the request lacked.
    Full,
}

/// What holds for a subject to whom no baseline was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BaselineRule {
    /// Nobody may act for such a subject.
    #[default]
    Deny,
    /// The subject may do anything; ceiling and delegation still bound it.
    Unrestricted,
}

/// The settings of a mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The `iss` of every credential, and the base of discovery. Empty until
    /// an operator sets it: nothing is issued before.
    pub issuer: String,
    /// A credential's lifetime where neither request nor target names one.
    pub default_ttl: Ttl,
    /// The longest lifetime of any credential.
    pub max_ttl: Ttl,
    /// The longest chain of delegations.
    pub max_delegation_depth: u8,
    /// How much a refused caller is told.
    pub denial_detail: DenialDetail,
    /// What holds for a subject without any baseline.
    pub baseline_rule: BaselineRule,
    /// The key that signs where a target names none.
    pub signing_key: Option<KeyName>,
    /// How long a delegation may last.
    #[serde(default = "usual_delegation")]
    pub max_delegation_ttl: Ttl,
    /// How long a consent to one request waits for its answer, and then for
    /// its use.
    #[serde(default = "usual_wait")]
    pub consent_timeout: Ttl,
    /// How long an agent may not ask again for what was refused.
    #[serde(default = "usual_wait")]
    pub consent_cooldown: Ttl,
    /// For how long decisions are kept in storage. Zero: they are not.
    #[serde(default)]
    pub decision_retention: Ttl,
    /// How many decisions each node keeps in memory.
    #[serde(default = "default_memory")]
    pub decision_memory: u32,
    /// Whether the server's log gets a line for each decision.
    #[serde(default = "yes")]
    pub decision_lines: bool,
}

const fn usual_delegation() -> Ttl {
    Ttl::from_secs(90 * 24 * 3600)
}

const fn usual_wait() -> Ttl {
    Ttl::from_secs(300)
}

const fn default_memory() -> u32 {
    DEFAULT_MEMORY
}

const fn yes() -> bool {
    true
}

impl From<&Config> for Tuning {
    fn from(config: &Config) -> Self {
        Self {
            memory: config.decision_memory,
            retention: config.decision_retention,
            lines: config.decision_lines,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            default_ttl: Ttl::from_secs(60),
            max_ttl: LONGEST_TTL,
            max_delegation_depth: 3.min(MAX_DELEGATION_DEPTH),
            denial_detail: DenialDetail::default(),
            baseline_rule: BaselineRule::default(),
            signing_key: None,
            max_delegation_ttl: usual_delegation(),
            consent_timeout: usual_wait(),
            consent_cooldown: usual_wait(),
            decision_retention: Ttl::ZERO,
            decision_memory: DEFAULT_MEMORY,
            decision_lines: true,
        }
    }
}

/// The settings as they are stored. The noun is the first version's shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub enum ConfigRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1(Config),
}

impl Record for ConfigRecord {
    const PREFIX: &'static str = "config/";
    type Noun = Config;

    fn upgrade(self) -> std::result::Result<Config, String> {
        let Self::V1(config) = self;
        Ok(config)
    }

    fn newest(config: &Config) -> Self {
        Self::V1(config.clone())
    }
}

/// The settings of a mount, in storage.
#[derive(Debug)]
pub struct ConfigStore {
    records: Collection<ConfigRecord>,
    fallback: Arc<Config>,
    writing: tokio::sync::Mutex<()>,
}

impl ConfigStore {
    const NAME: &'static str = "mount";

    /// The settings in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            fallback: Arc::new(Config::default()),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The settings, or the defaults where none were written.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self) -> Result<Arc<Config>> {
        let written = self.records.get(Self::NAME).await?;
        Ok(written.unwrap_or_else(|| Arc::clone(&self.fallback)))
    }

    /// Changes the settings: `change` sees what they are now.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut Config) -> Result<()> + Send,
    ) -> Result<Arc<Config>> {
        let _one_at_a_time = self.writing.lock().await;
        let mut config = (*self.get().await?).clone();
        change(&mut config)?;
        self.records.store(Self::NAME, config).await
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        self.records.invalidate(key)
    }
}
