//! `config`: the settings of the mount.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::Cx;
use crate::facts::config::store::{
    BaselineRule, Config, DEFAULT_KEY, DenialDetail, LONGEST_DELEGATION, LONGEST_RETENTION,
    LONGEST_TTL,
};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::model::agent::MAX_DELEGATION_DEPTH;
use crate::model::ids::KeyName;
use crate::model::time::Ttl;
use crate::record::decisions::log;
use crate::record::decisions::recent::MOST_MEMORY;

/// The settings of the mount, as they are read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigView {
    issuer: String,
    default_ttl: Ttl,
    max_ttl: Ttl,
    max_delegation_depth: u8,
    denial_detail: DenialDetail,
    baseline_rule: BaselineRule,
    signing_key: String,
    max_delegation_ttl: Ttl,
    consent_timeout: Ttl,
    consent_cooldown: Ttl,
    decision_retention: Ttl,
    decision_memory: u32,
    decision_lines: bool,
}

impl From<&Config> for ConfigView {
    fn from(config: &Config) -> Self {
        Self {
            issuer: config.issuer.clone(),
            default_ttl: config.default_ttl,
            max_ttl: config.max_ttl,
            max_delegation_depth: config.max_delegation_depth,
            denial_detail: config.denial_detail,
            baseline_rule: config.baseline_rule,
            signing_key: config
                .signing_key
                .clone()
                .map(String::from)
                .unwrap_or_default(),
            max_delegation_ttl: config.max_delegation_ttl,
            consent_timeout: config.consent_timeout,
            consent_cooldown: config.consent_cooldown,
            decision_retention: config.decision_retention,
            decision_memory: config.decision_memory,
            decision_lines: config.decision_lines,
        }
    }
}

/// Read the settings of this mount.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadConfig {}

impl Endpoint<Cx> for ReadConfig {
    const PLACE: Place = Place {
        path: "config",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ConfigView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConfigView>> {
        Ok(ConfigView::from(&**cx.config().await?).into())
    }
}

/// Change the settings of this mount.
///
/// Fields that are not given keep their value.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteConfig {
    /// URL under which this mount is reached, as in
    /// `https://vault.example.com/v1/agentic`. It is the `iss` of every
    /// credential and the base of the discovery documents, and compared
    /// exactly, so write it without a trailing slash.
    issuer: Option<String>,
    /// Lifetime of a credential where neither the request nor the target names
    /// one. Default 60s.
    default_ttl: Option<Ttl>,
    /// Longest lifetime of any credential; at most 1h, which is the default.
    max_ttl: Option<Ttl>,
    /// Longest chain of delegations, from 1 to 8. Default 3.
    max_delegation_depth: Option<u8>,
    /// How much a refused caller is told: `none`, `reason` (the default) or
    /// `full`.
    denial_detail: Option<DenialDetail>,
    /// What holds for a subject without any baseline: `deny` (the default) or
    /// `unrestricted`.
    baseline_rule: Option<BaselineRule>,
    /// Name of the key that signs where a target names none. Empty: `default`.
    signing_key: Option<String>,
    /// Longest time that a delegation may last; at most 10 years. Default 90
    /// days.
    max_delegation_ttl: Option<Ttl>,
    /// How long a consent to one request waits for the human's answer, after
    /// which it is denied; and once it is given, how long it can be used. From
    /// 10s to 1h. Default 5m.
    consent_timeout: Option<Ttl>,
    /// How long an agent may not ask a human again for what that human has
    /// refused; at most 24h. Default 5m; 0: not at all.
    consent_cooldown: Option<Ttl>,
    /// For how long decisions are kept in storage, up to 400 days. They are
    /// written in batches, about every minute. Default 0: they are not kept.
    decision_retention: Option<Ttl>,
    /// How many decisions each node keeps in memory, from 1 to 100,000.
    /// Default 1,000.
    decision_memory: Option<u32>,
    /// Whether the server's log gets a line for each decision. Default true.
    decision_lines: Option<bool>,
}

