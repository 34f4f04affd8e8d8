//! A mount: which endpoints it has, and its life from setup to invalidation.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ring::rand::{SecureRandom as _, SystemRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::activity::api as activity;
use crate::agents::forget::ForgetAlias;
use crate::agents::{api as agents, enterprise, list as agent_list, own};
use crate::baselines::api as baselines;
use crate::config::api as config;
use crate::config::store::DEFAULT_KEY;
use crate::consents::{api as consents, oversight as consent_oversight};
use crate::credentials::{
    api as credentials, leases, oversight as credential_oversight, revoke_api, status_api,
    tidy as credentials_tidy, verify_api,
};
use crate::decisions::{api as decisions, authzen, events, list as decision_list, log, mine};
use crate::delegations::{
    api as delegations, codes, list, oversight as delegation_oversight, tidy as delegations_tidy,
};
use crate::export::{api as export, store::SettingsRecord};
use crate::framework::backend::{Backend, Factory, MountConfig, MountType, SpecialPaths};
use crate::framework::endpoint::{Audience, Endpoint, GOVERNED, Place, Route, Verb};
use crate::framework::error::{Error, Result};
use crate::framework::record::Record as _;
use crate::framework::request::{Operation, Request};
use crate::framework::response::{Reply, Response};
use crate::framework::router::Router;
use crate::framework::storage::{Storage, Write};
use crate::framework::system::SystemView;
use crate::framework::{help, openapi};
use crate::identity::admit::{Arrival, admit};
use crate::identity::{api as identity, sweep};
use crate::issuers::check::CheckIssuer;
use crate::issuers::{api as issuers, subjects};
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::keys::hasher::{HashKeyRecord, KEY};
use crate::keys::{api as keys, discovery, store::KeyRecord, tidy as keys_tidy, versions};
use crate::locations::api as locations;
use crate::login::{api as login, session};
use crate::metrics::api as metrics;
use crate::model::time::{Clock, SystemClock};
use crate::policies::api as policies;
use crate::state::{Cx, State};
use crate::targets::acl::ReadAcl;
use crate::targets::api as targets;
use crate::targets::doctor::Diagnose;

const ABOUT: &str = "The agentic plugin gives AI agents an identity of their own, a ceiling, a policy\n\
decision for every request, and a credential that lives for that request only.\n\n\
Register agents under agents/, say what they are for under targets/, write what\n\
they may do under policies/, and let them ask under creds/issue.";

/// Every endpoint of a mount of this type.
#[must_use]
pub fn routes(mount_type: MountType) -> Vec<Route<State>> {
    let mut routes = shared_routes();
    match mount_type {
        MountType::Secrets => {}
        MountType::Auth => routes.extend([Route::of::<login::Login>()]),
    }
    routes
}

