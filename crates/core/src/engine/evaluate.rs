//! Evaluates a condition against a scene, within a budget.
//!
//! Strict: a missing attribute, a comparison of two kinds or an exhausted
//! budget is an error, and an error never widens. The one exception is
//! comparing with the literal `null`, which asks whether a value is there.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use hcl_edit::expr::BinaryOperator as Op;
use ipnet::IpNet;
use thiserror::Error;

use super::condition::{self, Condition, Expr, Function, Variable};
use super::facts::Facts;
use super::guards::Case;
use super::scene::{Scene, Steps};
use super::syntax::Source;
use super::value::{List, Map, Number, Value};
use super::window::weekday_and_hour;
use crate::model::decision::{AccessRequest, Reason};
use crate::model::text::folded;
use crate::model::time::Timestamp;

/// The most steps of one evaluation: one for each part of the expression, one
/// for each item looked at, one for each 64 bytes of text compared.
const BUDGET: u32 = 10_000;
/// The longest text that a condition may make.
const MAX_MADE: usize = 4096;

/// Why a condition has no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Failure {
    #[error("`{0}` is not there")]
    Missing(String),
    #[error("{0} cannot be used here")]
    Kind(&'static str),
    #[error("{0} and {1} cannot be compared")]
    Kinds(&'static str, &'static str),
    #[error("the arithmetic has no result")]
    Arithmetic,
    #[error("{0}")]
    Malformed(String),
    #[error("it takes too many steps")]
    Budget,
}

type Result<T> = std::result::Result<T, Failure>;

impl Condition {
    /// Whether it holds.
    pub(super) fn holds(&self, scene: &Scene<'_>) -> Result<bool> {
        let budget = BUDGET.min(scene.steps.left());
        let mut evaluation = Evaluation {
            scene,
            steps: budget,
        };
        let holds = evaluation.boolean(&self.root);
        scene.steps.take(match holds {
            Err(Failure::Budget) => budget,
            _ => budget.saturating_sub(evaluation.steps),
        });
        holds
    }
}

struct Evaluation<'a, 's> {
    scene: &'s Scene<'a>,
    steps: u32,
}

