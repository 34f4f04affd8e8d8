//! The state of one mount: its stores, its counters, its view of the host.
//! Two mounts share nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::activity::Activity;
use crate::agents::store::AgentStore;
use crate::baselines::store::BaselineStore;
use crate::config::store::ConfigStore;
use crate::consents::store::ConsentStore;
use crate::credentials::status::StatusStore;
use crate::credentials::store::CredentialStore;
use crate::credentials::tidy::Cursors;
use crate::decisions::recent::Recent;
use crate::decisions::store::Journal;
use crate::delegations::guesses::Guesses;
use crate::delegations::store::DelegationStore;
use crate::engine::facts::RateCounts;
use crate::engine::rate::{Charge, RateBook, Refusal};
use crate::export::Export;
use crate::framework::error::Result;
use crate::framework::request;
use crate::framework::storage::Storage;
use crate::framework::system::SystemView;
use crate::identity::settings::IdentityStore;
use crate::identity::sweep::Cursor;
use crate::issuers::fetch::Network;
use crate::issuers::keys::KeySets;
use crate::issuers::store::IssuerStore;
use crate::keys::hasher::HasherStore;
use crate::keys::store::KeyStore;
use crate::locations::store::LocationStore;
use crate::login::gate::Gate;
use crate::login::replay::Presented;
use crate::metrics::Metrics;
use crate::model::time::{Timestamp, Ttl};
use crate::policies::store::PolicyStore;
use crate::targets::store::TargetStore;

/// The context of one request on a mount of ours.
pub type Cx = request::Cx<State>;

/// How long an answer of the host about the mount's longest lease is trusted.
/// The host tells nobody when an operator tunes it.
const LEASE_LIMIT_TRUST: Duration = Duration::from_secs(5);

/// What the catalog calls this plugin, where the host does not say.
const PLUGIN: &str = "agentic";

/// The state of one mount.
#[derive(Debug)]
pub struct State {
    /// The settings.
    pub config: ConfigStore,
    /// Whose entities are humans, and who does not govern.
    pub identity: IdentityStore,
    /// Where the last look at the agents stopped.
    pub swept: Cursor,
    /// What the catalog calls this plugin, which is the type of its mounts.
    pub plugin: String,
    /// The signing keys.
    pub keys: KeyStore,
    /// What makes keyed hashes.
    pub hasher: HasherStore,
    /// The registry.
    pub agents: AgentStore,
    /// The systems that credentials are for.
    pub targets: TargetStore,
    /// The policies.
    pub policies: PolicyStore,
    /// What subjects may do.
    pub baselines: Arc<BaselineStore>,
    /// Named network ranges.
    pub locations: LocationStore,
    /// What humans passed to agents, and agents to agents.
    pub delegations: DelegationStore,
    /// What humans agreed to, and are asked.
    pub consents: ConsentStore,
    /// How often wrong codes were tried on this node.
    pub guesses: Guesses,
    /// What is kept of credentials.
    pub credentials: CredentialStore,
    /// Who has a place in a status list.
    pub statuses: StatusStore,
    /// Where the last removal of expired records stopped.
    pub tidied: Cursors,
    /// Whose tokens are believed at a login.
    pub issuers: IssuerStore,
    /// The keys of those that were fetched.
    pub key_sets: KeySets,
    /// What was presented, at a login or with a credential, and may not be
    /// again.
    pub presented: Presented,
    /// How many log in at a time.
    pub logins: Gate,
    /// The latest decisions, in memory.
    pub recent: Recent,
    /// The decision log in storage.
    pub journal: Journal,
    /// What was counted.
    pub metrics: Metrics,
    /// Who was seen when.
    pub activity: Activity,
    /// Where decisions are sent.
    pub export: Export,
    /// How much of each rate is used on this node.
    pub rates: Arc<Rates>,
    /// The storage of the mount, for what no store keeps.
    pub storage: Arc<dyn Storage>,
    /// The host.
    pub system: Arc<dyn SystemView>,
    says_decisions: AtomicBool,
    standby: Arc<AtomicBool>,
    lease_limit: Mutex<Option<(Instant, Ttl)>>,
}