/// The endpoints of mounts of both types.
fn shared_routes() -> Vec<Route<State>> {
    vec![
        Route::of::<Info<false>>(),
        Route::of::<Info<true>>(),
        Route::of::<config::ReadConfig>(),
        Route::of::<config::WriteConfig>(),
        Route::of::<identity::ReadIdentity>(),
        Route::of::<identity::WriteIdentity>(),
        Route::of::<identity::ResetIdentity>(),
        Route::of::<keys::ListKeys>(),
        Route::of::<keys::ReadKey>(),
        Route::of::<keys::WriteKey>(),
        Route::of::<keys::DeleteKey>(),
        Route::of::<versions::RotateKey>(),
        Route::of::<versions::RetireKey>(),
        Route::of::<discovery::ReadKeySet>(),
        Route::of::<discovery::ReadDiscovery<true>>(),
        Route::of::<discovery::ReadDiscovery<false>>(),
        Route::of::<status_api::ReadStatusList>(),
        Route::of::<agent_list::ListAgents>(),
        Route::of::<agent_list::ListFormer>(),
        Route::of::<agent_list::ReadFormer>(),
        Route::of::<agent_list::ForgetFormer>(),
        Route::of::<agent_list::ListOrphans>(),
        Route::of::<ForgetAlias>(),
        Route::of::<agents::WriteAgent<false>>(),
        Route::of::<agents::WriteAgent<true>>(),
        Route::of::<agents::ReadAgent>(),
        Route::of::<agents::DeleteAgent>(),
        Route::of::<agents::ReadAgentById>(),
        Route::of::<agents::ReadAgentByEntity>(),
        Route::of::<agents::SuspendAgent>(),
        Route::of::<agents::ResumeAgent>(),
        Route::of::<agents::RevokeAgent>(),
        Route::of::<own::ReadSelf>(),
        Route::of::<enterprise::Register>(),
        Route::of::<enterprise::ListRegistrations>(),
        Route::of::<enterprise::ReadRegistration>(),
        Route::of::<enterprise::ReplaceRegistration>(),
        Route::of::<enterprise::DeleteRegistration>(),
        Route::of::<enterprise::ListRegistrationNames>(),
        Route::of::<enterprise::ReadRegistrationByName>(),
        Route::of::<enterprise::ReadRegistrationByEntity>(),
        Route::of::<targets::ListTargets>(),
        Route::of::<targets::ReadTarget>(),
        Route::of::<targets::ReadOwnTarget>(),
        Route::of::<targets::WriteTarget>(),
        Route::of::<targets::DeleteTarget>(),
        Route::of::<ReadAcl>(),
        Route::of::<Diagnose<false>>(),
        Route::of::<Diagnose<true>>(),
        Route::of::<policies::ListPolicies>(),
        Route::of::<policies::ReadPolicy>(),
        Route::of::<policies::WritePolicy>(),
        Route::of::<policies::CheckPolicy>(),
        Route::of::<policies::DeletePolicy>(),
        Route::of::<baselines::ListEntityBaselines>(),
        Route::of::<baselines::ReadEntityBaseline>(),
        Route::of::<baselines::WriteEntityBaseline>(),
        Route::of::<baselines::DeleteEntityBaseline>(),
        Route::of::<baselines::ListGroupBaselines>(),
        Route::of::<baselines::ReadGroupBaseline>(),
        Route::of::<baselines::WriteGroupBaseline>(),
        Route::of::<baselines::DeleteGroupBaseline>(),
        Route::of::<locations::ListLocations>(),
        Route::of::<locations::ReadLocation>(),
        Route::of::<locations::WriteLocation>(),
        Route::of::<locations::DeleteLocation>(),
        Route::of::<list::ListDelegations>(),
        Route::of::<delegations::RequestDelegation>(),
        Route::of::<delegations::GrantDelegation>(),
        Route::of::<delegations::ReadDelegation>(),
        Route::of::<delegations::ApproveDelegation>(),
        Route::of::<delegations::DenyDelegation>(),
        Route::of::<delegations::RevokeDelegation>(),
        Route::of::<delegations::PassDelegation>(),
        Route::of::<codes::ReadCode>(),
        Route::of::<codes::ApproveCode>(),
        Route::of::<codes::DenyCode>(),
        Route::of::<delegation_oversight::OverseeDelegations>(),
        Route::of::<delegation_oversight::OverseeDelegation>(),
        Route::of::<delegation_oversight::OverrideDelegation>(),
        Route::of::<consents::ReadConsent>(),
        Route::of::<consents::ApproveConsent>(),
        Route::of::<consents::DenyConsent>(),
        Route::of::<consent_oversight::OverseeConsents>(),
        Route::of::<consent_oversight::OverseeConsent>(),
        Route::of::<credentials::IssueCredential<false>>(),
        Route::of::<credentials::IssueCredential<true>>(),
        Route::of::<verify_api::Introspect>(),
        Route::of::<verify_api::Redeem>(),
        Route::of::<revoke_api::RevokeCredentials>(),
        Route::of::<revoke_api::RevokeOwn>(),
        Route::of::<credential_oversight::Revoke>(),
        Route::of::<issuers::ListIssuers>(),
        Route::of::<issuers::ReadIssuer>(),
        Route::of::<issuers::WriteIssuer>(),
        Route::of::<issuers::DeleteIssuer>(),
        Route::of::<CheckIssuer>(),
        Route::of::<subjects::ListSubjects>(),
        Route::of::<subjects::ReadSubject>(),
        Route::of::<subjects::WriteSubject>(),
        Route::of::<subjects::DeleteSubject>(),
        Route::of::<decisions::Evaluate>(),
        Route::of::<decisions::EvaluateOwn>(),
        Route::of::<decision_list::ListDecisions>(),
        Route::of::<decision_list::ReadDecision>(),
        Route::of::<decision_list::VerifyDecisions>(),
        Route::of::<mine::ListOwnDecisions>(),
        Route::of::<mine::ReadOwnDecision>(),
        Route::of::<export::ReadExport>(),
        Route::of::<export::WriteExport>(),
        Route::of::<export::DeleteExport>(),
        Route::of::<metrics::ReadMetrics>(),
        Route::of::<activity::ListActivity>(),
        Route::of::<activity::ListAgentActivity>(),
        Route::of::<activity::ListSubjectActivity>(),
        Route::of::<activity::ListTargetActivity>(),
        Route::of::<activity::ReadAgentActivity>(),
        Route::of::<activity::ReadSubjectActivity>(),
        Route::of::<activity::ReadTargetActivity>(),
        Route::of::<authzen::AccessEvaluation>(),
        Route::of::<authzen::AccessEvaluations>(),
        Route::of::<authzen::ReadAuthzenConfiguration>(),
    ]
}