impl Endpoint<Cx> for WriteConfig {
    const PLACE: Place = Place {
        path: "config",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Governed;
    type Output = ConfigView;

    async fn handle(self, cx: &Cx) -> Result<Reply<ConfigView>> {
        let signing_key = match &self.signing_key {
            Some(name) => Some(cx.facts.keys.reference("signing_key", name).await?),
            None => None,
        };
        if let Some(next) = &signing_key {
            let present = cx.config().await?.signing_key.clone();
            if present != *next {
                let key = present.as_ref().map_or(DEFAULT_KEY, KeyName::as_str);
                cx.facts.keys.release(key, cx.now).await?;
            }
        }
        let stored = cx
            .facts
            .config
            .update(|config| {
                if let Some(key) = signing_key {
                    config.signing_key = key;
                }
                self.apply(config)
            })
            .await?;
        log::tune(&cx.record, (&*stored).into());
        Ok(ConfigView::from(&*stored).into())
    }
}

impl WriteConfig {
    fn apply(self, config: &mut Config) -> Result<()> {
        if let Some(issuer) = self.issuer {
            check_issuer(&issuer)?;
            config.issuer = issuer;
        }
        config.default_ttl = self.default_ttl.unwrap_or(config.default_ttl);
        config.max_ttl = self.max_ttl.unwrap_or(config.max_ttl);
        if config.max_ttl.is_zero() || config.max_ttl > LONGEST_TTL {
            return Err(Error::field("max_ttl", "must be between 1s and 1h"));
        }
        if config.default_ttl.is_zero() || config.default_ttl > config.max_ttl {
            return Err(Error::field(
                "default_ttl",
                "must be at least 1s and at most `max_ttl`",
            ));
        }
        if let Some(depth) = self.max_delegation_depth {
            if !(1..=MAX_DELEGATION_DEPTH).contains(&depth) {
                return Err(Error::field("max_delegation_depth", "must be from 1 to 8"));
            }
            config.max_delegation_depth = depth;
        }
        if let Some(most) = self.max_delegation_ttl {
            if most.is_zero() || most > LONGEST_DELEGATION {
                return Err(Error::field(
                    "max_delegation_ttl",
                    "must be between 1s and 10 years",
                ));
            }
            config.max_delegation_ttl = most;
        }
        if let Some(wait) = self.consent_timeout {
            if !(10..=3600).contains(&wait.as_secs()) {
                return Err(Error::field("consent_timeout", "must be from 10s to 1h"));
            }
            config.consent_timeout = wait;
        }
        if let Some(pause) = self.consent_cooldown {
            if pause > Ttl::from_secs(24 * 3600) {
                return Err(Error::field("consent_cooldown", "must be at most 24h"));
            }
            config.consent_cooldown = pause;
        }
        config.denial_detail = self.denial_detail.unwrap_or(config.denial_detail);
        config.baseline_rule = self.baseline_rule.unwrap_or(config.baseline_rule);
        if let Some(retention) = self.decision_retention {
            if retention > LONGEST_RETENTION {
                return Err(Error::field(
                    "decision_retention",
                    "must be at most 400 days",
                ));
            }
            config.decision_retention = retention;
        }
        if let Some(memory) = self.decision_memory {
            if !(1..=MOST_MEMORY).contains(&memory) {
                return Err(Error::field("decision_memory", "must be from 1 to 100000"));
            }
            config.decision_memory = memory;
        }
        config.decision_lines = self.decision_lines.unwrap_or(config.decision_lines);
        Ok(())
    }
}

/// An issuer is an HTTP URL with a host, without query, fragment, user or
/// trailing slash (RFC 8414 2).
fn check_issuer(issuer: &str) -> Result<()> {
    let wrong = |problem: &str| Err(Error::field("issuer", problem));
    let uri: http::Uri = match issuer.parse() {
        Ok(uri) => uri,
        Err(_) => return wrong("must be a URL, as in `https://vault.example.com/v1/agentic`"),
    };
    if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.host().is_none_or(str::is_empty) {
        return wrong("must be a URL, as in `https://vault.example.com/v1/agentic`");
    }
    if issuer.len() > 512
        || issuer.ends_with('/')
        || issuer.contains(['?', '#', '@'])
        || !issuer.bytes().all(|b| b.is_ascii_graphic())
    {
        return wrong(
            "may have no query, fragment, user or trailing slash, and at most 512 characters",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_exact_urls() {
        for good in [
            "https://vault.example.com/v1/agentic",
            "http://127.0.0.1:8200/v1/auth/agentic",
        ] {
            assert!(check_issuer(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "vault",
            "ftp://a/b",
            "https:///x",
            "https://a/",
            "https://a?x",
            "https://a#x",
            "https://u@a/b",
            "/v1/x",
        ] {
            assert!(check_issuer(bad).is_err(), "{bad}");
        }
    }
}
