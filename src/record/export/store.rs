//! The settings of exporting, in storage. Wrapped by the seal once more, where
//! the host can: headers hold the collector's token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::framework::error::Result;
use crate::host::framework::record::{Collection, Record};
use crate::host::framework::storage::Storage;
use crate::model::secret::Secret;
use crate::model::time::Ttl;

/// What is sent to a collector.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// A log record for each decision.
    Logs,
    /// A span for each decision.
    Traces,
    /// A log record whose body is the decision as an OCSF event.
    Ocsf,
}

/// How many events may wait where nothing else is said.
pub const DEFAULT_QUEUE: u32 = 4_096;
/// How large a file may become where nothing else is said: 100 MiB.
pub const DEFAULT_FILE_SIZE: u64 = 100 * 1024 * 1024;

/// Where decisions are sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The collector, as in `https://collector.example.com:4318`. Empty: none.
    pub otlp_endpoint: String,
    /// Headers for the collector. Their values are secret.
    pub otlp_headers: BTreeMap<String, Secret<String>>,
    /// The certificates (PEM) that the collector's must lead to. Empty: those
    /// that the system trusts.
    pub otlp_ca: String,
    /// What is sent there.
    pub otlp_signals: BTreeSet<Signal>,
    /// What the mount is called there, besides `service.name`.
    pub otlp_resource: BTreeMap<String, String>,
    /// Whether the collector may be reached without TLS over a network.
    pub otlp_allow_plaintext: bool,
    /// The name of the file that OCSF events are appended to. Empty: none.
    pub file: String,
    /// How large it may become before it is put aside, in bytes.
    pub file_max_bytes: u64,
    /// How many events may wait.
    pub queue: u32,
    /// How long a collector may take to answer.
    pub timeout: Ttl,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            otlp_headers: BTreeMap::new(),
            otlp_ca: String::new(),
            otlp_signals: BTreeSet::from([Signal::Logs, Signal::Traces]),
            otlp_resource: BTreeMap::new(),
            otlp_allow_plaintext: false,
            file: String::new(),
            file_max_bytes: DEFAULT_FILE_SIZE,
            queue: DEFAULT_QUEUE,
            timeout: Ttl::from_secs(5),
        }
    }
}

impl Settings {
    /// Whether the others say the same.
    #[must_use]
    pub fn same(&self, others: &Self) -> bool {
        let plain = |settings: &Self| {
            serde_json::to_vec(&SettingsRecord::newest(settings))
                .ok()
                .map(Secret::new)
        };
        match (plain(self), plain(others)) {
            (Some(one), Some(other)) => one.expose() == other.expose(),
            _ => false,
        }
    }

    /// Whether anything is exported.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        !self.otlp_endpoint.is_empty() || !self.file.is_empty()
    }
}

/// The settings as they are stored.
#[derive(Serialize, Deserialize)]
#[serde(tag = "v", deny_unknown_fields)]
pub enum SettingsRecord {
    /// The first version.
    #[serde(rename = "1")]
    V1 {
        /// [`Settings::otlp_endpoint`]
        otlp_endpoint: String,
        /// [`Settings::otlp_headers`]
        otlp_headers: BTreeMap<String, String>,
        /// [`Settings::otlp_ca`]
        otlp_ca: String,
        /// [`Settings::otlp_signals`]
        otlp_signals: BTreeSet<Signal>,
        /// [`Settings::otlp_resource`]
        otlp_resource: BTreeMap<String, String>,
        /// [`Settings::otlp_allow_plaintext`]
        otlp_allow_plaintext: bool,
        /// [`Settings::file`]
        file: String,
        /// [`Settings::file_max_bytes`]
        file_max_bytes: u64,
        /// [`Settings::queue`]
        queue: u32,
        /// [`Settings::timeout`]
        timeout: Ttl,
    },
}

impl std::fmt::Debug for SettingsRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SettingsRecord")
    }
}

impl Record for SettingsRecord {
    const PREFIX: &'static str = "export/";
    const SEAL_WRAP: bool = true;
    type Noun = Settings;

    fn upgrade(self) -> std::result::Result<Settings, String> {
        let Self::V1 {
            otlp_endpoint,
            otlp_headers,
            otlp_ca,
            otlp_signals,
            otlp_resource,
            otlp_allow_plaintext,
            file,
            file_max_bytes,
            queue,
            timeout,
        } = self;
        Ok(Settings {
            otlp_endpoint,
            otlp_headers: otlp_headers
                .into_iter()
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
            otlp_ca,
            otlp_signals,
            otlp_resource,
            otlp_allow_plaintext,
            file,
            file_max_bytes,
            queue,
            timeout,
        })
    }

    fn newest(settings: &Settings) -> Self {
        let settings = settings.clone();
        Self::V1 {
            otlp_endpoint: settings.otlp_endpoint,
            otlp_headers: settings
                .otlp_headers
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().clone()))
                .collect(),
            otlp_ca: settings.otlp_ca,
            otlp_signals: settings.otlp_signals,
            otlp_resource: settings.otlp_resource,
            otlp_allow_plaintext: settings.otlp_allow_plaintext,
            file: settings.file,
            file_max_bytes: settings.file_max_bytes,
            queue: settings.queue,
            timeout: settings.timeout,
        }
    }
}

/// The settings of exporting, in storage.
#[derive(Debug)]
pub struct SettingsStore {
    records: Collection<SettingsRecord>,
    fallback: Arc<Settings>,
    writing: tokio::sync::Mutex<()>,
}

impl SettingsStore {
    const NAME: &'static str = "settings";

    /// The settings in `storage`.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, standby: &Arc<AtomicBool>) -> Self {
        Self {
            records: Collection::new(Arc::clone(storage), Arc::clone(standby)),
            fallback: Arc::default(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// The settings, or the defaults where none were written.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn get(&self) -> Result<Arc<Settings>> {
        let written = self.records.get(Self::NAME).await?;
        Ok(written.unwrap_or_else(|| Arc::clone(&self.fallback)))
    }

    /// Changes the settings: `change` sees what they are now.
    ///
    /// # Errors
    /// What `change` refuses, or if storage fails.
    pub async fn update(
        &self,
        change: impl FnOnce(&mut Settings) -> Result<()> + Send,
    ) -> Result<Arc<Settings>> {
        let _one_at_a_time = self.writing.lock().await;
        let mut settings = (*self.get().await?).clone();
        change(&mut settings)?;
        self.records.store(Self::NAME, settings).await
    }

    /// Removes the settings: nothing is exported any more.
    ///
    /// # Errors
    /// If storage fails.
    pub async fn remove(&self) -> Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        self.records.remove(Self::NAME).await
    }

    /// Another node changed `key`. Whether it is ours.
    pub fn invalidate(&self, key: &str) -> bool {
        self.records.invalidate(key)
    }
}