impl<'a> Evaluation<'a, '_> {
    fn spend(&mut self, steps: usize) -> Result<()> {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        self.steps = self.steps.checked_sub(steps).ok_or(Failure::Budget)?;
        Ok(())
    }

    fn spend_text(&mut self, text: &str) -> Result<()> {
        self.spend(text.len() / 64)
    }

    fn boolean(&mut self, expr: &'a Expr) -> Result<bool> {
        let value = self.value(expr)?;
        if let Value::Bool(value) = value {
            Ok(value)
        } else {
            Err(Failure::Kind(value.kind()))
        }
    }

    fn text(&mut self, expr: &'a Expr) -> Result<Cow<'a, str>> {
        let value = self.value(expr)?;
        self.text_of(value)
    }

    fn text_of(&mut self, value: Value<'a>) -> Result<Cow<'a, str>> {
        let text = value
            .into_text()
            .map_err(|other| Failure::Kind(other.kind()))?;
        self.spend_text(&text)?;
        Ok(text)
    }

    /// Two strings that are compared: without case, where either is a name of the
    /// host's.
    fn texts(&mut self, one: &'a Expr, other: &'a Expr) -> Result<(Cow<'a, str>, Cow<'a, str>)> {
        let (one, other) = (self.value(one)?, self.value(other)?);
        let folds = one.is_name() || other.is_name();
        let (one, other) = (self.text_of(one)?, self.text_of(other)?);
        Ok(if folds {
            (folded(&one).into(), folded(&other).into())
        } else {
            (one, other)
        })
    }

    fn number(&mut self, expr: &'a Expr) -> Result<Number> {
        let value = self.value(expr)?;
        if let Value::Number(number) = value {
            Ok(number)
        } else {
            Err(Failure::Kind(value.kind()))
        }
    }

    fn map(&mut self, expr: &'a Expr) -> Result<Map<'a>> {
        let value = self.value(expr)?;
        if let Value::Map(map) = value {
            Ok(map)
        } else {
            Err(Failure::Kind(value.kind()))
        }
    }

    fn value(&mut self, expr: &'a Expr) -> Result<Value<'a>> {
        self.spend(1)?;
        match expr {
            Expr::Null => Ok(Value::Null),
            Expr::Bool(value) => Ok(Value::Bool(*value)),
            Expr::Number(number) => Ok(Value::Number(*number)),
            Expr::Text(text) => Ok(Value::text(text)),
            Expr::List(items) => {
                let made = items
                    .iter()
                    .map(|item| self.value(item))
                    .collect::<Result<_>>()?;
                Ok(Value::List(List::Made(made)))
            }
            Expr::Template(parts) => self.template(parts),
            Expr::Variable(variable) => self.variable(*variable),
            Expr::Attribute(inner, name) => self
                .map(inner)?
                .get(name)
                .ok_or_else(|| Failure::Missing(name.to_string())),
            Expr::Index(parts) => self.index(&parts.0, &parts.1),
            Expr::Not(inner) => self.boolean(inner).map(|value| Value::Bool(!value)),
            Expr::Negate(inner) => match self.number(inner)? {
                Number::Int(int) => made(int.checked_neg().map(Number::Int)),
                Number::Float(float) => finite(-float),
            },
            Expr::Binary(operator, sides) => self.binary(*operator, &sides.0, &sides.1),
            Expr::Choose(parts) => {
                let branch = if self.boolean(&parts.0)? {
                    &parts.1
                } else {
                    &parts.2
                };
                self.value(branch)
            }
            Expr::Call(function, arguments) => self.call(*function, arguments),
        }
    }

    fn template(&mut self, parts: &'a [Expr]) -> Result<Value<'a>> {
        let mut made = String::new();
        for part in parts {
            match self.value(part)? {
                Value::Text(text) => made.push_str(&text),
                Value::Name(name) => made.push_str(name),
                Value::Bool(value) => made.push_str(if value { "true" } else { "false" }),
                Value::Number(Number::Int(int)) => made.push_str(&int.to_string()),
                other @ (Value::Null
                | Value::Number(Number::Float(_))
                | Value::List(_)
                | Value::Map(_)) => {
                    return Err(Failure::Kind(other.kind()));
                }
            }
            if made.len() > MAX_MADE {
                return Err(Failure::Budget);
            }
        }
        Ok(Value::Text(Cow::Owned(made)))
    }

    fn index(&mut self, value: &'a Expr, index: &'a Expr) -> Result<Value<'a>> {
        let index = match self.value(index)?.into_text() {
            Ok(text) => Value::Text(text),
            Err(index) => index,
        };
        match (self.value(value)?, index) {
            (Value::List(list), Value::Number(Number::Int(index))) => {
                let found = usize::try_from(index)
                    .ok()
                    .and_then(|index| list.get(index));
                found.ok_or_else(|| Failure::Missing(format!("[{index}]")))
            }
            (Value::Map(map), Value::Text(name)) => map
                .get(&name)
                .ok_or_else(|| Failure::Missing(name.into_owned())),
            (Value::List(_) | Value::Map(_), index) => Err(Failure::Kind(index.kind())),
            (other, _) => Err(Failure::Kind(other.kind())),
        }
    }

    fn binary(&mut self, operator: Op, left: &'a Expr, right: &'a Expr) -> Result<Value<'a>> {
        match operator {
            Op::And => Ok(Value::Bool(self.boolean(left)? && self.boolean(right)?)),
            Op::Or => Ok(Value::Bool(self.boolean(left)? || self.boolean(right)?)),
            Op::Eq => self.equal(left, right).map(Value::Bool),
            Op::NotEq => self.equal(left, right).map(|equal| Value::Bool(!equal)),
            Op::Less => self.ordered(left, right, Ordering::is_lt),
            Op::LessEq => self.ordered(left, right, Ordering::is_le),
            Op::Greater => self.ordered(left, right, Ordering::is_gt),
            Op::GreaterEq => self.ordered(left, right, Ordering::is_ge),
            Op::Plus | Op::Minus | Op::Mul | Op::Div | Op::Mod => {
                arithmetic(operator, self.number(left)?, self.number(right)?)
            }
        }
    }

    fn ordered(
        &mut self,
        left: &'a Expr,
        right: &'a Expr,
        holds: fn(Ordering) -> bool,
    ) -> Result<Value<'a>> {
        let ordering = self.number(left)?.compare(self.number(right)?);
        ordering
            .map(|ordering| Value::Bool(holds(ordering)))
            .ok_or(Failure::Arithmetic)
    }

    fn equal(&mut self, left: &'a Expr, right: &'a Expr) -> Result<bool> {
        let asks_for_null = matches!(left, Expr::Null) || matches!(right, Expr::Null);
        let (left, right) = (self.value(left)?, self.value(right)?);
        if asks_for_null {
            return Ok(matches!((left, right), (Value::Null, Value::Null)));
        }
        match (&left, &right) {
            (Value::List(a), Value::List(b)) => self.equal_lists(a, b),
            _ => self.equal_scalars(&left, &right),
        }
    }

    fn equal_scalars(&mut self, left: &Value<'_>, right: &Value<'_>) -> Result<bool> {
        self.spend(1)?;
        match (left, right) {
            (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
            (Value::Number(a), Value::Number(b)) => a
                .compare(*b)
                .map(Ordering::is_eq)
                .ok_or(Failure::Arithmetic),
            (Value::Text(a), Value::Text(b)) => {
                self.spend_text(if a.len() == b.len() { a } else { "" })?;
                Ok(a == b)
            }
            (Value::Name(name), Value::Text(text)) | (Value::Text(text), Value::Name(name)) => {
                self.spend_text(text)?;
                Ok(folded(name) == folded(text))
            }
            (Value::Name(a), Value::Name(b)) => Ok(folded(a) == folded(b)),
            (a, b) => Err(Failure::Kinds(a.kind(), b.kind())),
        }
    }

    fn equal_lists(&mut self, left: &List<'a>, right: &List<'a>) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut index = 0_usize;
        let different = left.visit(|item| {
            let other = right.get(index).unwrap_or(Value::Null);
            index = index.saturating_add(1);
            match self.equal_scalars(item, &other) {
                Ok(true) => None,
                answer => Some(answer),
            }
        });
        different.unwrap_or(Ok(true))
    }

    fn call(&mut self, function: Function, arguments: &'a [Expr]) -> Result<Value<'a>> {
        match (function, arguments) {
            (Function::Contains, [whole, part]) => self.contains(whole, part).map(Value::Bool),
            (Function::Length, [whole]) => match self.value(whole)? {
                Value::Text(text) => {
                    self.spend_text(&text)?;
                    Ok(Value::int(text.chars().count()))
                }
                Value::Name(name) => Ok(Value::int(name.chars().count())),
                Value::List(list) => Ok(Value::int(list.len())),
                Value::Map(map) => Ok(Value::int(map.len())),
                other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
                    Err(Failure::Kind(other.kind()))
                }
            },
            (Function::StartsWith, [text, part]) => {
                let (text, part) = self.texts(text, part)?;
                Ok(Value::Bool(text.starts_with(&*part)))
            }
            (Function::EndsWith, [text, part]) => {
                let (text, part) = self.texts(text, part)?;
                Ok(Value::Bool(text.ends_with(&*part)))
            }
            (Function::Lower, [text]) => {
                let text = self.text(text)?;
                if text.len() > MAX_MADE {
                    return Err(Failure::Budget);
                }
                Ok(Value::Text(Cow::Owned(text.to_lowercase())))
            }
            (Function::Keys, [map]) => {
                let map = self.map(map)?;
                self.spend(map.len())?;
                Ok(Value::List(List::Made(map.keys())))
            }
            (Function::CidrContains, [network, address]) => {
                let (network, address) = (self.text(network)?, self.text(address)?);
                let wrong = |text: &str| {
                    Failure::Malformed(format!("`{}` is not a network address", clip(text)))
                };
                let net = parse_network(&network).ok_or_else(|| wrong(&network))?;
                let address = address.parse().map_err(|_| wrong(&address))?;
                Ok(Value::Bool(network_contains(&net, address)))
            }
            (Function::TimeBetween, [time, from, until]) => {
                let (time, from, until) = (self.time(time)?, self.time(from)?, self.time(until)?);
                Ok(Value::Bool(from <= time && time < until))
            }
            (
                Function::Contains
                | Function::Length
                | Function::StartsWith
                | Function::EndsWith
                | Function::Lower
                | Function::Keys
                | Function::CidrContains
                | Function::TimeBetween,
                _,
            ) => Err(Failure::Malformed(format!(
                "wrong number of arguments for `{}`",
                function.as_str()
            ))),
        }
    }

    fn time(&mut self, expr: &'a Expr) -> Result<Timestamp> {
        self.text(expr)?.parse().map_err(Failure::Malformed)
    }

    /// Whether a list has an item, a text a part, or a map a key.
    fn contains(&mut self, whole: &'a Expr, part: &'a Expr) -> Result<bool> {
        match (self.value(whole)?, self.value(part)?) {
            (Value::List(list), part) => {
                let found = list.visit(|item| match self.equal_scalars(item, &part) {
                    Ok(false) => None,
                    answer => Some(answer),
                });
                found.unwrap_or(Ok(false))
            }
            (Value::Map(map), part) => match part.into_text() {
                Ok(name) => Ok(map.get(&name).is_some()),
                Err(part) => Err(Failure::Kinds("a map", part.kind())),
            },
            (whole, part) => {
                let folds = whole.is_name() || part.is_name();
                let (whole_kind, part_kind) = (whole.kind(), part.kind());
                let (Ok(whole), Ok(part)) = (whole.into_text(), part.into_text()) else {
                    return Err(Failure::Kinds(whole_kind, part_kind));
                };
                self.spend_text(&whole)?;
                self.spend_text(&part)?;
                Ok(if folds {
                    folded(&whole).contains(&*folded(&part))
                } else {
                    whole.contains(&*part)
                })
            }
        }
    }

    fn variable(&self, variable: Variable) -> Result<Value<'a>> {
        let scene = self.scene;
        let missing = || Failure::Missing(variable.as_str().to_owned());
        let value = match variable {
            Variable::AgentName => Value::text(scene.agent.name.as_str()),
            Variable::AgentId => Value::text(scene.agent.id.as_str()),
            Variable::AgentOwner => Value::text(scene.agent.owner.as_str()),
            Variable::AgentLabels => Value::Map(Map::Labels(&scene.agent.labels)),
            Variable::AgentSoftware => Value::Map(Map::Software(&scene.agent.software)),
            Variable::SubjectId => Value::text(scene.subject.ok_or_else(missing)?.id.as_str()),
            Variable::SubjectName => Value::Name(&scene.subject.ok_or_else(missing)?.name),
            Variable::SubjectGroups => {
                Value::List(List::Groups(&scene.subject.ok_or_else(missing)?.groups))
            }
            Variable::SubjectMetadata => {
                Value::Map(Map::Labels(&scene.subject.ok_or_else(missing)?.metadata))
            }
            Variable::TargetName => Value::text(scene.request.target.as_str()),
            Variable::TargetLabels => {
                Value::Map(Map::Labels(&scene.target.ok_or_else(missing)?.labels))
            }
            Variable::RequestAction => Value::text(scene.request.action.as_str()),
            Variable::RequestResource => Value::text(scene.request.resource.as_str()),
            Variable::RequestReason => Value::text(scene.request.reason.as_str()),
            Variable::RequestContext => Value::Map(Map::Json(&scene.request.context)),
            Variable::DelegationMode => Value::text(scene.mode.as_str()),
            Variable::DelegationDepth => Value::int(scene.depth),
            Variable::DelegationPurpose => Value::text(scene.purpose.ok_or_else(missing)?),
            Variable::EnvTime => Value::Text(Cow::Owned(scene.environment.now.to_string())),
            Variable::EnvHour => {
                let (_, hour) = weekday_and_hour(scene.environment.now);
                Value::Number(Number::Int(i128::from(hour)))
            }
            Variable::EnvWeekday => Value::text(weekday_and_hour(scene.environment.now).0.as_str()),
            Variable::EnvRemoteAddr => {
                let address = scene.environment.remote_addr.ok_or_else(missing)?;
                Value::Text(Cow::Owned(address.to_canonical().to_string()))
            }
            Variable::EnvLocation => self.locations().ok_or_else(missing)?,
        };
        Ok(value)
    }

    /// The names of the locations that the request comes from.
    fn locations(&self) -> Option<Value<'a>> {
        let address = self.scene.environment.remote_addr?;
        let here = self
            .scene
            .environment
            .locations
            .iter()
            .filter(|(_, networks)| {
                networks
                    .iter()
                    .any(|network| network_contains(network, address))
            });
        Some(Value::List(List::Made(
            here.map(|(name, _)| Value::text(name.as_str())).collect(),
        )))
    }
}

