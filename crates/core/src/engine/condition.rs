//! Conditions: HCL expressions over facts, compiled once into a small tree of
//! our own, so that a decision parses nothing.
//!
//! What could make one expensive or surprising is refused here: `for`, splats,
//! directives, heredocs, unknown names. What remains is bounded by
//! [`MAX_DEPTH`] when written and by a budget of steps when evaluated.

use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Conditional, Expression, FuncCall, Traversal, TraversalOperator,
    UnaryOp, UnaryOperator,
};
use hcl_edit::template::{Element, StringTemplate};

use super::diagnostic::did_you_mean;
use super::syntax::{Source, kind, start};
use super::value::Number;
use crate::model::time::Timestamp;

/// The most levels an expression may have.
pub const MAX_DEPTH: usize = 32;
/// The most items a list may have that a policy writes.
pub const MAX_ITEMS: usize = 256;

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {
    pub(super) root: Expr,
    /// The variables it reads, in order of appearance.
    pub(super) reads: Vec<Variable>,
    /// Where it stands in the text, in one line.
    pub(super) text: String,
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Vec<Self>),
    /// A string with values in it.
    Template(Vec<Self>),
    Variable(Variable),
    Attribute(Box<Self>, Box<str>),
    Index(Box<(Self, Self)>),
    Not(Box<Self>),
    Negate(Box<Self>),
    Binary(BinaryOperator, Box<(Self, Self)>),
    Choose(Box<(Self, Self, Self)>),
    Call(Function, Vec<Self>),
}

macro_rules! variables {
    ($($variant:ident, $object:literal, $attribute:literal;)*) => {
        /// A fact that a condition may refer to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Variable { $($variant),* }

        impl Variable {
            const ALL: &'static [(&'static str, &'static str, Self)] =
                &[$(($object, $attribute, Self::$variant)),*];

            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => concat!($object, ".", $attribute)),* }
            }
        }
    };
}

// `env.time` is RFC 3339 in UTC; `env.hour` (0 to 23) and `env.weekday` (`mon`
// to `sun`) are in UTC too: for local time there is the `environment` block.
variables! {
    AgentName, "agent", "name";
    AgentId, "agent", "id";
    AgentOwner, "agent", "owner";
    AgentLabels, "agent", "labels";
    AgentSoftware, "agent", "software";
    SubjectId, "subject", "id";
    SubjectName, "subject", "name";
    SubjectGroups, "subject", "groups";
    SubjectMetadata, "subject", "metadata";
    TargetName, "target", "name";
    TargetLabels, "target", "labels";
    RequestAction, "request", "action";
    RequestResource, "request", "resource";
    RequestReason, "request", "reason";
    RequestContext, "request", "context";
    DelegationMode, "delegation", "mode";
    DelegationDepth, "delegation", "depth";
    DelegationPurpose, "delegation", "purpose";
    EnvTime, "env", "time";
    EnvHour, "env", "hour";
    EnvWeekday, "env", "weekday";
    EnvRemoteAddr, "env", "remote_addr";
    EnvLocation, "env", "location";
}

const OBJECTS: [&str; 6] = ["agent", "subject", "target", "request", "delegation", "env"];

impl Variable {
    /// Whether the agent itself asserts it.
    pub(super) const fn is_asserted(self) -> bool {
        matches!(self, Self::RequestContext | Self::RequestReason)
    }

    /// Whether it exists only where there is a subject.
    pub(super) const fn needs_subject(self) -> bool {
        matches!(
            self,
            Self::SubjectId
                | Self::SubjectName
                | Self::SubjectGroups
                | Self::SubjectMetadata
                | Self::DelegationPurpose
        )
    }
}

macro_rules! functions {
    ($($variant:ident, $name:literal, $parameters:expr;)*) => {
        /// A function that a condition may call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($variant),* }

        impl Function {
            const ALL: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),*];

            pub(super) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            const fn parameters(self) -> usize {
                match self { $(Self::$variant => $parameters),* }
            }
        }
    };
}

functions! {
    Contains, "contains", 2;
    Length, "length", 1;
    StartsWith, "startswith", 2;
    EndsWith, "endswith", 2;
    Lower, "lower", 1;
    Keys, "keys", 1;
    CidrContains, "cidr_contains", 2;
    TimeBetween, "time_between", 3;
}

/// Compiles the expression of a `condition` attribute; what is wrong with it
/// goes to `source`.
pub(super) fn compile(expression: &Expression, source: &mut Source<'_>) -> Option<Condition> {
    let mut compiler = Compiler {
        source,
        reads: Vec::new(),
    };
    let root = compiler.expression(expression, 0)?;
    let boolean = !matches!(
        root,
        Expr::Null
            | Expr::Number(_)
            | Expr::Text(_)
            | Expr::List(_)
            | Expr::Template(_)
            | Expr::Negate(_)
            | Expr::Call(Function::Length | Function::Lower | Function::Keys, _)
    );
    let reads = compiler.reads;
    if !boolean {
        source.error(
            start(expression),
            format!(
                "a condition must be true or false, not {}",
                kind(expression)
            ),
            None,
        );
        return None;
    }
    let text = expression
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    Some(Condition { root, reads, text })
}

