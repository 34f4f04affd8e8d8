//! Policy text to a syntax tree with positions.

use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Attribute, Block, Body, Structure};

use super::diagnostic::{Diagnostic, Severity, did_you_mean};

/// The most bytes a policy may have.
pub(super) const MAX_TEXT: usize = 64 * 1024;

/// A text and what was found wrong with it so far.
pub(super) struct Source<'a> {
    text: &'a str,
    found: Vec<Diagnostic>,
}

impl<'a> Source<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    /// The syntax tree. Only one error of syntax is ever found: what follows
    /// it cannot be trusted.
    pub(super) fn parse(&mut self) -> Option<Body> {
        if self.text.len() > MAX_TEXT {
            self.error(
                0,
                format!("a policy may have at most {MAX_TEXT} bytes"),
                None,
            );
            return None;
        }
        match hcl_edit::parser::parse_body(self.text) {
            Ok(body) => Some(body),
            Err(error) => {
                self.error(error.location().offset(), error.message().to_owned(), None);
                None
            }
        }
    }

    pub(super) fn error(
        &mut self,
        offset: usize,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.report(Severity::Error, offset, message.into(), help);
    }

    pub(super) fn warn(&mut self, offset: usize, message: impl Into<String>, help: Option<String>) {
        self.report(Severity::Warning, offset, message.into(), help);
    }

    fn report(&mut self, severity: Severity, offset: usize, message: String, help: Option<String>) {
        let (line, column) = self.position(offset);
        self.found.push(Diagnostic {
            severity,
            line,
            column,
            message,
            help,
        });
    }

    /// An attribute or block that the language does not have.
    pub(super) fn unknown(&mut self, offset: usize, what: &str, name: &str, known: &[&str]) {
        let help = did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("known are {}", known.join(", ")));
        self.error(offset, format!("unknown {what} `{name}`"), Some(help));
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Everything found, in the order of the text.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.found
            .sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        self.found
    }

    /// Line and column, both from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let mut before = self.text.get(..offset).unwrap_or(self.text).split('\n');
        let last = before.next_back().unwrap_or_default();
        (
            before.count().saturating_add(1),
            last.chars().count().saturating_add(1),
        )
    }
}

/// Where a node begins in the text.
pub(super) fn start(node: &impl Span) -> usize {
    node.span().map_or(0, |span| span.start)
}

/// Splits a body into its attributes and blocks.
pub(super) fn parts(body: &Body) -> impl Iterator<Item = Part<'_>> {
    body.iter().map(|structure| match structure {
        Structure::Attribute(attribute) => Part::Attribute(attribute),
        Structure::Block(block) => Part::Block(block),
    })
}

/// A part of a body.
pub(super) enum Part<'a> {
    Attribute(&'a Attribute),
    Block(&'a Block),
}

/// What an expression is, in a writer's words.
pub(super) const fn kind(expression: &Expression) -> &'static str {
    match expression {
        Expression::Null(_) => "null",
        Expression::Bool(_) => "a boolean",
        Expression::Number(_) => "a number",
        Expression::String(_) => "a string",
        Expression::Array(_) => "a list",
        Expression::Object(_) => "an object",
        Expression::StringTemplate(_) => "a string with `${…}`",
        Expression::HeredocTemplate(_) => "a heredoc",
        Expression::Parenthesis(_)
        | Expression::Variable(_)
        | Expression::Conditional(_)
        | Expression::FuncCall(_)
        | Expression::Traversal(_)
        | Expression::UnaryOp(_)
        | Expression::BinaryOp(_)
        | Expression::ForExpr(_) => "an expression",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_syntax_has_its_place() {
        let mut source = Source::new("rule \"a\" {\n  effect = \n}\n");
        assert!(source.parse().is_none());
        let found = source.into_diagnostics();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn positions_count_characters() {
        let source = Source::new("é\nüx");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(5), (2, 2));
        assert_eq!(source.position(999), (2, 3));
    }

    #[test]
    fn hostile_text_is_refused_quickly() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{a=", "}"),
            ("\"${", "}\""),
            ("f(", ")"),
            ("a[", "]"),
            ("!", ""),
            ("1?2:", ""),
        ] {
            for depth in [30, 60, 5000] {
                let text = format!("x = {}1{}\n", open.repeat(depth), close.repeat(depth));
                let _ = Source::new(&text).parse();
            }
        }
        let blocks = format!("{}{}", "a {\n".repeat(5000), "}\n".repeat(5000));
        assert!(Source::new(&blocks).parse().is_none());
        assert!(Source::new(&"#".repeat(MAX_TEXT + 1)).parse().is_none());
    }
}