/// The router, made once per process: all mounts of a type have the same paths.
fn router(mount_type: MountType) -> &'static Router<State> {
    static SECRETS: OnceLock<Router<State>> = OnceLock::new();
    static AUTH: OnceLock<Router<State>> = OnceLock::new();
    let router = match mount_type {
        MountType::Secrets => &SECRETS,
        MountType::Auth => &AUTH,
    };
    router.get_or_init(|| Router::new(routes(mount_type)))
}

/// What this plugin is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct InfoView {
    version: &'static str,
}

/// Tell which plugin, of which version, serves this mount.
///
/// Touches no storage, in either operation: a round trip and nothing else.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Info<const WRITE: bool> {}

impl<const WRITE: bool> Endpoint<State> for Info<WRITE> {
    const PLACE: Place = Place {
        path: "info",
        verb: if WRITE { Verb::Write } else { Verb::Read },
    };
    const AUDIENCE: Audience = Audience::Caller;
    type Output = InfoView;

    async fn handle(self, _: &Cx) -> Result<Reply<InfoView>> {
        Ok(InfoView {
            version: env!("CARGO_PKG_VERSION"),
        }
        .into())
    }
}

/// Makes mounts of this plugin.
#[derive(Debug)]
pub struct Mounts<C = SystemClock> {
    clock: Arc<C>,
    export_directory: Option<PathBuf>,
}

impl Default for Mounts {
    fn default() -> Self {
        Self::with_clock(SystemClock)
    }
}

impl<C: Clock> Mounts<C> {
    /// Mounts that live by this clock.
    pub fn with_clock(clock: C) -> Self {
        Self {
            clock: Arc::new(clock),
            export_directory: None,
        }
    }

    /// Mounts that may write files in this directory.
    #[must_use]
    pub fn exporting_to(mut self, directory: Option<PathBuf>) -> Self {
        self.export_directory = directory;
        self
    }
}

impl<C: Clock + 'static> Factory for Mounts<C> {
    fn mount(
        &self,
        config: MountConfig,
        storage: Arc<dyn Storage>,
        system: Arc<dyn SystemView>,
    ) -> Arc<dyn Backend> {
        let state = State::new(&storage, system, &config.plugin);
        if let Some(directory) = &self.export_directory {
            state.export.allow_files_in(directory.clone(), &config.uuid);
        }
        Arc::new(Mount {
            mount_type: config.mount_type,
            state: Arc::new(state),
            storage,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        })
    }
}

/// One mount.
#[derive(Debug)]
struct Mount {
    mount_type: MountType,
    state: Arc<State>,
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
}

/// The layout of storage that this release writes. A higher number was written
/// by a newer release.
const LAYOUT: u32 = 1;
const LAYOUT_KEY: &str = "meta/layout";

#[async_trait]
impl Backend for Mount {
    fn special_paths(&self) -> SpecialPaths {
        let unauthenticated = router(self.mount_type)
            .paths()
            .flat_map(|path| &path.routes)
            .filter(|route| route.audience == Audience::Public)
            .map(|route| host_pattern(route.place.path))
            .collect();
        SpecialPaths {
            root: GOVERNED.map(str::to_owned).to_vec(),
            unauthenticated,
            seal_wrap_storage: vec![
                KeyRecord::PREFIX.to_owned(),
                HashKeyRecord::PREFIX.to_owned(),
                SettingsRecord::PREFIX.to_owned(),
            ],
        }
    }

    async fn initialize(&self) -> Result<()> {
        let layout = self.storage.get(LAYOUT_KEY).await?;
        let known = layout.is_none_or(|bytes| {
            std::str::from_utf8(&bytes).is_ok_and(|text| text.parse() == Ok(LAYOUT))
        });
        if !known {
            return Err(Error::Host(
                "the storage of this mount was written by a newer release of this plugin; install that release again".to_owned(),
            ));
        }
        self.state.presented.begin(self.clock.now());
        let standby = self.state.system.is_read_only().await?;
        self.state.set_standby(standby);
        log::start(&self.state).await;
        if standby {
            return Ok(());
        }
        match self.prepare().await {
            // The host may set a mount up read-only, and says so only here.
            Err(Error::Host(problem)) => {
                tracing::warn!(problem, "the mount could not be prepared yet");
                Ok(())
            }
            prepared => prepared,
        }
    }

    async fn handle(&self, request: Request) -> Result<Option<Response>> {
        match request.operation {
            Operation::Help => self.help(&request).map(Some),
            Operation::Periodic => {
                let cx = self.context(&request);
                tidy(&cx).await.map(|()| None)
            }
            Operation::Renew if request.login.is_some() => {
                let cx = self.context(&request);
                session::renew(&cx, request.login.unwrap_or_default()).await
            }
            Operation::Renew | Operation::Revoke => self.lease(request).await,
            Operation::Create
            | Operation::Read
            | Operation::Update
            | Operation::Delete
            | Operation::List => self.serve(request).await,
        }
    }