struct Compiler<'s, 't> {
    source: &'s mut Source<'t>,
    reads: Vec<Variable>,
}

impl Compiler<'_, '_> {
    fn expression(&mut self, expression: &Expression, depth: usize) -> Option<Expr> {
        if depth >= MAX_DEPTH {
            self.source.error(
                start(expression),
                format!("a condition may have at most {MAX_DEPTH} levels"),
                None,
            );
            return None;
        }
        let depth = depth.saturating_add(1);
        match expression {
            Expression::Null(_) => Some(Expr::Null),
            Expression::Bool(value) => Some(Expr::Bool(*value.value())),
            Expression::Number(number) => number_literal(number.value()).map(Expr::Number),
            Expression::String(text) => Some(Expr::Text(text.value().as_str().into())),
            Expression::Array(array) => {
                if array.len() > MAX_ITEMS {
                    return self.refuse(
                        expression,
                        &format!("a list may have at most {MAX_ITEMS} items"),
                    );
                }
                self.all(array.iter(), depth).map(Expr::List)
            }
            Expression::Parenthesis(inner) => self.expression(inner.inner(), depth),
            Expression::Variable(name) => self.lone_variable(name.as_str(), start(expression)),
            Expression::Conditional(choice) => self.choice(choice, depth),
            Expression::FuncCall(call) => self.call(call, depth),
            Expression::Traversal(traversal) => self.traversal(traversal, depth),
            Expression::UnaryOp(operation) => self.unary(operation, depth),
            Expression::BinaryOp(operation) => self.binary(operation, depth),
            Expression::StringTemplate(template) => self.template(template, depth),
            Expression::HeredocTemplate(_) => {
                self.refuse(expression, "heredocs are not part of the policy language")
            }
            Expression::ForExpr(_) => {
                self.refuse(expression, "`for` is not part of the policy language")
            }
            Expression::Object(_) => self.refuse(expression, "objects are not part of conditions"),
        }
    }

