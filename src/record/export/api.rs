//! `config/export`: where decisions are sent.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::secret::Secret;
use crate::model::text;
use crate::model::time::Ttl;
use crate::record::Cx;
use crate::record::export::store::{Settings, Signal};
use crate::record::export::{address, file, otlp};

/// The most headers or attributes.
const MOST_PAIRS: usize = 16;
/// The longest value of a header.
const LONGEST_HEADER: usize = 4_096;
/// The largest bundle of certificates.
const LARGEST_CA: usize = 64 * 1024;

/// Where decisions are sent, as it is read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExportView {
    otlp_endpoint: String,
    /// The names of the headers; their values cannot be read.
    otlp_header_names: Vec<String>,
    otlp_ca: String,
    otlp_signals: BTreeSet<Signal>,
    otlp_resource: BTreeMap<String, String>,
    otlp_allow_plaintext: bool,
    file: String,
    file_max_bytes: u64,
    queue: u32,
    timeout: Ttl,
}

impl From<&Settings> for ExportView {
    fn from(settings: &Settings) -> Self {
        let settings = settings.clone();
        Self {
            otlp_endpoint: settings.otlp_endpoint,
            otlp_header_names: settings.otlp_headers.into_keys().collect(),
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

/// Read where decisions are sent.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadExport {}

impl Endpoint<Cx> for ReadExport {
    const PLACE: Place = Place {
        path: "config/export",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ExportView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ExportView>> {
        Ok(ExportView::from(&*cx.record.export.settings.get().await?).into())
    }
}

/// Stop sending decisions anywhere, and forget the settings of it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteExport {}

impl Endpoint<Cx> for DeleteExport {
    const PLACE: Place = Place {
        path: "config/export",
        verb: Verb::Delete,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ExportView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ExportView>> {
        cx.record.export.settings.remove().await?;
        cx.record.export.apply().await?;
        Ok(Reply::Nothing)
    }
}

/// Have decisions sent to an OpenTelemetry collector, to a file, or to both.
///
/// Fields that are not given keep their value. A sink that is slow or gone
/// delays no decision: what finds no room in the queue is dropped, and counted
/// under `metrics`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteExport {
    /// URL of a collector that takes OTLP over HTTP, without a path, as in
    /// `https://collector.example.com:4318`. Empty: none.
    otlp_endpoint: Option<String>,
    /// Headers for the collector, as `name=value`; they replace those before.
    /// Their values cannot be read back, and are to be given again where the
    /// endpoint, its CA or `otlp_allow_plaintext` changes.
    otlp_headers: Option<BTreeMap<String, String>>,
    /// Certificates (PEM) that the collector's must lead to. Empty: those that
    /// the server's system trusts.
    otlp_ca: Option<String>,
    /// What is sent: `logs`, `traces` (both are the default), and `ocsf` for
    /// OCSF events as the bodies of log records.
    otlp_signals: Option<BTreeSet<Signal>>,
    /// Attributes of the resource, such as `deployment.environment=prod`.
    otlp_resource: Option<BTreeMap<String, String>>,
    /// Whether the collector may be reached over a network without TLS.
    otlp_allow_plaintext: Option<bool>,
    /// Name of a file that OCSF events are appended to, as in
    /// `decisions.jsonl`. It lies in the directory that the plugin's argument
    /// `--export-dir` names in the server's catalog; without it, none is
    /// allowed. Empty: none.
    file: Option<String>,
    /// Size at which the file is put aside as `.1`, in bytes: 1 MiB to 10 GiB.
    /// Default 100 MiB.
    file_max_bytes: Option<u64>,
    /// How many events may wait, from 16 to 65,536. Default 4,096.
    queue: Option<u32>,
    /// How long the collector may take to answer, from 1s to 60s. Default 5s.
    timeout: Option<Ttl>,
}

impl Endpoint<Cx> for WriteExport {
    const PLACE: Place = Place {
        path: "config/export",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ExportView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ExportView>> {
        let files = cx.record.export.directory().is_some();
        let stored = cx
            .record
            .export
            .settings
            .update(|settings| self.apply(settings, files))
            .await?;
        cx.record.export.apply().await?;
        Ok(ExportView::from(&*stored).into())
    }
}

impl WriteExport {
    fn apply(self, settings: &mut Settings, files: bool) -> Result<()> {
        let before = settings.clone();
        settings.otlp_endpoint = self
            .otlp_endpoint
            .unwrap_or_else(|| std::mem::take(&mut settings.otlp_endpoint));
        settings.otlp_allow_plaintext = self
            .otlp_allow_plaintext
            .unwrap_or(settings.otlp_allow_plaintext);
        if !settings.otlp_endpoint.is_empty() {
            address::check(&settings.otlp_endpoint, settings.otlp_allow_plaintext)
                .map_err(|problem| Error::field("otlp_endpoint", problem))?;
        }
        let headers_given = self.otlp_headers.is_some();
        if let Some(headers) = self.otlp_headers {
            settings.otlp_headers = checked_headers(headers)?;
        }
        if let Some(bundle) = self.otlp_ca {
            if bundle.len() > LARGEST_CA {
                return Err(Error::field("otlp_ca", "is longer than 64 KiB"));
            }
            if !bundle.is_empty() {
                otlp::certificates(bundle.as_bytes())
                    .map_err(|problem| Error::field("otlp_ca", problem))?;
            }
            settings.otlp_ca = bundle;
        }
        // Their values cannot be read: neither may they be sent somewhere else
        // by somebody who does not know them.
        let moved = settings.otlp_endpoint != before.otlp_endpoint
            || settings.otlp_ca != before.otlp_ca
            || settings.otlp_allow_plaintext && !before.otlp_allow_plaintext;
        if moved && !headers_given && !settings.otlp_headers.is_empty() {
            return Err(Error::field(
                "otlp_headers",
                "must be given again where `otlp_endpoint`, `otlp_ca` or `otlp_allow_plaintext` changes; an empty object sends none",
            ));
        }
        if let Some(signals) = self.otlp_signals {
            if signals.is_empty() {
                return Err(Error::field(
                    "otlp_signals",
                    "must name at least one of `logs`, `traces` and `ocsf`; an empty `otlp_endpoint` sends nothing",
                ));
            }
            settings.otlp_signals = signals;
        }
        if let Some(resource) = self.otlp_resource {
            settings.otlp_resource = checked_resource(resource)?;
        }
        if let Some(name) = self.file {
            if !name.is_empty() {
                file::check(&name).map_err(|problem| Error::field("file", problem))?;
                if !files {
                    return Err(Error::field(
                        "file",
                        "files are not allowed: who configures the server adds `--export-dir=DIRECTORY` to the plugin's arguments in the catalog",
                    ));
                }
            }
            settings.file = name;
        }
        if let Some(most) = self.file_max_bytes {
            if !(1024 * 1024..=10 * 1024 * 1024 * 1024).contains(&most) {
                return Err(Error::field(
                    "file_max_bytes",
                    "must be from 1 MiB to 10 GiB",
                ));
            }
            settings.file_max_bytes = most;
        }
        if let Some(queue) = self.queue {
            if !(16..=65_536).contains(&queue) {
                return Err(Error::field("queue", "must be from 16 to 65536"));
            }
            settings.queue = queue;
        }
        if let Some(timeout) = self.timeout {
            if !(1..=60).contains(&timeout.as_secs()) {
                return Err(Error::field("timeout", "must be from 1s to 60s"));
            }
            settings.timeout = timeout;
        }
        Ok(())
    }
}

fn checked_headers(headers: BTreeMap<String, String>) -> Result<BTreeMap<String, Secret<String>>> {
    let wrong = |problem: &str| Err(Error::field("otlp_headers", problem));
    if headers.len() > MOST_PAIRS {
        return wrong("may hold at most 16");
    }
    for (name, value) in &headers {
        let reserved = [
            "content-type",
            "content-length",
            "host",
            "transfer-encoding",
        ];
        if http::HeaderName::try_from(name.as_str()).is_err()
            || reserved.iter().any(|one| one.eq_ignore_ascii_case(name))
        {
            return wrong("holds a name that no header may have here");
        }
        if value.len() > LONGEST_HEADER || http::HeaderValue::try_from(value.as_str()).is_err() {
            return wrong("holds a value that no header may have");
        }
    }
    Ok(headers
        .into_iter()
        .map(|(name, value)| (name, Secret::new(value)))
        .collect())
}

fn checked_resource(resource: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if resource.len() > MOST_PAIRS {
        return Err(Error::field("otlp_resource", "may hold at most 16"));
    }
    for (name, value) in &resource {
        for (part, most) in [(name, 64), (value, 256)] {
            text::check(part, most).map_err(|problem| Error::field("otlp_resource", problem))?;
        }
    }
    Ok(resource)
}
