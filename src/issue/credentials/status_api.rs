//! `.well-known/status/:list`: status lists, without a token.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::facts::identity::presence;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Raw, Reply};
use crate::issue::Cx;
use crate::issue::credentials::mint::status_uri;
use crate::issue::credentials::standing::{self, Facts};
use crate::issue::credentials::status::{Ready, StatusStore};
use crate::issue::credentials::store::Revoked;
use crate::jose::jws::{self, Header, HeaderBytes};
use crate::model::agent::Agent;
use crate::model::credential::{Grounds, Standing, StatusIndex};
use crate::model::identity::Presence;
use crate::model::ids::{AgentId, EntityId};
use crate::model::time::Timestamp;

/// The `typ` of a status list (draft-ietf-oauth-status-list-20 5.1).
const TYP: &str = "statuslist+jwt";
/// How long a verifier may use a list before it fetches the next, in seconds.
const LIST_TTL: i64 = 30;
/// How long a list is good for at all, in seconds.
const LIST_LIFE: i64 = 120;
/// The same for those who cache HTTP.
const CACHE: &str = "public, max-age=30";
/// How long a list is served that nothing here has changed: the host tells
/// nobody when an entity is disabled.
const TRUST: Duration = Duration::from_secs(5);
/// The bits of a status: valid, invalid, suspended.
const BITS: u8 = 2;
/// How many of them are in a byte.
const PER_BYTE: u64 = 4;
/// What the compressor may do: a list is computed often and is small.
const LEVEL: u8 = 6;

/// Read a status list: which credentials do not hold any more.
///
/// A signed JWT (draft-ietf-oauth-status-list-20) of two bits for each
/// credential: 0 valid, 1 invalid, 2 suspended. The `status` claim of a
/// credential says which list it is in, and where. Computed from what holds now;
/// may be cached for 30 seconds.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadStatusList {
    /// Number of the list.
    list: String,
}

impl Endpoint<Cx> for ReadStatusList {
    const PLACE: Place = Place {
        path: ".well-known/status/{list}",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        let none = || Error::NotFound("there is no such status list".to_owned());
        // One spelling only: a list is signed under its URL.
        let list = self.list.parse::<u64>().map_err(|_| none())?;
        if list.to_string() != self.list {
            return Err(none());
        }
        // The node that issues knows who is in a list.
        if cx.is_standby() {
            return Err(Error::forward());
        }
        let token = current(cx, list).await?.ok_or_else(none)?;
        Ok(Reply::Raw(Raw {
            status: 200,
            content_type: "application/statuslist+jwt",
            cache_control: CACHE,
            body: token.as_bytes().to_vec(),
        }))
    }
}

/// The list as it is now. `None`: nobody is in it.
async fn current(cx: &Cx, list: u64) -> Result<Option<Arc<str>>> {
    let mut ready = cx.issue.statuses.computing.lock().await;
    // What changes from here on is in the next one.
    let generation = cx
        .facts
        .agents
        .generation()
        .wrapping_add(cx.issue.credentials.generation())
        .wrapping_add(cx.grants.delegations.generation());
    if let Some(known) = ready.get(&list)
        && known.generation == generation
        && known.since.elapsed() < TRUST
    {
        return Ok(Some(Arc::clone(&known.token)));
    }
    if StatusIndex::new(cx.issue.statuses.reserved().await?.saturating_sub(1)).list() < list {
        return Ok(None);
    }
    let places = cx.issue.statuses.places(list, cx.now).await?;
    // Nobody is told of those who come next, so that is not kept.
    if places.is_empty() {
        ready.remove(&list);
        return Ok(None);
    }
    let bits = bits(cx, &places).await?;
    let token: Arc<str> = Arc::from(sign(cx, list, &bits).await?);
    let one = Ready {
        generation,
        since: Instant::now(),
        token: Arc::clone(&token),
    };
    StatusStore::keep(&mut ready, list, one);
    Ok(Some(token))
}

/// Who is in a list stands how, two bits each from the lowest up
/// (draft-ietf-oauth-status-list-20 4.1). A place that nobody has is valid:
/// whoever gets it next must not be refused because of an older list.
async fn bits(cx: &Cx, places: &[(u64, Arc<Grounds>)]) -> Result<Vec<u8>> {
    let seen = Seen::load(cx).await?;
    let mut bits = vec![0_u8; usize::try_from(StatusIndex::PER_LIST / PER_BYTE).unwrap_or(0)];
    let mut known = Known::default();
    let mut agents = BTreeMap::new();
    for (index, grounds) in places {
        let facts = facts(cx, grounds, &seen, &mut agents, &mut known).await?;
        let code = standing::judge(grounds, &facts, cx.now).code();
        let byte = usize::try_from(index / PER_BYTE).unwrap_or(usize::MAX);
        let shift = u32::from(BITS).saturating_mul(u32::try_from(index % PER_BYTE).unwrap_or(0));
        if let Some(byte) = bits.get_mut(byte) {
            *byte |= code.checked_shl(shift).unwrap_or(0);
        }
    }
    Ok(bits)
}