/// Exact between integers where the result is one.
fn arithmetic<'a>(operator: Op, left: Number, right: Number) -> Result<Value<'a>> {
    type Exact = fn(i128, i128) -> Option<i128>;
    type Float = fn(f64, f64) -> f64;
    let (exact, float): (Exact, Float) = match operator {
        Op::Plus => (i128::checked_add, |a, b| a + b),
        Op::Minus => (i128::checked_sub, |a, b| a - b),
        Op::Mul => (i128::checked_mul, |a, b| a * b),
        Op::Div => (i128::checked_div, |a, b| a / b),
        Op::Mod => (i128::checked_rem, |a, b| a % b),
        Op::Eq
        | Op::NotEq
        | Op::Less
        | Op::LessEq
        | Op::Greater
        | Op::GreaterEq
        | Op::And
        | Op::Or => {
            return Err(Failure::Arithmetic);
        }
    };
    match (left, right) {
        (Number::Int(a), Number::Int(b))
            if operator != Op::Div || a.checked_rem(b).is_none_or(|rest| rest == 0) =>
        {
            made(exact(a, b).map(Number::Int))
        }
        (a, b) => finite(float(a.as_float(), b.as_float())),
    }
}

fn made<'a>(number: Option<Number>) -> Result<Value<'a>> {
    number.map(Value::Number).ok_or(Failure::Arithmetic)
}