impl State {
    /// The state over a mount's storage. Touches neither storage nor host.
    #[must_use]
    pub fn new(storage: &Arc<dyn Storage>, system: Arc<dyn SystemView>, plugin: &str) -> Self {
        // Until the host has said otherwise, what is read is not trusted for long.
        let standby = Arc::new(AtomicBool::new(true));
        Self {
            config: ConfigStore::new(storage, &standby),
            identity: IdentityStore::new(storage, &standby),
            swept: Cursor::default(),
            plugin: if plugin.is_empty() { PLUGIN } else { plugin }.to_owned(),
            keys: KeyStore::new(storage, &standby),
            hasher: HasherStore::new(storage),
            agents: AgentStore::new(storage, &standby),
            targets: TargetStore::new(storage, &standby),
            policies: PolicyStore::new(storage, &standby),
            baselines: Arc::new(BaselineStore::new(storage, &standby)),
            locations: LocationStore::new(storage, &standby),
            delegations: DelegationStore::new(storage, &standby),
            consents: ConsentStore::new(storage, &standby),
            guesses: Guesses::default(),
            credentials: CredentialStore::new(storage),
            statuses: StatusStore::new(storage),
            tidied: Cursors::default(),
            storage: Arc::clone(storage),
            issuers: IssuerStore::new(storage, &standby),
            key_sets: KeySets::new(Arc::new(Network)),
            presented: Presented::default(),
            logins: Gate::default(),
            recent: Recent::default(),
            journal: Journal::new(storage, &standby),
            metrics: Metrics::default(),
            activity: Activity::default(),
            export: Export::new(storage, &standby),
            says_decisions: AtomicBool::new(true),
            rates: Arc::default(),
            system,
            standby,
            lease_limit: Mutex::new(None),
        }
    }

    /// Says whether this node only reads. The host makes a new instance when
    /// that changes.
    pub fn set_standby(&self, yes: bool) {
        self.standby.store(yes, Ordering::Relaxed);
    }

    /// Whether this node only reads, or has not asked yet.
    #[must_use]
    pub fn is_standby(&self) -> bool {
        self.standby.load(Ordering::Relaxed)
    }

    /// Whether the server's log gets a line for each decision.
    #[must_use]
    pub fn says_decisions(&self) -> bool {
        self.says_decisions.load(Ordering::Relaxed)
    }

    /// Says whether the server's log gets a line for each decision.
    pub fn say_decisions(&self, yes: bool) {
        self.says_decisions.store(yes, Ordering::Relaxed);
    }

    /// The longest lease that the host allows this mount, at most five seconds
    /// old.
    ///
    /// # Errors
    /// If the host does not say.
    pub async fn lease_limit(&self) -> Result<Ttl> {
        let known = *self
            .lease_limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, limit)) = known.filter(|(since, _)| since.elapsed() < LEASE_LIMIT_TRUST) {
            return Ok(limit);
        }
        let limit = self.system.max_lease_ttl().await?;
        *self
            .lease_limit
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), limit));
        Ok(limit)
    }

    /// Another node changed `key`: drops what it may have made stale.
    pub fn invalidate(&self, key: &str) {
        let known = self.config.invalidate(key)
            || self.identity.invalidate(key)
            || self.keys.invalidate(key)
            || self.hasher.invalidate(key)
            || self.agents.invalidate(key)
            || self.targets.invalidate(key)
            || self.policies.invalidate(key)
            || self.baselines.invalidate(key)
            || self.locations.invalidate(key)
            || self.delegations.invalidate(key)
            || self.consents.invalidate(key)
            || self.credentials.invalidate(key)
            || self.statuses.invalidate(key)
            || self.issuers.invalidate(key)
            || self.journal.invalidate(key)
            || self.export.invalidate(key);
        if !known {
            tracing::debug!("another node changed a storage key that this release does not cache");
        }
    }
}

/// The counters of rates, one holder at a time.
#[derive(Default)]
pub struct Rates(Mutex<RateBook>);

impl Rates {
    /// Makes every charge, or none.
    ///
    /// # Errors
    /// If one of the rates is exhausted, or there are too many counters.
    pub fn try_charge(
        &self,
        charges: &[Charge],
        now: Timestamp,
    ) -> std::result::Result<(), Refusal> {
        if charges.is_empty() {
            return Ok(());
        }
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .try_charge(charges, now)
    }

    /// Drops the counters whose window has passed.
    pub fn forget_idle(&self, now: Timestamp) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget_idle(now);
    }
}

impl RateCounts for Rates {
    fn count(&self, charge: &Charge, now: Timestamp) -> u32 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .count(charge, now)
    }
}

impl fmt::Debug for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rates")
    }
}
