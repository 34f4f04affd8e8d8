//! `login`: one allowed request becomes a token of the host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::authorize::{self, Applicant};
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::Reply;
use crate::issue::Cx;
use crate::issue::credentials::{claims, request};
use crate::issue::login::proof::{self, Presented};
use crate::issue::login::proven::Proven;
use crate::issue::login::refusals::refused;
use crate::issue::login::{select, session};
use crate::model::agent::Mode;
use crate::model::authorization::Scope;
use crate::model::decision::{AccessRequest, Outcome, Reason};
use crate::model::ids::{AgentId, AgentName, ConsentId, DecisionId, DelegationId, TargetName};
use crate::model::pattern::{Action, Resource};
use crate::model::secret::Secret;
use crate::model::target::CredentialType;
use crate::model::text::Description;
use crate::model::time::{Timestamp, Ttl};
use crate::record::decisions::entry::Kind;

/// What the token is for. The token itself is in `auth`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoggedIn {
    decision_id: DecisionId,
    outcome: Outcome,
    agent: AgentName,
    agent_id: AgentId,
    /// The human it acts for, or the agent itself.
    subject: String,
    mode: Mode,
    target: TargetName,
    action: Action,
    resource: Resource,
    expires_at: Timestamp,
    /// Its lifetime in seconds.
    ttl: Ttl,
    /// How often it may be used; 0: as often as its time allows.
    max_uses: u32,
    /// What was granted (RFC 9396).
    #[schemars(with = "Vec<Map<String, Value>>")]
    authorization_details: Scope,
    /// The delegation that it rests on; empty without one.
    delegation_id: String,
    /// The human's yes that it rests on; empty without one.
    consent_id: String,
}

/// Log in for one action on a target, and get a token of the server.
///
/// The agent proves who it is by a token of an issuer that the mount believes,
/// or by an assertion that it signs with a key in its record. Every layer must
/// allow the request, as for `creds/issue`. The token has the target's
/// `vault_policies` and no other policy, lives as long as the decision says,
/// and names the agent, the human and the decision in every audit entry.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Login {
    /// A token that proves who the agent is.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    jwt: Secret<String>,
    /// A proof of possession (RFC 9449), where that token is bound to a key. Its
    /// `htu` is the mount's `issuer` with `/login`. The header `DPoP` serves as
    /// well, where the mount is tuned to pass it through.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    dpop: Option<Secret<String>>,
    /// Name of the target, of the type `vault_token`. Without it, a detail
    /// `vault:path_access` chooses the one whose tokens can do just that.
    target: Option<TargetName>,
    /// What is to be done there. Without it, the target's only action.
    action: Option<Action>,
    /// To what, in one plain spelling; no patterns.
    #[serde(default)]
    resource: Resource,
    /// Delegation to act under.
    delegation_id: Option<DelegationId>,
    /// A token of the human for whom the agent asks.
    #[schemars(extend("x-vault-displayAttrs" = { "sensitive": true }))]
    subject_token: Option<Secret<String>>,
    /// The human's yes to this very request.
    consent_id: Option<ConsentId>,
    /// What the request is for, as authorization details (RFC 9396): a list of
    /// objects, or its JSON text. They can only narrow.
    authorization_details: Option<Vec<Map<String, Value>>>,
    /// Facts that the agent asserts, for conditions of policies.
    #[serde(default)]
    context: Map<String, Value>,
    /// Why, for the record.
    #[serde(default)]
    reason: Description,
    /// Lifetime to ask for; more than allowed is cut.
    ttl: Option<Ttl>,
    /// How often the token may be used; more than allowed is cut. Not for
    /// inline authentication, where the server counts no uses.
    max_uses: Option<u32>,
}

