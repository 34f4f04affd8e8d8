//! `access/v1/…`: the same decision in the words of the `OpenID` AuthZEN
//! Authorization API 1.0, for enforcement points that speak it.
//!
//! A subject of the type `agent` is an agent that acts on its own; one of the
//! type `user` is the human (by entity id) for whom the agent in
//! `context.agent` acts. A resource's type is the target, its id the resource.
//! Answers are plain JSON, without the server's envelope; a denial is 200. Who asks
//! about others learns the bare decision: a verifier needs no more, and what is
//! behind it is for those who govern, under `decisions/evaluate`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::faces::evaluate;
use crate::host::framework::endpoint::{Audience, Endpoint, Place, Verb};
use crate::host::framework::error::{Error, Result};
use crate::host::framework::response::{Raw, Reply};
use crate::issue::Cx;
use crate::issue::credentials::request;
use crate::model::decision::AccessRequest;

/// The most evaluations in one request.
const MAX_EVALUATIONS: usize = 100;

/// Answer an AuthZEN access evaluation request.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AccessEvaluation {
    /// Who: an object with `type` (`agent` or `user`) and `id`.
    subject: Map<String, Value>,
    /// What is to be done: an object with `name`.
    action: Map<String, Value>,
    /// To what: an object with `type` (the target) and `id` (the resource).
    resource: Map<String, Value>,
    /// Facts that the agent asserts; `agent` names the agent that acts for a
    /// `user`.
    #[serde(default)]
    context: Map<String, Value>,
}

impl Endpoint<Cx> for AccessEvaluation {
    const PLACE: Place = Place {
        path: "access/v1/evaluation",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Judged;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        let tuple = Tuple {
            subject: Some(self.subject),
            action: Some(self.action),
            resource: Some(self.resource),
            context: Some(self.context),
        };
        plain(&answer(cx, tuple).await?)
    }
}

/// Answer several AuthZEN access evaluation requests at once.
///
/// Members given at the top hold for every evaluation that does not give its
/// own.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AccessEvaluations {
    /// Default subject.
    subject: Option<Map<String, Value>>,
    /// Default action.
    action: Option<Map<String, Value>>,
    /// Default resource.
    resource: Option<Map<String, Value>>,
    /// Default context.
    context: Option<Map<String, Value>>,
    /// The evaluations, each an object with `subject`, `action`, `resource`
    /// and `context`; at most 100. Without any, the members at the top are one.
    #[serde(default)]
    evaluations: Vec<Map<String, Value>>,
    /// An object with `evaluations_semantic`: `execute_all` (the default),
    /// `deny_on_first_deny` or `permit_on_first_permit`.
    #[serde(default)]
    options: Map<String, Value>,
}

impl Endpoint<Cx> for AccessEvaluations {
    const PLACE: Place = Place {
        path: "access/v1/evaluations",
        verb: Verb::Write,
    };
    const AUDIENCE: Audience = Audience::Judged;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        // Checked before it is copied for every evaluation.
        let context = self.context.map(request::context).transpose()?;
        let defaults = Tuple {
            subject: self.subject,
            action: self.action,
            resource: self.resource,
            context,
        };
        if self.evaluations.is_empty() {
            return plain(&answer(cx, defaults).await?);
        }
        if self.evaluations.len() > MAX_EVALUATIONS {
            return Err(Error::field(
                "evaluations",
                format_args!("may hold at most {MAX_EVALUATIONS}"),
            ));
        }
        let stop = match self.options.get("evaluations_semantic").map(Value::as_str) {
            None | Some(Some("execute_all")) => None,
            Some(Some("deny_on_first_deny")) => Some(false),
            Some(Some("permit_on_first_permit")) => Some(true),
            Some(_) => {
                return Err(Error::field(
                    "options",
                    "`evaluations_semantic` must be `execute_all`, `deny_on_first_deny` or `permit_on_first_permit`",
                ));
            }
        };
        let mut answers = Vec::new();
        for one in self.evaluations {
            let one = match Tuple::read(one).map(|one| one.or(&defaults)) {
                Ok(tuple) => match answer(cx, tuple).await {
                    Err(Error::Invalid(problem)) => refused(&problem),
                    answer => answer?,
                },
                Err(problem) => refused(&problem),
            };
            let decided = one.decision;
            answers.push(one);
            if stop == Some(decided) {
                break;
            }
        }
        plain(&json!({ "evaluations": answers }))
    }
}