fn finite<'a>(float: f64) -> Result<Value<'a>> {
    made(float.is_finite().then_some(Number::Float(float)))
}

/// A range of addresses, or a single address.
pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether an address is in a range; an IPv4 address that came in IPv6 form
/// counts as what it is.
pub(super) fn network_contains(network: &IpNet, address: IpAddr) -> bool {
    network.contains(&address) || network.contains(&address.to_canonical())
}

/// The beginning of a text that somebody else wrote.
fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Compiles and evaluates one expression as a condition of the acting agent's
/// policies, outside any rule.
///
/// # Errors
/// If it is refused, fails, or there is no agent to evaluate it for.
pub fn try_condition(
    text: &str,
    request: &AccessRequest,
    facts: &Facts,
) -> std::result::Result<bool, String> {
    let mut source = Source::new(text);
    let expression = text
        .parse()
        .map_err(|error: hcl_edit::parser::Error| error.message().to_owned())?;
    let Some(condition) = condition::compile(&expression, &mut source) else {
        return Err(source
            .into_diagnostics()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "));
    };
    let steps = Steps::default();
    let scene = Case::new(request, facts, &steps)
        .scene()
        .ok_or_else(|| Reason::AgentUnknown.to_string())?;
    condition
        .holds(&scene)
        .map_err(|failure| failure.to_string())
}
