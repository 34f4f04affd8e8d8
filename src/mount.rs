//! A mount: which endpoints it has, and its life from setup to invalidation.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ring::rand::{SecureRandom as _, SystemRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faces::{
    activity, authzen, discovery, doctor::Diagnose, evaluate as decisions, own,
    own_decisions as mine,
};
use crate::facts::agents::forget::ForgetAlias;
use crate::facts::agents::{api as agents, enterprise, list as agent_list};
use crate::facts::baselines::api as baselines;
use crate::facts::config::api as config;
use crate::facts::config::store::DEFAULT_KEY;
use crate::facts::events;
use crate::facts::identity::admit::{Arrival, admit};
use crate::facts::identity::{api as identity, sweep};
use crate::facts::issuers::check::CheckIssuer;
use crate::facts::issuers::{api as issuers, subjects};
use crate::facts::keys::hasher::{HashKeyRecord, KEY};
use crate::facts::keys::{api as keys, store::KeyRecord, tidy as keys_tidy, versions};
use crate::facts::locations::api as locations;
use crate::facts::policies::api as policies;
use crate::facts::targets::acl::ReadAcl;
use crate::facts::targets::api as targets;
use crate::grants::consents::{api as consents, oversight as consent_oversight};
use crate::grants::delegations::{
    api as delegations, codes, list, oversight as delegation_oversight, tidy as delegations_tidy,
};
use crate::host::framework::backend::{Backend, Factory, MountConfig, MountType, SpecialPaths};
use crate::host::framework::endpoint::{Audience, Endpoint, GOVERNED, Place, Route, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::record::Record as _;
use crate::host::framework::request::{Context, Operation, Request};
use crate::host::framework::response::{Reply, Response};
use crate::host::framework::router::Router;
use crate::host::framework::storage::{Storage, Write};
use crate::host::framework::system::SystemView;
use crate::host::framework::{help, openapi};
use crate::host::telemetry::fields;
use crate::issue::credentials::{
    api as credentials, leases, oversight as credential_oversight, revoke_api, status_api,
    tidy as credentials_tidy, verify_api,
};
use crate::issue::login::{api as login, session};
use crate::jose::alg::Algorithm;
use crate::jose::signer::SigningKey;
use crate::model::time::{Clock, SystemClock};
use crate::record::decisions::{list as decision_list, log};
use crate::record::export::{api as export, store::SettingsRecord};
use crate::record::metrics::api as metrics;

use self::state::{Cx, State};

pub mod state;

const ABOUT: &str = "The agentic plugin gives AI agents an identity of their own, a ceiling, a policy\n\
decision for every request, and a credential that lives for that request only.\n\n\
Register agents under agents/, say what they are for under targets/, write what\n\
they may do under policies/, and let them ask under creds/issue.";

/// Every endpoint of a mount of this type.
#[must_use]
pub fn routes(mount_type: MountType) -> Vec<Route<Cx>> {
    let mut routes = shared_routes();
    match mount_type {
        MountType::Secrets => {}
        MountType::Auth => routes.extend([Route::of::<_, login::Login>()]),
    }
    routes
}

/// The endpoints of mounts of both types.
fn shared_routes() -> Vec<Route<Cx>> {
    vec![
        Route::of::<_, Info<false>>(),
        Route::of::<_, Info<true>>(),
        Route::of::<_, config::ReadConfig>(),
        Route::of::<_, config::WriteConfig>(),
        Route::of::<_, identity::ReadIdentity>(),
        Route::of::<_, identity::WriteIdentity>(),
        Route::of::<_, identity::ResetIdentity>(),
        Route::of::<_, keys::ListKeys>(),
        Route::of::<_, keys::ReadKey>(),
        Route::of::<_, keys::WriteKey>(),
        Route::of::<_, keys::DeleteKey>(),
        Route::of::<_, versions::RotateKey>(),
        Route::of::<_, versions::RetireKey>(),
        Route::of::<_, discovery::ReadKeySet>(),
        Route::of::<_, discovery::ReadDiscovery<true>>(),
        Route::of::<_, discovery::ReadDiscovery<false>>(),
        Route::of::<_, status_api::ReadStatusList>(),
        Route::of::<_, agent_list::ListAgents>(),
        Route::of::<_, agent_list::ListFormer>(),
        Route::of::<_, agent_list::ReadFormer>(),
        Route::of::<_, agent_list::ForgetFormer>(),
        Route::of::<_, agent_list::ListOrphans>(),
        Route::of::<_, ForgetAlias>(),
        Route::of::<_, agents::WriteAgent<false>>(),
        Route::of::<_, agents::WriteAgent<true>>(),
        Route::of::<_, agents::ReadAgent>(),
        Route::of::<_, agents::DeleteAgent>(),
        Route::of::<_, agents::ReadAgentById>(),
        Route::of::<_, agents::ReadAgentByEntity>(),
        Route::of::<_, agents::SuspendAgent>(),
        Route::of::<_, agents::ResumeAgent>(),
        Route::of::<_, agents::RevokeAgent>(),
        Route::of::<_, own::ReadSelf>(),
        Route::of::<_, enterprise::Register>(),
        Route::of::<_, enterprise::ListRegistrations>(),
        Route::of::<_, enterprise::ReadRegistration>(),
        Route::of::<_, enterprise::ReplaceRegistration>(),
        Route::of::<_, enterprise::DeleteRegistration>(),
        Route::of::<_, enterprise::ListRegistrationNames>(),
        Route::of::<_, enterprise::ReadRegistrationByName>(),
        Route::of::<_, enterprise::ReadRegistrationByEntity>(),
        Route::of::<_, targets::ListTargets>(),
        Route::of::<_, targets::ReadTarget>(),
        Route::of::<_, targets::ReadOwnTarget>(),
        Route::of::<_, targets::WriteTarget>(),
        Route::of::<_, targets::DeleteTarget>(),
        Route::of::<_, ReadAcl>(),
        Route::of::<_, Diagnose<false>>(),
        Route::of::<_, Diagnose<true>>(),
        Route::of::<_, policies::ListPolicies>(),
        Route::of::<_, policies::ReadPolicy>(),
        Route::of::<_, policies::WritePolicy>(),
        Route::of::<_, policies::CheckPolicy>(),
        Route::of::<_, policies::DeletePolicy>(),
        Route::of::<_, baselines::ListEntityBaselines>(),
        Route::of::<_, baselines::ReadEntityBaseline>(),
        Route::of::<_, baselines::WriteEntityBaseline>(),
        Route::of::<_, baselines::DeleteEntityBaseline>(),
        Route::of::<_, baselines::ListGroupBaselines>(),
        Route::of::<_, baselines::ReadGroupBaseline>(),
        Route::of::<_, baselines::WriteGroupBaseline>(),
        Route::of::<_, baselines::DeleteGroupBaseline>(),
        Route::of::<_, locations::ListLocations>(),
        Route::of::<_, locations::ReadLocation>(),
        Route::of::<_, locations::WriteLocation>(),
        Route::of::<_, locations::DeleteLocation>(),
        Route::of::<_, list::ListDelegations>(),
        Route::of::<_, delegations::RequestDelegation>(),
        Route::of::<_, delegations::GrantDelegation>(),
        Route::of::<_, delegations::ReadDelegation>(),
        Route::of::<_, delegations::ApproveDelegation>(),
        Route::of::<_, delegations::DenyDelegation>(),
        Route::of::<_, delegations::RevokeDelegation>(),
        Route::of::<_, delegations::PassDelegation>(),
        Route::of::<_, codes::ReadCode>(),
        Route::of::<_, codes::ApproveCode>(),
        Route::of::<_, codes::DenyCode>(),
        Route::of::<_, delegation_oversight::OverseeDelegations>(),
        Route::of::<_, delegation_oversight::OverseeDelegation>(),
        Route::of::<_, delegation_oversight::OverrideDelegation>(),
        Route::of::<_, consents::ReadConsent>(),
        Route::of::<_, consents::ApproveConsent>(),
        Route::of::<_, consents::DenyConsent>(),
        Route::of::<_, consent_oversight::OverseeConsents>(),
        Route::of::<_, consent_oversight::OverseeConsent>(),
        Route::of::<_, credentials::IssueCredential<false>>(),
        Route::of::<_, credentials::IssueCredential<true>>(),
        Route::of::<_, verify_api::Introspect>(),
        Route::of::<_, verify_api::Redeem>(),
        Route::of::<_, revoke_api::RevokeCredentials>(),
        Route::of::<_, revoke_api::RevokeOwn>(),
        Route::of::<_, credential_oversight::Revoke>(),
        Route::of::<_, issuers::ListIssuers>(),
        Route::of::<_, issuers::ReadIssuer>(),
        Route::of::<_, issuers::WriteIssuer>(),
        Route::of::<_, issuers::DeleteIssuer>(),
        Route::of::<_, CheckIssuer>(),
        Route::of::<_, subjects::ListSubjects>(),
        Route::of::<_, subjects::ReadSubject>(),
        Route::of::<_, subjects::WriteSubject>(),
        Route::of::<_, subjects::DeleteSubject>(),
        Route::of::<_, decisions::Evaluate>(),
        Route::of::<_, decisions::EvaluateOwn>(),
        Route::of::<_, decision_list::ListDecisions>(),
        Route::of::<_, decision_list::ReadDecision>(),
        Route::of::<_, decision_list::VerifyDecisions>(),
        Route::of::<_, mine::ListOwnDecisions>(),
        Route::of::<_, mine::ReadOwnDecision>(),
        Route::of::<_, export::ReadExport>(),
        Route::of::<_, export::WriteExport>(),
        Route::of::<_, export::DeleteExport>(),
        Route::of::<_, metrics::ReadMetrics>(),
        Route::of::<_, activity::ListActivity>(),
        Route::of::<_, activity::ListAgentActivity>(),
        Route::of::<_, activity::ListSubjectActivity>(),
        Route::of::<_, activity::ListTargetActivity>(),
        Route::of::<_, activity::ReadAgentActivity>(),
        Route::of::<_, activity::ReadSubjectActivity>(),
        Route::of::<_, activity::ReadTargetActivity>(),
        Route::of::<_, authzen::AccessEvaluation>(),
        Route::of::<_, authzen::AccessEvaluations>(),
        Route::of::<_, authzen::ReadAuthzenConfiguration>(),
    ]
}

/// The router, made once per process: all mounts of a type have the same paths.
fn router(mount_type: MountType) -> &'static Router<Cx> {
    static SECRETS: OnceLock<Router<Cx>> = OnceLock::new();
    static AUTH: OnceLock<Router<Cx>> = OnceLock::new();
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

impl<const WRITE: bool> Endpoint<Cx> for Info<WRITE> {
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
            state
                .record
                .export
                .allow_files_in(directory.clone(), &config.uuid);
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
        self.state.issue.presented.begin(self.clock.now());
        let standby = self.state.host.system.is_read_only().await?;
        self.state.host.set_standby(standby);
        self.begin().await;
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
        log::flush(&self.state.record).await;
        self.state.record.export.finish().await;
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
    log::flush(&cx.record).await;
    cx.grants.rates.forget_idle(cx.now);
    cx.issue.presented.forget_expired(cx.now);
    delegations_tidy::tidy(cx).await?;
    credentials_tidy::tidy(cx).await?;
    keys_tidy::tidy(cx).await?;
    sweep::sweep(cx).await?;
    cx.facts.baselines.remember().await?;
    cx.record.export.apply().await?;
    let config = cx.facts.config.get().await?;
    log::tidy(cx, (&*config).into()).await
}

impl Mount {
    /// Takes on the settings when the mount begins. What cannot be read now is read
    /// by the next periodic call.
    async fn begin(&self) {
        let config = self.state.facts.config.get().await;
        let export = self.state.record.export.apply().await;
        match config {
            Ok(config) => log::tune(&self.state.record, (&*config).into()),
            Err(error) => tracing::warn!(
                { fields::ERROR } = error.to_string(),
                "the settings of the decision log cannot be read yet"
            ),
        }
        if let Err(error) = export {
            tracing::warn!(
                { fields::ERROR } = error.to_string(),
                "the settings of exporting cannot be read yet"
            );
        }
    }

    /// The context of a request, as of now.
    fn context(&self, request: &Request) -> Cx {
        self.state.context(Context::live(request, &self.clock))
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
        self.state.facts.hasher.ensure(random).await?;
        let make = || {
            SigningKey::generate(Algorithm::EdDsa, &SystemRandom::new())
                .map_err(|error| Error::Internal(format!("no default key: {error}")))
        };
        self.state
            .facts
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