/// One AuthZEN answer.
#[derive(Debug, Serialize)]
struct Answer {
    decision: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Value>,
}

fn refused(problem: &str) -> Answer {
    Answer {
        decision: false,
        context: Some(json!({ "error": { "status": 400, "message": problem } })),
    }
}

/// The four members of an evaluation, as far as they are given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Tuple {
    subject: Option<Map<String, Value>>,
    action: Option<Map<String, Value>>,
    resource: Option<Map<String, Value>>,
    context: Option<Map<String, Value>>,
}

impl Tuple {
    fn read(map: Map<String, Value>) -> std::result::Result<Self, String> {
        serde_path_to_error::deserialize(Value::Object(map)).map_err(|error| error.to_string())
    }

    fn or(self, defaults: &Self) -> Self {
        Self {
            subject: self.subject.or_else(|| defaults.subject.clone()),
            action: self.action.or_else(|| defaults.action.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }
}

async fn answer(cx: &Cx, tuple: Tuple) -> Result<Answer> {
    let (subject, action, resource) = (
        part("subject", tuple.subject)?,
        part("action", tuple.action)?,
        part("resource", tuple.resource)?,
    );
    let mut context = tuple.context.unwrap_or_default();
    let target = word("resource", &resource, "type")?;
    let request = AccessRequest::new(
        target
            .parse()
            .map_err(|error| Error::field("resource.type", error))?,
        word("action", &action, "name")?
            .parse()
            .map_err(|error| Error::field("action.name", error))?,
        word("resource", &resource, "id")?
            .parse()
            .map_err(|error| Error::field("resource.id", error))?,
    );
    let id = word("subject", &subject, "id")?;
    let (agent, on_behalf_of) = match word("subject", &subject, "type")? {
        "agent" => (id.to_owned(), None),
        "user" => {
            let agent = context.remove("agent");
            let Some(agent) = agent.as_ref().and_then(Value::as_str) else {
                return Err(Error::field(
                    "context.agent",
                    "must name the agent that acts for the user",
                ));
            };
            (
                agent.to_owned(),
                Some(
                    id.parse()
                        .map_err(|error| Error::field("subject.id", error))?,
                ),
            )
        }
        _ => return Err(Error::field("subject.type", "must be `agent` or `user`")),
    };
    let request = AccessRequest {
        subject: on_behalf_of,
        context: request::context(context)?,
        ..request
    };
    let (decision, explanation) = evaluate::answer(cx, &agent, &request).await?;
    let context = explanation
        .map(serde_json::to_value)
        .transpose()
        .map_err(|error| Error::Internal(error.to_string()))?;
    Ok(Answer { decision, context })
}

fn part(name: &str, part: Option<Map<String, Value>>) -> Result<Map<String, Value>> {
    part.ok_or_else(|| Error::Invalid(format!("missing required field \"{name}\"")))
}

fn word<'a>(part: &str, map: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match map.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Error::field(&format!("{part}.{name}"), "must be text")),
        None => Err(Error::Invalid(format!(
            "missing required field \"{part}.{name}\""
        ))),
    }
}

fn plain<T: Serialize>(body: &T) -> Result<Reply<Map<String, Value>>> {
    Ok(Reply::Raw(Raw::json(body, "no-store")?))
}

/// Where AuthZEN clients find the evaluation endpoints.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadAuthzenConfiguration {}

impl Endpoint<Cx> for ReadAuthzenConfiguration {
    const PLACE: Place = Place {
        path: ".well-known/authzen-configuration",
        verb: Verb::Read,
    };
    const AUDIENCE: Audience = Audience::Public;
    type Output = Map<String, Value>;

    async fn handle(self, cx: &Cx) -> Result<Reply<Self::Output>> {
        let config = cx.config().await?;
        if config.issuer.is_empty() {
            return Err(Error::NotFound(
                "this mount has no issuer yet; an operator sets it under `config`".to_owned(),
            ));
        }
        let issuer = &config.issuer;
        plain(&json!({
            "policy_decision_point": issuer,
            "access_evaluation_endpoint": format!("{issuer}/access/v1/evaluation"),
            "access_evaluations_endpoint": format!("{issuer}/access/v1/evaluations"),
        }))
    }
}