impl Endpoint<Cx> for Login {
    const PLACE: Place = Place {
        path: "login",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = LoggedIn;

    async fn handle(self, cx: &Cx) -> Result<Reply<LoggedIn>> {
        let _inside = cx.issue.logins.enter()?;
        let header = dpop_header(cx)?;
        let presented = Presented {
            jwt: self.jwt.expose(),
            dpop: self
                .dpop
                .as_ref()
                .map(|proof| proof.expose().as_str())
                .or(header),
            subject_token: self
                .subject_token
                .as_ref()
                .map(|token| token.expose().as_str()),
        };
        let (proven, later) = proof::prove(cx, &presented).await?;
        let cx = &later;
        // A token that was used tells its next holder nothing.
        proven.spend(cx)?;
        let request = self.request(cx, &proven).await?;
        if proven.lacks_details {
            let reason = Reason::DetailsRequired;
            return Err(refused(
                reason.as_str(),
                "the issuer's tokens must carry authorization details, or an operator sets its `optional_authorization_details`",
            ));
        }
        let applicant = Applicant {
            agent: Some(std::sync::Arc::clone(&proven.agent)),
            presence: proven.presence,
            token_details: proven.details.clone(),
            granted_for: proven.until.map(|until| cx.now.until(until)),
            kind: Kind::Login,
            ..Applicant::default()
        };
        let granted = authorize::authorize_as(cx, applicant, request.clone())
            .await?
            .granted()?;
        let auth = session::open(cx, &proven, &granted, request).await?;
        let permit = &granted.permit;
        let view = LoggedIn {
            decision_id: granted.decision.clone(),
            outcome: Outcome::Allow,
            agent: permit.agent().name.clone(),
            agent_id: permit.agent().id.clone(),
            subject: permit
                .subject()
                .map_or_else(|| permit.agent().id.to_string(), ToString::to_string),
            mode: permit.mode(),
            target: permit.target().name.clone(),
            action: permit.action().clone(),
            resource: permit.resource().clone(),
            expires_at: cx.now.plus(auth.ttl),
            ttl: auth.ttl,
            max_uses: auth.num_uses.unwrap_or_default(),
            authorization_details: permit.details().clone(),
            delegation_id: permit
                .chain()
                .last()
                .map(|held| held.id.to_string())
                .unwrap_or_default(),
            consent_id: claims::consent_of(permit)
                .map(ToString::to_string)
                .unwrap_or_default(),
        };
        Ok(Reply::Login(auth, view))
    }
}

impl Login {
    /// The request that the proven agent makes.
    async fn request(self, cx: &Cx, proven: &Proven) -> Result<AccessRequest> {
        let details = request::details(self.authorization_details)?;
        // Whoever may not act learns nothing of the targets.
        let unable = proven.unable(cx);
        let name = match (self.target, unable) {
            (Some(name), None) => name,
            (Some(name), Some(_)) if self.action.is_some() => name,
            (_, Some(reason)) => return Err(refused(reason.as_str(), &reason.to_string())),
            (None, None) => select::target(cx, details.as_ref(), proven.details.as_ref()).await?,
        };
        let target = match unable {
            Some(_) => None,
            None => cx.facts.targets.get(&name).await?,
        };
        if let Some(target) = &target
            && target.credential_type != CredentialType::VaultToken
        {
            return Err(Error::field(
                "target",
                format_args!(
                    "target `{name}` is for credentials of type `{}`: ask for one under `creds/issue`",
                    target.credential_type.as_str()
                ),
            ));
        }
        let only = || match target.as_ref()?.actions.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        };
        let Some(action) = self.action.or_else(only) else {
            return Err(Error::Invalid(
                "missing required field \"action\"".to_owned(),
            ));
        };
        Ok(AccessRequest {
            reason: self.reason,
            context: request::context(self.context)?,
            subject: proven.subject.clone(),
            delegation: self.delegation_id,
            consent: self.consent_id,
            ttl: self.ttl,
            max_uses: self.max_uses.filter(|uses| *uses > 0),
            details,
            ..AccessRequest::new(name, action, self.resource)
        })
    }
}

/// The proof in the header, of which there may be one (RFC 9449 4.3).
fn dpop_header(cx: &Cx) -> Result<Option<&str>> {
    match cx.headers.get("dpop").map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([one]) => Ok(Some(one)),
        Some(_) => Err(Error::Invalid(
            "there may be one `DPoP` header only".to_owned(),
        )),
    }
}