/// All that is revoked, by name: asked for once for a whole list.
struct Seen(BTreeSet<String>);

impl Seen {
    async fn load(cx: &Cx) -> Result<Self> {
        let names = cx.issue.credentials.revoked("", 0).await?;
        Ok(Self(names.into_iter().collect()))
    }

    async fn mark(&self, cx: &Cx, what: Revoked<'_>) -> Result<Option<Timestamp>> {
        if !self.0.contains(&what.name()) {
            return Ok(None);
        }
        let revocation = cx.issue.credentials.revocation(what).await?;
        Ok(revocation.map(|revocation| revocation.at))
    }
}

type Agents = BTreeMap<AgentId, Option<Arc<Agent>>>;

/// What [`standing::of`] gathers for one, without asking twice for what many
/// share.
async fn facts(
    cx: &Cx,
    grounds: &Grounds,
    seen: &Seen,
    agents: &mut Agents,
    known: &mut Known,
) -> Result<Facts> {
    let agent = match agents.get(&grounds.agent) {
        Some(agent) => agent.clone(),
        None => {
            let agent = cx.facts.agents.get(&grounds.agent).await?;
            agents.insert(grounds.agent.clone(), agent.clone());
            agent
        }
    };
    let entity = match &agent {
        Some(agent) => known.agent(cx, agent).await?,
        None => Presence::Gone,
    };
    let mut marks = Vec::new();
    let subject = match &grounds.subject {
        Some(subject) => {
            marks.extend(seen.mark(cx, Revoked::Subject(subject)).await?);
            Some(known.subject(cx, subject).await?)
        }
        None => None,
    };
    let links = standing::links(cx, grounds).await?;
    let mut delegated = standing::delegated(cx, grounds, &links).await?;
    for link in &links {
        marks.extend(seen.mark(cx, Revoked::Delegation(&link.id)).await?);
        if link.agent != grounds.agent
            && let Some(relay) = cx.facts.agents.get(&link.agent).await?
        {
            delegated = delegated.max(known.agent(cx, &relay).await?.into());
        }
    }
    Ok(Facts {
        agent,
        entity,
        subject,
        target: standing::target(cx, grounds).await?,
        delegated,
        revoked: seen.0.contains(&Revoked::One(&grounds.id).name()),
        marks,
    })
}

/// What the host said of entities, each asked for once.
#[derive(Debug, Default)]
struct Known {
    agents: BTreeMap<AgentId, Presence>,
    subjects: BTreeMap<EntityId, Standing>,
}

impl Known {
    async fn agent(&mut self, cx: &Cx, agent: &Agent) -> Result<Presence> {
        if let Some(presence) = self.agents.get(&agent.id) {
            return Ok(*presence);
        }
        let presence = presence::of_agent(cx, agent).await?;
        self.agents.insert(agent.id.clone(), presence);
        Ok(presence)
    }

    async fn subject(&mut self, cx: &Cx, id: &EntityId) -> Result<Standing> {
        if let Some(standing) = self.subjects.get(id) {
            return Ok(*standing);
        }
        let standing = standing::of_subject(cx, id).await?;
        self.subjects.insert(id.clone(), standing);
        Ok(standing)
    }
}

async fn sign(cx: &Cx, list: u64, bits: &[u8]) -> Result<String> {
    let config = cx.config().await?;
    let keys = cx.facts.keys.set().await?;
    let signer = keys.signer(None, config.signing_key.as_ref())?;
    let now = cx.now.unix();
    let claims = json!({
        "iss": config.issuer,
        "sub": status_uri(&config.issuer, list),
        "iat": now,
        "exp": now.saturating_add(LIST_LIFE),
        "ttl": LIST_TTL,
        "status_list": {
            "bits": BITS,
            "lst": URL_SAFE_NO_PAD.encode(miniz_oxide::deflate::compress_to_vec_zlib(bits, LEVEL)),
        },
    });
    let header = Header::new(signer.key.alg())
        .with_typ(TYP)
        .with_kid(signer.public.kid().unwrap_or_default());
    let broken = |problem: String| Error::Internal(format!("no status list: {problem}"));
    let token = HeaderBytes::new(&header)
        .sign(claims.to_string().as_bytes(), &signer.key)
        .map_err(|error| broken(error.to_string()))?;
    // As for credentials: what was made is checked before it leaves.
    jws::decode(&token, jws::MAX_TOKEN)
        .and_then(|token| jws::verify(token, [&signer.public], &[signer.key.alg()]))
        .map_err(|error| broken(error.to_string()))?;
    Ok(token)
}