    async fn exists(&self, request: Request) -> Result<Option<bool>> {
        let cx = self.context(&request);
        match router(self.mount_type).route(request.operation, &request.path) {
            Ok((route, captures)) => route.exists(request.data, captures, &cx).await,
            Err(_) => Ok(None),
        }
    }

    async fn invalidate(&self, key: &str) {
        self.state.invalidate(key);
    }

    async fn cleanup(&self) {
        log::flush(&self.state).await;
        self.state.export.finish().await;
    }
}

/// What is due about every minute. Each part is bounded, and goes on at the next
/// call where it stopped at this one. A node that only reads leaves what is
/// stored alone.
///
/// # Errors
/// If storage fails.
async fn tidy(cx: &Cx) -> Result<()> {
    // First: a fault of anything below must not keep decisions from being stored.
    log::flush(cx).await;
    cx.rates.forget_idle(cx.now);
    cx.presented.forget_expired(cx.now);
    delegations_tidy::tidy(cx).await?;
    credentials_tidy::tidy(cx).await?;
    keys_tidy::tidy(cx).await?;
    sweep::sweep(cx).await?;
    cx.baselines.remember().await?;
    cx.export.apply().await?;
    log::tidy(cx).await
}

impl Mount {
    /// The context of a request, as of now.
    fn context(&self, request: &Request) -> Cx {
        Cx::live(request, &self.clock, Arc::clone(&self.state))
    }

    /// A lease is to be renewed, or has ended.
    async fn lease(&self, request: Request) -> Result<Option<Response>> {
        let cx = self.context(&request);
        let Some(lease) = &request.lease else {
            return Err(Error::Unsupported);
        };
        if request.operation == Operation::Renew {
            leases::renew(&cx, lease).await
        } else {
            leases::revoke(&cx, lease).await.map(|()| None)
        }
    }

    async fn serve(&self, request: Request) -> Result<Option<Response>> {
        let (route, captures) = router(self.mount_type).route(request.operation, &request.path)?;
        let cx = self.context(&request);
        let arrival = Arrival {
            unauthenticated: request.unauthenticated,
            carries_login: request.login.is_some(),
        };
        let answer = match admit(route.audience, arrival, &cx).await {
            Ok(()) => route.serve(request.data, captures, &cx).await,
            Err(refused) => {
                events::not_admitted(&cx, route.audience, &route.place, &refused).await;
                return Err(refused.error);
            }
        };
        // A decision has noted what it says, and is recorded already.
        if let Err(error) = &answer
            && cx.noted.is_empty()
        {
            events::refused(&cx, &route.place, error).await;
        }
        answer
    }

    /// What a new mount needs before it can issue.
    async fn prepare(&self) -> Result<()> {
        if self.storage.get(LAYOUT_KEY).await?.is_none() {
            let write = Write::Put {
                key: LAYOUT_KEY.to_owned(),
                value: LAYOUT.to_string().into_bytes(),
                seal_wrap: false,
            };
            self.storage.commit(vec![write]).await?;
        }
        // For the words of questions, and the hashes of opaque tokens: a standby
        // cannot make it when it is asked.
        let random = || {
            let mut key = [0; KEY];
            SystemRandom::new()
                .fill(&mut key)
                .map_err(|_| Error::Internal("no random bytes".to_owned()))?;
            Ok(key)
        };
        self.state.hasher.ensure(random).await?;
        let make = || {
            SigningKey::generate(Algorithm::EdDsa, &SystemRandom::new())
                .map_err(|error| Error::Internal(format!("no default key: {error}")))
        };
        self.state
            .keys
            .ensure(DEFAULT_KEY, make, self.clock.now())
            .await
    }

    fn help(&self, request: &Request) -> Result<Response> {
        let router = router(self.mount_type);
        let path = request.path.strip_suffix('/').unwrap_or(&request.path);
        let prefix = request
            .data
            .get("requestResponsePrefix")
            .and_then(Value::as_str)
            .unwrap_or("agentic");
        let (text, document) = if path.is_empty() {
            (
                help::root(ABOUT, router),
                openapi::of_mount(router, self.mount_type, prefix),
            )
        } else {
            let (found, _) = router.find(path).ok_or(Error::NoRoute)?;
            (
                help::path(&request.path, found),
                openapi::document([found], self.mount_type, prefix),
            )
        };
        let data = json!({ "help": text.trim(), "see_also": null, "openapi": document });
        Ok(Response {
            data: data.to_string(),
            ..Response::default()
        })
    }
}

/// A path in the host's notation: `+` for a captured segment.
fn host_pattern(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "+" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}