    /// Compiles every one, so that all errors are found.
    fn all<'e>(
        &mut self,
        items: impl Iterator<Item = &'e Expression>,
        depth: usize,
    ) -> Option<Vec<Expr>> {
        let compiled: Vec<_> = items.map(|item| self.expression(item, depth)).collect();
        compiled.into_iter().collect()
    }

    fn two(&mut self, a: &Expression, b: &Expression, depth: usize) -> Option<Box<(Expr, Expr)>> {
        let (a, b) = (self.expression(a, depth), self.expression(b, depth));
        Some(Box::new((a?, b?)))
    }

    fn refuse(&mut self, at: &impl hcl_edit::Span, message: &str) -> Option<Expr> {
        self.source.error(start(at), message, None);
        None
    }

    fn lone_variable(&mut self, name: &str, offset: usize) -> Option<Expr> {
        if OBJECTS.contains(&name) {
            self.source.error(
                offset,
                format!("`{name}` is not a value: name one of its attributes"),
                None,
            );
        } else {
            self.unknown_object(name, offset);
        }
        None
    }

    fn unknown_object(&mut self, name: &str, offset: usize) {
        let help = did_you_mean(name, OBJECTS).unwrap_or_else(|| {
            format!("known are {}; write a string in quotes", OBJECTS.join(", "))
        });
        self.source
            .error(offset, format!("unknown variable `{name}`"), Some(help));
    }

    fn choice(&mut self, choice: &Conditional, depth: usize) -> Option<Expr> {
        let condition = self.expression(&choice.cond_expr, depth);
        let branches = self.two(&choice.true_expr, &choice.false_expr, depth);
        let (condition, (yes, no)) = (condition?, *branches?);
        Some(Expr::Choose(Box::new((condition, yes, no))))
    }

    fn unary(&mut self, operation: &UnaryOp, depth: usize) -> Option<Expr> {
        let inner = Box::new(self.expression(&operation.expr, depth)?);
        Some(match operation.operator.value() {
            UnaryOperator::Not => Expr::Not(inner),
            UnaryOperator::Neg => Expr::Negate(inner),
        })
    }

    fn binary(&mut self, operation: &BinaryOp, depth: usize) -> Option<Expr> {
        let sides = self.two(&operation.lhs_expr, &operation.rhs_expr, depth)?;
        Some(Expr::Binary(*operation.operator.value(), sides))
    }

    fn template(&mut self, template: &StringTemplate, depth: usize) -> Option<Expr> {
        let mut parts = Vec::new();
        for element in template {
            parts.push(match element {
                Element::Literal(text) => Expr::Text(text.value().as_str().into()),
                Element::Interpolation(inner) => self.expression(&inner.expr, depth)?,
                Element::Directive(_) => {
                    return self.refuse(template, "`%{…}` is not part of the policy language");
                }
            });
        }
        Some(Expr::Template(parts))
    }

    fn traversal(&mut self, traversal: &Traversal, depth: usize) -> Option<Expr> {
        let mut operators = traversal.operators.iter();
        let mut value = if let Expression::Variable(object) = &traversal.expr {
            let Some(TraversalOperator::GetAttr(attribute)) =
                operators.next().map(|operator| operator.value())
            else {
                return self.lone_variable(object.as_str(), start(traversal));
            };
            self.variable(object.as_str(), attribute.as_str(), start(traversal))?
        } else {
            self.expression(&traversal.expr, depth)?
        };
        for (level, operator) in operators.enumerate() {
            if depth.saturating_add(level) >= MAX_DEPTH {
                return self.refuse(
                    traversal,
                    &format!("a condition may have at most {MAX_DEPTH} levels"),
                );
            }
            value = match operator.value() {
                TraversalOperator::GetAttr(name) => {
                    Expr::Attribute(Box::new(value), name.as_str().into())
                }
                TraversalOperator::Index(index) => {
                    let index = self.expression(index, depth)?;
                    Expr::Index(Box::new((value, index)))
                }
                TraversalOperator::LegacyIndex(index) => {
                    let index = Expr::Number(Number::Int(i128::from(*index.value())));
                    Expr::Index(Box::new((value, index)))
                }
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    return self.refuse(
                        traversal,
                        "`*` on a list is not part of the policy language; use `contains`",
                    );
                }
            };
        }
        Some(value)
    }

    fn variable(&mut self, object: &str, attribute: &str, offset: usize) -> Option<Expr> {
        let found = Variable::ALL
            .iter()
            .find(|(o, a, _)| *o == object && *a == attribute);
        if let Some((_, _, variable)) = found {
            self.reads.push(*variable);
            return Some(Expr::Variable(*variable));
        }
        if OBJECTS.contains(&object) {
            let known: Vec<_> = Variable::ALL
                .iter()
                .filter(|(o, ..)| *o == object)
                .map(|(_, a, _)| *a)
                .collect();
            self.source.unknown(
                offset,
                &format!("attribute of `{object}`:"),
                attribute,
                &known,
            );
        } else {
            self.unknown_object(object, offset);
        }
        None
    }

    fn call(&mut self, call: &FuncCall, depth: usize) -> Option<Expr> {
        let name = call.name.name.as_str();
        let found = Function::ALL
            .iter()
            .find(|(known, _)| *known == name && !call.name.is_namespaced());
        let Some((_, function)) = found else {
            let known: Vec<_> = Function::ALL.iter().map(|(known, _)| *known).collect();
            self.source.unknown(start(call), "function", name, &known);
            return None;
        };
        let arguments = self.all(call.args.iter(), depth)?;
        if arguments.len() != function.parameters() || call.args.expand_final() {
            let message = format!(
                "`{name}` takes {} arguments, one by one",
                function.parameters()
            );
            return self.refuse(call, &message);
        }
        self.check_literals(*function, &arguments, call)?;
        Some(Expr::Call(*function, arguments))
    }

    /// What can be known to fail at every evaluation is refused now.
    fn check_literals(
        &mut self,
        function: Function,
        arguments: &[Expr],
        call: &FuncCall,
    ) -> Option<()> {
        for (argument, expression) in arguments.iter().zip(call.args.iter()) {
            let Expr::Text(text) = argument else { continue };
            let wrong = match function {
                Function::TimeBetween => text.parse::<Timestamp>().err(),
                Function::CidrContains if std::ptr::eq(argument, arguments.first()?) => {
                    super::evaluate::parse_network(text)
                        .is_none()
                        .then(|| format!("`{text}` is not a network range; write `10.0.0.0/8`"))
                }
                Function::CidrContains
                | Function::Contains
                | Function::Length
                | Function::StartsWith
                | Function::EndsWith
                | Function::Lower
                | Function::Keys => None,
            };
            if let Some(message) = wrong {
                self.source.error(start(expression), message, None);
                return None;
            }
        }
        Some(())
    }
}

fn number_literal(number: &hcl_edit::Number) -> Option<Number> {
    match (number.as_i64(), number.as_u64()) {
        (Some(int), _) => Some(Number::Int(i128::from(int))),
        (None, Some(int)) => Some(Number::Int(i128::from(int))),
        (None, None) => number.as_f64().map(Number::Float),
    }
}
